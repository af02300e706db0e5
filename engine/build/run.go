package build

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"bulkhead/engine/container"
)

// frame is the shortest time between two progress calls to one caller: 20 a second.
const frame = 50 * time.Millisecond

// errSuperseded ends a run that a newer run of the same key replaces. Its callers
// wait for that one.
var errSuperseded = errors.New("superseded by a newer build")

// run is one build in flight and the callers that wait for it. It is guarded by Builder.mu, apart
// from rec, which has its own lock, and what is written before done is closed and read after.
type run struct {
	req     container.BuildRequest
	cancel  context.CancelCauseFunc
	rec     *recorder
	done    chan struct{}
	started time.Time

	callers int
	shared  bool     // more than one caller came
	stale   bool     // a caller gave up on it: the next caller starts another
	tags    []string // wanted by the callers, without repeats
	applied int      // how many of tags the image has, or will have when the solve under way ends

	digest  string
	notices []string
	took    time.Duration
	err     error
}

// Build implements container.Builder. Progress is reported at most 20 times a second.
//
// When ctx ends, Build returns container.ErrBuildCanceled at once, and the build
// itself is cancelled unless another caller still waits for it. Such a caller is
// moved to the next build of the same key, if one comes before the first is over:
// giving up on a build usually means that its inputs have changed.
func (b *Builder) Build(
	ctx context.Context, r container.BuildRequest, progress func(container.BuildProgress),
) (container.BuildResult, error) {
	if err := ctx.Err(); err != nil {
		return container.BuildResult{}, canceled(r, ctx)
	}
	for {
		x, err := b.join(r)
		if err != nil {
			return container.BuildResult{}, err
		}
		if !x.follow(ctx, progress) {
			b.leave(x)
			return container.BuildResult{}, canceled(r, ctx)
		}
		if errors.Is(x.err, errSuperseded) {
			continue
		}
		if x.err != nil {
			return container.BuildResult{}, nameService(x.err, r.Service)
		}
		res := container.BuildResult{Digest: x.digest, Image: x.digest, Took: x.took,
			Shared: x.shared, Steps: x.rec.snapshot().Steps, Notices: slices.Clone(x.notices)}
		if len(r.Tags) > 0 {
			res.Image = r.Tags[0]
		}
		return res, nil
	}
}

// Close cancels all builds, waits for their end and closes the connection to the
// engine. Builds that are waited for return container.ErrBuilderClosed.
func (b *Builder) Close() error {
	b.mu.Lock()
	b.closed = true
	for _, x := range b.runs {
		x.cancel(container.ErrBuilderClosed)
	}
	b.mu.Unlock()
	b.wg.Wait()

	b.mu.Lock()
	bk := b.bk
	b.bk = nil
	b.mu.Unlock()
	if bk == nil {
		return nil
	}
	return bk.Close()
}

// join finds the run that a request belongs to, or starts it.
func (b *Builder) join(r container.BuildRequest) (*run, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, container.ErrBuilderClosed
	}
	prev := b.runs[r.Key]
	if r.Key != "" && prev != nil && !prev.stale {
		prev.callers++
		prev.shared = true
		prev.want(r.Tags)
		return prev, nil
	}

	// What runs outlives the caller that started it, so it takes no caller's context.
	ctx, cancel := context.WithCancelCause(context.Background())
	x := &run{req: r, cancel: cancel, rec: newRecorder(), done: make(chan struct{}),
		started: time.Now(), callers: 1}
	x.want(r.Tags)
	var after <-chan struct{}
	if prev != nil && r.Key != "" {
		prev.cancel(errSuperseded)
		after = prev.done
	}
	key := r.Key
	if key == "" {
		key = fmt.Sprintf("\x00%p", x)
	}
	b.runs[key] = x
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		defer cancel(nil)
		// The old run may be about to name its image: the new name has to come after it.
		if after != nil {
			<-after
		}
		err := b.work(ctx, x)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		b.mu.Lock()
		x.err, x.took = err, time.Since(x.started)
		if b.runs[key] == x {
			delete(b.runs, key)
		}
		b.mu.Unlock()
		x.rec.finish(err)
		close(x.done)
	}()
	return x, nil
}

// work builds until every tag that callers want is on the image.
func (b *Builder) work(ctx context.Context, x *run) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for {
		b.mu.Lock()
		req := x.req
		req.Tags = slices.Clone(x.tags)
		x.applied = len(x.tags)
		b.mu.Unlock()
		if err := context.Cause(ctx); err != nil {
			return err
		}

		digest, notices, err := b.once(ctx, req, x.rec)
		if err != nil {
			return err
		}
		b.mu.Lock()
		x.digest, x.notices = digest, notices
		more := x.applied < len(x.tags)
		if !more {
			x.stale = true // a caller that comes now wants a build of what is on disk now
		}
		b.mu.Unlock()
		if !more {
			return nil
		}
		// Callers joined with other tags while the image was being made. The builder is the only
		// one here that can name an image, and a second pass finds everything in its cache.
		x.rec.quiet()
	}
}

// once makes the image one time, with the builder that the engine has.
func (b *Builder) once(
	ctx context.Context, r container.BuildRequest, rec *recorder,
) (digest string, notices []string, err error) {
	in, err := resolve(r)
	if err != nil {
		return "", nil, err
	}
	served := false
	if b.opt.HasBuildKit != nil {
		if served, err = b.opt.HasBuildKit(ctx); err != nil {
			return "", nil, err
		}
	}
	if !served {
		if r.Check {
			return "", nil, fmt.Errorf("%w: checks of a Dockerfile need BuildKit", ErrUnsupported)
		}
		return b.classic(ctx, r, in, rec)
	}
	return b.buildkit(ctx, r, in, rec)
}

// leave drops one caller. The last one to leave cancels the run.
func (b *Builder) leave(x *run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x.callers--
	x.stale = true
	if x.callers == 0 {
		x.cancel(container.ErrBuildCanceled)
	}
}

// want adds tags, each once.
func (x *run) want(tags []string) {
	for _, t := range tags {
		if !slices.Contains(x.tags, t) {
			x.tags = append(x.tags, t)
		}
	}
}

// follow reports the run's progress until it is over, or until ctx ends, which it reports as false.
func (x *run) follow(ctx context.Context, progress func(container.BuildProgress)) bool {
	if progress == nil {
		select {
		case <-x.done:
			return true
		case <-ctx.Done():
			return false
		}
	}
	var cur cursor
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-x.done:
			if !errors.Is(x.err, errSuperseded) {
				progress(x.rec.since(&cur))
			}
			return true
		case <-ctx.Done():
			return false
		case <-pause.C:
		}
		select {
		case <-x.done:
			continue
		case <-ctx.Done():
			return false
		case <-x.rec.changedAfter(cur.version):
			progress(x.rec.since(&cur))
			pause.Reset(frame)
		}
		if ctx.Err() != nil {
			return false
		}
	}
}

func canceled(r container.BuildRequest, ctx context.Context) error {
	return &container.About{Verb: "build", Service: r.Service,
		Err: fmt.Errorf("%w: %w", container.ErrBuildCanceled, context.Cause(ctx))}
}

// nameService puts the caller's service into an error that several callers share.
func nameService(err error, service string) error {
	var be *container.BuildError
	if errors.As(err, &be) {
		own := *be
		own.Service = service
		return &own
	}
	return &container.About{Verb: "build", Service: service, Err: err}
}
