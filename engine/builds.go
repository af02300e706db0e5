package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// openBuild adds a row to the builds.
func (e *Engine) openBuild(b Build) *Build {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.buildSeq++
	b.ID, b.Began = e.buildSeq, time.Now()
	e.builds = append(e.builds, &b)
	if len(e.builds) > keptBuilds {
		e.builds = slices.Clone(e.builds[1:])
	}
	e.record(Record{Kind: "build", Service: b.Services[0], Action: b.Kind, Cause: b.Cause, What: b.Kind + " begun", Text: fmt.Sprintf("%s: %s begun (%s)", strings.Join(b.Services, ", "), b.Kind, b.Cause)})
	return &b
}

// closeBuild notes how it ended; canceled is why it was ended from outside, nil when it was not.
func (e *Engine) closeBuild(b *Build, err, canceled error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b.Ended, b.Canceled = time.Now(), canceled != nil
	took := b.Ended.Sub(b.Began)
	r := Record{Kind: "build", Service: b.Services[0], Action: b.Kind, Cause: b.Cause, Stages: []Stage{{Name: b.Kind, Took: took}},
		What: fmt.Sprintf("%s done in %s", b.Kind, container.Brief(took))}
	switch {
	case canceled != nil:
		why := canceled.Error()
		if errors.Is(canceled, context.Canceled) {
			why = "bulkhead ends"
		}
		r.What = fmt.Sprintf("%s cancelled after %s: %s", b.Kind, container.Brief(took), why)
	case err != nil:
		b.Err, b.Why = firstLine(err), reasonOf(err)
		r.Err = b.Err
		r.What = fmt.Sprintf("%s failed after %s: %s", b.Kind, container.Brief(took), b.Why)
	case b.Kind == "build" && b.Cached == b.Total && b.Total > 0:
		r.What += ", all cached"
	}
	r.Text = strings.Join(b.Services, ", ") + ": " + r.What
	if r.Err != "" || canceled != nil {
		r.Text = b.Services[0] + ": " + r.What
	}
	e.record(r)
}

// reasonOf is why something did not work, in one line; without what was being done where the error knows it.
func reasonOf(err error) string {
	var r interface{ Reason() string }
	if errors.As(err, &r) {
		return firstLine(errors.New(r.Reason()))
	}
	return firstLine(err)
}

// addLines appends output to a build, bounded. Callers hold mu.
func (b *Build) addLines(lines []string) {
	// A new array each time it is cut: snapshots share the old one.
	b.Lines = append(b.Lines[:len(b.Lines):len(b.Lines)], lines...)
	if over := len(b.Lines) - keptLines; over > 0 {
		b.Lines = b.Lines[over:]
	}
}
