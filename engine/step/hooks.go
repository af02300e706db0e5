package step

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

const (
	hookTail  = 20 // lines of a hook's output that a HookError keeps
	hookShown = 5  // of them in the error's text

	// preStopTime is how long pre_stop hooks may take, so that one that never ends leaves the stop,
	// which has Critical in all, its time.
	preStopTime = Critical - 30*time.Second
)

// HookError is a pre_start, post_start or pre_stop hook that did not succeed.
type HookError struct {
	Service string
	Which   string // "pre_start", "post_start" or "pre_stop"
	Command []string
	Code    int      // its exit code; 0 when it could not be run
	Tail    []string // the last 20 lines of its output, raw
	Err     error    // why it could not be run; nil when it ran
}

// Error returns one line, with the last lines of the hook's output.
func (h *HookError) Error() string {
	if h.Err != nil {
		return container.WrapErr(h.Err, "%s hook of %s", h.Which, h.Service).Error()
	}
	text := fmt.Sprintf("%s hook of %s: %q exited with %d", h.Which, h.Service, h.Command, h.Code)
	if len(h.Tail) > 0 {
		text += ": " + strings.Join(h.Tail[max(0, len(h.Tail)-hookShown):], " | ")
	}
	return text
}

func (h *HookError) Unwrap() error { return h.Err }

// OnlyHooks says whether all that an error holds are pre_stop hooks that did not succeed: their
// stop was carried out all the same.
func OnlyHooks(err error) bool {
	if err == nil {
		return false
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			if !OnlyHooks(e) {
				return false
			}
		}
		return true
	}
	var h *HookError
	return errors.As(err, &h) && h.Which == "pre_stop"
}

// RunHooks runs hooks in a container one after the other, up to the first that does not succeed.
// emit gets each line of their output.
func RunHooks(
	ctx context.Context, rt container.Runtime, service, id, which string, hooks []types.ServiceHook,
	emit func(line []byte),
) error {
	for _, h := range hooks {
		failed := &HookError{Service: service, Which: which, Command: h.Command}
		var mu sync.Mutex
		out := logs.NewLineWriter(func(line []byte) {
			mu.Lock()
			defer mu.Unlock()
			failed.Tail = append(failed.Tail[max(0, len(failed.Tail)-hookTail+1):], string(line))
			emit(line)
		})
		failed.Code, failed.Err = rt.Exec(ctx, id, container.ExecOptions{Cmd: h.Command, User: h.User,
			Dir: h.WorkingDir, Privileged: h.Privileged,
			Env: Environ(h.Environment), Stdout: out, Stderr: out})
		out.Flush()
		if failed.Err != nil || failed.Code != 0 {
			mu.Lock() // a stream that ends late may still write
			defer mu.Unlock()
			failed.Tail = append([]string(nil), failed.Tail...)
			return failed
		}
	}
	return nil
}

// Environ returns a mapping as KEY=value lines; a key without a value is taken out.
func Environ(m types.MappingWithEquals) []string {
	var out []string
	for k, v := range m {
		if v == nil {
			out = append(out, k)
		} else {
			out = append(out, k+"="+*v)
		}
	}
	return out
}

// PostStart runs a service's post_start hooks. Until all have succeeded the replica is not ready
// and does not count as started; what is owed is kept in the journal, so that the next up runs them
// again.
func (r *Runner) PostStart(ctx context.Context, s Service, id string) error {
	hooks := s.Conf.Config.PostStart
	if len(hooks) == 0 {
		return nil
	}
	// A hook may take as long as it takes: only the end of the task ends it.
	if task, ok := ctx.Value(taskKey{}).(context.Context); ok {
		ctx = task
	}
	if err := RunHooks(ctx, r.rt, s.name(), id, "post_start", hooks, r.host.Output(s.name(), id)); err != nil {
		if ctx.Err() != nil {
			return nil // somebody wants the service stopped; the next up runs the hooks again
		}
		return err
	}
	r.journal.SetUnhooked(id, false)
	r.host.HooksDone(s.name(), id)
	return nil
}

// preStop runs a service's pre_stop hooks. One that fails holds no stop up: the task that stops returns it in the end.
func (r *Runner) preStop(ctx context.Context, s Service, id string) {
	hooks := s.Conf.Config.PreStop
	if len(hooks) == 0 {
		return
	}
	if err := RunPreStop(ctx, r.rt, s.name(), id, hooks, r.host.Output(s.name(), id)); err != nil {
		r.host.HookFailed(s.name(), err)
	}
}

// RunPreStop is RunHooks for the hooks before a stop, which have 90 seconds together: what they are
// not done with by then is left, so that the stop comes.
func RunPreStop(
	ctx context.Context, rt container.Runtime, service, id string, hooks []types.ServiceHook,
	emit func(line []byte),
) error {
	limited, cancel := context.WithTimeout(ctx, preStopTime)
	defer cancel()
	err := RunHooks(limited, rt, service, id, "pre_stop", hooks, emit)
	var h *HookError
	if errors.As(err, &h) && h.Err != nil && limited.Err() != nil && ctx.Err() == nil {
		h.Err = fmt.Errorf("%q had not ended after %s, and the stop went on without it", h.Command,
			container.Brief(preStopTime))
	}
	return err
}
