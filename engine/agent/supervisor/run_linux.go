package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit codes of a program that could not be started, as the engine has them.
const (
	codeNotRunnable = 126
	codeNotFound    = 127
)

// supervisor is process 1. All of it belongs to one goroutine, that of Run.
type supervisor struct {
	argv    []string
	tty     bool
	pid     int // of the program
	started time.Time
	before  *End
	restart *restart // nil: the program runs, and the container ends with it
	ask     chan request
	noted   chan struct{} // whoever asked knows of the end
	signals chan os.Signal
}

// restart is an end of the program that is followed by a beginning.
type restart struct {
	request
	began    time.Time
	killed   bool
	reported bool                // that the program has ended
	ended    *syscall.WaitStatus // nil: it has not
	at       time.Time           // when that was
	noted    time.Time           // when its last words were read; what is stamped later is the next program's
	alarm    *time.Timer
}

// request comes in over the socket.
type request struct {
	signal syscall.Signal // 0: only to ask how it is
	grace  time.Duration
	reply  chan Report // has room for both, of the end and of the beginning
}

// Run runs a program and returns its exit code.
func Run(argv []string) int {
	if len(argv) == 0 {
		fmt.Fprintln(os.Stderr, Name+": no program was named")
		return codeNotFound
	}
	s := &supervisor{argv: argv, ask: make(chan request), noted: make(chan struct{}),
		signals: make(chan os.Signal, 64)}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		s.tty = true
	}
	signal.Notify(s.signals) // before the program runs: none is lost
	if err := s.start(); err != nil {
		fmt.Fprintln(os.Stderr, Name+":", err)
		return codeOf(err)
	}
	s.listen() // without these two all else works
	s.listenDirect()
	for {
		var alarm <-chan time.Time
		if s.restart != nil {
			alarm = s.restart.alarm.C
		}
		select {
		case sig := <-s.signals:
			if sig == syscall.SIGCHLD {
				if code, over := s.reap(); over {
					return code
				}
				continue
			}
			s.forward(sig.(syscall.Signal))
		case r := <-s.ask:
			s.take(r)
		case <-s.noted:
			if r := s.restart; r != nil && r.reported && r.signal != 0 {
				if code, over := s.begin(); over {
					return code
				}
			}
		case <-alarm:
			if code, over := s.hurry(); over {
				return code
			}
		}
	}
}

// start starts the program as the engine would have: it gets the streams, the folder and the
// environment of process 1, a session of its own, or on a terminal the foreground.
func (s *supervisor) start() error {
	file, err := exec.LookPath(s.argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return err
	}
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Setsid: true}}
	if s.tty {
		// A session of its own would lose the terminal, and take it down at its end.
		attr.Sys = &syscall.SysProcAttr{Setpgid: true}
	}
	pid, err := syscall.ForkExec(file, s.argv, attr)
	if err != nil {
		return &fs.PathError{Op: "exec", Path: file, Err: err}
	}
	s.pid, s.started = pid, time.Now()
	if s.tty {
		s.foreground()
	}
	return nil
}

// foreground lets the program read from the terminal. It cannot do that by itself without being
// stopped for it, unless it ignores that, which it then would for good.
func (s *supervisor) foreground() {
	signal.Ignore(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, s.pid) // it may have ended
	signal.Notify(s.signals, syscall.SIGTTOU)
	_ = syscall.Kill(-s.pid, syscall.SIGCONT) // if it tried to read before that
}

func codeOf(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return codeNotFound
	}
	return codeNotRunnable
}

// forward passes a signal on. Those that the Go runtime sends itself, and those that the kernel sends
// for what process 1 does, are not the program's.
func (s *supervisor) forward(sig syscall.Signal) {
	switch sig {
	case syscall.SIGURG, syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU:
		return
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		if s.restart != nil { // somebody wants the container to end, not only its program
			s.restart.answer(Report{}, errors.New("the container was asked to end"))
			s.restart.signal = 0
			if s.restart.ended != nil {
				s.restart.alarm.Reset(0)
			}
		}
	}
	_ = syscall.Kill(s.pid, sig) // it may have ended
}

// take begins what was asked for.
func (s *supervisor) take(r request) {
	switch {
	case r.signal == 0:
		r.reply <- Report{Started: s.started, Before: s.before}
		return
	case s.restart != nil:
		r.reply <- failed(errors.New("its program is being restarted already"))
		return
	}
	s.restart = &restart{request: r, began: time.Now(), alarm: time.NewTimer(r.grace)}
	_ = syscall.Kill(s.pid, r.signal)
}

// reap takes in all that has ended. over says that the container ends, with that code.
func (s *supervisor) reap() (code int, over bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		if pid != s.pid {
			continue
		}
		if s.restart == nil || s.restart.signal == 0 {
			return exitCode(status), true
		}
		s.restart.ended, s.restart.at = &status, time.Now()
		s.restart.alarm.Reset(0) // what it started is killed at once, as with the container
	}
	if s.restart != nil && s.restart.ended != nil {
		return s.again()
	}
	return 0, false
}

// again says that the program has ended once all that it had started is gone, too.
func (s *supervisor) again() (code int, over bool) {
	r := s.restart
	if r.signal == 0 || r.reported || len(family()) > 0 {
		return 0, false
	}
	if wait := r.settles(); wait > 0 {
		r.alarm.Reset(wait)
		return 0, false
	}
	r.reported, r.noted = true, time.Now()
	r.answer(Report{Before: r.end()}, nil)
	r.alarm.Reset(noteLimit)
	return 0, false
}

// settles is how long to wait until what the program wrote last is stamped by whoever reads it: a
// moment after the pipes are empty, and not for ever.
func (r *restart) settles() time.Duration {
	const moment, limit, look = 10 * time.Millisecond, 100 * time.Millisecond, 2 * time.Millisecond
	gone := time.Since(r.at)
	for fd := 1; fd <= 2 && gone < limit; fd++ {
		if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err == nil && n > 0 {
			return look
		}
	}
	return moment - gone
}

// noteLimit is how long the new program waits until the end of the old one is noted, so that nobody
// takes its lines for the other's.
const noteLimit = 2 * time.Second

func (r *restart) end() *End {
	return &End{At: r.noted, ExitCode: exitCode(*r.ended), Took: r.at.Sub(r.began), Killed: r.killed}
}

// begin starts the program again.
func (s *supervisor) begin() (code int, over bool) {
	r := s.restart
	s.restart = nil
	r.alarm.Stop()
	end := r.end()
	if err := s.start(); err != nil {
		fmt.Fprintln(os.Stderr, Name+":", err)
		r.answer(Report{Before: end}, err)
		time.Sleep(200 * time.Millisecond) // with process 1 whoever reads of it ends, too
		return codeOf(err), true
	}
	s.before = end
	r.answer(Report{Started: s.started, Before: end}, nil)
	return 0, false
}

// answer sends a report.
func (r *restart) answer(report Report, err error) {
	if err != nil {
		report.Error = err.Error()
	}
	select {
	case r.reply <- report:
	default:
	}
}

// hurry kills what has not ended in its time, and again what was started meanwhile.
func (s *supervisor) hurry() (code int, over bool) {
	r := s.restart
	switch {
	case r.signal == 0 && r.ended != nil:
		return exitCode(*r.ended), true
	case r.signal == 0:
		return 0, false // whoever ends the container sees to it
	case r.reported:
		return s.begin()
	}
	if r.ended == nil {
		r.killed = true
		_ = syscall.Kill(s.pid, syscall.SIGKILL)
		r.alarm.Reset(100 * time.Millisecond) // SIGCHLD mostly comes first
		return 0, false
	}
	for _, pid := range family() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	r.alarm.Reset(20 * time.Millisecond)
	return s.reap()
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// family lists what descends from process 1. An exec in the container does not: its parent is
// outside.
func family() (pids []int) {
	parents := map[int]int{}
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range all {
		var pid, parent int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
		var state string
		if _, err := fmt.Sscan(rest, &state, &parent); err == nil && state != "Z" {
			parents[pid] = parent
		}
	}
	for pid := range parents {
		for at, n := pid, 0; at > 1 && n < len(parents); at, n = parents[at], n+1 {
			if parents[at] == 1 {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}
