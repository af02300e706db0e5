package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bulkhead/engine"
	"bulkhead/engine/build"
	"bulkhead/engine/container"
	"bulkhead/engine/docker"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
	"bulkhead/watch"
)

// patience is how long a test waits for a thing before it fails: far longer than the slowest
// machine needs. No test judges how long a thing took.
const patience = 3 * time.Minute

// oneSave are times by which what a test writes in one go is one change, also where a busy machine lets
// the test wait between two files, or between a file's being emptied and its being written.
var oneSave = watch.Options{Quiet: 200 * time.Millisecond, Cap: time.Minute}

// baseImage holds busybox and nothing else; it is made once for all tests of this package, without
// a registry. Its name is this process's own, so that two runs at the same time do not remove each
// other's.
var baseImage = fmt.Sprintf("bulkhead-engine-test-%d", os.Getpid())

var (
	baseOnce sync.Once
	baseErr  error
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if rt, err := docker.New(docker.Options{}); err == nil {
			img, err := rt.Image(context.Background(), baseImage, "")
			if err == nil {
				_, err = rt.RemoveImage(context.Background(), img.ID, true)
			}
			if err != nil && !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrNoEngine) {
				fmt.Fprintf(os.Stderr, "remove %s: %v\n", baseImage, err)
			}
			rt.Close()
		}
		os.Exit(code)
	}))
}

// connect gives the machine's own engine. Without one the test is skipped, or fails where an engine was promised.
func connect(t *testing.T) (*docker.Runtime, *build.Builder) {
	t.Helper()
	rt, err := docker.New(docker.Options{})
	if err == nil {
		_, err = rt.Info(t.Context())
	}
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("BULKHEAD_ENGINE") == "required" {
			t.Fatalf("no engine: %v", err)
		}
		t.Skipf("needs a Docker engine: %v", err)
	}
	b := build.New(build.Options{Dial: rt.Dial, Classic: rt, HasBuildKit: build.ServesBuildKit})
	t.Cleanup(func() { b.Close(); rt.Close() })
	return rt, b
}

// base makes the image that test services run.
func base(t *testing.T, b *build.Builder) {
	t.Helper()
	baseOnce.Do(func() {
		path, err := exec.LookPath("busybox")
		if err != nil {
			baseErr = fmt.Errorf("busybox is not installed (apt-get install busybox-static): %w", err)
			return
		}
		dir, err := os.MkdirTemp("", "bulkhead-base")
		if err != nil {
			baseErr = err
			return
		}
		defer os.RemoveAll(dir)
		bin, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "busybox"), bin, 0o755)
		}
		if err != nil {
			baseErr = err
			return
		}
		_, baseErr = b.Build(context.Background(), container.BuildRequest{Context: dir, Tags: []string{baseImage},
			// Only what bears the labels of a service is removed again.
			Labels: map[string]string{
				"com.docker.compose.project": "bulkhead-engine", "com.docker.compose.service": "test",
				"run": baseImage, // images of one content are one image, whatever their names
			},
			DockerfileInline: "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\nRUN mkdir -p /tmp /www /etc && echo root:x:0:0::/:/bin/sh > /etc/passwd\n"}, nil)
	})
	if baseErr != nil {
		t.Fatal(baseErr)
	}
}

// stage is one project that an engine runs for one test.
type stage struct {
	*engine.Engine
	t    *testing.T
	dir  string
	name string
	rt   *docker.Runtime
	b    *build.Builder
	logs *logs.Store

	state string
	stop  func() error
}

// write puts files into the project's folder.
func (s *stage) write(files map[string]string) {
	s.t.Helper()
	for name, text := range files {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
}

// open writes a project's files, and removes all of it from the engine in the end.
func open(t *testing.T, files map[string]string) *stage {
	t.Helper()
	t.Parallel()
	rt, b := connect(t)
	base(t, b)
	name := fmt.Sprintf("bhe%d", os.Getpid()) + strings.ToLower(strings.NewReplacer("Test", "", "/", "").Replace(t.Name()))
	if len(name) > 40 {
		name = name[:40]
	}
	s := &stage{t: t, dir: t.TempDir(), name: name, rt: rt, b: b, state: t.TempDir()}
	s.write(files)
	t.Cleanup(func() {
		if s.stop != nil {
			if err := s.stop(); err != nil {
				t.Errorf("run: %v", err)
			}
		}
		zero := time.Duration(0)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := engine.Once(ctx, engine.Options{Runtime: rt, StateDir: s.state, Project: project.Unfiled(s.name)}, engine.Command{Verb: engine.VerbDown, Volumes: true, Images: true, Grace: &zero}); err != nil {
			t.Errorf("down: %v", err)
		}
	})
	return s
}

// filed is a project, or where there is none the one that the labels tell.
func filed(name string, p *project.Project) *project.Project {
	if p == nil {
		return project.Unfiled(name)
	}
	return p
}

func (s *stage) load(ctx context.Context) (*project.Project, error) {
	return project.Load(ctx, project.Options{Files: []string{filepath.Join(s.dir, "compose.yaml")}, Name: s.name, Env: []string{"PATH=" + os.Getenv("PATH")}})
}

// run starts an engine on the project and waits until its watch is on.
func (s *stage) run(o engine.Options) {
	s.t.Helper()
	p, err := s.load(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if s.logs = o.Logs; s.logs == nil {
		s.logs = logs.New(logs.Options{})
	}
	if o.Runtime == nil {
		o.Runtime = s.rt
	}
	if o.Trust == nil {
		o.Trust = hostcmd.OpenTrust("", s.dir)
		o.Trust.AllowAll()
	}
	o.Builder, o.Project, o.Logs, o.StateDir, o.Load, o.Watch = s.b, p, s.logs, s.state, s.load, oneSave
	s.Engine = engine.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.stop = func() error {
		cancel()
		s.stop = nil
		return <-done
	}
	if !o.NoWatch {
		s.until("watching", func(n *engine.Snapshot) bool { return n.Watch.On })
	}
}

// up runs and waits until all is ready.
func (s *stage) up() {
	s.t.Helper()
	s.run(engine.Options{})
	s.ready()
}

func (s *stage) ready(names ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.WaitReady(ctx, names...); err != nil {
		s.t.Fatalf("not ready: %v\n%s", err, s.dump())
	}
}

func (s *stage) do(c engine.Command) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.Do(ctx, c); err != nil {
		s.t.Fatalf("%s %v: %v\n%s", c.Verb, c.Services, err, s.dump())
	}
}

// until waits for a state of the snapshot.
func (s *stage) until(what string, ok func(*engine.Snapshot) bool) *engine.Snapshot {
	s.t.Helper()
	changed, stop := s.Subscribe()
	defer stop()
	limit := time.After(patience)
	for {
		n := s.Snapshot()
		if ok(n) {
			return n
		}
		select {
		case <-changed:
		case <-limit:
			s.t.Fatalf("no %s\n%s", what, s.dump())
		}
	}
}

// eventually waits for something that no change of state tells of.
func (s *stage) eventually(what string, ok func() bool) {
	s.t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			s.t.Fatalf("no %s\n%s", what, s.dump())
		}
	}
}

// dump shows records and logs, for a failed wait.
func (s *stage) dump() string {
	var b strings.Builder
	recs, _ := s.Records(0)
	for _, r := range recs {
		fmt.Fprintf(&b, "%s %-8s %s\n", r.Time.Format("05.000"), r.Kind, strings.TrimSpace(r.Text))
	}
	for _, l := range s.lines() {
		b.WriteString(l + "\n")
	}
	for _, x := range s.Snapshot().Builds {
		b.WriteString(strings.Join(x.Lines, "\n"))
	}
	return b.String()
}

func (s *stage) lines(services ...string) []string {
	v := s.logs.View(logs.Filter{Services: services})
	v.Refresh()
	first, end := v.Bounds()
	var out []string
	for _, l := range v.Lines(first, int(end-first)) {
		out = append(out, fmt.Sprintf("%s gen%d %s %s", l.Service, l.Generation, l.Stream, l.Text))
	}
	return out
}

// line waits for a log line of a service that contains text.
func (s *stage) line(service, text string) {
	s.t.Helper()
	s.until(service+" line "+text, func(*engine.Snapshot) bool {
		return slices.ContainsFunc(s.lines(service), func(l string) bool { return strings.Contains(l, text) })
	})
}

func find(n *engine.Snapshot, name string) engine.Service {
	for _, s := range n.Services {
		if s.Name == name {
			return s
		}
	}
	return engine.Service{}
}

// identities is what the runtime itself says of who runs, by service/number.
func (s *stage) identities() map[string]engine.Identity {
	s.t.Helper()
	all, err := s.rt.Instances(s.t.Context(), s.name)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]engine.Identity{}
	for _, in := range all {
		full, err := s.rt.Inspect(s.t.Context(), in.ID)
		if errors.Is(err, engine.ErrNotFound) {
			return s.identities() // removed between the two questions
		}
		if err != nil {
			s.t.Fatal(err)
		}
		key := fmt.Sprintf("%s/%d", in.Service, in.Replica)
		if _, there := out[key]; !there || in.State == engine.StateRunning { // else it was replaced, and waits to be cleared away
			out[key] = full.Identity
		}
	}
	return out
}

// cat reads a file in a service's container.
func (s *stage) cat(service, path string) string {
	s.t.Helper()
	text, err := s.tryCat(service, path)
	if err != nil {
		s.t.Fatalf("cat %s in %s: %v", path, service, err)
	}
	return text
}

func (s *stage) tryCat(service, path string) (string, error) {
	var out, errs strings.Builder
	code, err := s.Exec(s.t.Context(), service, 0, engine.ExecOptions{Cmd: []string{"cat", path}, Stdout: &out, Stderr: &errs})
	if err == nil && code != 0 {
		err = errors.New(errs.String())
	}
	return out.String(), err
}

// sh runs a shell command as root in a service's first container, and gives what it prints.
func (s *stage) sh(service, cmd string) string {
	s.t.Helper()
	id := s.identities()[service+"/1"].ID
	var out strings.Builder
	code, err := s.rt.Exec(s.t.Context(), id, engine.ExecOptions{Cmd: []string{"sh", "-c", cmd}, User: "0", Stdout: &out, Stderr: &out})
	if err != nil || code != 0 {
		s.t.Fatalf("%s in %s: code %d, %v: %s", cmd, service, code, err, out.String())
	}
	return strings.TrimSpace(out.String())
}

// path is where a file of the project is.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// must ends the test with the first error.
func (s *stage) must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// idle waits until a service has carried out all that its files asked for, or failed to.
func (s *stage) idle(service string) engine.Service {
	s.t.Helper()
	return find(s.until(service+" idle", func(n *engine.Snapshot) bool {
		svc := find(n, service)
		return len(svc.Pending) == 0 && svc.Doing == ""
	}), service)
}

// change waits until the last change of a service is of this action and has ended without an error.
func (s *stage) change(service, action string, after int) engine.Change {
	s.t.Helper()
	var c engine.Change
	s.until(action+" of "+service, func(n *engine.Snapshot) bool {
		svc := find(n, service)
		if len(svc.Changes) <= after || svc.Last == nil {
			return false
		}
		c = *svc.Last
		return c.Action == action && !c.Ended.IsZero()
	})
	if c.Err != "" {
		s.t.Fatalf("%s of %s: %s\n%s", action, service, c.Err, s.dump())
	}
	return c
}
