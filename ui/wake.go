package ui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// The screen wakes up for three things only: a key, a token of the engine, and the clock.

// frameTime is between two looks at a busy engine.
const frameTime = 33 * time.Millisecond

// waitChanged waits for the next token, not before pause is over: a busy engine costs 30 draws a second at most.
func (m *Model) waitChanged(pause time.Duration) tea.Cmd {
	return m.jobs.do("wait for changes", func(ctx context.Context) tea.Msg {
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

// restAfter is how long nothing happens until the screen is at rest.
const restAfter = 20 * time.Second

// stir notes that a person or the engine moved something.
func (m *Model) stir(msg tea.Msg) {
	switch msg.(type) {
	case changedMsg, tea.KeyPressMsg, tea.PasteMsg, tea.MouseMsg, tea.WindowSizeMsg, tea.FocusMsg:
		m.moved = m.opts.Now()
	}
}

// resting says whether nothing happens. Then the clock shows no seconds, so that most frames are like the one before and cost nothing.
func (m *Model) resting() bool { return m.now.Sub(m.moved) > restAfter }

// clockText is the time of day in the header.
func (m *Model) clockText() string {
	if m.resting() {
		return m.now.Local().Format("15:04")
	}
	return m.now.Local().Format("15:04:05")
}

// tick brings the clock, the uptimes and the readings on: once a second, less often at rest, and least while nobody looks.
func (m *Model) tick() tea.Cmd {
	wait := time.Second - time.Duration(m.opts.Now().Nanosecond())
	switch {
	case m.blurred:
		wait += 4 * time.Second
	case m.resting():
		wait += time.Second
	}
	return m.jobs.do("clock", func(ctx context.Context) tea.Msg {
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

// attend tells the engine, when that changed, whose readings are seen.
func (m *Model) attend() tea.Cmd {
	a := engine.Attention{Away: m.blurred, Services: m.svc.onScreen(m)}
	if a.Away == m.seen.Away && slices.Equal(a.Services, m.seen.Services) && (a.Services == nil) == (m.seen.Services == nil) {
		return nil
	}
	m.seen = a
	return m.jobs.do("set attention", func(context.Context) tea.Msg {
		m.backend.SetAttention(a)
		return nil
	})
}

// onScreen names the services whose readings are seen; nil: all, because all rows are, or because their order hangs on them.
func (p *servicesPane) onScreen(m *Model) []string {
	if p.order == byCPU || p.order == byMem || m.w == 0 {
		return nil
	}
	out := []string{}
	if !m.f.services.empty() {
		if p.h >= len(p.rows) {
			return nil
		}
		for _, t := range p.rows[min(p.top, len(p.rows)):min(p.top+p.h, len(p.rows))] {
			if !slices.Contains(out, t.service) {
				out = append(out, t.service)
			}
		}
	}
	if !slices.Contains(out, p.sel.service) {
		out = append(out, p.sel.service)
	}
	return out
}
