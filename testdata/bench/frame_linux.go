package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"
)

// frame measures from exec to the first frame that lists the services of a project of 20 that runs,
// on a terminal of 200x50; beside it the time that `docker version` takes, which asks the same
// engine one question.
func (b *bench) frame() error {
	const n = 20
	p, err := b.newFleet(b.tools[0], n)
	if err != nil {
		return err
	}
	defer p.remove()
	if _, err := p.up(n); err != nil {
		return err
	}
	var names []string
	for i := range n / 2 { // more of them may not have room beside the rest
		names = append(names, fmt.Sprintf(" s%02d ", i))
	}
	running := []string{fmt.Sprintf("● %d up", n)}
	var first, true20, question samples
	for round := range b.rounds + 1 {
		f, t, err := p.openScreen(names, running)
		if err != nil {
			return err
		}
		began := time.Now()
		if out, err := exec.CommandContext(b.ctx, "docker", "version").CombinedOutput(); err != nil {
			return fmt.Errorf("docker version: %w\n%s", err, out)
		}
		if round > 0 {
			question.add(time.Since(began))
			first.add(f)
			true20.add(t)
		}
	}
	b.table.row("first frame, 20 services; beside it docker version", first, question, 4)
	b.table.row("  all of them shown as running", true20, question, 0)
	return nil
}

// openScreen runs the screen on a terminal of its own until it has drawn all of first and then all
// of second, and leaves the project up.
func (p *project) openScreen(first, second []string) (toFirst, toSecond time.Duration, err error) {
	master, slave, err := openPTY(200, 50)
	if err != nil {
		return 0, 0, err
	}
	defer master.Close()
	c := p.cmd("up")
	c.Env = append(os.Environ(), "TERM=xterm-256color")
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	began := time.Now()
	if err := c.Start(); err != nil {
		slave.Close()
		return 0, 0, err
	}
	slave.Close()
	defer func() {
		_ = c.Process.Kill() // the containers stay
		_ = c.Wait()
	}()
	emu := vt.NewEmulator(200, 50)
	go func() { _, _ = io.Copy(master, emu) }() // what a terminal answers; it ends with the emulator
	defer emu.Close()
	shows := func(words []string) bool {
		screen := ansi.Strip(emu.Render())
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(screen, w) })
	}
	// a terminal that takes none only hangs the bench
	_ = master.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 64<<10)
	for {
		n, err := master.Read(buf)
		at := time.Since(began)
		_, _ = emu.Write(buf[:n]) // it takes everything
		if toFirst == 0 && shows(first) {
			toFirst = at
		}
		if toFirst > 0 && shows(second) {
			return toFirst, at, nil
		}
		if err != nil {
			return 0, 0, fmt.Errorf("the screen did not show the services: %w\n%s", err,
				ansi.Strip(emu.Render()))
		}
	}
}

// openPTY makes a terminal of w by h cells.
func openPTY(w, h uint16) (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: h, Col: w}))
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	return master, slave, nil
}
