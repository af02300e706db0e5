package ui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// The screen wakes up for three things only: a key, a token of the engine, and the clock.

// frames is how often in a second Bubble Tea looks whether there is something to write, at rest too: a
// key waits 17 ms for it on average. Measured over a minute at rest with one service at 80x24, the
// whole program: 560 ms of CPU at 60 looks a second, 320 at 30, 230 at 20.
const frames = 30

// frameTime is between two looks at a busy engine.
const frameTime = 33 * time.Millisecond

// waitChanged waits for the next token, not before pause is over: a busy engine costs 30 draws a second at most.
func (m *Model) waitChanged(pause time.Duration) tea.Cmd {
	return m.e.jobs.do("wait for changes", func(ctx context.Context) tea.Msg {
		if pause > 0 {
			t := time.NewTimer(pause)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
				return nil
			}
		}
		select {
		case <-m.changed:
			return changedMsg{}
		case <-ctx.Done():
			return nil
		}
	})
}

// tickMsg is the clock.
type tickMsg time.Time

// rest is how much goes on: whether a person looks, and when something moved last.
type rest struct {
	e       *env
	blurred bool             // the terminal has no focus
	moved   time.Time        // when something happened last: a key, a token of the engine
	seen    engine.Attention // what the engine knows of whose readings are seen
}

// restAfter is how long nothing happens until the screen is at rest.
const restAfter = 20 * time.Second

// note keeps when a person or the engine moved something last.
func (r *rest) note(msg tea.Msg) {
	switch msg.(type) {
	case changedMsg, tea.KeyPressMsg, tea.PasteMsg, tea.MouseMsg, tea.WindowSizeMsg, tea.FocusMsg:
		r.moved = r.e.opts.Now()
	}
}

// resting says whether nothing happens. Then the clock shows no seconds, so that most frames are
// like the one before and cost nothing.
func (r *rest) resting() bool { return r.e.now.Sub(r.moved) > restAfter }

// clockText is the time of day in the header.
func (r *rest) clockText() string {
	if r.resting() {
		return r.e.now.Local().Format("15:04")
	}
	return r.e.now.Local().Format("15:04:05")
}

// tick brings the clock, the uptimes and the readings on: once a second, less often at rest, and
// least while the terminal has no focus.
func (r *rest) tick() tea.Cmd {
	wait := time.Second - time.Duration(r.e.opts.Now().Nanosecond())
	switch {
	case r.blurred:
		wait += 4 * time.Second
	case r.resting():
		wait += time.Second
	}
	return r.e.jobs.do("clock", func(ctx context.Context) tea.Msg {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case now := <-t.C:
			return tickMsg(now)
		case <-ctx.Done():
			return nil
		}
	})
}

// attend has the engine know, when that changed, whose readings are seen.
func (r *rest) attend(services []string) tea.Cmd {
	a := engine.Attention{Away: r.blurred, Services: services}
	if a.Away == r.seen.Away && slices.Equal(a.Services, r.seen.Services) &&
		(a.Services == nil) == (r.seen.Services == nil) {
		return nil
	}
	r.seen = a
	backend := r.e.backend
	return r.e.jobs.do("set attention", func(context.Context) tea.Msg {
		backend.SetAttention(a)
		return nil
	})
}
