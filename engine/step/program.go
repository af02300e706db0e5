package step

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/engine/container"
)

// RestartProgram restarts the program of a replica's container alone, with the hooks of a restart;
// ok is false, with nothing done, when it was not made for that or does not run.
func (r *Runner) RestartProgram(
	ctx context.Context, s Service, replica int, in container.Instance, m Mode, cause string, timer Timer,
) (how Stop, note string, ok bool, err error) {
	if !in.Program || in.State != container.StateRunning {
		return StopNone, "", false, nil
	}
	release, err := r.acquire(ctx)
	if err != nil {
		return StopNone, "", false, err
	}
	grace := m.graceOf(s, in)
	r.host.ExpectEnd(s.name(), in.ID, cause)
	r.host.Stopping(s.name(), in.ID, grace, "")
	r.preStop(ctx, s, in.ID)
	if len(s.Conf.Config.PostStart) > 0 {
		r.journal.SetUnhooked(in.ID, true)
	}
	began := time.Now()
	var end container.ProgramEnd
	err = r.rt.RestartProgram(ctx, in.ID, grace, func(e container.ProgramEnd) {
		end = e
		r.host.ProgramEnded(s.name(), in.ID, end, cause)
	})
	release()
	if err != nil {
		r.host.StopFailed(s.name(), in.ID)
		if errors.Is(err, container.ErrUnsupported) {
			return StopNone, "", false, nil
		}
		return StopNone, "", true, container.WrapErr(err, "restart %s", s.name())
	}
	took := time.Since(began)
	since := func(stage string, d time.Duration) {
		if timer != nil {
			timer.Add(stage, d)
		}
	}
	since("stop", min(end.Took, took))
	since("start", max(0, took-end.Took))
	r.host.ExpectStart(s.name(), in.ID, cause)
	now, err := r.rt.Inspect(ctx, in.ID)
	if err != nil {
		return StopNone, "", true, container.WrapErr(err, "restart %s", s.name())
	}
	r.host.Adopt(s.name(), replica, now, cause)
	how = StopSignal
	if end.Killed {
		how, note = StopLate,
			fmt.Sprintf("killed after %s: the stop signal did not end it; give it longer with stop_grace_period", container.Brief(grace))
		if m.Grace != nil || s.Conf.Config.StopGracePeriod != nil {
			note = fmt.Sprintf("killed after its grace of %s", container.Brief(grace))
		}
	}
	return how, note, true, r.PostStart(ctx, s, in.ID)
}
