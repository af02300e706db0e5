package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
)

// order is the one line that is sent over the socket; Report is the answer.
type order struct {
	Version int
	Signal  int
	Grace   time.Duration
}

// address is that of the socket. An abstract one is not bound to any folder, so it needs none that
// can be written to; but the network namespace, in which it is, may be shared: so it has the name
// of the process namespace.
func address() (string, error) {
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", err
	}
	return "@" + Name + "-" + ns, nil
}

// listen answers those who ask over the socket.
func (s *supervisor) listen() {
	at, err := address()
	if err != nil {
		return
	}
	l, err := net.Listen("unix", at)
	if err != nil {
		return
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
}

// serve answers one question. Only root and the user that process 1 runs as may ask, from within
// the container.
func (s *supervisor) serve(c net.Conn) {
	peer, err := peerOf(c)
	if err != nil || peer.Pid == 0 || peer.Uid != 0 && int(peer.Uid) != os.Getuid() {
		c.Close()
		return
	}
	s.converse(c)
}

// converse answers one question of somebody who may ask.
func (s *supervisor) converse(c net.Conn) {
	defer c.Close()
	answer := func(r Report) {
		r.Version = agent.Version
		_ = json.NewEncoder(c).Encode(r) // who does not wait for it any more has no use for it
	}
	var o order
	d := json.NewDecoder(io.LimitReader(c, 4096))
	if err := d.Decode(&o); err != nil {
		return
	}
	if o.Version != agent.Version || o.Signal < 0 || o.Grace < 0 {
		answer(failed(fmt.Errorf("version %d of the protocol is not that of process 1, which is %d",
			o.Version, agent.Version)))
		return
	}
	r := request{signal: syscall.Signal(o.Signal), grace: o.Grace, reply: make(chan Report, 2)}
	s.ask <- r
	report := <-r.reply
	if report.ended() {
		answer(report)
		if d.Decode(&struct{}{}) == nil {
			s.noted <- struct{}{} // else nobody is there any more, and the limit passes
		}
		report = <-r.reply
	}
	answer(report)
}

func failed(err error) Report { return Report{Reply: agent.Reply{Error: err.Error()}} }

// peerOf says who is at the other end of a connection. Its process is 0 when it is in no process
// namespace that can be seen from here.
func peerOf(c net.Conn) (peer *unix.Ucred, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return peer, errors.Join(err, cerr)
}

// Control asks process 1 for something, and writes its Report: "status", or "restart" with the name
// of a signal and how many milliseconds the program has to end by it. Of a restart it writes two: a
// first one when the program has ended, after which a line of in lets it start again.
func Control(args []string, in io.Reader, out io.Writer) error {
	r, err := control(args, func(r Report) error {
		r.Version = agent.Version
		err := json.NewEncoder(out).Encode(r)
		_, _ = bufio.NewReader(in).ReadString('\n') // its end will do, too
		return err
	})
	if err != nil {
		r = failed(err)
	}
	r.Version = agent.Version
	return json.NewEncoder(out).Encode(r)
}

// signalNumber reads a signal as the engine does: "SIGTERM", "term", "15", "SIGRTMIN+3"; 0 when it is none.
func signalNumber(text string) int {
	const first, last = 34, 64 // SIGRTMIN and SIGRTMAX, as libc has them
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= last {
		return n
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")
	n := int(unix.SignalNum(name))
	if base, of, ok := strings.Cut(name, "+"); ok && base == "SIGRTMIN" {
		more, err := strconv.Atoi(of)
		if n = first + more; err != nil || more < 0 || n > last {
			return 0
		}
	}
	if base, of, ok := strings.Cut(name, "-"); ok && base == "SIGRTMAX" {
		less, err := strconv.Atoi(of)
		if n = last - less; err != nil || less < 0 || n < first {
			return 0
		}
	}
	return n
}

// orderOf is a question in the words of Control.
func orderOf(args []string) (o order, err error) {
	o.Version = agent.Version
	switch {
	case len(args) == 3 && args[0] == "restart":
		if o.Signal = signalNumber(args[1]); o.Signal == 0 {
			return o, fmt.Errorf("%s is not a signal", args[1])
		}
		ms, err := strconv.Atoi(args[2])
		if err != nil {
			return o, err
		}
		o.Grace = time.Duration(ms) * time.Millisecond
	case len(args) == 1 && args[0] == "status":
	default:
		return o, fmt.Errorf("%q is not a question", args)
	}
	return o, nil
}

func control(args []string, ended func(Report) error) (r Report, err error) {
	o, err := orderOf(args)
	if err != nil {
		return r, err
	}
	at, err := address()
	if err != nil {
		return r, err
	}
	c, err := net.Dial("unix", at)
	if err != nil {
		return r, err
	}
	defer c.Close()
	if peer, err := peerOf(c); err != nil || peer.Pid != 1 {
		return r, errors.New("it is not process 1 that answers")
	}
	return ask(c, o, ended)
}

// ask asks over a connection; ended is called with the report of an end that a beginning follows.
func ask(c net.Conn, o order, ended func(Report) error) (r Report, err error) {
	if err := json.NewEncoder(c).Encode(o); err != nil {
		return r, err
	}
	d := json.NewDecoder(io.LimitReader(c, 64<<10))
	err = d.Decode(&r)
	if err == nil && r.ended() {
		if err := errors.Join(ended(r), json.NewEncoder(c).Encode(struct{}{})); err != nil {
			return r, err
		}
		r = Report{}
		err = d.Decode(&r)
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("process 1 ended meanwhile")
	}
	return r, err
}
