package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

func searching(m *Model) bool { return m.log.re != nil }

func doFollow(m *Model) tea.Cmd {
	m.log.follow, m.log.ranged = true, false
	return nil
}

func doWrap(m *Model) tea.Cmd {
	m.log.wrap, m.log.xoff = !m.log.wrap, 0
	m.log.skip = 0
	return nil
}

func doTimes(m *Model) tea.Cmd {
	m.log.times = (m.log.times + 1) % timesEnd
	m.say("timestamps: " + m.log.times.String())
	return nil
}

func doPretty(m *Model) tea.Cmd {
	p := &m.log
	p.skip = 0
	switch {
	case !p.pretty && !p.raw:
		p.pretty = true
		m.say("structured lines: laid out")
	case p.pretty:
		p.pretty, p.raw = false, true
		m.say("structured lines: as they were written")
	default:
		p.raw = false
		m.say("structured lines: short")
	}
	return nil
}

func doLevel(m *Model) tea.Cmd {
	switch m.log.level {
	case logs.LevelUnknown:
		m.log.level = logs.Info
	case logs.Info:
		m.log.level = logs.Warn
	case logs.Warn:
		m.log.level = logs.Error
	default:
		m.log.level = logs.LevelUnknown
	}
	m.log.refilter()
	return nil
}

func doOnlyMatches(m *Model) tea.Cmd {
	m.log.only, m.log.invert = !m.log.only || m.log.invert, false
	m.log.refilter()
	return nil
}

func doInvert(m *Model) tea.Cmd {
	m.log.invert = !m.log.invert
	m.log.only = m.log.invert
	m.log.refilter()
	return nil
}

// doMarkLine marks the cursor's line, or while following the last one: what comes after it came after this moment.
func doMarkLine(m *Model) tea.Cmd {
	p := &m.log
	line := p.cur.line
	if p.follow {
		l, ok := p.view.Line(p.lastOrd())
		if !ok {
			return nil
		}
		line = l
	}
	if line.Seq == 0 {
		return nil
	}
	if _, ok := p.marks[line.Seq]; ok && !p.follow {
		delete(p.marks, line.Seq)
		return nil
	}
	at := line.Time
	if p.follow {
		at = m.opts.Now()
	}
	p.marks[line.Seq] = mark{at: at, line: logs.Line{Seq: line.Seq, Time: line.Time}}
	return nil
}

func doNextMark(m *Model) tea.Cmd {
	p := &m.log
	best, least := int64(-1), int64(-1)
	for _, mk := range p.marks {
		ord, ok := p.view.Locate(mk.line)
		if !ok {
			continue
		}
		if least < 0 || ord < least {
			least = ord
		}
		if (p.follow || ord > p.cur.ord) && !p.follow && (best < 0 || ord < best) {
			best = ord
		}
	}
	if best < 0 {
		best = least
	}
	if best >= 0 {
		p.show(best)
	}
	return nil
}

func doRange(m *Model) tea.Cmd {
	p := &m.log
	if p.ranged {
		p.ranged = false
		return nil
	}
	p.stop()
	p.from, p.ranged = p.cur, true
	m.say("move to the other end of the range, " + m.keyOf("copy") + " copies it, esc ends")
	return nil
}

// findMatch looks for the next match from the cursor, all around.
func (m *Model) findMatch(forward bool) tea.Cmd {
	re := m.log.re
	if re == nil {
		return nil
	}
	return m.find("match of "+m.log.query, forward, func(ctx context.Context, v *logs.View, from int64, forward bool) (int64, bool) {
		return v.Find(ctx, re, from, forward)
	})
}

func (m *Model) findError(forward bool) tea.Cmd {
	return m.find("error", forward, func(_ context.Context, v *logs.View, from int64, forward bool) (int64, bool) {
		return v.NextError(from, forward)
	})
}

// find searches in a view of its own, aside: a store may hold millions of lines.
func (m *Model) find(what string, forward bool, look func(context.Context, *logs.View, int64, bool) (int64, bool)) tea.Cmd {
	p := &m.log
	store, filter, cur, follow := p.store, p.want, p.cur.line, p.follow
	return m.jobs.do("search the logs", func(ctx context.Context) tea.Msg {
		v := store.View(filter)
		first, end := v.Bounds()
		from := end - 1
		if follow {
			forward = false // what is wanted while following is the latest
		} else {
			if ord, ok := v.Locate(cur); ok {
				from = ord
			}
			if forward {
				from++
			} else {
				from--
			}
		}
		ord, ok := look(ctx, v, from, forward)
		wrapped := false
		if !ok {
			wrapped = true
			if forward {
				ord, ok = look(ctx, v, first, true)
			} else {
				ord, ok = look(ctx, v, end-1, false)
			}
		}
		line, there := v.Line(ord)
		return foundMsg{line: line, ok: ok && there, wrapped: wrapped && !follow, what: what}
	})
}

// found goes to what find found.
func (p *logPane) found(m *Model, msg foundMsg) {
	if !msg.ok {
		m.say("no " + msg.what + " in these lines")
		return
	}
	if ord, ok := p.view.Locate(msg.line); ok {
		p.show(ord)
		if msg.wrapped {
			m.say("went on at the other end")
		}
	}
}

// recount counts the matching lines again when there are new ones, at most once a second.
func (m *Model) recount() tea.Cmd {
	p := &m.log
	key := countKey{query: p.query, gen: p.gen, changed: p.store.Changed()}
	if p.re == nil || p.counting || key == p.countedFor {
		return nil
	}
	p.counting = true
	re, store, filter := p.re, p.store, p.want
	filter.Match, filter.Invert = nil, false
	pause := time.Duration(0)
	if p.countedFor.query == p.query && p.countedFor.gen == p.gen {
		pause = time.Second
	}
	return m.jobs.do("count matches", func(ctx context.Context) tea.Msg {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		v := store.View(filter)
		first, end := v.Bounds()
		n, err := v.Count(ctx, re)
		if err != nil {
			return nil // the program is ending
		}
		return countMsg{key: key, matches: n, total: end - first}
	})
}

func (p *logPane) counted(msg countMsg) {
	p.counting = false
	p.countedFor = msg.key
	if msg.key.query == p.query {
		p.matches, p.total = msg.matches, msg.total
	}
}

// doJump shows the logs of the moment of the chosen event.
func doJump(m *Model) tea.Cmd {
	at, service, ok := m.ev.chosen(m)
	if !ok {
		return nil
	}
	if service != "" {
		m.svc.selectName(service)
	}
	m.focusPane(paneLogs)
	m.log.show(m.log.view.At(at))
	m.say("logs at " + at.Format("15:04:05"))
	return nil
}
