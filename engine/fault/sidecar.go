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

// applyLimit is how long the agent may take for a change of its rules.
const applyLimit = 20 * time.Second

// sidecar is one agent that runs, and the rules that it has.
type sidecar struct {
	stream   io.ReadWriteCloser
	greeting chan agent.Reply
	missing  map[agent.Ability]string // by its greeting
	answered chan struct{}            // closed at every answer and at the end, and replaced
	ended    chan struct{}            // closed when its output has ended
	wg       sync.WaitGroup

	writing sync.Mutex
	out     *agent.Writer

	mu    sync.Mutex
	rules []agent.Rule // in force
	seq   uint64
	last  agent.Reply // the latest answer to Apply
	err   error       // why its output has ended
}

// startSidecar runs an agent and waits for its greeting. tell is called with what it counts, and
// gone when it has ended by itself.
func startSidecar(
	ctx context.Context, rt *container.Complete, spec container.AgentSpec, tell func(*agent.Reply), gone func(),
) (*sidecar, error) {
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
	s := &sidecar{
		stream: stream, out: agent.NewWriter(stream), greeting: make(chan agent.Reply, 1),
		answered: make(chan struct{}), ended: make(chan struct{}),
	}
	s.wg.Go(func() { s.read(tell); gone() })
	s.wg.Go(func() { agent.KeepBeating(s.ended, func() error { return s.write(agent.Command{}) }) })
	greeting, err := agent.Greeting(ctx, s.greeting, s.ended)
	if errors.Is(err, agent.ErrEnded) {
		err = s.ending()
	} else if err == nil {
		err = greeting.Check()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.missing = greeting.Missing
	return s, nil
}

func (s *sidecar) read(tell func(*agent.Reply)) {
	defer close(s.ended)
	for r := agent.NewReader(s.stream); ; {
		var reply agent.Reply
		err := r.Read(&reply)
		if err == nil && reply.Version != 0 {
			select {
			case s.greeting <- reply:
			default: // it greets once
			}
			continue
		}
		if len(reply.Counts) > 0 && err == nil {
			tell(&reply) // before who waits for the answer looks
		}
		if err != nil || reply.Seq != 0 {
			s.answer(reply, err)
		}
		if err != nil {
			return
		}
	}
}

// answer notes an answer to Apply, or why none comes any more.
func (s *sidecar) answer(reply agent.Reply, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err == nil {
		s.last = reply // what was answered before the end counts
	}
	close(s.answered)
	s.answered = make(chan struct{})
}

func (s *sidecar) write(c agent.Command) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.out.Write(c)
}

// apply puts rules in force in the place of those that the agent has.
func (s *sidecar) apply(ctx context.Context, rules []agent.Rule) error {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.mu.Unlock()
	err := s.write(agent.Command{Seq: seq, Apply: true, Rules: rules})
	for err == nil {
		s.mu.Lock()
		last, ended, answered := s.last, s.err, s.answered
		if last.Seq == seq && last.Error == "" {
			s.rules = rules
		}
		s.mu.Unlock()
		switch {
		case last.Seq == seq && last.Error != "":
			return errors.New(last.Error)
		case last.Seq == seq:
			return nil
		case ended != nil:
			return s.ending()
		}
		select {
		case <-answered:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return fmt.Errorf("the agent: %w", err)
}

// ending is why the agent's output has ended: what it said last, where that is known.
func (s *sidecar) ending() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || errors.Is(s.err, io.EOF) {
		return agent.ErrEnded
	}
	return fmt.Errorf("the agent: %w", s.err)
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
