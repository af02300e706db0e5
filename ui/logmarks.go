package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// mark is a place that the user marked: a line, or the moment after it.
type mark struct {
	at   time.Time
	line logs.Line
}

// logMarks are the lines that the user marked, by their Seq.
type logMarks struct {
	e      *env
	win    *logWindow
	byLine map[uint64]mark
}

func (m *logMarks) any() bool { return len(m.byLine) > 0 }

// mark marks the cursor's line, or while following the last one: what comes after it came after this moment.
func (m *logMarks) mark() tea.Cmd {
	win := m.win
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
	if _, ok := m.byLine[line.Seq]; ok && !win.follow {
		delete(m.byLine, line.Seq)
		return nil
	}
	at := line.Time
	if win.follow {
		at = m.e.opts.Now()
	}
	m.byLine[line.Seq] = mark{at: at, line: logs.Line{Seq: line.Seq, Time: line.Time}}
	return nil
}

// next goes to the next mark below the cursor, all around.
func (m *logMarks) next() tea.Cmd {
	win := m.win
	best, first := int64(-1), int64(-1)
	for _, mk := range m.byLine {
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
