package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"bulkhead/engine/agent"
	"bulkhead/engine/container"
)

// applyLimit is how long the agent may take for its greeting, and for a change of its rules.
const applyLimit = 20 * time.Second

// sidecar is one agent that runs, and the rules that it has.
type sidecar struct {
	stream io.ReadWriteCloser
	said   chan struct{} // closed at every reply, and replaced
	ended  chan struct{} // closed when its output has ended
	wg     sync.WaitGroup

	writing sync.Mutex
	out     *agent.Writer

	mu    sync.Mutex
	rules []agent.Rule // in force
	seq   uint64
	last  agent.Reply // the latest answer to Apply
	err   error       // why its output has ended
	hello *agent.Reply
}

// startSidecar runs an agent and waits for its greeting. tell is called with what it counts, and
// gone when it has ended by itself.
func startSidecar(ctx context.Context, rt *container.Complete, spec container.AgentSpec, tell func(*agent.Reply), gone func()) (*sidecar, error) {
	info, err := rt.Info(ctx)
	if err != nil {
		return nil, err
	}
	if spec.Program, err = agent.Program(info.Arch); err != nil {
		return nil, err
	}
	stream, err := rt.RunAgent(ctx, spec)
	if err != nil {
		return nil, err
	}
	s := &sidecar{stream: stream, out: agent.NewWriter(stream), said: make(chan struct{}), ended: make(chan struct{})}
	s.wg.Go(func() { s.read(tell); gone() })
	s.wg.Go(s.beat)
	err = s.await(ctx, func() bool { return s.hello != nil })
	if err == nil {
		err = s.hello.Check()
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("the agent: %w", err)
	}
	return s, nil
}

func (s *sidecar) read(tell func(*agent.Reply)) {
	defer close(s.ended)
	r := agent.NewReader(s.stream)
	for {
		var reply agent.Reply
		err := r.Read(&reply)
		s.mu.Lock()
		switch {
		case err != nil:
			s.err = err
		case reply.Version != 0:
			s.hello = &reply
		case reply.Seq != 0:
			s.last = reply
		}
		close(s.said)
		s.said = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
		if len(reply.Counts) > 0 {
			tell(&reply)
		}
	}
}

// beat lets the agent know that we are there.
func (s *sidecar) beat() {
	tick := time.NewTicker(agent.Beat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ended:
			return
		}
		if s.write(agent.Command{}) != nil {
			return // its output ends, too
		}
	}
}

func (s *sidecar) write(c agent.Command) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.out.Write(c)
}

// await waits for a reply of the agent that is looked for; done is called with mu held.
func (s *sidecar) await(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	for {
		s.mu.Lock()
		ok, err, said := done(), s.err, s.said
		s.mu.Unlock()
		switch {
		case ok:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it ended")
		case err != nil:
			return err
		}
		select {
		case <-said:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply puts rules in force in the place of those that the agent has.
func (s *sidecar) apply(ctx context.Context, rules []agent.Rule) error {
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.mu.Unlock()
	if err := s.write(agent.Command{Seq: seq, Apply: true, Rules: rules}); err != nil {
		return fmt.Errorf("the agent: %w", err)
	}
	if err := s.await(ctx, func() bool { return s.last.Seq == seq }); err != nil {
		return fmt.Errorf("the agent: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.Error != "" {
		return errors.New(s.last.Error)
	}
	s.rules = rules
	return nil
}

// alive says whether it still runs.
func (s *sidecar) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// close ends the agent's input: it undoes what it did, and ends.
func (s *sidecar) close() {
	_ = s.stream.Close() // it ends all the same: nothing is heard of us any more
	s.wg.Wait()
}
