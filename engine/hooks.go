package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

const (
	hookTail  = 20 // lines of a hook's output that a HookError keeps
	hookShown = 5  // of them in the error's text

	// hookTime is how long a pre_stop hook may take, so that one that never ends leaves the stop, which has critical in all, its time.
	hookTime = critical - 30*time.Second
)

// HookError is a post_start or pre_stop hook that did not succeed.
type HookError struct {
	Service string
	Which   string // "post_start" or "pre_stop"
	Command []string
	Code    int      // its exit code; 0 when it could not be run
	Tail    []string // the last 20 lines of its output, raw
	Err     error    // why it could not be run; nil when it ran
}

// Error returns one line, with the last lines of the hook's output.
func (h *HookError) Error() string {
	if h.Err != nil {
		return say(h.Err, "%s hook of %s", h.Which, h.Service).Error()
	}
	text := fmt.Sprintf("%s hook of %s: %q exited with %d", h.Which, h.Service, h.Command, h.Code)
	if len(h.Tail) > 0 {
		text += ": " + strings.Join(h.Tail[max(0, len(h.Tail)-hookShown):], " | ")
	}
	return text
}

func (h *HookError) Unwrap() error { return h.Err }

// OnlyHooks says whether all that an error holds are pre_stop hooks that did not succeed: their stop was carried out all the same.
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

// runHooks runs hooks in a container one after the other, up to the first that does not succeed. emit gets each line of their output.
func runHooks(ctx context.Context, rt Runtime, service, id, which string, hooks []types.ServiceHook, emit func(line []byte)) error {
	for _, h := range hooks {
		failed := &HookError{Service: service, Which: which, Command: h.Command}
		var mu sync.Mutex
		out := &output{emit: func(line []byte) {
			mu.Lock()
			defer mu.Unlock()
			failed.Tail = append(failed.Tail[max(0, len(failed.Tail)-hookTail+1):], string(line))
			emit(line)
		}}
		failed.Code, failed.Err = rt.Exec(ctx, id, ExecOptions{Cmd: h.Command, User: h.User, Dir: h.WorkingDir, Privileged: h.Privileged,
			Env: environ(h.Environment), Stdout: out, Stderr: out})
		out.flush()
		if failed.Err != nil || failed.Code != 0 {
			mu.Lock() // a stream that ends late may still write
			defer mu.Unlock()
			failed.Tail = append([]string(nil), failed.Tail...)
			return failed
		}
	}
	return nil
}

// postStart runs a service's post_start hooks. Until all have succeeded the replica is not ready and does not count as started; what is
// owed is kept in the state file, so that the next up runs them again.
func (e *Engine) postStart(ctx context.Context, s *service, id string) error {
	if len(s.conf.Config.PostStart) == 0 {
		return nil
	}
	if err := e.hooks(ctx, s, id, "post_start", s.conf.Config.PostStart); err != nil {
		return err
	}
	e.journal.SetUnhooked(id, false)
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := s.byID(id); r != nil && r.unhooked {
		r.unhooked = false
		e.settle(s)
		e.recordReplica(s, r, "post_start hooks done")
	}
	return nil
}

// preStop runs a service's pre_stop hooks. One that fails holds no stop up: the task that stops returns it in the end.
func (e *Engine) preStop(ctx context.Context, s *service, id string) {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	err := e.hooks(ctx, s, id, "pre_stop", s.conf.Config.PreStop)
	if err == nil {
		return
	}
	e.warn(firstLine(err))
	e.mu.Lock()
	defer e.mu.Unlock()
	s.hookErrs = append(s.hookErrs, err)
}

// hooks runs hooks with their output in the service's log.
func (e *Engine) hooks(ctx context.Context, s *service, id, which string, hooks []types.ServiceHook) error {
	if len(hooks) == 0 {
		return nil
	}
	out := e.lineWriter(s, id)
	return runHooks(ctx, e.rt, s.name, id, which, hooks, out.emit)
}
