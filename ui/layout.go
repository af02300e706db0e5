package ui

// rect is a box of cells.
type rect struct{ x, y, w, h int }

func (r rect) empty() bool            { return r.w <= 0 || r.h <= 0 }
func (r rect) contains(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// layoutInput is what layout needs to know of the content.
type layoutInput struct {
	rows    int    // service and replica rows
	lanes   int    // services on the timeline
	names   int    // cells that the longest service name takes
	banners int    // lines that want to stand above the footer
	whole   int    // how many of them there is room for where a text must be read to its end; 0: as the height has it
	focus   paneID // pane that must be seen
	zoom    bool   // it has the screen for itself
}

// frame is where everything is. Rectangles of what is not shown are empty; no two overlap and all lie within the
// terminal.
type frame struct {
	w, h                   int
	header, banner, footer rect
	services, side         rect
	tabs                   rect // the rule above main that names the panes
	main                   rect // logs, builds or ledger; events where strip is false
	stripRule, events      rect // the events' own place on high terminals
	timeline               rect
	left                   rect // last save, dependencies, ports: below services on wide terminals
	strip                  bool // events have a place of their own
	one                    bool // one pane at a time: too small for more, or zoomed
	wide                   bool
}

const (
	leastW, leastH = 60, 14  // below: one pane at a time
	wideW, wideH   = 150, 36 // from here on: three columns and a timeline
	sideW, sideMin = 41, 184 // the detail column, and the width from which it is shown
	leftW          = 60      // the services column of a wide screen, where names are short
	leftName       = 9       // cells for names in it
	leftLeast      = 8       // rows below the services, however many there are
	stripH         = 32      // from here on events have a strip
)

// layout places everything on w by h cells. It is pure, and holds for any size.
func layout(w, h int, in layoutInput) frame {
	f := frame{w: max(w, 0), h: max(h, 0)}
	if f.w == 0 || f.h == 0 {
		return f
	}
	body := rect{w: f.w, h: f.h}
	if f.h >= 2 {
		f.footer = rect{y: f.h - 1, w: f.w, h: 1}
		body.h--
	}
	if f.h >= 4 {
		f.header = rect{w: f.w, h: 1}
		body.y, body.h = 1, body.h-1
	}
	room := min(max(f.h/12, 1), 3)
	if f.h >= 20 {
		room = max(room, in.whole)
	}
	if n := min(in.banners, room); n > 0 && f.h >= 8 {
		f.banner = rect{y: body.y + body.h - n, w: f.w, h: n}
		body.h -= n
	}
	switch {
	case in.zoom || f.w < leastW || f.h < leastH:
		f.single(body, in.focus)
	case f.w >= wideW && f.h >= wideH:
		f.columns(body, in)
	default:
		f.stack(body, in)
	}
	return f
}

// single has one pane take all of the body.
func (f *frame) single(body rect, focus paneID) {
	f.one = true
	if body.h >= 4 {
		f.tabs = rect{x: body.x, y: body.y, w: body.w, h: 1}
		body.y, body.h = body.y+1, body.h-1
	}
	if focus == paneServices {
		f.services = body
		return
	}
	f.main = body
}

// stack puts services above the other panes.
func (f *frame) stack(body rect, in layoutInput) {
	rows := min(in.rows+1, max(body.h*9/20, 4))
	f.services = rect{y: body.y, w: body.w, h: rows}
	y, left := body.y+rows, body.h-rows
	f.tabs = rect{y: y, w: body.w, h: 1}
	y, left = y+1, left-1
	if f.h >= stripH {
		f.strip = true
		n := max(left/4, 4)
		left -= n + 1
		f.stripRule = rect{y: y + left, w: body.w, h: 1}
		f.events = rect{y: y + left + 1, w: body.w, h: n}
	}
	f.main = rect{y: y, w: body.w, h: left}
}

// columns is the wide screen: services, main and detail side by side, time below.
func (f *frame) columns(body rect, in layoutInput) {
	f.wide, f.strip = true, true
	events := min(max(body.h/7, 4), 10)
	lanes := min(in.lanes, max(body.h/4, 3))
	bottom := events + 1 + lanes + 1
	top := body.h - bottom
	y := body.y + top
	leftW := min(leftW+max(in.names-leftName, 0), body.w*2/5)
	f.timeline = rect{y: y, w: body.w, h: lanes + 1}
	f.stripRule = rect{y: y + lanes + 1, w: body.w, h: 1}
	f.events = rect{y: y + lanes + 2, w: body.w, h: events}

	mid := body.w - leftW - 1
	if body.w >= sideMin {
		mid -= sideW + 1
		f.side = rect{x: body.w - sideW, y: body.y, w: sideW, h: top}
	}
	rows := min(in.rows+2, max(top-leftLeast, 5)) // what is below says less than a service's own row
	f.services = rect{y: body.y, w: leftW, h: rows}
	f.left = rect{y: body.y + rows, w: leftW, h: top - rows}
	f.tabs = rect{x: leftW + 1, y: body.y, w: mid, h: 1}
	f.main = rect{x: leftW + 1, y: body.y + 1, w: mid, h: top - 1}
}

// at finds the pane at a cell.
func (f *frame) at(x, y int, tab paneID) (paneID, rect, bool) {
	switch {
	case f.services.contains(x, y):
		return paneServices, f.services, true
	case f.events.contains(x, y):
		return paneEvents, f.events, true
	case f.main.contains(x, y):
		return tab, f.main, true
	}
	return "", rect{}, false
}

// of is where a pane is drawn; tab is the one that main shows.
func (f *frame) of(p, tab paneID) rect {
	switch {
	case p == paneServices:
		return f.services
	case p == tab:
		return f.main
	case p == paneEvents:
		return f.events
	}
	return rect{}
}

// page is how many lines of a pane are shown.
func (f *frame) page(p paneID) int {
	switch {
	case p == paneServices:
		return max(f.services.h-1, 2)
	case p == paneEvents && f.strip:
		return max(f.events.h, 2)
	}
	return max(f.main.h, 2)
}
