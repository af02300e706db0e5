package engine

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"

	"bulkhead/engine/filesync"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
)

// PrepareError is an x-bulkhead.prepare that did not succeed.
type PrepareError struct {
	Service string
	Command string
	Err     error // a *hostcmd.Error
}

func (p *PrepareError) Error() string { return "prepare " + p.Service + ": " + p.Err.Error() }

// Reason is why the command did not work, without which one it was.
func (p *PrepareError) Reason() string {
	var h *hostcmd.Error
	switch {
	case !errors.As(p.Err, &h):
		return p.Err.Error()
	case h.Place != "":
		return h.Place
	case len(h.Tail) > 0:
		return h.Tail[len(h.Tail)-1]
	}
	return h.Err.Error()
}

func (p *PrepareError) Unwrap() error { return p.Err }

// prepare runs a service's host command. Without force it does so only when what the command
// watches has changed since it last succeeded, or when something that the service's rules name is
// not there. When its inputs change while it runs, it is begun again.
func (l *lane) prepare(ctx context.Context, w *plan.Work, k *change, cause string, force bool) error {
	e, s := l.e, l.s
	p := s.conf.Extra.Prepare
	if p == nil {
		return nil
	}
	fingerprint := filesync.PrepareFingerprint(p)
	if !force && fingerprint == e.sync.Prepared(s.name) && allThere(s.conf) {
		return nil
	}
	select {
	case e.prepares <- struct{}{}:
		defer func() { <-e.prepares }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for times := 0; ; times++ {
		pctx, done := e.imaging(ctx, s, "preparing", times)
		err := timed(k, "prepare", func() error { return l.runPrepare(pctx, p, cause) })
		superseded := errors.Is(context.Cause(pctx), errSuperseded)
		done()
		if superseded && ctx.Err() == nil {
			e.mu.Lock()
			if newer := s.takeWork(); newer != nil {
				w.Merge(newer)
			}
			e.mu.Unlock()
			fingerprint = filesync.PrepareFingerprint(p)
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			e.sync.RecordPrepared(s.name, fingerprint)
		}
		return err
	}
}

// allThere says whether every path that the rules of the file name exists.
func allThere(conf *project.Service) bool {
	for _, r := range conf.Rules {
		if _, err := os.Stat(r.Path); err != nil && !r.Default {
			return false
		}
	}
	return true
}

// runPrepare runs the command once, with its output in the builds.
func (l *lane) runPrepare(ctx context.Context, p *project.Prepare, cause string) error {
	e, s := l.e, l.s
	if cause == "" {
		cause = "up"
	}
	b := e.openBuild(Build{Services: []string{s.name}, Kind: "prepare", Image: p.Run, Cause: cause})
	cmd := hostcmd.Command{Dir: e.dir, Shell: p.Run}
	for _, key := range slices.Sorted(maps.Keys(p.Env)) {
		cmd.Env = append(cmd.Env, key+"="+p.Env[key])
	}
	err := hostcmd.Run(ctx, cmd, func(line string) {
		e.mu.Lock()
		b.addLines([]string{line})
		e.bump()
		e.mu.Unlock()
	})
	canceled := context.Cause(ctx)
	if err != nil && canceled == nil {
		err = &PrepareError{Service: s.name, Command: p.Run, Err: err}
	}
	e.closeBuild(b, err, canceled)
	return err
}
