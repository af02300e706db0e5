package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	moby "github.com/moby/moby/api/types/container"

	"bulkhead/engine/container"
)

// helpers are agents beside running containers, one for each, of one profile. An agent runs until the
// container ends, nobody has needed it for idle, or the Runtime is closed. C is what talks to it.
type helpers[C interface {
	Ended() bool
	Close()
}] struct {
	conn    *connection
	runner  *agentRunner
	profile container.AgentProfile
	verb    string // the agent's first argument
	program func(arch string) ([]byte, error)
	idle    time.Duration
	instead string // what is done without it, for the log
	dial    func(context.Context, io.ReadWriteCloser) (C, error)

	mu     sync.Mutex
	agents map[string]*helper[C] // by container id
	closed bool
}

const (
	// agentAgain is how long an agent that could not be started is not tried again.
	agentAgain = time.Minute
	agentStart = 30 * time.Second
)

// helper is an agent that is being started, runs, or could not be started.
type helper[C interface {
	Ended() bool
	Close()
}] struct {
	pid    int           // of the container's process 1
	ready  chan struct{} // closed when it is known which
	client C
	err    error
	until  time.Time // of err: before that it is not tried again
	users  int       // calls under way
	idle   *time.Timer
}

// running returns the agent beside a container, nil when there is none: while it runs so does the
// container, and nobody need ask the engine. Call release when done.
func (x *helpers[C]) running(id string) *helper[C] {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.agents[id]
	if a == nil || a.useless(a.pid) {
		return nil
	}
	select {
	case <-a.ready:
	default:
		return nil
	}
	if a.err != nil {
		return nil
	}
	a.use()
	return a
}

// use keeps an agent from being idle. Callers hold the lock of helpers.
func (a *helper[C]) use() {
	a.users++
	if a.idle != nil {
		a.idle.Stop()
	}
}

// agent returns the agent beside a container, which is started if need be. Call release when done.
func (x *helpers[C]) agent(ctx context.Context, c moby.InspectResponse) (*helper[C], error) {
	x.mu.Lock()
	a := x.agents[c.ID]
	if a == nil || a.useless(c.State.Pid) {
		if x.closed {
			x.mu.Unlock()
			return nil, errors.New("its runtime is closed")
		}
		if a != nil {
			a.close()
		}
		a = &helper[C]{pid: c.State.Pid, ready: make(chan struct{})}
		x.agents[c.ID] = a
		// Others may wait for it, too: it does not end with who asked first.
		go x.start(context.WithoutCancel(ctx), c, a)
	}
	a.use()
	x.mu.Unlock()
	select {
	case <-a.ready:
	case <-ctx.Done():
		x.release(c.ID, a)
		return nil, ctx.Err()
	}
	if a.err != nil {
		x.release(c.ID, a)
		return nil, a.err
	}
	return a, nil
}

// useless says whether an agent cannot be used any more for a container with that process.
func (a *helper[C]) useless(pid int) bool {
	select {
	case <-a.ready:
	default:
		return false
	}
	switch {
	case a.pid != pid:
		return true
	case a.err != nil:
		return time.Now().After(a.until)
	}
	return a.client.Ended()
}

// close ends an agent once it is known whether it runs.
func (a *helper[C]) close() {
	<-a.ready
	if a.err == nil {
		a.client.Close()
	}
}

// start starts an agent.
func (x *helpers[C]) start(ctx context.Context, c moby.InspectResponse, a *helper[C]) {
	ctx, cancel := context.WithTimeout(ctx, agentStart)
	defer cancel()
	err := container.Guard("agent", func() (err error) { a.client, err = x.run(ctx, c); return err })
	if err != nil {
		if x.conn.opt.Log != nil {
			x.conn.opt.Log(fmt.Sprintf("the agent beside %s: %v; %s", container.ShortID(c.ID), err, x.instead))
		}
		a.err, a.until = err, time.Now().Add(agentAgain)
	}
	close(a.ready)
}

// run runs an agent and waits for its greeting.
func (x *helpers[C]) run(ctx context.Context, c moby.InspectResponse) (none C, _ error) {
	info, err := x.conn.Info(ctx)
	if err != nil {
		return none, err
	}
	program, err := x.program(info.Arch)
	if err != nil {
		return none, err
	}
	spec := container.AgentSpec{Target: c.ID, Profile: x.profile, Program: program, Args: []string{x.verb}}
	if c.Config != nil {
		spec.Project, spec.Service = c.Config.Labels[labelProject], c.Config.Labels[labelService]
	}
	stream, err := x.runner.RunAgent(ctx, spec)
	if err != nil {
		return none, err
	}
	return x.dial(ctx, stream)
}

// release hands an agent back, which ends when nobody needs it for a while.
func (x *helpers[C]) release(id string, a *helper[C]) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a.users--; a.users > 0 {
		return
	}
	a.idle = time.AfterFunc(x.idle, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if a.users == 0 && x.agents[id] == a {
			delete(x.agents, id)
			a.close()
		}
	})
}

// close ends all agents.
func (x *helpers[C]) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	for id, a := range x.agents {
		if a.idle != nil {
			a.idle.Stop()
		}
		a.close()
		delete(x.agents, id)
	}
}
