package fault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"bulkhead/engine/container"
)

// Recover heals the faults of processes that ended without doing it, and with force those of
// running ones as well. held are those that belong to a running process and were left alone.
func (r *Injector) Recover(ctx context.Context, force bool) (held []Held, err error) {
	found, err := r.disk.read()
	errs := []error{err}
	r.working.Lock()
	defer r.working.Unlock()
	for _, e := range found {
		tap := e.Fault.Kind == tapKind.Name
		if r.has(e.Fault.ID) || tap && (e.Owner.Alive() || r.taps.owns(e.Fault.ID)) {
			continue // a tap is no fault, which would have to be healed
		}
		if tap {
			if err := r.net.sweep(ctx, r, &injection{entry: e}); err != nil {
				errs = append(errs, fmt.Errorf("end the tap which process %d left: %w", e.Owner.PID, err))
				continue
			}
			r.disk.remove(e.Fault.ID)
			continue
		}
		if !force && e.Owner.Alive() {
			held = append(held, Held{Fault: e.Fault, Owner: e.Owner, Until: e.Until})
			continue
		}
		in := &injection{entry: e, kind: KindOf(e.Fault.Kind), recovered: true, settled: closed}
		in.shown = Active{Fault: e.Fault, Began: e.Began, Until: e.Until}
		in.params, err = e.Fault.Params()
		if err == nil {
			err = in.kind.method.heal(ctx, r, in)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("heal %s, which process %d left: %w", e.Fault.String(),
				e.Owner.PID, err))
			continue
		}
		r.disk.remove(e.Fault.ID)
		r.host.Note(Note{What: Healed, Fault: in.shown})
	}
	return held, errors.Join(errs...)
}

// closed is the settled of what was not injected by this process.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Held is a fault that another running process keeps in force.
type Held struct {
	Fault Fault
	Owner Owner
	Until time.Time
}

// Left says whether there is a fault of a project on disk at all, of whichever engine: a look that
// costs the read of a folder. state is the base folder of all state.
func Left(state, project string) bool {
	if state == "" {
		return false
	}
	files, _ := filepath.Glob(filepath.Join(state, "*", project, "faults", "*.json")) // only of a bad pattern
	return len(files) > 0
}

// Ask has the processes that keep faults in force heal those with one of the services at an end
// (none: all), waits until they have, and notes each.
func (r *Injector) Ask(ctx context.Context, held []Held, services ...string) error {
	var asked []Held
	for _, h := range held {
		if !h.Fault.touches(services) {
			continue
		}
		if err := r.disk.ask(h.Fault.ID); err != nil {
			return &container.Error{What: "heal " + h.Fault.String(), Err: err}
		}
		asked = append(asked, h)
	}
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	for _, h := range asked {
		for r.disk.there(h.Fault.ID) {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return container.WithRemedy(container.Failed("heal "+h.Fault.String(),
					"process %d on %s keeps it in force and does not answer", h.Owner.PID, h.Owner.Host),
					"`bulkhead heal --force` heals it all the same")
			}
		}
		r.host.Note(Note{What: Healed, Fault: Active{Fault: h.Fault, Until: h.Until}})
	}
	return nil
}

// Host returns whom the Injector was made for.
func (r *Injector) Host() Host { return r.host }

func (r *Injector) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.all {
		if in.Fault.ID == id {
			return true
		}
	}
	return false
}

// OnNetwork says whether faults of a kind are done to the network of a container, which others may share.
func OnNetwork(kind string) bool {
	k := KindOf(kind)
	if k == nil {
		return false
	}
	_, is := k.method.(traffic)
	return is
}

// MovesLife says whether faults of a kind end, start or freeze containers.
func MovesLife(kind string) bool {
	_, is := KindOf(kind).life()
	return is
}
