package files

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
)

// Serve works on the files of the process namespace that it was started in, as its process 1 sees
// them, until its input ends, falls silent for agent.Silence, or ctx ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	return serve(ctx, in, out, openFirst)
}

// openFirst opens the root of process 1.
func openFirst() (int, error) {
	if os.Getpid() == 1 {
		return -1, fmt.Errorf("this process namespace is the agent's own: %w", ErrNoAccess)
	}
	root, err := unix.Open("/proc/1/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the root of process 1: %w: %w", ErrNoAccess, err)
	}
	if !Contains(root) {
		unix.Close(root)
		return -1, fmt.Errorf("this kernel cannot keep links inside of a root: %w", ErrNoAccess)
	}
	return root, nil
}

// server carries out what comes in over the protocol.
type server struct {
	open func() (root int, err error) // asked for each request: what process 1 sees may change

	writing sync.Mutex
	out     *json.Encoder

	// The stream that is being unpacked, nil when there is none.
	stream *io.PipeWriter
	seq    uint64
	done   chan struct{} // closed when it has been answered
}

func serve(ctx context.Context, in io.Reader, out io.Writer, open func() (int, error)) error {
	s := &server{open: open, out: json.NewEncoder(out)}
	greeting := reply{Version: agent.Version}
	root, err := open()
	if err != nil {
		greeting.fail(err)
	} else {
		unix.Close(root)
	}
	if err := s.write(greeting); err != nil || greeting.Error != "" {
		return err
	}
	defer s.end(io.ErrUnexpectedEOF)
	r, buf := bufio.NewReaderSize(in, 64<<10), make([]byte, maxData)
	return agent.Server[incoming]{
		Next: func() (incoming, error) {
			q, data, err := readRequest(r, buf)
			return incoming{q, data}, err
		},
		Do:   s.take,
		Beat: func() error { return s.write(reply{}) },
	}.Run(ctx)
}

// incoming is a request on its way from the goroutine that reads.
type incoming struct {
	request
	data []byte
}

// take carries out one request. The error is that of writing the answer.
func (s *server) take(q incoming) error {
	switch q.Do {
	case unpackVerb:
		s.end(io.ErrUnexpectedEOF)
		s.begin(q.request)
		return nil
	case dataVerb:
		if s.stream != nil && s.seq == q.Seq {
			_, _ = s.stream.Write(q.data) // who unpacks may have ended, with an answer
		}
		return nil
	case endVerb, breakVerb:
		if s.seq == q.Seq {
			var err error
			if q.Do == breakVerb {
				err = io.ErrUnexpectedEOF
			}
			s.end(err)
		}
		return nil
	case deleteVerb, statVerb, ownerVerb:
		return s.write(s.answer(q))
	}
	return nil // a heartbeat
}

// begin has what follows unpacked.
func (s *server) begin(q request) {
	r, w := io.Pipe()
	s.stream, s.seq, s.done = w, q.Seq, make(chan struct{})
	done := s.done
	go func() {
		defer close(done)
		a := reply{Seq: q.Seq}
		root, err := s.open()
		if err == nil {
			err = Unpack(root, q.Below, r, q.Replace)
			unix.Close(root)
		}
		r.CloseWithError(errors.New("nobody reads"))
		a.fail(err)
		_ = s.write(a) // when nobody is there any more, the input ends, too
	}()
}

// end ends the stream that is being unpacked, and waits until that has been answered.
func (s *server) end(err error) {
	if s.stream == nil {
		return
	}
	s.stream.CloseWithError(err)
	<-s.done
	s.stream = nil
}

// answer carries out what is not a stream.
func (s *server) answer(q incoming) reply {
	a := reply{Seq: q.Seq}
	root, err := s.open()
	if err != nil {
		a.fail(err)
		return a
	}
	defer unix.Close(root)
	paths := splitPaths(q.data)
	switch q.Do {
	case deleteVerb:
		err = Delete(root, q.Below, paths)
	case ownerVerb:
		a.UID, a.GID, err = Owner(root, string(q.data))
	case statVerb:
		var all map[string]Entry
		if all, err = Stat(root, paths); err == nil {
			for _, p := range paths {
				e, ok := all[p]
				a.Entries = append(a.Entries, entry{There: ok, Mode: uint32(e.Mode), Size: e.Size,
					Link: []byte(e.Link)})
			}
		}
	}
	a.fail(err)
	return a
}

func (s *server) write(a reply) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.out.Encode(a)
}

// fail notes an error.
func (a *reply) fail(err error) {
	if err == nil {
		return
	}
	a.Error = err.Error()
	var folder *FolderInWay
	var some *NotWritten
	switch {
	case errors.As(err, &some):
		for p, why := range some.Files {
			a.Failed = append(a.Failed, failed{Path: []byte(p), Why: why.Error()})
		}
	case errors.As(err, &folder):
		a.Kind, a.Path = folderKind, []byte(folder.Path)
	case errors.Is(err, ErrReadOnly):
		a.Kind = readOnlyKind
	case errors.Is(err, ErrNoAccess):
		a.Kind = noAccessKind
	}
}
