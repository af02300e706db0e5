package engine

import (
	"context"
	"time"

	"bulkhead/engine/logs"
	"bulkhead/engine/tail"
)

// Older is what LoadOlder did.
type Older = tail.Older

// newTailer returns what follows the logs of the project's containers.
func newTailer(e *Engine) *tail.Tailer {
	return tail.New(tail.Options{
		Runtime: e.rt, Store: e.opts.Logs, Last: e.opts.LogTail, Began: e.began, Muted: e.opts.NoLogs,
		Go:      func(name string, f func(context.Context) error) { e.launch(name, f) },
		Changed: e.bell.ring,
		Notify: func(n tail.Notice) {
			if n.Kind == tail.NoticeUnreadable {
				e.warn(n.Text())
			} else {
				e.notice("logs", n.Text())
			}
		},
	})
}

// LoadOlder reads a page of older lines of the named services (nil: all) into the
// store, where a container's log goes back further than what was read of it and
// that begins at or after from: whoever scrolls up asks with the time of the
// first line that is seen. It returns what it did also with an error.
func (e *Engine) LoadOlder(ctx context.Context, services []string, from time.Time) (Older, error) {
	return e.tail.LoadOlder(ctx, services, from)
}

// awaitLastWords waits a moment until the logs of containers that were stopped
// are read to their end.
func (e *Engine) awaitLastWords(ctx context.Context, rs []replicaRef) {
	var lives []Identity
	for _, h := range rs {
		if h.in.State == StateRunning {
			lives = append(lives, h.in.Identity)
		}
	}
	e.tail.AwaitLastWords(ctx, lives)
}

// lineWriter returns a writer whose lines stand in the service's log as System lines.
func (l *lane) lineWriter(id string) *logs.LineWriter {
	e, s := l.e, l.s
	return logs.NewLineWriter(e.tail.SystemLines(s.name, id))
}
