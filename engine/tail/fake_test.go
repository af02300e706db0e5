package tail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded is a runtime whose logs a test writes.
type recorded struct {
	mu      sync.Mutex
	all     map[string]*recordedLog
	changed chan struct{} // closed and replaced when something changes
	opened  []container.LogOptions
}

type recordedLog struct {
	in         container.Instance
	lines      []container.Line
	running    bool
	cuts       int  // streams that were opened before the last one are broken
	unreadable bool // only attaching shows lines
	fragments  int  // that each line counts as in a tail; 0: one
}

var errCut = errors.New("connection reset\nand more")

func (r *recorded) Inspect(_ context.Context, id string) (container.Instance, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.all[id]; l != nil {
		return l.in, nil
	}
	return container.Instance{}, container.ErrNotFound
}

func (r *recorded) Logs(
	ctx context.Context, id string, o container.LogOptions, emit func(container.Line),
) error {
	r.mu.Lock()
	l := r.all[id]
	if l == nil || l.unreadable {
		r.mu.Unlock()
		if l == nil {
			return container.ErrNotFound
		}
		return container.ErrUnsupported
	}
	r.opened = append(r.opened, o)
	next := 0
	if o.Tail >= 0 {
		next = max(len(l.lines)-o.Tail/max(l.fragments, 1), 0)
	}
	r.mu.Unlock()
	return r.stream(ctx, l, next, o, emit)
}

func (r *recorded) Attach(ctx context.Context, id string, _ chan<- struct{}, emit func(container.Line)) error {
	r.mu.Lock()
	l := r.all[id]
	next := len(l.lines)
	for !l.running {
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.mu.Lock()
	}
	r.mu.Unlock()
	return r.stream(ctx, l, next, container.LogOptions{Follow: true}, emit)
}

func (r *recorded) stream(
	ctx context.Context, l *recordedLog, next int, o container.LogOptions, emit func(container.Line),
) error {
	r.mu.Lock()
	cuts := l.cuts
	for {
		lines, running, cut, changed := slices.Clone(l.lines[next:]), l.running, l.cuts > cuts, r.changed
		r.mu.Unlock()
		next += len(lines)
		for _, line := range lines {
			if !line.Time.Before(o.Since) && (o.Until.IsZero() || line.Time.Before(o.Until)) {
				line.Text = slices.Clone(line.Text)
				emit(line)
				clear(line.Text) // it is valid during the call only
			}
		}
		switch {
		case cut:
			return errCut
		case !o.Follow || !running:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.mu.Lock()
	}
}

// change alters a container's log, and lets those who read it look again.
func (r *recorded) change(id string, f func(l *recordedLog)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.all[id]
	if l == nil {
		l = &recordedLog{in: container.Instance{Identity: container.Identity{ID: id},
			State: container.StateCreated, Created: time.Now(), LogDriver: "json-file"}}
		r.all[id] = l
	}
	f(l)
	close(r.changed)
	r.changed = make(chan struct{})
}

// write appends lines to a container's log, all with the same time.
func (r *recorded) write(id string, texts ...string) {
	r.change(id, func(l *recordedLog) {
		for _, text := range texts {
			l.lines = append(l.lines, container.Line{Stream: container.Stdout, Time: time.Now(),
				Text: []byte(text)})
		}
	})
}

func (r *recorded) start(id string) {
	r.change(id, func(l *recordedLog) {
		l.running, l.in.State, l.in.Started = true, container.StateRunning, time.Now()
	})
}

func (r *recorded) exit(id string, code int) {
	r.change(id, func(l *recordedLog) {
		l.running, l.in.State, l.in.Finished, l.in.ExitCode = false, container.StateExited, time.Now(), code
	})
}

func (r *recorded) cut(id string) { r.change(id, func(l *recordedLog) { l.cuts++ }) }

// stage is a Tailer with one service "a", in the virtual time of synctest.
type stage struct {
	*Tailer
	t       *testing.T
	rt      *recorded
	store   *logs.Store
	notices []Notice
}

// open makes a stage that began a moment ago.
func open(t *testing.T, change func(*Options)) *stage {
	s := &stage{t: t, rt: &recorded{all: map[string]*recordedLog{}, changed: make(chan struct{})}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	o := Options{
		Runtime: s.rt, Store: logs.New(logs.Options{}), Last: 1000, Began: time.Now(), Changed: func() {},
		Go: func(name string, f func(context.Context) error) {
			wg.Go(func() {
				if err := f(ctx); err != nil && ctx.Err() == nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		},
		Notify: func(n Notice) { s.notices = append(s.notices, n) },
	}
	if change != nil {
		change(&o)
	}
	s.store = o.Store
	s.Tailer = New(o)
	time.Sleep(time.Second) // virtual: later things are later than the start
	return s
}

// see tells the Tailer what a container looks like now.
func (s *stage) see(id string, generation int, cause string, beside bool) {
	s.t.Helper()
	in, err := s.rt.Inspect(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Observe(Sighting{Replica: Replica{"a", 1}, Instance: in, Generation: generation, Cause: cause,
		Beside: beside})
}

// begin starts a container and lets the Tailer see it.
func (s *stage) begin(id string, generation int, cause string) {
	s.t.Helper()
	s.rt.start(id)
	s.see(id, generation, cause, false)
}

// end ends a container's life and lets the Tailer see it.
func (s *stage) end(id string, generation, code int, cause string) {
	s.t.Helper()
	s.rt.exit(id, code)
	s.see(id, generation, cause, false)
}

// pass lets virtual time pass, and all who have something to do in it do it.
func (s *stage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// byTime lists what the store holds, in the order of time; arrived in the order
// in which it came in.
func (s *stage) byTime() []string { return texts(s.all()) }

func (s *stage) arrived() []string {
	all := s.all()
	slices.SortFunc(all, func(a, b logs.Line) int { return int(a.Seq) - int(b.Seq) })
	return texts(all)
}

func (s *stage) all() []logs.Line {
	synctest.Wait()
	v := s.store.View(logs.Filter{})
	first, end := v.Bounds()
	return v.Lines(first, int(end-first))
}

func texts(lines []logs.Line) []string {
	var out []string
	for _, l := range lines {
		text := string(l.Text)
		if l.Stream == logs.System {
			text = "-- " + text
		}
		out = append(out, fmt.Sprintf("%d %s", l.Generation, text))
	}
	return out
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
