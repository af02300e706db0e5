//go:build unix

package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// errorOutput is a stderr that can be read while it is written.
type errorOutput struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *errorOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *errorOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// running is a bulkhead in the background.
type running struct {
	cmd  *exec.Cmd
	errs errorOutput
	over chan struct{}
}

// launch starts bulkhead in a folder; stdin may be nil.
func launch(t *testing.T, dir string, env []string, stdin io.Reader, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command("bulkhead", args...), over: make(chan struct{})}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdin, r.cmd.Stderr = dir, append(os.Environ(), env...), stdin, &r.errs
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.over)
		_ = r.cmd.Wait() // its exit code is read from ProcessState
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it has ended already where the test went well
		<-r.over
	})
	return r
}

func (r *running) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// says waits for a text on stderr.
func (r *running) says(t *testing.T, text string) {
	t.Helper()
	if !eventually(patience, func() bool { return strings.Contains(r.errs.String(), text) }) {
		t.Fatalf("stderr does not come to hold %q:\n%s", text, r.errs.String())
	}
}

// ends waits for the end and returns the exit code.
func (r *running) ends(t *testing.T) int {
	t.Helper()
	select {
	case <-r.over:
	case <-time.After(patience):
		t.Fatalf("it does not end; stderr:\n%s", r.errs.String())
	}
	return r.cmd.ProcessState.ExitCode()
}

// mutedEngine stands between bulkhead and an engine. Once it is hushed it takes connections and
// answers nothing, and lets nothing through on those that are open. Without an engine behind it, it
// never answers.
type mutedEngine struct {
	host   string
	hushed atomic.Bool
}

func newMutedEngine(t *testing.T, behind string) *mutedEngine {
	t.Helper()
	dir, err := os.MkdirTemp("", "bh") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "e.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	m := &mutedEngine{host: "unix://" + path}
	m.hushed.Store(behind == "")
	done := make(chan struct{})
	t.Cleanup(func() {
		close(done)
		l.Close()
		os.RemoveAll(dir)
	})
	copyAll := func(to, from net.Conn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			for m.hushed.Load() {
				select {
				case <-done:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
			if n > 0 {
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				if c, ok := to.(*net.UnixConn); ok {
					_ = c.CloseWrite() // it may be closed already
				}
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if behind == "" {
					<-done
					return
				}
				up, err := net.Dial("unix", behind)
				if err != nil {
					return
				}
				defer up.Close()
				var both sync.WaitGroup
				both.Go(func() { copyAll(up, c) })
				both.Go(func() { copyAll(c, up) })
				both.Wait()
			}()
		}
	}()
	return m
}

func TestFirstSignalEndsEveryVerbOfAnEngineThatNeverAnswers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"),
		[]byte("name: silent\nservices: {a: {image: x, build: .}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := newMutedEngine(t, "")
	for _, verb := range []string{"up --plain", "up --json", "up -d", "down", "ps", "logs", "logs -f",
		"start", "stop", "restart", "kill a",
		"pause", "unpause", "rebuild", "scale a=2", "exec a sh", "doctor", "demo --tour"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			r := launch(t, dir, []string{"DOCKER_HOST=" + m.host}, nil, strings.Fields(verb)...)
			r.says(t, "bulkhead: waiting for the Docker engine at "+m.host+"\n")
			r.signal(t, syscall.SIGINT)
			// of one press, as some wrappers send it; it may have ended by now
			_ = r.cmd.Process.Signal(syscall.SIGINT)
			if code := r.ends(t); code != 1 {
				t.Errorf("exit code %d, want 1: %s", code, r.errs.String())
			}
			if !strings.HasSuffix(r.errs.String(), "bulkhead: interrupted\n") {
				t.Errorf("stderr: %s", r.errs.String())
			}
		})
	}
}

func TestSignalEndsALoadThatWaitsForAPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "typed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"),
		[]byte("name: piped\nservices: {a: {image: x}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	silent := newMutedEngine(t, "")
	for name, c := range map[string]struct{ args, waits string }{
		"config -f":         {"-f typed config", "typed"},
		"config -f -":       {"-f - config", "standard input"},
		"config --env-file": {"--env-file typed config", "typed"},
		"up -f -":           {"-f - up --plain", "standard input"},
		"ps -f":             {"-f typed ps", "typed"},
		"rebuild -f":        {"-f typed rebuild", "typed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, out := io.Pipe() // a writer that never writes
			defer out.Close()
			r := launch(t, dir, []string{"DOCKER_HOST=" + silent.host}, in, strings.Fields(c.args)...)
			r.says(t, "bulkhead: waiting for "+c.waits+" to be read\n")
			r.signal(t, syscall.SIGTERM)
			out.Close() // os/exec waits for its copy of stdin
			if code := r.ends(t); code != 1 || !strings.HasSuffix(r.errs.String(), "bulkhead: interrupted\n") {
				t.Errorf("exit code %d, stderr: %s", code, r.errs.String())
			}
		})
	}
}

func TestTwoSignalsAtOnceEndUpAsOneDoes(t *testing.T) { endByTwoSignals(t, "--plain") }

func TestTwoSignalsAtOnceEndJSONAsOneDoes(t *testing.T) { endByTwoSignals(t, "--json") }

func endByTwoSignals(t *testing.T, mode string) {
	f := newFolder(t)
	compose := strings.Replace(twoServices, "echo db ends; exit 0",
		"echo saving; busybox sleep 1; echo db ends; exit 0", 1)
	if err := os.WriteFile(filepath.Join(f.dir, "compose.yaml"), []byte(compose), 0o644); err != nil {
		t.Fatal(err)
	}
	up := f.start(t, "up", mode, "--no-watch")
	up.wait(t, `"notice":"ready"|^ready: `)
	for range 3 {
		if err := up.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // else the kernel makes one of them
	}
	if code := up.end(t); code != 0 {
		t.Errorf("exit code %d: %s", code, up.errs.String())
	}
	if !strings.Contains(strings.Join(up.all(), "\n"), "db ends") {
		t.Errorf("db did not come to save:\n%s", strings.Join(up.all(), "\n"))
	}
	if !strings.Contains(up.errs.String(), ": waiting for app, db (up to 10 s); ctrl+c again kills\n") {
		t.Errorf("stderr does not say who is waited for: %s", up.errs.String())
	}
}

func TestUpWhoseEngineFallsSilentEndsByASecondSignal(t *testing.T) {
	f := newFolder(t)
	behind := "/var/run/docker.sock"
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		var unix bool
		if behind, unix = strings.CutPrefix(host, "unix://"); !unix {
			t.Skip("the engine does not answer on a socket that a test can stand in front of")
		}
	}
	m := newMutedEngine(t, behind)
	f.env = append(f.env, "DOCKER_HOST="+m.host)
	r := &running{cmd: f.command("up", "--plain", "--no-watch"), over: make(chan struct{})}
	var out errorOutput
	r.cmd.Stdout, r.cmd.Stderr = &out, &r.errs
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.over)
		_ = r.cmd.Wait() // its exit code is read from ProcessState
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.over
	})
	if !eventually(patience, func() bool { return strings.Contains(out.String(), "\nready: ") }) {
		t.Fatalf("not ready:\n%s", out.String())
	}
	m.hushed.Store(true)
	r.signal(t, syscall.SIGINT)
	r.says(t, "waiting for app, db (up to 10 s); ctrl+c again kills")
	r.says(t, "bulkhead: waiting for the Docker engine at "+m.host)
	insist(t, r.cmd.Process, r.over)
	if code := r.ends(t); code != 3 || !strings.Contains(r.errs.String(),
		"; what may still run: app, db; `bulkhead stop`") {
		t.Errorf("exit code %d, want 3; stderr:\n%s", code, r.errs.String())
	}
}

// A reader that stops reading is no reason to run on.
func TestUpWhoseReaderStopsReadingEnds(t *testing.T) {
	f := newFolder(t)
	compose := "services:\n  app:\n    build: {context: ., dockerfile_inline: \"FROM scratch\\nCOPY busybox /bin/busybox\\nENTRYPOINT [\\\"/bin/busybox\\\"]\"}\n" +
		"    command: [sh, -c, \"trap 'exit 0' TERM; while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done\"]\n"
	if err := os.WriteFile(filepath.Join(f.dir, "compose.yaml"), []byte(compose), 0o644); err != nil {
		t.Fatal(err)
	}
	unread, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	r := &running{cmd: f.command("up", "--plain", "--no-watch"), over: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = w, &r.errs
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	go func() {
		defer close(r.over)
		_ = r.cmd.Wait() // its exit code is read from ProcessState
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.over
	})
	if !eventually(patience, func() bool {
		return strings.Contains(f.bulkhead(t, "ps", "--format", "wide"), "running")
	}) {
		t.Fatal("app does not run")
	}
	if !eventually(patience, func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLOUT}}, 0)
		return err == nil && n == 0
	}) {
		t.Fatal("the pipe does not get full")
	}
	r.signal(t, syscall.SIGTERM)
	if code := r.ends(t); code != 1 {
		t.Errorf("exit code %d, want 1; stderr:\n%s", code, r.errs.String())
	}
	if strings.Contains(f.bulkhead(t, "ps", "--format", "wide"), "running") {
		t.Error("app still runs")
	}
}
