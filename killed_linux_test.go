package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkhead/engine"
	"bulkhead/engine/agent"
	"bulkhead/engine/docker"
)

// quarry is a project of two services around our own program, one of which asks the other.
type quarry struct {
	*folder
	rt *docker.Runtime
}

const callerAndCallee = `
services:
  caller: &peer
    build: {context: ., dockerfile_inline: "FROM scratch\nCOPY peer /peer\n"}
    command: [/peer, serve]
    stop_grace_period: 0s
  callee:
    <<: *peer
    mem_limit: 512m
    cpus: 1.5
`

func newQuarry(t *testing.T) *quarry {
	t.Helper()
	if !agent.Built() {
		if os.Getenv("BULKHEAD_ENGINE") == "required" {
			t.Fatal(agent.ErrNotBuilt)
		}
		t.Skip(agent.ErrNotBuilt)
	}
	q := &quarry{folder: newFolder(t)}
	build := exec.Command("go", "build", "-o", filepath.Join(q.dir, "peer"), "./engine/fault/testdata/peer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{"compose.yaml": callerAndCallee, ".dockerignore": "*\n!peer\n"} {
		if err := os.WriteFile(filepath.Join(q.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if q.rt, err = docker.New(docker.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.rt.Close() })
	q.bulkhead(t, "up", "-d")
	return q
}

func (q *quarry) service(t *testing.T, name string) engine.Instance {
	t.Helper()
	all, err := q.rt.Instances(t.Context(), q.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range all {
		if in.Service == name {
			return in
		}
	}
	t.Fatalf("%s has no container", name)
	panic("unreachable")
}

// asks has the caller ask the callee, and returns how that went.
func (q *quarry) asks(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	code, err := q.rt.Exec(t.Context(), q.service(t, "caller").ID,
		engine.ExecOptions{Cmd: append([]string{"/peer"}, args...), Stdout: &out, Stderr: &out})
	if err != nil || code != 0 {
		return fmt.Sprintf("exit code %d %v %s", code, err, out.String())
	}
	return strings.Trim(strings.TrimSpace(out.String()), `"`)
}

// state is all that a fault may change: where the services are, their limits, and in their networks
// the rules of ours and the queues.
func (q *quarry) state(t *testing.T) string {
	t.Helper()
	var out []string
	for _, name := range []string{"caller", "callee"} {
		in := q.service(t, name)
		limits, err := q.rt.Limits(t.Context(), in.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %s %+v %s", name, in.ID, in.State, limits, q.network(t, in)))
	}
	return strings.Join(out, "\n")
}

// network lists what is in a container's network namespace: tables of rules, and queues.
func (q *quarry) network(t *testing.T, in engine.Instance) string {
	t.Helper()
	seen, err := q.rt.Inspect(t.Context(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	type found struct {
		text string
		err  error
	}
	done := make(chan found)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		text, err := networkOf(seen.Pid)
		done <- found{text, err}
	}()
	f := <-done
	if f.err != nil {
		t.Fatal(f.err)
	}
	return f.text
}

// networkOf moves its thread into the network namespace of a process, and lists what is there.
func networkOf(pid int) (string, error) {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return "not seen", nil // it does not run, or only root sees it
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return "", err
	}
	rules, err := nftables.New()
	if err != nil {
		return "", err
	}
	tables, err := rules.ListTables()
	if err != nil {
		return "", err
	}
	var out []string
	for _, table := range tables {
		if table.Name == "bulkhead" {
			out = append(out, fmt.Sprintf("table of family %d", table.Family))
		}
	}
	links, err := netlink.NewHandle()
	if err != nil {
		return "", err
	}
	defer links.Close()
	devices, err := links.LinkList()
	if err != nil {
		return "", err
	}
	for _, link := range devices {
		queues, err := links.QdiscList(link)
		if err != nil {
			return "", err
		}
		for _, queue := range queues {
			out = append(out, link.Attrs().Name+" "+queue.Type())
		}
	}
	return strings.Join(out, ", "), nil
}

// agents counts the agents of the project. One that was made and never started, because bulkhead was
// killed between the two, is removed by a later bulkhead.
func (q *quarry) agents(t *testing.T) int {
	t.Helper()
	all, err := q.rt.OneOffs(t.Context(), q.name)
	if err != nil {
		t.Fatal(err)
	}
	return len(slices.DeleteFunc(all, func(in engine.Instance) bool { return in.State == engine.StateCreated }))
}

// onDisk lists the faults that the next bulkhead knows of. What was killed in the middle of a write
// leaves a part of a file, which is cleared away later.
func (q *quarry) onDisk() []string {
	var out []string
	for _, name := range q.env {
		if dir, is := strings.CutPrefix(name, "XDG_STATE_HOME="); is {
			found, _ := filepath.Glob(filepath.Join(dir, "bulkhead", "*", q.name, "faults", "[^.]*"))
			out = found // the last one counts
		}
	}
	return out
}

func (q *quarry) lacks(t *testing.T) map[string]string {
	t.Helper()
	var rows []struct{ Fault, Lacks string }
	if err := json.Unmarshal([]byte(q.bulkhead(t, "fault", "--list", "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range rows {
		out[r.Fault] = r.Lacks
	}
	return out
}

// Whenever bulkhead is killed, each fault is healed: those of the network by the agent, which nobody
// asks to, the others by the next bulkhead of any verb. BULKHEAD_KILLS is how often each one is tried.
func TestKilledBulkheadLeavesNoFault(t *testing.T) {
	times := 1
	if text := os.Getenv("BULKHEAD_KILLS"); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	q := newQuarry(t)
	lacks := q.lacks(t)
	well := func() bool { return q.asks(t, "get", "callee") == "ok" && q.asks(t, "lookup", "callee") == "ok" }
	if !eventually(patience, well) {
		t.Fatal("callee does not answer")
	}
	for _, words := range []string{"partition", "latency=3s", "jitter=5s", "bandwidth=8kbit", "reset",
		"loss=100%", "dns=nxdomain", "delay=3s", "shape=64kbit",
		"kill", "signal=KILL", "stop", "pause", "cpu=0.1", "memory=64m"} {
		kind, _, _ := strings.Cut(words, "=")
		if why := lacks[kind]; why != "" {
			t.Logf("%s is not possible here: %s", words, why)
			continue
		}
		for n := range times {
			q.kill(t, words, n%2 == 1)
		}
	}
}

// kill kills a bulkhead that has a fault in force, or amid is about to inject it.
func (q *quarry) kill(t *testing.T, words string, amid bool) {
	t.Helper()
	before := q.state(t)
	args := []string{"fault", "callee", words, "--for", "30m"}
	kind, _, _ := strings.Cut(words, "=")
	byAgent := false
	switch kind {
	case "kill", "signal", "stop", "pause", "cpu", "memory":
	case "dns":
		args[1], byAgent = "caller", true
	default:
		byAgent = true
	}
	s := q.start(t, args...)
	if amid {
		if !eventually(patience, func() bool { return len(q.onDisk()) > 0 }) {
			t.Fatalf("%s is not on disk: %s %s", words, s.all(), s.errs.String())
		}
	} else {
		s.wait(t, " for 30m00s")
		if now := q.state(t); now == before && os.Geteuid() == 0 {
			t.Errorf("%s is in force and nothing of it is seen: %s", words, now)
		}
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.over
	began := time.Now()
	if byAgent && !amid {
		if !eventually(patience, func() bool { return q.agents(t) == 0 && q.state(t) == before }) {
			t.Errorf("%s: the agent has not healed it: %d agents\n%s\nbefore:\n%s", words,
				q.agents(t), q.state(t), before)
		}
		if got := q.asks(t, "get", "callee"); got != "ok" {
			t.Errorf("%s, healed by the agent: %s", words, got)
		}
		t.Logf("%s: healed by the agent, seen after %v", words, time.Since(began).Round(time.Millisecond))
	}
	q.bulkhead(t, "ps", "--all")
	if left := q.onDisk(); len(left) > 0 {
		t.Errorf("%s: on disk after the next verb: %s", words, left)
	}
	if !eventually(patience, func() bool { return q.agents(t) == 0 && q.state(t) == before }) {
		t.Errorf("%s: not healed by the next bulkhead: %d agents\n%s\nbefore:\n%s", words,
			q.agents(t), q.state(t), before)
	}
	if !eventually(patience, func() bool {
		return q.asks(t, "get", "callee") == "ok" && q.asks(t, "lookup", "callee") == "ok"
	}) {
		t.Errorf("%s, healed: %s", words, q.asks(t, "get", "callee"))
	}
	t.Logf("%s: amid=%v, healed after %v", words, amid, time.Since(began).Round(time.Millisecond))
}
