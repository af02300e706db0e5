package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"bulkhead/engine/agent"
)

// ErrEnded is agent.ErrEnded.
var ErrEnded = agent.ErrEnded

// Client talks to an agent that works on the files of one container. Its methods may be called from
// any goroutine; they are carried out one after the other. A call whose ctx ends before its answer
// is there ends the agent.
type Client struct {
	stream   io.ReadWriteCloser
	greeting chan reply
	ended    chan struct{} // closed when the agent's output has ended
	wg       sync.WaitGroup

	turn chan struct{} // capacity 1: held by the call that is under way
	seq  uint64        // of that call

	writing sync.Mutex
	answers chan reply
}

// Dial waits for the greeting of an agent, whose input and output is stream. Close the Client when
// done with it; after an error stream is closed.
func Dial(ctx context.Context, stream io.ReadWriteCloser) (*Client, error) {
	c := &Client{stream: stream, greeting: make(chan reply, 1), ended: make(chan struct{}),
		turn: make(chan struct{}, 1), answers: make(chan reply, 1)}
	c.wg.Go(c.read)
	c.wg.Go(func() { agent.KeepBeating(c.ended, func() error { return c.write(request{}, nil) }) })
	h, err := agent.Greeting(ctx, c.greeting, c.ended)
	if err == nil {
		err = h.err()
	}
	if err == nil {
		err = (&agent.Reply{Version: h.Version}).Check()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the agent.
func (c *Client) Close() {
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

func (c *Client) read() {
	defer close(c.ended)
	for d := json.NewDecoder(c.stream); ; {
		var a reply
		if d.Decode(&a) != nil {
			return
		}
		to := c.answers
		if a.Version != 0 {
			to = c.greeting
		} else if a.Seq == 0 {
			continue // a heartbeat
		}
		select {
		case to <- a:
		default: // nobody has asked so much: what is left is of calls that were given up
		}
	}
}

func (c *Client) write(q request, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := writeRequest(c.stream, q, data); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return nil
}

// call has one request at a time carried out: send writes it, with the number that it is given.
func (c *Client) call(ctx context.Context, send func(seq uint64) error) (reply, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
	// Nothing else ends a write to an agent that does not read.
	stop := context.AfterFunc(ctx, func() { _ = c.stream.Close() })
	defer stop()
	c.seq++
	if err := send(c.seq); err != nil {
		return reply{}, firstErr(ctx.Err(), err)
	}
	a, err := c.answer(ctx)
	if err != nil {
		return a, err
	}
	return a, a.err()
}

// answer waits for the answer to the call that is under way.
func (c *Client) answer(ctx context.Context) (reply, error) {
	for {
		select {
		case a := <-c.answers:
			if a.Seq == c.seq {
				return a, nil
			}
		case <-c.ended:
			select {
			case a := <-c.answers: // the last thing it said
				if a.Seq == c.seq {
					return a, nil
				}
			default:
			}
			return reply{}, firstErr(ctx.Err(), ErrEnded)
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
}

func firstErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// chunk is how much of a tar stream travels with one request.
const chunk = 256 << 10

// Unpack is what the function Unpack does, in the agent. It reads r no further than it has to when
// that does not work.
func (c *Client) Unpack(ctx context.Context, below string, r io.Reader, replace bool) error {
	_, err := c.call(ctx, func(seq uint64) error {
		if err := c.write(request{Seq: seq, Do: unpackVerb, Below: below, Replace: replace}, nil); err != nil {
			return err
		}
		for buf := make([]byte, chunk); ; {
			n, rerr := io.ReadFull(r, buf)
			if n > 0 {
				if err := c.write(request{Seq: seq, Do: dataVerb}, buf[:n]); err != nil {
					return err
				}
			}
			switch {
			case errors.Is(rerr, io.EOF), errors.Is(rerr, io.ErrUnexpectedEOF):
				return c.write(request{Seq: seq, Do: endVerb}, nil)
			case rerr != nil:
				if err := c.write(request{Seq: seq, Do: breakVerb}, nil); err != nil {
					return err
				}
				if _, err := c.answer(ctx); err != nil {
					return err
				}
				return rerr
			}
			select {
			case a := <-c.answers: // before its end: it does not work
				c.answers <- a
				return nil
			default:
			}
		}
	})
	return err
}

// Delete is what the function Delete does, in the agent.
func (c *Client) Delete(ctx context.Context, below string, names []string) error {
	return c.paths(ctx, names, func(some []string) error {
		_, err := c.call(ctx, func(seq uint64) error {
			return c.write(request{Seq: seq, Do: deleteVerb, Below: below}, joinPaths(some))
		})
		return err
	})
}

// Stat is what the function Stat does, in the agent.
func (c *Client) Stat(ctx context.Context, paths []string) (map[string]Entry, error) {
	all := make(map[string]Entry, len(paths))
	err := c.paths(ctx, paths, func(some []string) error {
		a, err := c.call(ctx, func(seq uint64) error {
			return c.write(request{Seq: seq, Do: statVerb}, joinPaths(some))
		})
		if err == nil && len(a.Entries) != len(some) {
			err = fmt.Errorf("the agent answered %d of %d questions", len(a.Entries), len(some))
		}
		if err != nil {
			return err
		}
		for i, e := range a.Entries {
			if e.There {
				all[some[i]] = e.entry()
			}
		}
		return nil
	})
	return all, err
}

// paths calls f with as many paths as may follow one request.
func (c *Client) paths(ctx context.Context, all []string, f func(some []string) error) error {
	for len(all) > 0 {
		n, size := 0, 0
		for n < len(all) && (n == 0 || size+len(all[n]) < maxData) {
			size += len(all[n]) + 1
			n++
		}
		if err := f(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// Owner is what the function Owner does, in the agent.
func (c *Client) Owner(ctx context.Context, name string) (uid, gid int, err error) {
	a, err := c.call(ctx, func(seq uint64) error {
		return c.write(request{Seq: seq, Do: ownerVerb}, []byte(name))
	})
	return a.UID, a.GID, err
}

// err is the error that a reply carries.
func (a *reply) err() error {
	switch {
	case len(a.Failed) > 0:
		some := &NotWritten{Files: map[string]error{}}
		for _, f := range a.Failed {
			some.Files[string(f.Path)] = errors.New(f.Why)
		}
		return some
	case a.Error == "":
		return nil
	case a.Kind == folderKind:
		return &FolderInWay{Path: string(a.Path)}
	case a.Kind == readOnlyKind:
		return fmt.Errorf("%w: %s", ErrReadOnly, a.Error)
	case a.Kind == noAccessKind:
		return fmt.Errorf("%w: %s", ErrNoAccess, a.Error)
	}
	return errors.New(a.Error)
}
