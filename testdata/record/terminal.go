//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"

	"bulkhead/testdata/picture"
)

const cols, rows = 80, 24

// terminal is the demo in a terminal of its own, and what was filmed of it.
type terminal struct {
	*vt.SafeEmulator
	pty    *os.File
	demo   *exec.Cmd
	ended  chan struct{} // closed when the demo's output has ended
	folder string        // of the shop's files
	film   []picture.Frame
}

// open starts the demo, whose files go into dir.
func open(program, dir string) (*terminal, error) {
	t := &terminal{SafeEmulator: vt.NewSafeEmulator(cols, rows), ended: make(chan struct{}),
		folder: filepath.Join(dir, "bulkhead", "shop")}
	t.demo = exec.Command(program, "demo")
	t.demo.Env = append(os.Environ(), "XDG_CACHE_HOME="+dir, "TERM=xterm-256color",
		"COLORTERM=truecolor", "GOCACHE="+goCache())
	var tty *os.File
	var err error
	if t.pty, tty, err = openPty(); err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	defer tty.Close() // the demo has its own
	t.demo.Stdin, t.demo.Stdout, t.demo.Stderr = tty, tty, tty
	t.demo.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := t.demo.Start(); err != nil {
		return nil, fmt.Errorf("start the demo: %w", err)
	}
	go func() {
		defer close(t.ended)
		_, _ = io.Copy(t.SafeEmulator, t.pty) // ends with the demo
	}()
	go func() { _, _ = io.Copy(t.pty, t.SafeEmulator) }() // what the emulator answers to questions
	return t, nil
}

// openPty opens a pseudo terminal of the kernel's.
func openPty() (pty, tty *os.File, err error) {
	if pty, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: cols, Row: rows})
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		pty.Close()
	}
	return pty, tty, err
}

// goCache is where compiled packages are, which the demo shares: its own cache folder is new.
func goCache() string {
	out, _ := exec.Command("go", "env", "GOCACHE").Output() // without go the shop is built in containers
	return strings.TrimSpace(string(out))
}

// close ends the demo, if it has not ended, and waits for it.
func (t *terminal) close() {
	_ = t.demo.Process.Signal(os.Interrupt) // it may have ended
	<-t.ended
	_ = t.demo.Wait() // how it ended was on the screen
	t.pty.Close()
	t.SafeEmulator.Close()
}

// text is what the screen shows.
func (t *terminal) text() string {
	cells := t.cells()
	lines := make([]string, 0, rows)
	for y := range rows {
		var b strings.Builder
		for x := 0; x < cols; {
			c := cells.CellAt(x, y)
			if c == nil || c.Content == "" {
				b.WriteByte(' ')
				x++
				continue
			}
			b.WriteString(c.Content)
			x += max(c.Width, 1)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return strings.Join(lines, "\n")
}

func (t *terminal) cells() uv.ScreenBuffer {
	out := uv.NewScreenBuffer(cols, rows)
	t.Draw(out, out.Bounds())
	return out
}

// wait waits until the screen shows all that is wanted.
func (t *terminal) wait(ctx context.Context, limit time.Duration, wanted ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		text, missing := t.text(), ""
		for _, w := range wanted {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-look.C:
		case <-t.ended:
			return fmt.Errorf("the demo ended while %q was waited for", missing)
		case <-ctx.Done():
			return fmt.Errorf("%q did not come in %v", missing, limit)
		}
	}
}

// shoot takes a picture that is shown for a time.
func (t *terminal) shoot(caption string, lasts time.Duration) {
	t.film = append(t.film, picture.Frame{Cells: t.cells(), Lasts: lasts, Caption: caption})
}

// press types keys, each by the bytes that a terminal sends.
func (t *terminal) press(keys ...string) error {
	for _, k := range keys {
		if _, err := t.pty.WriteString(k); err != nil {
			return err
		}
	}
	return nil
}
