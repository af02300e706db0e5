package lane

import (
	"context"
	"maps"
	"slices"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// walk is the steps of one service on their way. Containers are made before their dependencies are
// ready, so that only the start is left to wait for.
type walk struct {
	l       *worker
	t       *Task
	k       *state.Timing
	u       step.Service
	base    container.CreateSpec
	starts  map[int]func(context.Context) error // by replica
	swaps   map[int]func(context.Context) error
	noStart bool
	changed bool
	first   int // the lowest number of a replica
}

func (w *walk) spec(n int) container.CreateSpec {
	one := w.base
	one.Replica = n
	return one
}

// run carries out the steps. Having changed something, it may fail all the same.
func (w *walk) run(ctx context.Context, steps plan.Plan) (changed bool, err error) {
	for _, st := range steps {
		if st.Op != plan.Remove && st.Replica > 0 && (w.first == 0 || st.Replica < w.first) {
			w.first = st.Replica
		}
		err := w.mayMake(st.Op)
		if err == nil {
			err = w.begin(ctx, st)
		}
		if err != nil {
			return w.changed, err
		}
	}
	if err := w.restoreNames(ctx, steps); err != nil {
		return w.changed, err
	}
	if err = w.finish(ctx); err == nil {
		w.l.m.Files.SetUnapplied(false)
	}
	return w.changed, err
}

// mayMake is the error of an environment that a container would be made with.
func (w *walk) mayMake(op plan.Op) error {
	switch op {
	case plan.Create, plan.Recreate, plan.Overlap:
		return w.u.Conf.EnvErr
	}
	return nil
}

// begin does what needs nobody else, and notes what is left of a step.
func (w *walk) begin(ctx context.Context, st plan.Step) error {
	e, n, cause := w.l.p, st.Replica, w.t.Cause
	if st.Op != plan.Remove && st.Seen.ID != "" && w.l.m.Holds(st.Seen.ID) == 0 {
		// Of several containers for this number it is the one that stays.
		e.Follow(w.l.m, w.l.m.TakeSpare(st.Seen))
	}
	switch st.Op {
	case plan.Create:
		w.l.m.Lane.SetDoing("creating")
		var id string
		if err := w.k.Time("create", func() (err error) {
			id, err = e.Steps.Create(ctx, w.u, w.spec(n), cause)
			return err
		}); err != nil {
			return err
		}
		w.changed = true
		if w.noStart {
			return nil
		}
		w.starts[n] = func(ctx context.Context) error {
			return e.Steps.Start(ctx, w.u, w.spec(n), id, cause, w.k)
		}
	case plan.Recreate, plan.Overlap:
		if w.noStart {
			w.changed = true
			return e.Steps.Renew(ctx, w.u, st.Seen, w.spec(n), w.t.stopMode(), cause, w.k)
		}
		w.swaps[n] = func(ctx context.Context) error {
			return w.swap(ctx, st, cause+reasonSuffix(st.Reason))
		}
	case plan.Start:
		w.starts[n] = func(ctx context.Context) error {
			if err := e.Steps.CatchUpEarly(ctx, w.u, step.Target(w.u.Conf, st.Seen)); err != nil {
				return err
			}
			return e.Steps.Start(ctx, w.u, w.spec(n), st.Seen.ID, cause, w.k)
		}
	case plan.Restart:
		w.starts[n] = func(ctx context.Context) error {
			return w.restartJoined(ctx, w.spec(n), st.Seen, st.Reason)
		}
	case plan.Keep:
		if e.Journal.Unhooked(st.Seen.ID) && st.Seen.State == container.StateRunning {
			w.starts[n] = func(ctx context.Context) error { return e.Steps.PostStart(ctx, w.u, st.Seen.ID) }
		}
	case plan.Unpause:
		w.starts[n] = func(ctx context.Context) error { return e.Steps.Unpause(ctx, w.u, st.Seen.ID, cause) }
	case plan.Remove:
		if err := e.Steps.Remove(context.WithoutCancel(ctx), w.u, st.Seen, st.Reason, false); err != nil {
			return err
		}
		w.l.m.Spare.Drop(st.Seen.ID)
		w.changed = true
	}
	return nil
}

// finish waits for whom the service needs, and does what is left. Replicas are replaced one after
// the other, so that the others serve meanwhile; all else starts at once.
func (w *walk) finish(ctx context.Context) error {
	if len(w.starts)+len(w.swaps) == 0 {
		return nil
	}
	// A running service whose files changed is replaced whatever its dependencies are at.
	w.l.m.Lane.SetDoing("")
	if w.t.Verb != Batch && w.t.Verb != command.Rebuild || len(w.starts) > 0 {
		if err := w.l.waits().dependencies(ctx); err != nil {
			return err
		}
	}
	if err := w.l.waits().namespaces(ctx); err != nil {
		return err
	}
	if err := w.preStart(ctx); err != nil {
		return err
	}
	hold, cancel := step.Uncancelled(ctx, w.u.Conf, w.t.stopMode(), container.Instance{})
	defer cancel()
	w.changed = true
	if len(w.swaps) > 0 {
		w.l.m.Lane.SetDoing("replacing")
	} else {
		w.l.m.Lane.SetDoing("starting")
	}
	for _, n := range slices.Sorted(maps.Keys(w.swaps)) {
		if err := w.swaps[n](hold); err != nil {
			return err
		}
	}
	return atOnce(hold, "start of "+w.u.Conf.Name, slices.Collect(maps.Values(w.starts)))
}

// preStart runs the pre_start hooks before the first of a service's containers starts, and not
// beside one that runs. Those of a swap are the swap's.
func (w *walk) preStart(ctx context.Context) error {
	if len(w.starts) == 0 || len(w.u.Conf.Config.PreStart) == 0 {
		return nil
	}
	if err := w.u.Conf.EnvErr; err != nil {
		return err
	}
	first, id := slices.Min(slices.Collect(maps.Keys(w.starts))), ""
	for _, h := range w.l.m.Holders(0) {
		switch h.Instance.State {
		case container.StateRunning, container.StatePaused, container.StateStopping:
			return nil
		}
		if h.Number == first {
			id = h.Instance.ID
		}
	}
	if id == "" {
		return nil
	}
	return w.l.p.Steps.PreStart(ctx, w.u, w.spec(first), id)
}

// swap puts a new container in the place of one that is there. The old one is cleared away later.
func (w *walk) swap(ctx context.Context, st plan.Step, cause string) error {
	l, e, old := w.l, w.l.p, st.Seen
	move := "recreate"
	if l.conf.Built {
		move = "rebuild"
	}
	e.State.Ledgers.OpenMove(l.name, move)
	mode := w.t.stopMode()
	mode.Overlap, mode.PreStart = st.Op == plan.Overlap, st.Replica == w.first
	did, err := e.Steps.Swap(ctx, w.u, old, w.spec(st.Replica), mode, cause, w.k)
	w.k.Stopped(did.How, did.Note)
	if err != nil {
		return container.Naming(l.name, err)
	}
	l.restartDependents(l.name + " was recreated")
	if did.Left == "" {
		return nil
	}
	e.Go("old container of "+l.name, func(ctx context.Context) error {
		if err := e.Steps.ClearAway(ctx, l.name, did.Left); err != nil {
			e.State.Warn(container.FirstLine(err.Error())) // the next up finds it and tries again
			return nil
		}
		e.DropRecords(did.Left)
		e.Images.Clean(context.WithoutCancel(ctx)) // the images that nobody runs any more
		return nil
	})
	return nil
}

// restartJoined restarts a container in place whose namespaces began again without it.
func (w *walk) restartJoined(
	ctx context.Context, spec container.CreateSpec, in container.Instance, cause string,
) error {
	how, note, err := w.l.p.Steps.Restart(ctx, w.u, spec, in, step.Asked, cause, w.k)
	w.k.Stopped(how, note)
	return err
}

// restoreNames renames containers of swaps that were cut short to what they were to be called.
func (w *walk) restoreNames(ctx context.Context, steps plan.Plan) error {
	if w.u.Conf.Labelled {
		return nil // what it is to be called is in no file
	}
	for _, st := range steps {
		// a swap names what it makes
		if st.Seen.ID == "" || st.Op == plan.Remove || st.Op == plan.Recreate || st.Op == plan.Overlap {
			continue
		}
		if err := w.l.p.Steps.RestoreName(ctx, w.u, w.spec(st.Replica), st.Seen); err != nil {
			return err
		}
	}
	return nil
}

func reasonSuffix(reason string) string {
	if reason == "" || reason == "image changed" {
		return ""
	}
	return " (" + reason + ")"
}
