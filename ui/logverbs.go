package ui

import (
	"maps"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// What keys do in the log pane.

func (p *logPane) stopped() bool { return !p.win.follow }

// openSearch opens the search box.
func (p *logPane) openSearch() tea.Cmd {
	p.e.focusPane(paneLogs)
	p.search.box.start(p.search.query, p.search.re)
	return nil
}

func (p *logPane) toggleWrap() tea.Cmd {
	p.format.wrap, p.format.xoff = !p.format.wrap, 0
	p.win.skip = 0
	return nil
}

// sideways is the action that scrolls by n steps to the right.
func (p *logPane) sideways(n int) func() tea.Cmd {
	return func() tea.Cmd {
		if f := p.format; !f.wrap {
			f.xoff = min(max(f.xoff+n*16, 0), 1<<14)
		}
		return nil
	}
}

func (p *logPane) nextTimes() tea.Cmd {
	p.format.times = (p.format.times + 1) % timesEnd
	p.e.status.set("timestamps: " + p.format.times.String())
	return nil
}

// nextForm goes on to the next form of structured lines: laid out, as written, short.
func (p *logPane) nextForm() tea.Cmd {
	f := p.format
	p.win.skip = 0
	switch {
	case !f.pretty && !f.raw:
		f.pretty = true
		p.e.status.set("structured lines: laid out")
	case f.pretty:
		f.pretty, f.raw = false, true
		p.e.status.set("structured lines: as they were written")
	default:
		f.raw = false
		p.e.status.set("structured lines: short")
	}
	return nil
}

// openLine lays out the cursor's line in place, or puts it together again.
func (p *logPane) openLine() tea.Cmd {
	p.win.stop()
	l := p.win.cur.line
	if l.Seq == 0 {
		return nil
	}
	f := p.format
	before := p.win.heightOf(p.win.cur.ord)
	if f.open[l.Seq] {
		delete(f.open, l.Seq)
	} else {
		f.open[l.Seq] = true
	}
	delete(f.cache, l.Seq)
	rows := p.win.heightOf(p.win.cur.ord)
	if f.open[l.Seq] && rows <= before {
		delete(f.open, l.Seq)
		p.e.status.set("there is no more to this line")
		return nil
	}
	if p.win.reveal(); rows > p.win.h {
		p.win.setTop(p.win.cur.ord, 0) // its head first
	}
	return nil
}

func (p *logPane) openLabel() string {
	if !p.win.follow && p.format.open[p.win.cur.line.Seq] {
		return "close"
	}
	return "open"
}

func (p *logPane) nextLevel() tea.Cmd  { p.filter.nextLevel(); return nil }
func (p *logPane) nextStream() tea.Cmd { p.filter.nextStream(); return nil }

func (p *logPane) streamLabel() string {
	switch p.filter.stream {
	case logs.Stderr:
		return "stdout"
	case logs.Stdout:
		return "both streams"
	}
	return "stderr"
}

func (p *logPane) onlyMatches() tea.Cmd {
	f := p.filter
	f.only, f.invert = !f.only || f.invert, false
	f.apply()
	return nil
}

func (p *logPane) invert() tea.Cmd {
	f := p.filter
	f.invert = !f.invert
	f.only = f.invert
	f.apply()
	return nil
}

func (p *logPane) onlyLabel() string {
	if p.filter.solo {
		return "all logs"
	}
	return "only its logs"
}

// toggleOnly shows the logs of the selected service only, or of all again.
func (p *logPane) toggleOnly() tea.Cmd {
	p.filter.solo = !p.filter.solo
	clear(p.sel.marked)
	return nil
}

// muteTargets are the services that the mute key is about: that of the cursor's line, else those that verbs act on.
func (p *logPane) muteTargets() []string {
	if p.e.focus == paneLogs && !p.win.follow && p.win.cur.line.Service != "" {
		return []string{p.win.cur.line.Service}
	}
	names, _ := p.sel.targets()
	return names
}

func (p *logPane) canMute() bool { return len(p.muteTargets()) > 0 }

func (p *logPane) muteLabel() string {
	if p.filter.allMuted(p.muteTargets()) {
		return "unmute"
	}
	return "mute"
}

func (p *logPane) mute() tea.Cmd { p.filter.mute(p.muteTargets()); return nil }

func (p *logPane) anyMuted() bool { return len(p.filter.muted) > 0 }

func (p *logPane) unmuteAll() tea.Cmd {
	p.e.status.set(strings.Join(slices.Sorted(maps.Keys(p.filter.muted)), ", ") + " unmuted")
	clear(p.filter.muted)
	return nil
}

func (p *logPane) marked() bool { return len(p.marks) > 0 }

// markLine marks the cursor's line, or while following the last one: what comes after it came after this moment.
func (p *logPane) markLine() tea.Cmd {
	win := p.win
	line := win.cur.line
	if win.follow {
		l, ok := win.view.Line(win.lastOrd())
		if !ok {
			return nil
		}
		line = l
	}
	if line.Seq == 0 {
		return nil
	}
	if _, ok := p.marks[line.Seq]; ok && !win.follow {
		delete(p.marks, line.Seq)
		return nil
	}
	at := line.Time
	if win.follow {
		at = p.e.opts.Now()
	}
	p.marks[line.Seq] = mark{at: at, line: logs.Line{Seq: line.Seq, Time: line.Time}}
	return nil
}

// nextMark goes to the next mark below the cursor, all around.
func (p *logPane) nextMark() tea.Cmd {
	win := p.win
	best, first := int64(-1), int64(-1)
	for _, mk := range p.marks {
		ord, ok := win.view.Locate(mk.line)
		if !ok {
			continue
		}
		if first < 0 || ord < first {
			first = ord
		}
		if !win.follow && ord > win.cur.ord && (best < 0 || ord < best) {
			best = ord
		}
	}
	if best < 0 {
		best = first
	}
	if best >= 0 {
		win.show(best)
	}
	return nil
}

// toggleRange begins a range at the cursor, or ends it.
func (p *logPane) toggleRange() tea.Cmd {
	if p.win.ranged {
		p.win.ranged = false
		return nil
	}
	p.win.stop()
	p.win.from, p.win.ranged = p.win.cur, true
	p.e.status.set("move to the other end of the range, " + p.e.keyOf("copy") + " copies it, esc ends")
	return nil
}
