package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
)

// dragPause is the time between two steps of a window that scrolls because the pointer is held past its edge.
const dragPause = 50 * time.Millisecond

// drag is a selection of log lines by the pointer, from the line that was clicked on.
type drag struct {
	on    bool
	from  anchor
	past  int  // rows that the pointer is above (negative) or below the window
	timed bool // a dragMsg is on its way
}

// dragMsg is the next step of a window that scrolls.
type dragMsg struct{}

// grab begins a drag on the clicked row.
func (p *logPane) grab(row int) {
	p.drag.on = false
	if row < 0 || row >= len(p.seen) {
		return
	}
	p.clickRow(row)
	p.ranged = false
	p.drag = drag{on: true, from: p.cur, timed: p.drag.timed}
}

// reach takes the selection to a row of the window; one outside of it scrolls.
func (p *logPane) reach(row int) {
	if len(p.seen) == 0 {
		return
	}
	p.drag.past = min(row, 0) + max(row-p.h+1, 0)
	p.setCur(p.seen[min(max(row, 0), len(p.seen)-1)].ord)
	if !p.ranged && p.cur.ord != p.drag.from.ord {
		p.ranged, p.from = true, p.drag.from
	}
}

// motion is the pointer moving with its button down.
func (m *Model) motion(e tea.Mouse) tea.Cmd {
	p := &m.log
	if !p.drag.on || m.over != nil {
		return nil
	}
	p.reach(e.Y - m.f.main.y)
	return m.dragOn()
}

// dragOn goes on scrolling while the pointer is past an edge.
func (m *Model) dragOn() tea.Cmd {
	d := &m.log.drag
	if d.past == 0 || !d.on || d.timed {
		return nil
	}
	d.timed = true
	return m.jobs.do("scroll with the pointer", func(ctx context.Context) tea.Msg {
		t := time.NewTimer(dragPause)
		defer t.Stop()
		select {
		case <-t.C:
			return dragMsg{}
		case <-ctx.Done():
			return nil
		}
	})
}

// dragStep scrolls by one step, faster the further the pointer is past the edge.
func (m *Model) dragStep() tea.Cmd {
	p := &m.log
	p.drag.timed = false
	if !p.drag.on || p.drag.past == 0 {
		return nil
	}
	by := min(max(p.drag.past, -5), 5)
	p.scroll(by)
	p.setCur(p.cur.ord + int64(by))
	p.clamp = true // rows are not lines where they wrap
	if !p.ranged && p.cur.ord != p.drag.from.ord {
		p.ranged, p.from = true, p.drag.from
	}
	return m.dragOn()
}

// release ends a drag; what it selected stays so.
func (m *Model) release() {
	p := &m.log
	if p.drag.on && p.ranged {
		lo, hi := p.rangeOf()
		m.say(plural(int(hi-lo+1), "line") + " selected, " + m.keyOf("copy") + " copies")
	}
	p.drag.on, p.drag.past = false, 0
}
