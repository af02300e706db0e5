package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// directFD is where process 1 keeps one end of a pair of sockets for root of the machine, who takes it
// from its files (pidfd_getfd) and sends a connection over it. That is faster by far than an exec in
// the container. Who may take a file from a process may end it, too, so no more needs to be asked.
const directFD = 100

// ErrNotReached means that process 1 was not asked anything: it is out of reach from here.
var ErrNotReached = errors.New("process 1 of the container is out of reach")

// listenDirect answers those who send a connection over the pair of sockets.
func (s *supervisor) listenDirect() {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	err = unix.Dup3(pair[1], directFD, unix.O_CLOEXEC) // not where the limit of open files is lower
	unix.Close(pair[1])
	if err != nil {
		unix.Close(pair[0])
		return
	}
	go func() {
		for {
			c, err := receive(pair[0])
			if err != nil {
				return
			}
			if c != nil {
				go s.converse(c)
			}
		}
	}()
}

// receive waits for a connection; nil is something else that was sent.
func receive(fd int) (net.Conn, error) {
	var data [1]byte
	control := make([]byte, unix.CmsgSpace(4))
	var got, n int
	for {
		var err error
		if got, n, _, _, err = unix.Recvmsg(fd, data[:], control, unix.MSG_CMSG_CLOEXEC); err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, err
		}
	}
	if got == 0 {
		return nil, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		return nil, nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil, nil
	}
	for _, fd := range fds[1:] {
		unix.Close(fd)
	}
	return connection(fds[0]), nil
}

// connection is a unix socket as a connection, nil where fd is none. fd is taken.
func connection(fd int) net.Conn {
	f := os.NewFile(uintptr(fd), "control")
	defer f.Close() // the connection has its own
	c, err := net.FileConn(f)
	if err != nil {
		return nil
	}
	if _, ok := c.(*net.UnixConn); !ok {
		c.Close()
		return nil
	}
	return c
}

// Ask is Control for root of the machine that the container runs on: of is asked whether the process
// is the container's still. ended, when not nil, is called when a program has ended that is about to
// be started again. ErrNotReached means that nothing was asked.
func Ask(ctx context.Context, pid int, of func() bool, ended func(End), args ...string) (Report, error) {
	o, err := orderOf(args)
	if err != nil {
		return Report{}, err
	}
	c, err := direct(pid, of)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNotReached, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	r, err := ask(c, o, func(r Report) error {
		if ended != nil && r.Before != nil {
			ended(*r.Before)
		}
		return nil
	})
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, err
}

// direct opens a connection to the agent in a process of this machine.
func direct(pid int, of func() bool) (net.Conn, error) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(process)
	if !of() { // the descriptor is of this very process, whatever has its number later
		return nil, errors.New("the process is not the container's")
	}
	there, err := unix.PidfdGetfd(process, directFD, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(there)
	domain, err := unix.GetsockoptInt(there, unix.SOL_SOCKET, unix.SO_DOMAIN)
	kind, kerr := unix.GetsockoptInt(there, unix.SOL_SOCKET, unix.SO_TYPE)
	if err := errors.Join(err, kerr); err != nil || domain != unix.AF_UNIX || kind != unix.SOCK_SEQPACKET {
		return nil, errors.New("it is another program that runs there")
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Sendmsg(there, []byte{0}, unix.UnixRights(pair[1]), nil, unix.MSG_DONTWAIT)
	unix.Close(pair[1])
	c := connection(pair[0])
	if err == nil && c == nil {
		err = errors.New("no connection")
	}
	if err != nil && c != nil {
		c.Close()
	}
	return c, err
}
