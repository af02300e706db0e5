package fault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"bulkhead/engine"
	"bulkhead/engine/agent"
	"bulkhead/engine/build"
	"bulkhead/engine/container"
	"bulkhead/engine/docker"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// patience is how long a test waits for a thing before it fails.
const patience = 3 * time.Minute

// yard is a project of the machine's own engine: caller, callee and other are our own program, each
// of which answers and asks.
type yard struct {
	*engine.Engine
	t    *testing.T
	rt   *docker.Runtime
	name string
	dir  string
}

// openYard brings the project up, and removes all of it in the end.
func openYard(t *testing.T) *yard {
	t.Helper()
	rt, err := docker.New(docker.Options{})
	if err == nil {
		_, err = rt.Info(t.Context())
	}
	required := os.Getenv("CI") != "" || os.Getenv("BULKHEAD_ENGINE") == "required"
	if err != nil {
		if required {
			t.Fatalf("no engine: %v", err)
		}
		t.Skipf("needs a Docker engine: %v", err)
	}
	if !agent.Built() {
		if required {
			t.Fatal(agent.ErrNotBuilt)
		}
		t.Skip(agent.ErrNotBuilt)
	}
	y := &yard{t: t, rt: rt, name: fmt.Sprintf("bhfault%d", os.Getpid()), dir: t.TempDir()}
	c := exec.Command("go", "build", "-o", filepath.Join(y.dir, "peer"), "./testdata/peer")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		"Dockerfile": "FROM scratch\nCOPY peer /peer\n",
		"compose.yaml": `services:
  caller: &peer {build: ., image: ` + y.name +
			`, command: [/peer, serve], stop_grace_period: 0s, restart: always}
  callee: *peer
  other: *peer
  joined: {build: ., image: ` + y.name +
			`, command: [/peer, serve, joined], network_mode: "service:other", stop_grace_period: 0s}
  host: {build: ., image: ` + y.name + `, command: [/peer, wait], network_mode: host, stop_grace_period: 0s}
  processes: {build: ., image: ` + y.name + `, command: [/peer, wait], pid: host, stop_grace_period: 0s}
  alone: {build: ., image: ` + y.name +
			`, command: [/peer, wait], network_mode: none, stop_grace_period: 0s, restart: always, user: "1000"}
`,
	} {
		if err := os.WriteFile(filepath.Join(y.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := project.Load(t.Context(),
		project.Options{Files: []string{filepath.Join(y.dir, "compose.yaml")}, Name: y.name})
	if err != nil {
		t.Fatal(err)
	}
	b := build.New(build.Options{Dial: rt.Dial, Classic: rt, HasBuildKit: rt.BuildKit})
	y.Engine = engine.New(engine.Options{Runtime: rt, Builder: b, Project: p,
		Logs: logs.New(logs.Options{}), NoWatch: true, NoStats: true, StateDir: filepath.Join(y.dir, "state")})
	ctx, end := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- y.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		zero := time.Duration(0)
		tidy, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := engine.Once(tidy, engine.Options{Runtime: rt, Project: project.Unfiled(y.name)},
			engine.Command{Verb: engine.VerbDown, Volumes: true, Images: true, Grace: &zero}); err != nil {
			t.Error(err)
		}
		if _, err := rt.Untag(tidy, y.name); err != nil { // of this test alone
			t.Error(err)
		}
		b.Close()
		rt.Close()
	})
	ready, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := y.WaitReady(ready, "caller", "callee", "other", "joined"); err != nil {
		t.Fatal(err)
	}
	return y
}

// ask runs our program in a service, and returns what it says last.
func (y *yard) ask(service string, args ...string) string {
	y.t.Helper()
	var out, errs bytes.Buffer
	code, err := y.Exec(y.t.Context(), service, 0,
		engine.ExecOptions{Cmd: append([]string{"/peer"}, args...), Stdout: &out, Stderr: &errs})
	if err != nil || code != 0 {
		return fmt.Sprintf("exit code %d %v %s", code, err, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	var text string
	if json.Unmarshal([]byte(last), &text) == nil {
		return text
	}
	return last
}

// number is ask for what answers with one.
func (y *yard) number(service string, args ...string) int {
	y.t.Helper()
	text := y.ask(service, args...)
	n := 0
	if _, err := fmt.Sscan(text, &n); err != nil {
		y.t.Errorf("%s %v: %q", service, args, text)
	}
	return n
}

// inject puts a fault in force; from "" is none.
func (y *yard) inject(words, service, from string) {
	y.t.Helper()
	f, err := fault.Parse(words, service)
	if err != nil {
		y.t.Fatal(err)
	}
	f.From, f.For = from, 10*time.Minute
	if err := y.Do(y.t.Context(), engine.Command{Verb: engine.VerbFault, Fault: &f}); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) heal() {
	y.t.Helper()
	if err := y.Do(y.t.Context(), engine.Command{Verb: engine.VerbHeal}); err != nil {
		y.t.Error(err)
	}
}

// sees fails the test when a caller does not see what it should. A caller that gave up is asked again
// where something else is wanted: on a busy machine an answer may take longer than it waits.
func (y *yard) sees(want, service string, args ...string) {
	y.t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if got = y.ask(service, args...); got == want {
			return
		}
		if got != "timeout" {
			break
		}
	}
	y.t.Errorf("%s %s: %s, want %s\n%s", service, strings.Join(args, " "), got, want, y.latest())
}

// latest is what the engine last said.
func (y *yard) latest() string {
	recs, _ := y.Records(0)
	var b strings.Builder
	for _, r := range recs[max(0, len(recs)-12):] {
		fmt.Fprintf(&b, "%s %s %s: %s\n", r.Time.Format("05.000"), r.Kind, r.Service, r.Text)
	}
	return b.String()
}

// container is the id of a service's container.
func (y *yard) container(service string) string {
	for _, s := range y.Snapshot().Services {
		if s.Name == service {
			return s.Replicas[0].Identity.ID
		}
	}
	return ""
}

// tables lists the tables of ours in the network namespace of a service.
func (y *yard) tables(service string) (ours []string) {
	y.t.Helper()
	in, err := y.rt.Inspect(y.t.Context(), y.container(service))
	if err != nil {
		y.t.Fatal(err)
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", in.Pid))
	if errors.Is(err, os.ErrPermission) {
		y.t.Log("only root sees the rules in a container")
		return nil
	}
	if err != nil {
		y.t.Fatal(err)
	}
	defer ns.Close()
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())))
	if err != nil {
		y.t.Fatal(err)
	}
	all, err := c.ListTables()
	if err != nil {
		y.t.Fatal(err)
	}
	for _, table := range all {
		if table.Name == "bulkhead" {
			ours = append(ours, fmt.Sprint(table.Family))
		}
	}
	return ours
}

// Everything is seen from another container, by our own client and server.
func TestFaultsAreSeenFromAnotherContainer(t *testing.T) {
	y := openYard(t)
	usual := func() {
		t.Helper()
		y.sees("ok", "caller", "get", "callee")
		y.sees("ok", "caller", "get", "other")
	}
	usual()
	// Lower bounds only: how much more it is is measured by make bench.
	const asked = 300_000 // microseconds
	down := func() {
		t.Helper()
		if got := y.ask("caller", "get", "callee"); got == "ok" {
			t.Error("it answers")
		}
		y.sees("ok", "caller", "get", "other")
	}
	var born string // when the callee began, by its own clock
	anotherLife := func() {
		t.Helper()
		y.eventually("another life of the callee", func() bool {
			now := y.ask("other", "born", "callee")
			_, err := strconv.ParseInt(now, 10, 64)
			return err == nil && now != born
		})
	}
	for _, c := range []struct {
		words, service, from string
		look                 func()
	}{
		{"partition", "callee", "caller", func() {
			y.sees("timeout", "caller", "get", "callee")
			y.sees("ok", "callee", "get", "caller") // one way
			y.sees("ok", "other", "get", "callee")
			y.sees("0", "caller", "udp", "callee", "100") // the sender gets no error
			y.sees("0", "other", "received", "callee")
		}},
		{"partition=both", "callee", "caller", func() {
			y.sees("timeout", "callee", "get", "caller")
			y.sees("ok", "other", "get", "callee")
		}},
		{"partition", "callee", "", func() {
			y.sees("timeout", "caller", "get", "callee")
			y.sees("timeout", "other", "get", "callee")
			y.sees("timeout", "callee", "get", "other")
			y.sees("ok", "callee", "get", "localhost") // its own healthcheck goes on
			y.sees("ok", "caller", "get", "other")
		}},
		{"latency=300ms", "callee", "caller", func() {
			if n := y.number("caller", "rtt", "callee", "20"); n < asked {
				t.Errorf("the fastest of 20 requests took %d µs", n)
			}
			if n := y.number("caller", "rtt", "other", "50"); n >= asked {
				t.Errorf("on another edge the fastest of 50 took %d µs", n)
			}
		}},
		{"latency=300ms", "callee", "", func() {
			for _, from := range []string{"caller", "other"} {
				if n := y.number(from, "rtt", "callee", "5"); n < asked {
					t.Errorf("from %s the fastest of 5 requests took %d µs", from, n)
				}
			}
		}},
		{"jitter=200ms", "callee", "caller", func() {
			if n := y.number("caller", "slowest", "callee", "30"); n < 50_000 {
				t.Errorf("the slowest of 30 requests took %d µs", n)
			}
		}},
		{"bandwidth=2mbit", "callee", "caller", func() {
			if n := y.number("caller", "download", "callee", "250000"); n < 900_000 {
				t.Errorf("2 mbit took %d µs", n)
			}
		}},
		{"reset", "callee", "caller", func() {
			y.sees("reset", "caller", "get", "callee")
			y.sees("ok", "other", "get", "callee")
		}},
		{"loss=30%", "callee", "", func() {
			y.sees("0", "caller", "udp", "callee", "2000") // the sender gets no error
			y.heal()
			if n := y.number("other", "received", "callee"); n >= 2000 || n == 0 {
				t.Errorf("%d of 2000 datagrams arrived", n)
			}
		}},
		{"dns=nxdomain:callee", "caller", "", func() {
			y.sees("nxdomain", "caller", "lookup", "callee")
			y.sees("ok", "caller", "lookup", "other")
			y.sees("ok", "other", "lookup", "callee")
		}},
		{"dns=servfail", "caller", "", func() { y.sees("server misbehaving", "caller", "lookup", "callee") }},
		{"dns=silence", "caller", "", func() { y.sees("timeout", "caller", "lookup", "callee") }},
		{"shape=2mbit", "callee", "", func() {
			if n := y.number("caller", "download", "callee", "250000"); n < 500_000 {
				t.Errorf("2 mbit took %d µs", n)
			}
		}},
		{"pause", "callee", "", func() { y.sees("timeout", "caller", "get", "callee") }},
		{"kill", "callee", "", down},
		{"stop", "callee", "", down},
		{"crash", "callee", "", anotherLife},
		{"signal=TERM", "callee", "", down}, // nobody starts it before it is healed
		{"memory=32m", "callee", "", func() {
			if got := y.ask("callee", "alloc", "200000000"); !strings.Contains(got, "exit code 137") {
				t.Errorf("an allocation above the limit: %s", got)
			}
		}},
	} {
		name := strings.TrimSpace(c.words + " " + c.from)
		if why := y.lacking(c.words); why != "" {
			t.Logf("%s is not possible here: %s", name, why)
			continue
		}
		born = y.ask("other", "born", "callee")
		// the engine itself may have rules for a container that runs
		if kind, _, _ := strings.Cut(c.words, "="); slices.Contains([]string{"kill", "stop", "crash",
			"signal"}, kind) {
			y.inject(c.words, c.service, c.from)
		} else {
			y.injectBesideHost(c.words, c.service, c.from)
		}
		c.look()
		y.heal()
		y.back("callee")
		usual()
		y.clean(name)
	}
}

// lacking says why a fault is not possible here.
func (y *yard) lacking(words string) string {
	y.t.Helper()
	lacks, err := y.FaultsLacking(y.t.Context())
	if err != nil {
		y.t.Fatal(err)
	}
	kind, _, _ := strings.Cut(words, "=")
	return lacks[kind]
}

// back waits until a service runs again.
func (y *yard) back(service string) {
	y.t.Helper()
	ctx, cancel := context.WithTimeout(y.t.Context(), patience)
	defer cancel()
	if err := y.WaitReady(ctx, service); err != nil {
		y.t.Fatal(err)
	}
}

// clean waits until no agent is left, and looks that nothing else is.
func (y *yard) clean(name string) {
	y.t.Helper()
	end := time.Now().Add(patience)
	for {
		out, err := exec.Command("docker", "ps", "-aq", "--filter",
			"label=com.docker.compose.project="+y.name, "--filter", "label=bulkhead.agent").Output()
		if errors.Is(err, exec.ErrNotFound) || err == nil && len(bytes.TrimSpace(out)) == 0 {
			break // without the docker command the tables below are all there is to look at
		}
		if time.Now().After(end) {
			y.t.Fatalf("%s: agents are left: %s %v", name, out, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, service := range []string{"caller", "callee"} {
		if left := y.tables(service); len(left) > 0 {
			y.t.Errorf("%s: %s has tables left: %v", name, service, left)
		}
	}
	files, _ := filepath.Glob(filepath.Join(y.dir, "state", "*", "*", "faults", "*"))
	if len(files) > 0 {
		y.t.Errorf("%s: on disk: %v", name, files)
	}
}

func TestFaultsAreRefusedWhereTheNetworkIsNotTheServices(t *testing.T) {
	y := openYard(t)
	for service, want := range map[string]string{"host": "uses the network of the host, which is never touched", "alone": "has no network"} {
		f, _ := fault.Parse("partition", service)
		err := y.Do(t.Context(), engine.Command{Verb: engine.VerbFault, Fault: &f})
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, container.ErrUnsupported) {
			t.Errorf("%s: %v", service, err)
		}
	}
	if n := len(y.Snapshot().Faults); n != 0 {
		t.Errorf("%d faults are in force", n)
	}
	// A service that lives in another one's network is hit with it.
	y.inject("partition", "joined", "")
	y.sees("timeout", "caller", "get", "other")
	y.heal()
	y.clean("joined")
}

// Any process of a container can have the name by which agents know of each other.
func TestFaultsWorkWhereAProcessHasTheNameOfTheAgent(t *testing.T) {
	y := openYard(t)
	if _, err := y.Exec(t.Context(), "caller", 0, engine.ExecOptions{Cmd: []string{"/peer", "squat", "@bulkhead-agent"}, Detach: true}); err != nil {
		t.Fatal(err)
	}
	y.eventually("the name to be taken", func() bool { return y.ask("caller", "named", "@bulkhead-agent") == "ok" })
	y.inject("partition", "callee", "caller")
	y.sees("timeout", "caller", "get", "callee")
	y.heal()
	y.sees("ok", "caller", "get", "callee")
	y.clean("squatted")
}

// A crash comes from within: the restart policy acts, whoever the program runs as.
func TestFaultCrashHasTheRestartPolicyAct(t *testing.T) {
	y := openYard(t)
	for _, service := range []string{"caller", "alone"} {
		y.back(service)
		y.inject("crash", service, "")
		y.eventually("the restart of "+service, func() bool {
			for _, s := range y.Snapshot().Services {
				if s.Name == service {
					return s.Restarts == 1 && s.State == engine.StateRunning
				}
			}
			return false
		})
	}
	if n := len(y.Snapshot().Faults); n != 0 {
		t.Errorf("%d faults are in force after a crash", n)
	}
	f, _ := fault.Parse("crash", "processes")
	if err := y.Do(t.Context(), engine.Command{Verb: engine.VerbFault, Fault: &f}); err == nil || !strings.Contains(err.Error(), "never touched") {
		t.Errorf("a program in the host's process namespace: %v", err)
	}
	y.clean("crash")
}

// A service that restarts has another network: the fault is put in force there, and an address
// that passes to another service is not faulted.
func TestFaultFollowsItsServiceIntoANewLife(t *testing.T) {
	y := openYard(t)
	y.inject("partition", "callee", "caller")
	y.inject("cpu=0.5", "callee", "")
	y.sees("timeout", "caller", "get", "callee")
	for _, service := range []string{"caller", "callee"} {
		if err := y.Do(t.Context(), engine.Command{Verb: engine.VerbRestart, Services: []string{service}}); err != nil {
			t.Fatal(err)
		}
		y.back(service)
		y.eventually("the fault after a restart of "+service, func() bool { return y.ask("caller", "get", "callee") == "timeout" })
	}
	// callee and other change their addresses: other starts first.
	for _, c := range []engine.Command{{Verb: engine.VerbStop, Services: []string{"callee"}}, {Verb: engine.VerbRestart, Services: []string{"other"}},
		{Verb: engine.VerbStart, Services: []string{"callee"}}} {
		if err := y.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	y.back("callee")
	y.back("other")
	y.eventually("other to answer and callee not to", func() bool {
		return y.ask("caller", "get", "other") == "ok" && y.ask("caller", "get", "callee") == "timeout"
	})
	y.heal()
	y.sees("ok", "caller", "get", "callee")
	y.clean("after new lives")
}

// eventually waits until a thing is so.
func (y *yard) eventually(what string, ok func() bool) {
	y.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			y.t.Fatal("waited for " + what)
		}
	}
}
