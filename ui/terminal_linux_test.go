package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"
)

// These tests run the screen as a program of its own, this test binary, on a real terminal of the
// kernel's, by a shell that has job control, and in tmux and GNU screen where those are there.

// onTerminal is set for the process that is the screen.
const onTerminal = "BULKHEAD_SCREEN_ON_TERMINAL"

func init() {
	if os.Getenv(onTerminal) != "" {
		os.Exit(screenProcess())
	}
}

// screenProcess is that process. Signals end it as they end the program; "panic" is one of the words
// that it takes in the variable.
func screenProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	b := shop()
	b.panik = os.Getenv(onTerminal) == "panic"
	if os.Getenv(onTerminal) == "flood" {
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				b.write("api", fmt.Sprintf("line %d of very many", i), start)
				time.Sleep(time.Millisecond)
			}
		}()
	}
	outcome, err := Run(ctx, Options{Backend: b, Version: "test"})
	fmt.Printf("the screen ended: %s, error %t\n", outcome, err != nil)
	return 0
}

// terminal is a pseudo terminal of the kernel's with an emulator behind it.
type terminal struct {
	*vt.SafeEmulator
	t        *testing.T
	pty, tty *os.File
	pumped   sync.WaitGroup
	link     atomic.Int64 // how many bytes a second come through; 0: all at once

	mu    sync.Mutex
	modes map[ansi.Mode]bool // that are on
	raw   strings.Builder    // all that was written
}

// Write implements io.Writer.
func (x *terminal) Write(b []byte) (int, error) {
	x.mu.Lock()
	x.raw.Write(b)
	x.mu.Unlock()
	return x.SafeEmulator.Write(b)
}

// some passes on what there is, up to what the link lets through in a tenth of a second.
func (x *terminal) some(pty io.Reader) (int, error) {
	n := 4096
	if link := x.link.Load(); link > 0 {
		n = int(link / 10)
	}
	b := make([]byte, n)
	n, err := pty.Read(b)
	_, _ = x.Write(b[:n]) // to memory
	return n, err
}

// written is all that was written.
func (x *terminal) written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.raw.String()
}

func openTerminal(t *testing.T, w, h int) *terminal {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo terminals: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{SafeEmulator: vt.NewSafeEmulator(w, h), t: t, pty: pty, tty: tty,
		modes: map[ansi.Mode]bool{}}
	set := func(on bool) func(ansi.Mode) {
		return func(m ansi.Mode) { x.mu.Lock(); x.modes[m] = on; x.mu.Unlock() }
	}
	x.SetCallbacks(vt.Callbacks{EnableMode: set(true), DisableMode: set(false)})
	x.resize(w, h)
	x.pumped.Add(2)
	go func() { // ends with the terminal
		defer x.pumped.Done()
		for err := error(nil); err == nil; {
			if _, err = x.some(pty); x.link.Load() > 0 {
				<-time.After(time.Second / 10)
			}
		}
	}()
	go func() { defer x.pumped.Done(); _, _ = io.Copy(pty, x.SafeEmulator) }()
	t.Cleanup(func() {
		tty.Close()
		pty.Close()
		x.InputPipe().(io.Closer).Close()
		x.pumped.Wait()
	})
	return x
}

func (x *terminal) resize(w, h int) {
	x.Resize(w, h)
	if err := unix.IoctlSetWinsize(int(x.pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(h),
		Col: uint16(w)}); err != nil {
		x.t.Fatal(err)
	}
}

// run starts a command that has the terminal.
func (x *terminal) run(env []string, name string, args ...string) *exec.Cmd {
	x.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.tty, x.tty, x.tty
	cmd.Env = append(plainEnv(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
	})
	return cmd
}

// plainEnv is the environment without what says something of the terminal that the tests run on.
func plainEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TERM=xterm-256color",
		"LC_ALL=C.UTF-8"}
}

// runScreen starts the screen.
func (x *terminal) runScreen(word string, env ...string) *exec.Cmd {
	x.t.Helper()
	return x.run(append(env, onTerminal+"="+word), os.Args[0])
}

func (x *terminal) text() string { return ansi.Strip(x.Render()) }

func (x *terminal) until(what string, ok func() bool) {
	x.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("waited for %s; the terminal shows:\n%s", what, x.text())
		}
	}
}

func (x *terminal) wait(want string) {
	x.t.Helper()
	x.until(want, func() bool { return strings.Contains(x.text(), want) })
}

func (x *terminal) keys(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.pty, keys); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) settings() unix.Termios {
	x.t.Helper()
	s, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *s
}

// returned waits until the terminal is as a program finds it: settings, main screen, cursor, mouse,
// focus and paste.
func (x *terminal) returned(was unix.Termios) {
	x.t.Helper()
	x.until("the terminal's settings", func() bool { return x.settings() == was })
	x.until("the main screen", func() bool { return !x.IsAltScreen() })
	x.until("the modes", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, m := range []ansi.Mode{ansi.ModeMouseNormal, ansi.ModeMouseButtonEvent,
			ansi.ModeMouseAnyEvent, ansi.ModeMouseExtSgr, ansi.ModeFocusEvent, ansi.ModeBracketedPaste} {
			if x.modes[m] {
				return false
			}
		}
		return !x.CursorHidden()
	})
}

func TestTerminalIsReturnedHoweverTheScreenEnds(t *testing.T) {
	for name, end := range map[string]struct {
		keys   string
		signal syscall.Signal
		says   string
	}{
		"q":      {keys: "q", says: "the screen ended: leave, error false"},
		"ctrl+c": {keys: "\x03", says: "the screen ended: stop, error false"},
		"INT":    {signal: syscall.SIGINT, says: "the screen ended"},
		"TERM":   {signal: syscall.SIGTERM, says: "the screen ended"},
		"HUP":    {signal: syscall.SIGHUP, says: "the screen ended"},
		"QUIT":   {signal: syscall.SIGQUIT, says: "goroutine"},
		"ABRT":   {signal: syscall.SIGABRT, says: "goroutine"},
		"panic":  {keys: "r", says: "the screen ended: leave, error true"},
	} {
		t.Run(name, func(t *testing.T) {
			x := openTerminal(t, 80, 24)
			was := x.settings()
			word := "yes"
			if name == "panic" {
				word = name
			}
			p := x.runScreen(word)
			x.wait("SERVICE")
			if x.settings() == was || !x.IsAltScreen() {
				t.Error("the screen has not taken the terminal")
			}
			switch {
			case name == "q":
				x.keys("q")
				x.wait("leave them running")
				x.keys("l")
			case name == "ctrl+c":
				x.keys(end.keys)
				x.wait("ctrl+c again stops")
				x.keys(end.keys)
			case end.keys != "":
				x.keys(end.keys)
			default:
				if err := p.Process.Signal(end.signal); err != nil {
					t.Fatal(err)
				}
			}
			err := p.Wait()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			x.returned(was)
			x.until(end.says, func() bool { return strings.Contains(x.written(), end.says) })
		})
	}
}

func TestCtrlZSuspendsAndFgBringsBack(t *testing.T) {
	sh, err := exec.LookPath("bash")
	if err != nil {
		t.Skipf("no shell with job control: %v", err)
	}
	x := openTerminal(t, 80, 24)
	x.run([]string{"PS1=prompt> ", onTerminal + "=yes", "HISTFILE="}, sh, "--norc", "--noprofile", "-i")
	x.wait("prompt>")
	x.keys(os.Args[0] + "; echo it ended with $?\n")
	x.wait("SERVICE")
	x.keys("j")
	x.keys("\x1a")
	x.wait("Stopped")
	x.until("the main screen", func() bool { return !x.IsAltScreen() && !x.CursorHidden() })
	x.keys("stty -a | grep -c ' icanon'; echo typed $((40+2))\n") // the shell reads as ever
	x.wait("typed 42")
	x.keys("fg\n")
	x.wait("SERVICE")
	x.until("the screen", x.IsAltScreen)
	x.resize(100, 30) // and goes on by the size of now
	x.keys("?")
	x.wait("Keys · ")
	x.keys("\x1b")
	x.until("no help", func() bool { return !strings.Contains(x.text(), "Keys · ") })
	x.keys("q")
	x.wait("leave them running")
	x.keys("l")
	x.wait("the screen ended: leave, error false")
	x.keys("exit\n")
}

func TestStormOfResizesDownToOneCell(t *testing.T) {
	x := openTerminal(t, 80, 24)
	was := x.settings()
	p := x.runScreen("yes")
	x.wait("SERVICE")
	for i := range 200 {
		x.resize(1+(i*37)%200, 1+(i*11)%60)
	}
	for _, s := range [][2]int{{1, 1}, {2, 1}, {1, 2}, {200, 50}, {1, 1}, {80, 24}} {
		x.resize(s[0], s[1])
	}
	x.wait("SERVICE")
	x.keys("q")
	x.wait("leave them running")
	x.keys("l")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	x.returned(was)
}

// A terminal that has fewer colours gets no sequence that it does not know.
func TestColoursAreThoseOfTheTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		env     []string
		has     string
		without []string
	}{
		"16 colours": {env: []string{"TERM=xterm", "COLORTERM="}, has: "\x1b[",
			without: []string{"38;5;", "38;2;", "48;5;", "48;2;"}},
		"the console": {env: []string{"TERM=linux", "COLORTERM="}, has: "\x1b[",
			without: []string{"38;5;", "38;2;", "48;5;", "48;2;"}},
		"tmux":       {env: []string{"TERM=tmux", "COLORTERM="}, has: "\x1b["},
		"GNU screen": {env: []string{"TERM=screen", "COLORTERM="}, has: "\x1b["},
		"none asked": {env: []string{"NO_COLOR=1"}, has: "\x1b[", without: []string{"[31m", "[32m",
			"[33m", "[91m", "38;5;", "38;2;", "48;5;", "48;2;"}},
		"none possible": {env: []string{"TERM=vt100", "COLORTERM="}, has: "\x1b[",
			without: []string{"38;5;", "38;2;"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := openTerminal(t, 80, 24)
			cmd := x.runScreen("yes", c.env...)
			x.wait("SERVICE")
			x.keys("q")
			x.wait("leave them running")
			x.keys("l")
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			text := x.written()
			if !strings.Contains(text, c.has) {
				t.Errorf("no %q", c.has)
			}
			for _, no := range c.without {
				if strings.Contains(text, no) {
					t.Errorf("%q is written", no)
				}
			}
		})
	}
}

// Over a link of 2 kB a second whole frames take seconds, and keys have to be answered all the same,
// with services that write all the time.
func TestSlowLinkIsNotDrowned(t *testing.T) {
	x := openTerminal(t, 80, 24)
	was := x.settings()
	p := x.runScreen("flood")
	x.wait("SERVICE")
	x.link.Store(2000)
	x.keys("?")
	x.wait("Keys · ")
	x.keys("\x1b")
	x.until("no help", func() bool { return !strings.Contains(x.text(), "Keys · ") })
	x.keys("q")
	x.wait("leave them running")
	x.keys("l")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	x.returned(was)
}

// multiplexer runs the screen in a terminal multiplexer.
type multiplexer struct {
	t   *testing.T
	run func(args ...string) (string, error)
}

func (m *multiplexer) must(args ...string) string {
	m.t.Helper()
	out, err := m.run(args...)
	if err != nil {
		m.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

func (m *multiplexer) until(what string, ok func() bool, shown func() string) {
	m.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("waited for %s:\n%s", what, shown())
		}
	}
}

// program returns the path of a program, or has the test skipped.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed; .ci/terminals installs it where it can", name)
	}
	return path
}

// inShell is the command that runs the screen and stays, for what is seen after it.
func inShell() string { return onTerminal + "=yes '" + os.Args[0] + "'; echo back; exec cat" }

// besideLastWords is what a terminal shows beside what inShell's command writes in the end. All of it
// counts: those words scroll the first rows of a frame that was left out of sight.
func besideLastWords(shown string) string {
	var left []string
	for row := range strings.Lines(shown) {
		row = strings.TrimSpace(row)
		if row != "" && row != "back" && row != "the screen ended: leave, error false" {
			left = append(left, row)
		}
	}
	return strings.Join(left, "\n")
}

func TestScreenInTmux(t *testing.T) {
	tmux := program(t, "tmux")
	socket := fmt.Sprintf("%s/tmux", t.TempDir())
	m := &multiplexer{t: t, run: func(args ...string) (string, error) {
		cmd := exec.Command(tmux, append([]string{"-S", socket, "-f", "/dev/null"}, args...)...)
		cmd.Env = append(plainEnv(), "SHELL=/bin/sh") // else it is that of the user, who may have none
		out, err := cmd.CombinedOutput()
		return string(out), err
	}}
	m.must("new-session", "-d", "-x", "80", "-y", "24", inShell())
	t.Cleanup(func() { _, _ = m.run("kill-server") }) // it may be gone
	shown := func() string { return m.must("capture-pane", "-p") }
	wait := func(what string) {
		t.Helper()
		m.until(what, func() bool { return strings.Contains(shown(), what) }, shown)
	}
	is := func(format, want string) {
		t.Helper()
		m.until(format+" "+want, func() bool {
			return strings.TrimSpace(m.must("display-message", "-p", format)) == want
		}, shown)
	}
	wait("SERVICE")
	is("#{alternate_on} #{mouse_any_flag} #{cursor_flag}", "1 1 0")
	for _, size := range [][2]string{{"1", "1"}, {"200", "50"}, {"7", "3"}, {"120", "40"}, {"80", "24"}} {
		m.must("resize-window", "-x", size[0], "-y", size[1])
	}
	wait("SERVICE")
	m.must("send-keys", "q")
	wait("leave them running")
	m.must("send-keys", "l")
	wait("the screen ended: leave, error false")
	is("#{alternate_on} #{mouse_any_flag} #{cursor_flag}", "0 0 1")
	if left := besideLastWords(shown()); left != "" {
		t.Errorf("the last frame is left:\n%s", left)
	}
}

// GNU screen has no other screen to come back from unless its altscreen is on: the last frame has to
// be cleared.
func TestScreenInGNUScreen(t *testing.T) {
	path := program(t, "screen")
	dir := t.TempDir()
	name := fmt.Sprintf("bulkhead%d", os.Getpid())
	config, copied := dir+"/rc", dir+"/shown"
	if err := os.WriteFile(config, []byte("altscreen off\ndefutf8 on\nstartup_message off\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	m := &multiplexer{t: t, run: func(args ...string) (string, error) {
		cmd := exec.Command(path, args...)
		cmd.Env = append(plainEnv(), "SCREENDIR="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m.must("-c", config, "-U", "-dmS", name, "sh", "-c", inShell())
	t.Cleanup(func() { _, _ = m.run("-S", name, "-X", "quit") }) // it may be gone
	shown := func() string {
		_, _ = m.run("-S", name, "-p", "0", "-X", "hardcopy", copied) // it is not there at first
		b, _ := os.ReadFile(copied)
		return string(b)
	}
	wait := func(what string) {
		t.Helper()
		m.until(what, func() bool { return strings.Contains(shown(), what) }, shown)
	}
	wait("SERVICE")
	m.must("-S", name, "-p", "0", "-X", "stuff", "q")
	wait("leave them running")
	m.must("-S", name, "-p", "0", "-X", "stuff", "l")
	wait("the screen ended: leave, error false")
	m.until("no frame", func() bool {
		text := shown() // it may be half written: then the last words are not there yet
		return strings.Contains(text, "the screen ended") && besideLastWords(text) == ""
	}, shown)
}
