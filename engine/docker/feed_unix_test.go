//go:build unix

package docker

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/client"
)

// What nobody takes on the other side does not hold up the end of a command.
func TestFeedEndsThoughNobodyTakesIt(t *testing.T) {
	ours, its := net.Pipe()
	defer its.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.WriteString("more than is taken"); err != nil {
		t.Fatal(err)
	}
	took := make(chan struct{})
	done := feed(client.HijackedResponse{Conn: ours, Reader: bufio.NewReader(ours)}, r, func(r io.Reader) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			n, err := r.Read(p)
			if n > 0 {
				close(took)
			}
			return n, err
		})
	})
	<-took // and nobody reads the other side of the connection
	done()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// An ssh that leaves its stderr to a master of its own is closed all the same.
func TestSSHEndsThoughOthersHaveItsStderr(t *testing.T) {
	c, err := startConn(exec.Command("sh", "-c", "sleep 3600 >/dev/null </dev/null & echo $!; exec cat"))
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("who has its stderr is gone: %v", err)
	}
}
