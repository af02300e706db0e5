package ui

import (
	"context"
	"errors"
	"fmt"
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

// doOpenLine lays out the cursor's line in place, or puts it together again.
func doOpenLine(m *Model) tea.Cmd {
	p := &m.log
	p.stop()
	l := p.cur.line
	if l.Seq == 0 {
		return nil
	}
	before := p.heightOf(p.cur.ord)
	if p.open[l.Seq] {
		delete(p.open, l.Seq)
	} else {
		p.open[l.Seq] = true
	}
	delete(p.cache, l.Seq)
	rows := p.heightOf(p.cur.ord)
	if p.open[l.Seq] && rows <= before {
		delete(p.open, l.Seq)
		m.say("there is no more to this line")
		return nil
	}
	if p.reveal(); rows > p.h {
		p.setTop(p.cur.ord, 0) // its head first
	}
	return nil
}

func lineOpen(m *Model) bool { return !m.log.follow && m.log.open[m.log.cur.line.Seq] }

func openLabel(m *Model) string {
	if lineOpen(m) {
		return "close"
	}
	return "open"
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

// find searches aside, in a fork of the view: a store may hold millions of lines. Another search ends it.
func (m *Model) find(what string, forward bool, look func(context.Context, *logs.View, int64, bool) (int64, bool)) tea.Cmd {
	p := &m.log
	p.endFind()
	p.finding++
	number, store, filter, cur, follow := p.finding, p.store, p.want, p.cur.line, p.follow
	var v *logs.View
	if !p.opening {
		v = p.view.Fork()
	}
	ctx, cancel := context.WithCancel(m.jobs.ctx)
	p.endFind = cancel
	return m.jobs.do("search the logs", func(context.Context) tea.Msg {
		defer cancel()
		if v == nil {
			v = store.View(filter) // the one that is wanted is not there yet
		}
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
		if !ok && !follow { // while following, all of it was searched
			wrapped = true
			if forward {
				ord, ok = look(ctx, v, first, true)
			} else {
				ord, ok = look(ctx, v, end-1, false)
			}
		}
		line, there := v.Line(ord)
		return foundMsg{number: number, line: line, ok: ok && there, wrapped: wrapped, what: what}
	})
}

// found goes to what find found.
func (p *logPane) found(m *Model, msg foundMsg) {
	if msg.number != p.finding {
		return // it was for another search
	}
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

// countSlice is how long a count runs before what it has is shown.
const countSlice = 60 * time.Millisecond

// recount counts the matching lines: at once for another search, then again when there are new ones, at most once a second. What
// takes long is shown as it grows.
func (m *Model) recount() tea.Cmd {
	p := &m.log
	key := countKey{query: p.query, gen: p.gen, changed: p.store.Changed()}
	same := p.re != nil && p.countingFor.query == key.query && p.countingFor.gen == key.gen
	if !same {
		p.endCount() // whoever counts for another search has come to its end
		p.counter = nil
	}
	if p.re == nil || p.counting || same && p.counted && key == p.countedFor {
		return nil
	}
	pause := time.Duration(0)
	if p.counter == nil {
		filter := p.want
		filter.Match, filter.Invert = nil, false
		p.counter = p.store.Counter(filter, p.re)
	} else if p.counted {
		pause = time.Second
	}
	ctx, cancel := context.WithCancel(m.jobs.ctx)
	p.counting, p.countingFor, p.endCount = true, key, cancel
	counter := p.counter
	return m.jobs.do("count matches", func(context.Context) tea.Msg {
		defer cancel()
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return countMsg{counter: counter, ended: true}
		}
		slice, done := context.WithTimeout(ctx, countSlice)
		defer done()
		n, total, err := counter.Count(slice)
		switch {
		case err == nil, errors.Is(err, context.DeadlineExceeded):
			return countMsg{counter: counter, key: key, matches: n, total: total, more: err != nil}
		case ctx.Err() != nil:
			return countMsg{counter: counter, ended: true}
		}
		return fatalMsg{err: err}
	})
}

// tally takes up what was counted.
func (p *logPane) tally(msg countMsg) {
	p.counting = false
	if msg.ended || msg.counter != p.counter {
		return
	}
	p.countedFor, p.counted = msg.key, !msg.more
	p.matches, p.total = msg.matches, msg.total
}

// countText says how many lines match.
func (p *logPane) countText() string {
	text := fmt.Sprintf("%s of %s lines", thousands(p.matches), thousands(p.total))
	if !p.counted {
		text += " so far"
	}
	return text
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
