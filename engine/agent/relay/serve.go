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

// Serve opens connections until its input ends, falls silent for agent.Silence, or ctx ends. Then it
// ends them all.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	s := &server{out: agent.NewWriter(out), conns: map[uint64]*served{}}
	if err := s.write(line{Version: agent.Version}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	r := agent.NewReader(in)
	return agent.Server[line]{
		Next: func() (l line, err error) {
			err = r.Read(&l)
			return l, err
		},
		Do: func(l line) error {
			s.take(ctx, l)
			return nil
		},
		Beat: func() error { return s.write(line{}) },
	}.Run(ctx)
}

func (s *server) write(l line) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.out.Write(l)
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
