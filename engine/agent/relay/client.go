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

// ErrEnded is agent.ErrEnded.
var ErrEnded = agent.ErrEnded

// Client talks to an agent that opens connections. Its methods may be called from any goroutine.
type Client struct {
	stream   io.ReadWriteCloser
	greeting chan line
	ended    chan struct{} // closed when the agent's output has ended
	wg       sync.WaitGroup

	writing sync.Mutex
	out     *agent.Writer

	mu     sync.Mutex
	closed bool
	last   uint64 // number of a connection
	conns  map[uint64]*opened
}

// opened is a connection that is being opened, or open.
type opened struct {
	id     uint64
	answer chan line     // capacity 1: how the dial went
	data   chan []byte   // capacity 1: what was read there
	took   chan struct{} // capacity 1: what was sent is written there
	over   chan struct{} // closed when the other side has ended it
	once   sync.Once     // of over
}

// Dial waits for the greeting of an agent, whose input and output is stream. Close the Client when
// done with it; after an error stream is closed.
func Dial(ctx context.Context, stream io.ReadWriteCloser) (*Client, error) {
	c := &Client{
		stream: stream, greeting: make(chan line, 1), ended: make(chan struct{}),
		out: agent.NewWriter(stream), conns: map[uint64]*opened{},
	}
	c.wg.Go(c.read)
	c.wg.Go(func() { agent.KeepBeating(c.ended, func() error { return c.write(line{}) }) })
	h, err := agent.Greeting(ctx, c.greeting, c.ended)
	if err == nil {
		err = (&agent.Reply{Version: h.Version, Error: h.Error}).Check()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the agent, and with it all connections.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	_ = c.stream.Close() // the agent ends all the same: nothing is heard of us any more
	c.wg.Wait()
}

// Ended says whether the agent has ended.
func (c *Client) Ended() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *Client) write(l line) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.out.Write(l); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return nil
}

// read hands on what the agent says. It waits for no connection: none may hold up another.
func (c *Client) read() {
	defer close(c.ended)
	for r := agent.NewReader(c.stream); ; {
		var l line
		if r.Read(&l) != nil {
			return
		}
		if l.Version != 0 {
			offer(c.greeting, l)
			continue
		}
		c.mu.Lock()
		o := c.conns[l.Conn]
		c.mu.Unlock()
		if o == nil {
			continue // a heartbeat, or of one that was given up
		}
		switch l.Do {
		case openedVerb:
			offer(o.answer, l)
		case dataVerb:
			offer(o.data, l.Data)
		case tookVerb:
			offer(o.took, struct{}{})
		case endVerb:
			o.once.Do(func() { close(o.over) })
		}
	}
}

// offer sends where there is room: nobody has asked for more.
func offer[T any](to chan<- T, v T) {
	select {
	case to <- v:
	default:
	}
}

// DialContext opens a TCP connection to host:port in the agent's network. A refusal or a timeout
// there is the *net.OpError that it would be here. ctx is for the dial alone.
func (c *Client) DialContext(ctx context.Context, address string) (net.Conn, error) {
	o := &opened{
		answer: make(chan line, 1), data: make(chan []byte, 1),
		took: make(chan struct{}, 1), over: make(chan struct{}),
	}
	c.mu.Lock()
	c.last++
	o.id = c.last
	c.conns[o.id] = o
	c.mu.Unlock()
	dial := line{Conn: o.id, Do: dialVerb, Address: address}
	if end, ok := ctx.Deadline(); ok {
		dial.Limit = max(time.Until(end), time.Millisecond)
	}
	err := c.write(dial)
	if err == nil {
		select {
		case l := <-o.answer:
			err = l.err()
		case <-c.ended:
			err = ErrEnded
		case <-ctx.Done():
			_ = c.write(line{Conn: o.id, Do: endVerb}) // an agent that ended has no connection either
			err = ctx.Err()
		}
	}
	if err != nil {
		c.forget(o)
		return nil, err
	}
	// A pipe has the deadlines and the waiting of a connection.
	theirs, ours := net.Pipe()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed { // nobody waits for one that starts now
		delete(c.conns, o.id)
		return nil, ErrEnded
	}
	c.wg.Go(func() { c.carry(o, ours) })
	return theirs, nil
}

func (c *Client) forget(o *opened) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, o.id)
}

// carry carries the bytes of an open connection until either side or the agent ends it.
func (c *Client) carry(o *opened, ours net.Conn) {
	defer c.forget(o)
	ctx, cancel := context.WithCancel(context.Background())
	var sending sync.WaitGroup
	sending.Go(func() {
		defer cancel() // its user has closed it
		_ = pump(ctx, ours, o.took, func(data []byte) error {
			return c.write(line{Conn: o.id, Do: dataVerb, Data: data})
		})
	})
	c.wg.Go(func() { // a write to the pipe waits for its user, who may not read any more
		select {
		case <-c.ended:
		case <-ctx.Done():
		}
		_ = ours.Close()
	})
	defer sending.Wait()
	defer cancel()
	defer ours.Close()
	for {
		select {
		case data := <-o.data:
			if _, err := ours.Write(data); err != nil {
				_ = c.write(line{Conn: o.id, Do: endVerb}) // an agent that ended has no connection either
				return
			}
			if c.write(line{Conn: o.id, Do: tookVerb}) != nil {
				return
			}
		case <-o.over:
			select {
			case data := <-o.data: // came before its end
				_, _ = ours.Write(data) // its user has closed it, and needs no more
			default:
			}
			return
		case <-ctx.Done():
			_ = c.write(line{Conn: o.id, Do: endVerb}) // likewise
			return
		case <-c.ended:
			return
		}
	}
}
