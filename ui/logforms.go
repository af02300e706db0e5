package ui

import tea "charm.land/bubbletea/v2"

// What keys change of how lines look.

func (f *lineFormat) toggleWrap() tea.Cmd {
	f.wrap, f.xoff = !f.wrap, 0
	f.win.skip = 0
	return nil
}

// sideways is the action that scrolls by n steps to the right.
func (f *lineFormat) sideways(n int) func() tea.Cmd {
	return func() tea.Cmd {
		if !f.wrap {
			f.xoff = min(max(f.xoff+n*16, 0), 1<<14)
		}
		return nil
	}
}

func (f *lineFormat) nextTimes() tea.Cmd {
	f.times = (f.times + 1) % timesEnd
	f.e.status.set("timestamps: " + f.times.String())
	return nil
}

// nextForm goes on to the next form of structured lines: laid out, as written, short.
func (f *lineFormat) nextForm() tea.Cmd {
	f.win.skip = 0
	switch {
	case !f.pretty && !f.raw:
		f.pretty = true
		f.e.status.set("JSON: expanded")
	case f.pretty:
		f.pretty, f.raw = false, true
		f.e.status.set("JSON: raw")
	default:
		f.raw = false
		f.e.status.set("JSON: short")
	}
	return nil
}

// openLine lays out the cursor's line in place, or puts it together again.
func (f *lineFormat) openLine() tea.Cmd {
	f.win.stop()
	l := f.win.cur.line
	if l.Seq == 0 {
		return nil
	}
	before := f.win.heightOf(f.win.cur.ord)
	if f.open[l.Seq] {
		delete(f.open, l.Seq)
	} else {
		f.open[l.Seq] = true
	}
	delete(f.cache, l.Seq)
	rows := f.win.heightOf(f.win.cur.ord)
	if f.open[l.Seq] && rows <= before {
		delete(f.open, l.Seq)
		f.e.status.set("all of this line is shown already")
		return nil
	}
	if f.win.reveal(); rows > f.win.h {
		f.win.setTop(f.win.cur.ord, 0) // its head first
	}
	return nil
}

func (f *lineFormat) openLabel() string {
	if !f.win.follow && f.open[f.win.cur.line.Seq] {
		return "close"
	}
	return "open"
}
