package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/container"
)

// sshDialer reaches an engine through the ssh program, so that the user's own ssh
// config, agent and known hosts hold.
type sshDialer struct{ args []string }

func newSSH(u *url.URL) (*sshDialer, error) {
	switch {
	case u.Hostname() == "":
		return nil, errors.New("ssh needs a host, as in ssh://user@host")
	case strings.HasPrefix(u.Hostname(), "-"):
		return nil, errors.New("ssh host names do not begin with a dash")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("ssh hosts take no query and no fragment")
	}
	if _, has := u.User.Password(); has {
		return nil, container.WithRemedy(errors.New("a password in an ssh host does nothing"),
			"use a key or an agent")
	}
	// -T: what goes over the connection is not for a terminal.
	args := []string{"-o", "ConnectTimeout=30", "-T"}
	if name := u.User.Username(); name != "" {
		args = append(args, "-l", name)
	}
	if u.Port() != "" {
		args = append(args, "-p", u.Port())
	}
	args = append(args, "--", u.Hostname(), "docker")
	if u.Path != "" && u.Path != "/" {
		args = append(args, "--host", "unix://"+u.Path)
	}
	return &sshDialer{args: append(args, "system", "dial-stdio")}, nil
}

func (d *sshDialer) dial(context.Context, string, string) (net.Conn, error) {
	// Not exec.CommandContext: the connection outlives the request that dialed it.
	return startConn(exec.Command("ssh", d.args...))
}

// pipeConn is a connection that is a program's stdin and stdout. It has no
// deadlines; Close ends the program.
type pipeConn struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.ReadCloser
	stderr *tailBuffer
	once   sync.Once
	closed error
}

// stderrGrace is how long an ssh that has ended may leave its stderr to others: a master that it began
// keeps it open for as long as that lives.
const stderrGrace = 2 * time.Second

func startConn(cmd *exec.Cmd) (net.Conn, error) {
	c := &pipeConn{cmd: cmd, stderr: &tailBuffer{}}
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("run ssh: %w", err)
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("run ssh: %w", err)
	}
	cmd.Stderr = c.stderr
	cmd.WaitDelay = stderrGrace
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run ssh: %w", err)
	}
	return c, nil
}

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if err != nil && n == 0 {
		if said := c.stderr.last(); said != "" {
			return 0, fmt.Errorf("ssh: %s", said)
		}
	}
	return n, err
}

func (c *pipeConn) Write(p []byte) (int, error) {
	n, err := c.in.Write(p)
	if err != nil {
		if said := c.stderr.last(); said != "" {
			return n, fmt.Errorf("ssh: %s", said)
		}
	}
	return n, err
}

// CloseWrite ends what the other side reads, for attached streams.
func (c *pipeConn) CloseWrite() error { return c.in.Close() }

func (c *pipeConn) Close() error {
	c.once.Do(func() {
		// Both may be closed already by CloseWrite or by the program's end.
		_ = c.in.Close()
		_ = c.cmd.Process.Kill()
		if err := c.cmd.Wait(); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
				c.closed = err
			}
		}
	})
	return c.closed
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "ssh" }
func (pipeAddr) String() string  { return "ssh" }

func (c *pipeConn) LocalAddr() net.Addr              { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr             { return pipeAddr{} }
func (c *pipeConn) SetDeadline(time.Time) error      { return nil }
func (c *pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *pipeConn) SetWriteDeadline(time.Time) error { return nil }

// tailBuffer keeps the end of what a program says, 4 KiB at most.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p...)
	if over := len(b.buf) - 4096; over > 0 {
		b.buf = b.buf[over:]
	}
	return len(p), nil
}

// text is what was kept, without the space around it.
func (b *tailBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(bytes.TrimSpace(b.buf))
}

func (b *tailBuffer) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := bytes.TrimSpace(b.buf)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}
