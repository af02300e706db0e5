package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"bulkhead/engine/filesync"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// PrepareError is an x-bulkhead.prepare that ran and did not succeed.
type PrepareError struct {
	Service string
	Command string
	Tail    []string // last 20 lines of output, raw
	Err     error
}

// place finds "file:12" or "file:12:34" at the start of a compiler's line.
var place = regexp.MustCompile(`^\S*:\d+(:\d+)?:`)

// Error gives one line, with the first line of the output that names a place in a file, or else its last one.
func (p *PrepareError) Error() string {
	text := fmt.Sprintf("prepare %s: %v", p.Service, p.Err)
	if len(p.Tail) == 0 {
		return text
	}
	said := p.Tail[len(p.Tail)-1]
	if i := slices.IndexFunc(p.Tail, place.MatchString); i >= 0 {
		said = p.Tail[i]
	}
	return text + ": " + said
}

func (p *PrepareError) Unwrap() error { return p.Err }

// prepare runs a service's host command. Without force it does so only when what the command watches has changed since it last
// succeeded, or when something that the service's rules name is not there. When its inputs change while it runs, it is begun anew.
func (e *Engine) prepare(ctx context.Context, s *service, w *work, k *change, cause string, force bool) error {
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
		err := timed(k, "prepare", func() error { return e.runPrepare(pctx, s, p, cause) })
		superseded := errors.Is(context.Cause(pctx), errSuperseded)
		done()
		if superseded && ctx.Err() == nil {
			e.mu.Lock()
			if newer := s.takeWork(); newer != nil {
				w.merge(newer)
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
func (e *Engine) runPrepare(ctx context.Context, s *service, p *project.Prepare, cause string) error {
	if cause == "" {
		cause = "up"
	}
	b := e.openBuild(Build{Services: []string{s.name}, Kind: "prepare", Image: p.Run, Cause: cause})
	cmd := shell(ctx, p.Run)
	cmd.Dir = e.dir
	cmd.Env = os.Environ()
	for _, key := range slices.Sorted(maps.Keys(p.Env)) {
		cmd.Env = append(cmd.Env, key+"="+p.Env[key])
	}
	cmd.WaitDelay = 2 * time.Second
	out := logs.NewLineWriter(func(line []byte) {
		text := string(line)
		e.mu.Lock()
		b.addLines([]string{text})
		e.bump()
		e.mu.Unlock()
	})
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.Flush()
	canceled := context.Cause(ctx)
	if err != nil && canceled == nil {
		e.mu.Lock()
		tail := b.Lines[max(0, len(b.Lines)-20):]
		e.mu.Unlock()
		var notRun *exec.Error
		if errors.As(err, &notRun) {
			err = fmt.Errorf("it cannot be run: %w", err)
		}
		err = &PrepareError{Service: s.name, Command: p.Run, Tail: tail, Err: err}
	}
	e.closeBuild(b, err, canceled)
	return err
}
