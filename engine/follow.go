package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/engine/logs"
)

// followLogs keeps one container's lines coming, over all its lives, until the container is replaced or gone. The first life that
// began under our eyes is read from its first line; of a container that ran before, the tail is read.
func (e *Engine) followLogs(ctx context.Context, s *service, r *replica, id string) error {
	last, same := time.Time{}, 0 // time of the newest line, and how many lines bear it
	followed := time.Time{}      // start of the life that was read last
	tail := -1
	for first := true; ; first = false {
		var in Instance
		var gen int
		err := e.await(ctx, func() (bool, error) {
			in, gen = r.inst, r.generation
			if in.ID != id {
				return true, nil
			}
			return !in.Started.IsZero() && in.State != StateCreated && (!in.Started.Equal(followed) || in.State == StateRunning || in.State == StatePaused), nil
		})
		if err != nil || in.ID != id {
			return nil
		}
		if first && in.Started.Before(e.began) {
			tail = e.opts.LogTail
		}
		followed = in.Started
		skip := same
		o := LogOptions{Since: last, Tail: tail, Follow: true}
		err = e.rt.Logs(ctx, id, o, func(stream logs.Stream, t time.Time, line []byte) {
			switch {
			case t.Equal(last) && skip > 0:
				// A stream that was cut is read again from the newest time on: these lines are there already.
				skip--
				return
			case t.Equal(last):
				same++
			case t.After(last):
				last, same, skip = t, 1, 0
			}
			e.opts.Logs.Append(s.name, r.number, gen, stream, t, line)
			e.bell.ring()
		})
		tail = -1
		if ctx.Err() != nil {
			e.endOfLife(s, r, gen, in)
			return nil
		}
		if errors.Is(err, ErrUnsupported) {
			e.warn(fmt.Sprintf("%s: its logging driver %s cannot be read; its lines are shown from now on, and those before a reconnection are lost", s.name, in.LogDriver))
			err = e.rt.Attach(ctx, id, nil, func(stream logs.Stream, t time.Time, line []byte) {
				e.opts.Logs.Append(s.name, r.number, gen, stream, t, line)
				e.bell.ring()
			})
			if ctx.Err() != nil {
				return nil
			}
		}
		// The stream ends with the life. The state may hear of that a little later than we do.
		ended, cancel := context.WithTimeout(ctx, 2*time.Second)
		gone := e.await(ended, func() (bool, error) {
			return r.inst.ID != id || !r.inst.Started.Equal(in.Started) || r.inst.State != StateRunning && r.inst.State != StatePaused && r.inst.State != StateStopping, nil
		})
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case gone == nil:
			e.endOfLife(s, r, gen, in)
		case err != nil:
			e.notice("logs", fmt.Sprintf("%s: its log was cut and is read on: %s", s.name, firstLine(err)))
		}
	}
}

// endOfLife writes the separator behind a generation: how it ended, why, and how long it was up.
func (e *Engine) endOfLife(s *service, r *replica, gen int, life Instance) {
	e.mu.Lock()
	in, cause := r.inst, r.cause
	over := r.generation
	e.mu.Unlock()
	text := fmt.Sprintf("gen %d ended", gen)
	at := time.Now()
	switch {
	case in.ID != life.ID:
		text = fmt.Sprintf("gen %d was replaced by gen %d", gen, over)
	case in.State == StateExited || in.State == StateRestarting:
		text += fmt.Sprintf(": exit code %d", in.ExitCode)
		if in.ExitCode > 128 && in.ExitCode < 128+65 {
			text += " (signal " + signalName(in.ExitCode-128) + ")"
		}
		if !in.Finished.IsZero() {
			at = in.Finished
		}
	case !in.Started.Equal(life.Started):
		text += ", and began again"
	default:
		return // still the same life: the engine stops following, the container does not
	}
	if cause != "" {
		text += ", " + cause
	}
	text += ", was up " + brief(at.Sub(life.Started))
	e.opts.Logs.Separator(s.name, r.number, gen, at, text)
	e.bell.ring()
}

// signalName names the signals that end processes in practice; others stay numbers.
func signalName(n int) string {
	switch n {
	case 1:
		return "SIGHUP"
	case 2:
		return "SIGINT"
	case 3:
		return "SIGQUIT"
	case 6:
		return "SIGABRT"
	case 7:
		return "SIGBUS"
	case 8:
		return "SIGFPE"
	case 9:
		return "SIGKILL"
	case 11:
		return "SIGSEGV"
	case 13:
		return "SIGPIPE"
	case 15:
		return "SIGTERM"
	}
	return fmt.Sprint(n)
}

// lineWriter gives a writer whose lines stand in the service's log as System lines.
func (e *Engine) lineWriter(s *service, id string) *output {
	e.mu.Lock()
	n, gen := 1, 0
	if r := s.byID(id); r != nil {
		n, gen = r.number, r.generation
	}
	e.mu.Unlock()
	return &output{emit: func(line []byte) {
		e.opts.Logs.Append(s.name, n, gen, logs.System, time.Now(), line)
		e.bell.ring()
	}}
}
