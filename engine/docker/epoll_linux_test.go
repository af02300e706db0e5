package docker

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// quietPair is both ends of a connection.
func quietPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	dir := socketDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ours, err = dialEpoll(filepath.Join(dir, "s")); err != nil {
		t.Fatal(err)
	}
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func TestQuietConnectionCarriesWhatIsWritten(t *testing.T) {
	ours, theirs := quietPair(t)
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for _, text := range []string{"at once", "later", strings.Repeat("much ", 1<<16)} {
			// so that the reader waits for it, where it can; a reader that comes later has to read
			// the same
			time.Sleep(5 * time.Millisecond)
			io.WriteString(theirs, text)
		}
		theirs.Close()
	}()
	got, err := io.ReadAll(ours)
	if want := "at oncelater" + strings.Repeat("much ", 1<<16); err != nil || string(got) != want {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
	<-wrote
	ours, theirs = quietPair(t)
	go func() { ours.Write([]byte("ask")); ours.Close() }()
	if got, err := io.ReadAll(theirs); err != nil || string(got) != "ask" {
		t.Errorf("the other end read %q, %v", got, err)
	}
}

func TestCloseEndsAReadThatWaits(t *testing.T) {
	ours, _ := quietPair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := ours.Read(make([]byte, 10))
		ended <- err
	}()
	// until it waits, where it can; a read that comes later has to end as well
	time.Sleep(10 * time.Millisecond)
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the read gave no error")
		}
	case <-time.After(patience):
		t.Fatal("the read goes on")
	}
	if _, err := ours.Read(make([]byte, 10)); err == nil {
		t.Error("a closed connection is read")
	}
	if _, err := ours.Write([]byte("x")); err == nil {
		t.Error("a closed connection is written to")
	}
}

func TestNoSocketIsADialError(t *testing.T) {
	_, err := dialEpoll(filepath.Join(t.TempDir(), "none"))
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// trickle is a stream to which a writer adds a piece every so often, in a socket that holds so many.
type trickle struct {
	every       time.Duration
	size, holds int
	next        time.Time
	reads, sum  int
}

func (p *trickle) Read(b []byte) (int, error) {
	if p.next.IsZero() {
		p.next = time.Now()
	}
	time.Sleep(time.Until(p.next))
	n := 0
	for ; n < p.holds && !p.next.After(time.Now()); n++ {
		p.next = p.next.Add(p.every)
	}
	if n == p.holds {
		p.next = time.Now() // the writer was held up
	}
	p.reads++
	p.sum += n
	return min(n*p.size, len(b)), nil
}

func TestStreamsAreReadByTheTickWhileTheyTrickle(t *testing.T) {
	for _, c := range []struct {
		name       string
		t          trickle
		from, upTo int // reads in a second
	}{
		{"lines of a flood", trickle{every: 100 * time.Microsecond, size: 230}, 100, 300},
		{"short lines", trickle{every: 100 * time.Microsecond, size: 50}, 100, 300},
		{"a faster flood", trickle{every: 30 * time.Microsecond, size: 230}, 300, 1100},
		{"a line now and then", trickle{every: 100 * time.Millisecond, size: 230}, 10, 11},
		{"as fast as it can", trickle{every: 4 * time.Microsecond, size: 230}, 10_000, 250_001},
	} {
		c.t.holds = 160
		synctest.Test(t, func(t *testing.T) {
			r := paced{r: &c.t}
			buf := make([]byte, readBuffer)
			began := time.Now()
			for time.Since(began) < time.Second {
				r.Read(buf)
			}
			if c.t.reads < c.from || c.t.reads > c.upTo {
				t.Errorf("%s: read %d times in a second, want %d to %d", c.name, c.t.reads, c.from, c.upTo)
			}
			if want := int(time.Since(began) / c.t.every); c.t.sum < want*95/100 {
				t.Errorf("%s: %d pieces in a second, want %d: the writer was held up", c.name, c.t.sum, want)
			}
		})
	}
}
