package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"bulkhead/engine/agent"
)

// server carries out what comes in over the protocol.
type server struct {
	writing sync.Mutex
	out     *agent.Writer

	wg sync.WaitGroup

	mu    sync.Mutex
	conns map[uint64]*served
}

// served is a connection that is being opened, or open.
type served struct {
	id   uint64
	end  context.CancelFunc
	data chan []byte   // capacity 1: to be written
	took chan struct{} // capacity 1: what was read has been passed on
}

// Serve opens connections until its input ends, falls silent for agent.Deaf, or ctx ends. Then it
// ends them all.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	s := &server{out: agent.NewWriter(out), conns: map[uint64]*served{}}
	if err := s.write(line{Version: agent.Version}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	return s.loop(ctx, in)
}

func (s *server) write(l line) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.out.Write(l)
}

func (s *server) loop(ctx context.Context, in io.Reader) error {
	lines := make(chan line)
	// A read of stdin cannot be interrupted: this goroutine ends with the process.
	go func() {
		defer close(lines)
		for r := agent.NewReader(in); ; {
			var l line
			if r.Read(&l) != nil {
				return
			}
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	deaf := time.NewTimer(agent.Deaf)
	defer deaf.Stop()
	beat := time.NewTicker(agent.Beat)
	defer beat.Stop()
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				return nil
			}
			deaf.Reset(agent.Deaf)
			s.take(ctx, l)
		case <-beat.C:
			if s.write(line{}) != nil {
				return nil // nobody is there any more
			}
		case <-deaf.C:
			return fmt.Errorf("nothing was heard for %v", agent.Deaf)
		case <-ctx.Done():
			return nil
		}
	}
}

// take carries out one line. It does not wait for any connection.
func (s *server) take(ctx context.Context, l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conns[l.Conn]
	switch {
	case l.Conn == 0: // a heartbeat
	case l.Do == dialVerb:
		if c != nil {
			return // bulkhead uses no number twice
		}
		ctx, cancel := context.WithCancel(ctx)
		c = &served{id: l.Conn, end: cancel, data: make(chan []byte, 1), took: make(chan struct{}, 1)}
		full := len(s.conns) >= maxConns
		if !full {
			s.conns[c.id] = c
		}
		s.wg.Go(func() {
			defer cancel()
			if full {
				s.answer(c, fmt.Errorf("there are %d connections already", maxConns))
				return
			}
			s.serve(ctx, c, l.Address, l.Limit)
		})
	case c == nil: // it has ended meanwhile
	case l.Do == dataVerb:
		select {
		case c.data <- l.Data:
		default:
			c.end() // more than it was asked for
		}
	case l.Do == tookVerb:
		select {
		case c.took <- struct{}{}:
		default:
		}
	case l.Do == endVerb:
		c.end()
	}
}

// answer says how a dial went.
func (s *server) answer(c *served, err error) {
	l := line{Conn: c.id, Do: openedVerb}
	if err != nil {
		l.fail(err)
	}
	_ = s.write(l) // when nobody is there any more the loop ends
}

// serve opens one connection and carries its bytes until either side or ctx ends it.
func (s *server) serve(ctx context.Context, c *served, address string, limit time.Duration) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c.id)
		s.mu.Unlock()
	}()
	to, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "tcp", address)
	s.answer(c, err)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = to.Close() })
	defer stop()
	s.wg.Go(func() {
		for {
			select {
			case data := <-c.data:
				if _, err := to.Write(data); err != nil {
					return // what it still has to say is read on
				}
				if s.write(line{Conn: c.id, Do: tookVerb}) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	defer func() { c.end(); _ = to.Close() }()
	_ = pump(ctx, to, c.took, func(data []byte) error {
		return s.write(line{Conn: c.id, Do: dataVerb, Data: data})
	})
	_ = s.write(line{Conn: c.id, Do: endVerb})
}

// pump sends what comes from a connection, each piece once the one before has been taken, and
// returns why it ended.
func pump(ctx context.Context, from io.Reader, took <-chan struct{}, send func([]byte) error) error {
	for buf := make([]byte, chunk); ; {
		n, err := from.Read(buf)
		if n > 0 {
			if err := send(buf[:n]); err != nil {
				return err
			}
			select {
			case <-took:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
}
