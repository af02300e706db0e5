package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"

	"bulkhead/engine"
	"bulkhead/engine/docker"
	"bulkhead/engine/logs"
	"bulkhead/ui/cli"
)

const (
	floodServices = 10
	floodBound    = floodServices * 16 << 20 // what the rings of that many services may hold
	floodBeside   = 60 << 20                 // what the rest of the program may take
)

// TestFlood runs ten containers that write numbered lines as fast as they are told to, and looks at
// them on a real screen. Every line must be in the store or counted as dropped from it, and keys
// must be answered meanwhile. With BULKHEAD_FLOOD=1 it is 10,000 lines a second from each for ten
// seconds, and memory is held to what it may be. How soon keys are answered, and what it costs:
// `make bench BENCH=flood`.
func TestFlood(t *testing.T) {
	t.Parallel()
	full := os.Getenv("BULKHEAD_FLOOD") != ""
	perSecond, seconds := 1000, 2
	if full {
		perSecond, seconds = 10_000, 10
	} else {
		t.Log("the short form: BULKHEAD_FLOOD=1 floods for ten seconds and looks at the memory as well")
	}
	f := newFlood(t, perSecond, seconds)
	f.bulkhead(t, "up", "-d")

	s := f.watch(t)
	f.open(t)
	s.press(t, 10*seconds)
	f.complete(t, s)
	peak := peakOf(t, s.pid)
	s.leave(t)
	kept, dropped := f.account(t)
	t.Logf("%d lines kept, %d dropped; at most %d MiB resident, %d MiB of them for lines", kept,
		dropped, peak>>20, floodBound>>20)
	if full && peak > floodBound+floodBeside {
		t.Errorf("%d MiB resident, want %d at most", peak>>20, (floodBound+floodBeside)>>20)
	}
}

// flood is a project of containers that wait for a signal to write.
type flood struct {
	*folder
	lines int // of each service
	rt    *docker.Runtime
}

func newFlood(t *testing.T, perSecond, seconds int) *flood {
	t.Helper()
	f := &flood{folder: newFolder(t), lines: perSecond * seconds}
	program := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(f.dir, "flood"),
		"./testdata/flood")
	program.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := program.CombinedOutput(); err != nil {
		t.Fatalf("build the program that floods: %v\n%s", err, out)
	}
	var compose strings.Builder
	compose.WriteString("services:\n")
	for i := range floodServices {
		fmt.Fprintf(&compose,
			"  s%d:\n    image: %s-flood\n    network_mode: none\n    command: [\"/flood\", \"%d\", \"%d\"]\n", i, f.name, perSecond, seconds)
		if i == 0 {
			compose.WriteString(
				"    build: {context: ., dockerfile_inline: \"FROM scratch\\nCOPY flood /flood\\n\"}\n")
		}
	}
	for name, text := range map[string]string{"compose.yaml": compose.String(),
		".dockerignore": "*\n!flood\n"} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f.env = append(f.env, "TERM=xterm-256color", "FLOOD_ACCOUNT="+filepath.Join(f.dir, "account.json"),
		"FLOOD_COMPLETE="+filepath.Join(f.dir, "complete"), fmt.Sprintf("FLOOD_LAST=%08d ", f.lines-1))
	rt, err := docker.New(docker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.rt = rt
	t.Cleanup(func() { rt.Close() })
	return f
}

// open lets all containers write.
func (f *flood) open(t *testing.T) {
	t.Helper()
	all, err := f.rt.Instances(t.Context(), f.name)
	if err != nil || len(all) != floodServices {
		t.Fatalf("%d containers: %v", len(all), err)
	}
	var wg sync.WaitGroup
	for _, in := range all {
		wg.Go(func() {
			if err := f.rt.Kill(t.Context(), in.ID, "SIGUSR1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// account compares what the store says of each service with what was written.
func (f *flood) account(t *testing.T) (kept, dropped int64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, "account.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]account
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for i := range floodServices {
		name := fmt.Sprintf("s%d", i)
		a := all[name]
		// The flood's numbers go on without a gap to the last one, and what is missing before the first one was dropped.
		if a.Gaps != 0 || a.Last != f.lines-1 || int64(a.First) > a.Dropped || a.Kept+
			a.Dropped != a.Total || a.Numbered != f.lines-a.First {
			t.Errorf("%s: %+v of %d lines", name, a, f.lines)
		}
		kept, dropped = kept+a.Kept, dropped+a.Dropped
	}
	return kept, dropped
}

// account is what a store holds of one service.
type account struct {
	Kept, Dropped, Total int64
	First, Last          int // numbers of the flood's first and last line that is held
	Numbered             int // of its lines held
	Gaps                 int // places where a line's number does not follow the one before
}

func init() { commands["bulkhead-counting"] = counting }

// counting is bulkhead with the books laid open: it writes what the store holds once that is complete.
func counting() {
	defer logAside(os.Environ())()
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Parts{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
		Connect: connect, Keys: keys, LogSize: logSize,
		Screen: func(ctx context.Context, e *engine.Engine, version string) (engine.Ending, error) {
			watching, end := context.WithCancel(ctx)
			told := make(chan error, 1)
			go func() { told <- tellComplete(watching, e.Logs()) }()
			outcome, err := screen(ctx, e, version)
			end()
			return outcome, errors.Join(err, <-told)
		},
	}))
}

// tellComplete writes FLOOD_ACCOUNT when the store holds the last line of every service, and then makes
// the file FLOOD_COMPLETE. What is left to do at the end is as much as without it.
func tellComplete(ctx context.Context, store *logs.Store) error {
	last := []byte(os.Getenv("FLOOD_LAST"))
	views := map[string]*logs.View{}
	for range floodServices {
		name := fmt.Sprintf("s%d", len(views))
		views[name] = store.View(logs.Filter{Services: []string{name}, Stream: logs.Stdout})
	}
	for ctx.Err() == nil {
		for name, v := range views {
			v.Refresh()
			_, end := v.Bounds()
			if lines := v.Lines(end-1, 1); len(lines) == 1 && bytes.HasPrefix(lines[0].Text, last) {
				delete(views, name)
			}
		}
		if len(views) == 0 {
			b, _ := json.Marshal(audit(store)) // plain values
			if err := os.WriteFile(os.Getenv("FLOOD_ACCOUNT"), b, 0o644); err != nil {
				return err
			}
			return os.WriteFile(os.Getenv("FLOOD_COMPLETE"), nil, 0o644)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

var floodLine = regexp.MustCompile(`^(\d{8}) .*"$`)

func audit(store *logs.Store) map[string]account {
	out := map[string]account{}
	for _, st := range store.Stats() {
		a := account{Kept: st.Lines, Dropped: st.Dropped, Total: st.Total, First: -1, Last: -1}
		v := store.View(logs.Filter{Services: []string{st.Service}, Stream: logs.Stdout})
		first, end := v.Bounds()
		for ord := first; ord < end; ord += 1000 {
			for _, l := range v.Lines(ord, 1000) {
				m := floodLine.FindSubmatch(l.Text)
				if m == nil {
					continue
				}
				n, _ := strconv.Atoi(string(m[1]))
				if a.First < 0 {
					a.First = n
				} else if n != a.Last+1 {
					a.Gaps++
				}
				a.Last = n
				a.Numbered++
			}
		}
		out[st.Service] = a
	}
	return out
}

// watcher is a person at a terminal with bulkhead on it.
type watcher struct {
	pid    int
	cmd    *exec.Cmd
	master *os.File
	over   chan struct{}

	mu   sync.Mutex
	emu  *vt.Emulator
	seen chan struct{} // holds a token when something was drawn
}

// watch starts bulkhead's screen on a terminal of 200x50 and waits until it follows the logs.
func (f *flood) watch(t *testing.T) *watcher {
	t.Helper()
	master, slave := terminal(t, 200, 50)
	s := &watcher{cmd: exec.Command("bulkhead-counting", "up", "--no-watch", "--leave"),
		master: master, over: make(chan struct{}),
		emu: vt.NewEmulator(200, 50), seen: make(chan struct{}, 1)}
	s.cmd.Dir, s.cmd.Env = f.dir, f.env
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	s.pid = s.cmd.Process.Pid
	answered := make(chan struct{})
	go func() { // what the terminal answers to questions
		defer close(answered)
		io.Copy(master, s.emu)
	}()
	go func() {
		defer close(s.over)
		buf := make([]byte, 64<<10)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.emu.Write(buf[:n])
			s.mu.Unlock()
			select {
			case s.seen <- struct{}{}:
			default:
			}
			if err != nil { // EIO once the program has ended
				_ = s.cmd.Wait() // its exit code is read from ProcessState
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended already where the test went well
		<-s.over
		s.emu.InputPipe().(io.Closer).Close()
		<-answered
		master.Close()
	})
	s.until(t, "services on the screen", patience, func() bool {
		return s.selected() == 0 && strings.Contains(s.text(), "10 up")
	})
	return s
}

// terminal opens a pseudo terminal.
func terminal(t *testing.T, w, h uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: h, Col: w})
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// text is the screen; callers hold mu.
func (s *watcher) text() string {
	var b strings.Builder
	for y := range s.emu.Height() {
		for x := range s.emu.Width() {
			if c := s.emu.CellAt(x, y); c != nil && c.Content != "" {
				b.WriteString(c.Content)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// selected is the number of the service with the cursor, -1 when none is seen; callers hold mu.
func (s *watcher) selected() int {
	for i := range floodServices {
		if c := s.emu.CellAt(1, 3+i); c != nil && c.Content == ">" {
			return i
		}
	}
	return -1
}

// until waits for something on the screen.
func (s *watcher) until(t *testing.T, what string, patience time.Duration, ok func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		done := ok()
		text := ""
		if !done {
			text = s.text()
		}
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.seen:
		case <-s.over:
			t.Fatalf("the screen ended (%v) before %s:\n%s", s.cmd.ProcessState, what, text)
		case <-limit:
			t.Fatalf("no %s:\n%s", what, text)
		}
	}
}

// press moves the selection down and up, at a person's pace, and waits for the effect of each key on the screen.
func (s *watcher) press(t *testing.T, keys int) {
	t.Helper()
	for i := range keys {
		key, want := "j", 1
		if i%2 == 1 {
			key, want = "k", 0
		}
		if _, err := s.master.WriteString(key); err != nil {
			t.Fatal(err)
		}
		s.until(t, fmt.Sprintf("effect of key %d", i), patience, func() bool { return s.selected() == want })
		time.Sleep(97 * time.Millisecond) // the pace: at ever other moments of a frame
	}
}

// complete waits until every line has come in.
func (f *flood) complete(t *testing.T, s *watcher) {
	t.Helper()
	if !eventually(patience, func() bool {
		_, err := os.Stat(filepath.Join(f.dir, "complete"))
		return err == nil
	}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Fatalf("the last line of every service does not come in:\n%s", s.text())
	}
}

// leave ends the screen and leaves the containers.
func (s *watcher) leave(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.over:
	case <-time.After(patience):
		t.Fatal("the screen does not end")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Fatalf("exit code %d:\n%s", code, s.text())
	}
}

// peakOf is the most memory that a process had resident.
func peakOf(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no VmHWM in\n%s", b)
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}
