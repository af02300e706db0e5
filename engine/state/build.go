package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// Building is a Build on its way. Its methods may be called from any goroutine.
type Building struct {
	st *State
	b  *Build
}

// Builds are what was built, pulled and prepared. They are a part of the State, under the same lock; their
// methods may be called from any goroutine.
type Builds struct {
	st  *State
	all []*Build
	seq int
}

// Begin adds a row.
func (bs *Builds) Begin(b Build) *Building {
	bs.st.mu.Lock()
	defer bs.st.mu.Unlock()
	bs.seq++
	b.ID, b.Began = bs.seq, time.Now()
	bs.all = append(bs.all, &b)
	if len(bs.all) > keptBuilds {
		bs.all = slices.Clone(bs.all[1:])
	}
	bs.st.record(Record{
		Kind: "build", Service: b.Services[0], Action: b.Kind, Cause: b.Cause, What: b.Kind + " started",
		Text: fmt.Sprintf("%s: %s started (%s)", strings.Join(b.Services, ", "), b.Kind, b.Cause),
	})
	return &Building{st: bs.st, b: &b}
}

// Any says whether anything was built, pulled or prepared.
func (bs *Builds) Any() bool {
	bs.st.mu.Lock()
	defer bs.st.mu.Unlock()
	return bs.seq > 0
}

// Progress takes in how far a build is.
func (w *Building) Progress(p container.BuildProgress) {
	w.st.mu.Lock()
	defer w.st.mu.Unlock()
	b := w.b
	b.Done, b.Total, b.Cached = p.Done, p.Total, p.Cached
	b.Steps = make([]BuildStep, len(p.Steps))
	for i, s := range p.Steps {
		b.Steps[i] = BuildStep{Name: s.Name, Internal: s.Internal, Cached: s.Cached, Began: s.Started,
			Ended: s.Ended, Err: s.Err}
	}
	if len(p.Output) > 0 {
		b.addLines(p.Output)
	}
	doing := "building"
	if p.Total > 0 {
		doing = fmt.Sprintf("building %d/%d", p.Done, p.Total)
	}
	w.doing(doing)
}

// Pulled takes in how far a pull is.
func (w *Building) Pulled(p container.PullProgress) {
	w.st.mu.Lock()
	defer w.st.mu.Unlock()
	w.b.Current, w.b.Size = p.Current, p.Total
	doing := "pulling"
	if p.Total > 0 {
		doing = fmt.Sprintf("pulling %d%%", 100*p.Current/p.Total)
	}
	w.doing(doing)
}

// doing shows what the lanes of those who wanted it are at. Callers hold mu.
func (w *Building) doing(text string) {
	for _, name := range w.b.Services {
		if s := w.st.services[name]; s != nil {
			s.Lane.doing = text
		}
	}
	w.st.bump()
}

// Output takes a line that was printed.
func (w *Building) Output(line string) {
	w.st.mu.Lock()
	defer w.st.mu.Unlock()
	w.b.addLines(strings.Split(line, "\n"))
	w.st.bump()
}

// Close notes how it ended; canceled is why it was ended from outside, nil when it was not.
func (w *Building) Close(err, canceled error) {
	w.st.mu.Lock()
	defer w.st.mu.Unlock()
	b := w.b
	b.Ended, b.Canceled = time.Now(), canceled != nil
	took := b.Ended.Sub(b.Began)
	r := Record{Kind: "build", Service: b.Services[0], Action: b.Kind, Cause: b.Cause,
		Stages: []Stage{{Name: b.Kind, Took: took}},
		What:   fmt.Sprintf("%s done in %s", b.Kind, container.Brief(took))}
	switch {
	case canceled != nil:
		why := canceled.Error()
		if errors.Is(canceled, context.Canceled) {
			why = "bulkhead ends"
		}
		r.What = fmt.Sprintf("%s cancelled after %s: %s", b.Kind, container.Brief(took), why)
	case err != nil:
		b.Err, b.Why = container.FirstLine(err.Error()), reasonOf(err)
		var broken *container.BuildError
		if errors.As(err, &broken) {
			b.File, b.Line, b.Around = broken.File, broken.Line, broken.Around
		}
		r.Err = b.Err
		r.What = fmt.Sprintf("%s failed after %s: %s", b.Kind, container.Brief(took), b.Why)
	case b.Kind == "build" && b.Cached == b.Total && b.Total > 0:
		r.What += ", all cached"
	}
	r.Text = strings.Join(b.Services, ", ") + ": " + r.What
	if r.Err != "" || canceled != nil {
		r.Text = b.Services[0] + ": " + r.What
	}
	w.st.record(r)
}

// reasonOf is why something did not work, in one line; without what was being done where the error knows it.
func reasonOf(err error) string {
	var r interface{ Reason() string }
	if errors.As(err, &r) {
		return container.FirstLine(r.Reason())
	}
	return container.FirstLine(err.Error())
}

// addLines appends output to a build, bounded. Callers hold mu.
func (b *Build) addLines(lines []string) {
	// A new array each time it is cut: snapshots share the old one.
	b.Lines = append(b.Lines[:len(b.Lines):len(b.Lines)], lines...)
	if over := len(b.Lines) - keptLines; over > 0 {
		b.Lines = b.Lines[over:]
	}
}
