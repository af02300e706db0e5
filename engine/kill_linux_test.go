package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/build"
	"bulkhead/engine/container"
	"bulkhead/engine/docker"
	"bulkhead/engine/project"
)

// daemon is a Docker engine of this test's own, in a network and mount namespace of its own.
type daemon struct {
	t    *testing.T
	dir  string
	stop chan os.Signal
	gone chan struct{}
}

func (d *daemon) host() string { return "unix://" + filepath.Join(d.dir, "sock") }

func (d *daemon) start() {
	d.t.Helper()
	d.stop, d.gone = make(chan os.Signal), make(chan struct{})
	go d.keep(d.stop, d.gone)
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("unix", filepath.Join(d.dir, "sock"))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(limit) {
			d.t.Fatalf("the engine does not come up: %v\n%s", err, d.lastWords())
		}
	}
}

// keep runs dockerd until stop has the signal that ends it. When it ends by itself it is started
// again, as by a service manager: what a kill leaves of its containerd may be its end too.
func (d *daemon) keep(stop <-chan os.Signal, gone chan<- struct{}) {
	defer close(gone)
	for range 10 {
		ended := make(chan error, 1)
		cmd, err := d.command()
		if err != nil {
			ended <- err
		} else {
			go func() { ended <- cmd.Wait() }()
		}
		select {
		case sig := <-stop:
			if err == nil {
				_ = cmd.Process.Signal(sig) // it may have ended just now
				<-ended                     // its exit code is the signal's
			}
			return
		case err := <-ended:
			d.t.Logf("the engine ended by itself: %v\n%s", err, d.lastWords())
		}
	}
	d.t.Error("the engine does not stay")
	<-stop
}

// command starts dockerd once.
func (d *daemon) command() (*exec.Cmd, error) {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("unshare", "--net", "--mount", "dockerd",
		"--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "--host", d.host(), "--storage-driver", "vfs", "--live-restore",
		"--iptables=false", "--bridge=none", "--cgroup-parent", "/"+filepath.Base(d.dir))
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, cmd.Start()
}

// lastWords is the end of the engine's log.
func (d *daemon) lastWords() string {
	text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return string(text[max(len(text)-2000, 0):])
}

func (d *daemon) end(sig os.Signal) {
	d.stop <- sig
	<-d.gone
}

// ownEngine starts an engine for one test, which is skipped where that cannot be.
func ownEngine(t *testing.T) *daemon {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for an engine of its own")
	}
	for _, name := range []string{"dockerd", "unshare", "busybox"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s, for an engine of its own: %v", name, err)
		}
	}
	if err := exec.Command("unshare", "--net", "--mount", "true").Run(); err != nil {
		t.Skipf("no namespaces for an engine of its own: %v", err)
	}
	t.Parallel()
	dir, err := os.MkdirTemp("", "bhd") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: dir}
	d.start()
	t.Cleanup(func() {
		d.end(syscall.SIGTERM)
		d.clear()
	})
	return d
}

// clear ends and removes what an engine that was killed leaves: shims, the processes of containers that
// it forgot, their groups, and its folder.
func (d *daemon) clear() {
	d.t.Helper()
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + filepath.Base(d.dir))
	groups = append(groups, filepath.Join("/sys/fs/cgroup", filepath.Base(d.dir)))
	left := func() (pids []int) {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range lines {
			line, _ := os.ReadFile(path)
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && strings.Contains(string(line), d.dir+"/exec") {
				pids = append(pids, pid)
			}
		}
		for _, group := range groups {
			_ = filepath.WalkDir(group, func(path string, e os.DirEntry, err error) error {
				if err != nil || e.Name() != "cgroup.procs" {
					return nil // a group that is gone has no processes
				}
				text, _ := os.ReadFile(path)
				for field := range strings.FieldsSeq(string(text)) {
					if pid, err := strconv.Atoi(field); err == nil {
						pids = append(pids, pid)
					}
				}
				return nil
			})
		}
		return pids
	}
	for limit := time.Now().Add(patience); len(left()) > 0; time.Sleep(20 * time.Millisecond) {
		for _, pid := range left() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
		}
		if time.Now().After(limit) {
			d.t.Errorf("processes %v stay", left())
			break
		}
	}
	for _, group := range groups {
		var below []string
		_ = filepath.WalkDir(group, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				below = append(below, path)
			}
			return nil
		})
		slices.Reverse(below) // the deepest first
		for _, path := range below {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				d.t.Error(err)
			}
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.t.Error(err)
	}
}

// stage is a project on this engine, whose folder has busybox and a Dockerfile around it.
func (d *daemon) stage(name string, files map[string]string) (*stage, *docker.Runtime) {
	d.t.Helper()
	t := d.t
	rt, err := docker.New(docker.Options{Host: d.host()})
	if err != nil {
		t.Fatal(err)
	}
	b := build.New(build.Options{Dial: rt.Dial, Classic: rt, HasBuildKit: rt.BuildKit})
	t.Cleanup(func() { b.Close(); rt.Close() })
	s := &stage{t: t, dir: t.TempDir(), name: name, rt: rt, b: b, state: t.TempDir()}
	program, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	s.write(map[string]string{"busybox": string(bin), "Dockerfile": "FROM scratch\nCOPY busybox /bin/busybox\n"})
	s.write(files)
	t.Cleanup(func() {
		if s.stop != nil {
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		}
		zero := time.Duration(0)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		o := engine.Options{Runtime: rt, StateDir: s.state, Project: project.Unfiled(s.name)}
		if err := engine.Once(ctx, o, engine.Command{Verb: engine.VerbDown, Images: true, Grace: &zero}); err != nil {
			t.Error(err)
		}
	})
	return s, rt
}

// Swaps in whose middle the engine is killed are done once it is back, whatever it had carried out of
// them, and nothing is left over. BULKHEAD_KILLS is how many kills to try: a dockerd that was killed
// may end by itself when it starts again, for want of its containerd, and that takes its time.
func TestSwapsThatAKillOfTheEngineMet(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("BULKHEAD_KILLS"))
	if err != nil {
		t.Skip("takes minutes: BULKHEAD_KILLS is how many kills of an engine to try, as 10")
	}
	d := ownEngine(t)
	s, rt := d.stage("bhe-kills", map[string]string{"replaced": "0", "lapped": "0", "compose.yaml": `
services:
  replaced: &s
    build: {context: ., dockerfile_inline: "FROM scratch\nCOPY busybox /bin/busybox\nCOPY replaced /text"}
    network_mode: none
    stop_signal: SIGKILL
    command: ["/bin/busybox", "sleep", "100000"]
    develop: {watch: [{path: ./replaced, action: rebuild}]}
  lapped:
    <<: *s
    build: {context: ., dockerfile_inline: "FROM scratch\nCOPY busybox /bin/busybox\nCOPY lapped /text"}
    develop: {watch: [{path: ./lapped, action: rebuild}]}
    x-bulkhead: {swap: overlap}
`})
	s.run(engine.Options{NoStats: true})
	s.ready()
	var swap time.Duration
	for round := range rounds + 1 {
		text, began := strconv.Itoa(round+1), time.Now()
		s.write(map[string]string{"replaced": text, "lapped": text})
		what := "the swaps"
		if round > 0 { // the first is there to learn how long one takes here
			at := rand.N(swap)
			what = fmt.Sprintf("the engine, killed after %v in round %d", at, round)
			time.Sleep(at)
			d.end(syscall.SIGKILL)
			s.until("the loss", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseLost })
			d.start()
		}
		var wrong []string
		for limit := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			if wrong = s.swappedTo(rt, text); len(wrong) == 0 {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("after %s: %s", what, strings.Join(wrong, "; "))
			}
		}
		if round == 0 {
			swap = time.Since(began)
		}
		t.Logf("after %s all is well", what)
	}
}

// swappedTo is what is not as it is to be after a swap of both services: each has one container, of
// the image that bears its name, with the text in it; nothing is stale and nothing left over.
func (s *stage) swappedTo(rt *docker.Runtime, text string) (wrong []string) {
	n := s.Snapshot()
	if n.Phase != engine.PhaseRunning {
		return []string{"the engine is not back"}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	all, err := rt.Summaries(ctx, container.ListOptions{Project: s.name, All: true, OneOffs: true, Helpers: true})
	if err != nil {
		return []string{err.Error()}
	}
	names := map[string]string{}
	for _, c := range all {
		names[c.Name] = c.State
	}
	want := map[string]string{s.name + "-replaced-1": "running", s.name + "-lapped-1": "running"}
	if !maps.Equal(names, want) {
		wrong = append(wrong, fmt.Sprintf("containers %v", names))
	}
	instances, err := rt.Instances(ctx, s.name)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	for _, in := range instances {
		if img, err := rt.Image(ctx, in.ImageRef, ""); err != nil || img.ID != in.ImageID {
			wrong = append(wrong, fmt.Sprintf("%s runs %.19s, the newest is %.19s (%v)", in.Name, in.ImageID, img.ID, err))
		}
		var held []byte
		if err := rt.List(ctx, in.ID, "/text", func(_ string, _ container.Entry, content io.Reader) (err error) {
			held, err = io.ReadAll(content)
			return err
		}); err != nil || string(held) != text {
			wrong = append(wrong, fmt.Sprintf("%s holds %q, want %q (%v)", in.Name, held, text, err))
		}
	}
	if dangling, err := rt.ProjectImages(ctx, s.name, false); err != nil || len(dangling) > 0 {
		wrong = append(wrong, fmt.Sprintf("images %v are left over (%v)", dangling, err))
	}
	for i := range n.Services {
		if x := &n.Services[i]; len(x.Stale) > 0 || x.Err != "" {
			wrong = append(wrong, fmt.Sprintf("%s: stale %v, error %q", x.Name, x.Stale, x.Err))
		}
	}
	slices.Sort(wrong)
	return wrong
}
