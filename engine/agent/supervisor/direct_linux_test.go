package supervisor

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whoever may take a file from process 1 reaches it, and nobody asks a process that is another one by now, or
// another program.
func TestProcess1IsAskedOverItsOwnFile(t *testing.T) {
	yes := func() bool { return true }
	if _, err := Ask(t.Context(), os.Getpid(), yes, nil, "status"); !errors.Is(err, ErrNotReached) {
		t.Errorf("a program that is not the agent: %v", err)
	}
	began := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	s := &supervisor{ask: make(chan request), noted: make(chan struct{}, 1)}
	s.listenDirect()
	defer unix.Close(directFD) // with it the listener ends
	go func() {
		for r := range s.ask {
			if r.signal == 0 {
				r.reply <- Report{Started: began}
				continue
			}
			r.reply <- Report{Before: &End{ExitCode: 7}}
			<-s.noted
			r.reply <- Report{Started: began, Before: &End{ExitCode: 7}}
		}
	}()
	defer close(s.ask)
	r, err := Ask(t.Context(), os.Getpid(), yes, nil, "status")
	if errors.Is(err, ErrNotReached) {
		t.Skipf("this kernel does not let a process take its own file: %v", err)
	}
	if err != nil || !r.Started.Equal(began) {
		t.Errorf("asked how it is: %+v, %v", r, err)
	}
	if _, err := Ask(t.Context(), os.Getpid(), func() bool {
		return false
	}, nil, "status"); !errors.Is(err, ErrNotReached) {
		t.Errorf("a process of somebody else: %v", err)
	}
	// What is no connection is gone by.
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	for _, rights := range [][]byte{nil, unix.UnixRights(int(pipe.Fd())),
		unix.UnixRights(int(pipe.Fd()), int(other.Fd()))} {
		if err := unix.Sendmsg(directFD, []byte{0}, rights, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	ends := 0
	r, err = Ask(t.Context(), os.Getpid(), yes, func(e End) { ends += e.ExitCode }, "restart", "TERM", "1000")
	if err != nil || !r.Started.Equal(began) || ends != 7 {
		t.Errorf("asked to restart: %+v, %v, the end %d", r, err, ends)
	}
}
