package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// nameFilter is what is typed to see only services whose names hold it.
type nameFilter struct {
	open  bool
	input input
	x     int // of the cursor, set while drawing
}

func (f *nameFilter) query() string { return strings.TrimSpace(f.input.value()) }
func (f *nameFilter) on() bool      { return f.query() != "" }
func (f *nameFilter) clear()        { f.open = false; f.input.set("") }

func (f *nameFilter) matches(name string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(f.query()))
}

// servicesTyper is the services pane while a filter is typed.
type servicesTyper struct{ p *servicesPane }

// typer implements writable.
func (p *servicesPane) typer() typer {
	if p.filter.open {
		return servicesTyper{p}
	}
	return nil
}

// askFilter lets a person type which services to list.
func (p *servicesPane) askFilter() tea.Cmd {
	p.filter.open = true
	return nil
}

// key implements typer. The list follows every letter; enter keeps it, esc shows all again.
func (t servicesTyper) key(k tea.KeyPressMsg) tea.Cmd {
	f := &t.p.filter
	switch k.String() {
	case "esc":
		f.clear()
	case "enter":
		f.open = false
	case "down":
		t.p.move(1)
		return nil
	case "up":
		t.p.move(-1)
		return nil
	case "backspace":
		if f.input.value() == "" {
			f.clear()
			break
		}
		f.input.key(k)
	default:
		f.input.key(k)
	}
	t.p.refresh()
	return nil
}

// paste implements typer.
func (t servicesTyper) paste(text string) tea.Cmd {
	t.p.filter.input.insert(oneLine(text))
	t.p.refresh()
	return nil
}

func (t servicesTyper) cancel() { t.p.filter.open = false }

func (t servicesTyper) cursor(r rect) (x, y int, ok bool) {
	return r.x + min(t.p.filter.x, max(r.w-1, 0)), r.y + t.p.headRows() - 1, !r.empty()
}

// sortBy sorts by the column at a cell of the head: by what a click can be meant for.
func (p *servicesPane) sortBy(x int) {
	for _, head := range p.heads {
		if x >= head.at-2 && x < head.at+head.w+1 {
			p.order = head.order
			p.refresh()
			p.e.status.set("services sorted by " + p.order.String())
			return
		}
	}
}
