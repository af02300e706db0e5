package docker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// gathered is how many bytes a socket holds for sure before its writer has to wait,
// in pieces as small as the lines of a log.
const gathered = 10 << 10

// connectWait is how long a connection may wait to be taken, and a request to be sent.
const connectWait = 10 * time.Second

// dialEpoll connects to a unix socket for a stream that is read now and then. The
// program's other connections are known to Go's poller, which is woken by every
// piece that arrives, also while nobody waits for it: for a log, by every line.
// This one is known to a poller of its own, which is armed for one wake-up when
// there is nothing to read, and which Go's poller waits for.
func dialEpoll(path string) (net.Conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	// It stays in blocking mode, which keeps it from Go's poller. Reads say for
	// themselves that they do not block.
	c := &epollConn{path: path, sock: os.NewFile(uintptr(fd), path)}
	limit := unix.NsecToTimeval(connectWait.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		c.sock.Close() // nothing was sent
		return nil, fmt.Errorf("set up a socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		c.sock.Close() // as above
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: c.RemoteAddr(),
			Err: os.NewSyscallError("connect", err)}
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		c.event.Fd = int32(fd)
		err = errors.Join(unix.SetNonblock(poll, true), unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &c.event))
	}
	if err != nil {
		c.sock.Close() // as above
		return nil, fmt.Errorf("make a poller: %w", err)
	}
	c.poll = os.NewFile(uintptr(poll), "poller of "+path)
	return c, nil
}

// epollConn is one end of a unix socket. One goroutine may read while another one
// writes; Close ends both.
type epollConn struct {
	path  string
	sock  *os.File
	poll  *os.File // knows sock
	event unix.EpollEvent
}

// Read implements net.Conn.
func (c *epollConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := c.once(func(fd int) (int, error) {
			n, _, err := unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
			return n, err
		})
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case !errors.Is(err, unix.EAGAIN):
			return max(n, 0), err
		}
		if err := c.wait(); err != nil {
			return 0, err
		}
	}
}

// wait arms the poller for one wake-up and waits for it.
func (c *epollConn) wait() error {
	poll, err := c.poll.SyscallConn()
	if err != nil {
		return err
	}
	c.event.Events = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT
	_, armed := c.once(func(sock int) (int, error) {
		var err error
		if control := poll.Control(func(fd uintptr) {
			err = unix.EpollCtl(int(fd), unix.EPOLL_CTL_MOD, sock, &c.event)
		}); control != nil {
			return 0, control
		}
		return 0, err
	})
	if armed != nil {
		return armed
	}
	var failed error
	err = poll.Read(func(fd uintptr) bool {
		var events [1]unix.EpollEvent
		n, err := unix.EpollWait(int(fd), events[:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			failed = os.NewSyscallError("epoll_wait", err)
		}
		return n > 0 || failed != nil
	})
	return errors.Join(failed, err)
}

// once calls f with the socket, again where a signal came between.
func (c *epollConn) once(f func(fd int) (int, error)) (n int, err error) {
	raw, err := c.sock.SyscallConn()
	if err != nil {
		return 0, err
	}
	if control := raw.Control(func(fd uintptr) {
		for {
			if n, err = f(int(fd)); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}); control != nil {
		return 0, net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn. Requests are short: it blocks.
func (c *epollConn) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := c.once(func(fd int) (int, error) {
			return unix.SendmsgN(fd, p[done:], nil, nil, unix.MSG_NOSIGNAL)
		})
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Close implements net.Conn.
func (c *epollConn) Close() error {
	// A read that waits is woken by either.
	// it may be shut at the other end
	_, _ = c.once(func(fd int) (int, error) { return 0, unix.Shutdown(fd, unix.SHUT_RDWR) })
	return errors.Join(c.poll.Close(), c.sock.Close())
}

// LocalAddr implements net.Conn.
func (c *epollConn) LocalAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// RemoteAddr implements net.Conn.
func (c *epollConn) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix", Name: c.path} }

// SetDeadline implements net.Conn. There are none: a stream that is not wanted any more is closed.
func (c *epollConn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn.
func (c *epollConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.Conn.
func (c *epollConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
