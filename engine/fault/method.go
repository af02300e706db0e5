package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/engine/agent"
	"bulkhead/engine/container"
)

// method is how faults of a kind are injected and healed.
type method interface {
	// inject does it to the targets of an injection. Callers of all three hold Injector.working.
	inject(ctx context.Context, r *Injector, in *injection) error
	// heal undoes it, as far as inject got. What is gone needs no healing and is not an error.
	heal(ctx context.Context, r *Injector, in *injection) error
	// moved is called when somebody else stopped, started or replaced containers of the project
	// while the fault is in force. over says that it has ended by that.
	moved(ctx context.Context, r *Injector, in *injection, all []container.Instance) (over bool, err error)
}

// refuser is a method whose faults are not possible at every moment.
type refuser interface {
	// refuse says why a fault must not be injected now: healing it would undo what somebody else did.
	// all are the containers of the project, others the faults beside it, of other processes too.
	refuse(in *injection, all []container.Instance, others []entry) error
}

// Operation is what is done to the life of containers.
type Operation string

const (
	Kill    Operation = "kill"
	Stop    Operation = "stop"
	Pause   Operation = "pause"
	Unpause Operation = "unpause"
	Start   Operation = "start"
)

// Act is one operation on a service.
type Act struct {
	Operation Operation
	Service   string
	Replica   int    // 0: all
	Signal    string // of Kill
	Cause     string
}

// life is a fault that ends or freezes containers.
type life struct {
	begin, end Operation // end "": nothing to heal
	signal     string    // of Kill; "": the fault's own
}

// refuse implements refuser. What is paused already would be let go on when the fault is healed, and
// what another fault has put down or is about to would be brought back too early.
func (m life) refuse(in *injection, all []container.Instance, others []entry) error {
	if m.end == "" {
		return nil
	}
	what := "fault " + in.Fault.String()
	for _, e := range others {
		o, is := KindOf(e.Fault.Kind).life()
		if !is || o.end == "" || !e.Owner.Alive() {
			continue
		}
		if slices.ContainsFunc(e.Targets, func(t Target) bool {
			return slices.ContainsFunc(in.Targets, func(mine Target) bool { return mine.ID == t.ID })
		}) {
			return container.WithRemedy(container.Failed(what, "%s is in force there", e.Fault.Words()),
				"`bulkhead heal %s` ends it", in.Fault.Service)
		}
	}
	for _, i := range all {
		if in.targets(i) != nil && i.State == container.StatePaused {
			return container.WithRemedy(container.Failed(what, "%s is paused", i.Name),
				"`bulkhead unpause %s` lets it go on", in.Fault.Service)
		}
	}
	return nil
}

func (m life) inject(ctx context.Context, r *Injector, in *injection) error {
	signal := m.signal
	if signal == "" {
		signal = in.params.Signal
	}
	act := Act{Operation: m.begin, Service: in.Fault.Service, Replica: in.Fault.Replica,
		Signal: signal, Cause: in.Fault.Why}
	if err := r.act(ctx, act); err != nil {
		return err
	}
	down := m.end != "" && m.await(ctx, r, in)
	in.momentary = !down
	return nil
}

// await waits until the fault shows, which is over in a moment; a signal may well end nothing.
func (m life) await(ctx context.Context, r *Injector, in *injection) bool {
	for range 20 {
		all, err := r.rt.Instances(ctx, r.project)
		if err == nil && slices.ContainsFunc(all, func(i container.Instance) bool {
			return in.targets(i) != nil && m.down(i)
		}) {
			return true
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return true // healing looks for itself
		}
	}
	return false
}

func (m life) heal(ctx context.Context, r *Injector, in *injection) error {
	if m.end == "" {
		return nil
	}
	all, err := r.rt.Instances(ctx, r.project)
	if err != nil {
		return err
	}
	act := Act{Operation: m.end, Service: in.Fault.Service, Cause: "healed: " + in.Fault.Words()}
	var down []Target
	alone := true // nobody else has put down any of the service
	for _, i := range all {
		if t := in.targets(i); t != nil && m.down(i) {
			down = append(down, *t)
		} else if i.Service == in.Fault.Service && m.down(i) {
			alone = false
		}
	}
	if len(down) > 0 && alone {
		return r.act(ctx, act)
	}
	var errs []error
	for _, t := range down {
		act.Replica = t.Replica
		errs = append(errs, r.act(ctx, act))
	}
	return errors.Join(errs...)
}

// moved ends the fault with the life that it was in force in.
func (m life) moved(_ context.Context, _ *Injector, in *injection, all []container.Instance) (bool, error) {
	if m.end == "" {
		return false, nil
	}
	for _, i := range all {
		if in.targets(i) != nil && m.down(i) {
			return false, nil
		}
	}
	return true, nil
}

// life is how faults of a kind move the life of containers, if they do; of no kind they do not.
func (k *Kind) life() (life, bool) {
	if k == nil {
		return life{}, false
	}
	m, is := k.method.(life)
	return m, is
}

// down says whether a container is as the fault left it.
func (m life) down(i container.Instance) bool {
	if m.end == Unpause {
		return i.State == container.StatePaused
	}
	return i.State == container.StateExited || i.State == container.StateStopping
}

// crash is a fault that ends a container's program as a bug in it would. A signal by way of the
// engine may count as somebody's wish, which keeps the restart policy idle: so the agent does it
// from within, and the engine only where there is no agent.
type crash struct{ life }

func (m crash) inject(ctx context.Context, r *Injector, in *injection) error {
	if !r.rt.Caps.Agent || !agent.Built() {
		return m.life.inject(ctx, r, in)
	}
	in.momentary = true
	for _, t := range in.Targets {
		before, err := r.rt.Inspect(ctx, t.ID)
		if err != nil {
			return err
		}
		s, err := startSidecar(ctx, r.rt, container.AgentSpec{Project: r.project, Service: t.Service,
			Target:  t.ID,
			Profile: container.AgentFiles, Args: []string{"crash", in.params.Signal}},
			func(*agent.Reply) {}, func() {})
		if err == nil {
			s.close()
			continue
		}
		// All that runs in a process namespace ends with its first process, the agent too.
		after, ierr := r.rt.Inspect(ctx, t.ID)
		if ierr != nil || after.State == container.StateRunning && after.Started.Equal(before.Started) {
			return fmt.Errorf("%s: %w", t.Name, errors.Join(err, ierr))
		}
	}
	return nil
}
