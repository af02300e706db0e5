package ui

import (
	"slices"
	"strings"
)

// footer is the last line: the keys that work now.
type footer struct {
	e     *env
	end   *shutdown
	cache footerCache
}

// footerCache keeps the footer while what it is made of stays.
type footerCache struct {
	w     int
	items string
	row   string
}

// footerItem is a key with what it does: rank says how long it stays when room gets short, place where it stands.
type footerItem struct {
	key, label  string
	rank, place int
}

// hintLine is the footer of an overlay.
func (e *env) hintLine(hints []hint) string {
	row := ""
	for _, h := range hints {
		next := row + " " + e.st.key.s(h.key) + " " + e.st.keyHint.s(h.label) + " "
		if width(next) > e.w {
			break
		}
		row = next
	}
	return row
}

// items returns the keys that do something in the focused pane now, in the order of their declaration.
func (f *footer) items() []footerItem {
	var items []footerItem
	for i := range f.e.keys.actions {
		a := &f.e.keys.actions[i]
		if a.rank == 0 || a.short == "" || len(a.keys) == 0 || !a.worksIn(f.e.focus) {
			continue
		}
		if f.e.keys.find(a.keys[0], f.e.focus) != a {
			continue // the key means something else in the focused pane, or it can do nothing now
		}
		label := a.short
		if a.label != nil {
			label = a.label()
		}
		place := i
		if a.everywhere() {
			place += 1000
		}
		if a.name == "up" {
			place = -1
		}
		items = append(items, footerItem{a.firstKey(), label, a.rank, place})
	}
	return items
}

// render shows the keys that work now; whole items leave when room is short, the least important first.
func (f *footer) render(w int) string {
	if f.end.stopping {
		return fit(" "+f.e.st.key.s("ctrl+c")+" "+f.e.st.keyHint.s(f.end.next()), w)
	}
	items := f.items()
	slices.SortStableFunc(items, func(a, b footerItem) int { return a.rank - b.rank })
	room, keep := w-1, 0
	for _, it := range items {
		n := width(it.key) + 1 + width(it.label) + 2
		if n > room+2 {
			break
		}
		room -= n
		keep++
	}
	items = items[:keep]
	slices.SortStableFunc(items, func(a, b footerItem) int { return a.place - b.place })
	var b strings.Builder
	for _, it := range items {
		b.WriteString(it.key + "\x00" + it.label + "\x00")
	}
	if f.cache.row != "" && f.cache.w == w && f.cache.items == b.String() {
		return f.cache.row
	}
	row := ""
	for i, it := range items {
		if i > 0 {
			row += "  "
		} else {
			row += " "
		}
		row += f.e.st.key.s(it.key) + " " + f.e.st.keyHint.s(it.label)
	}
	f.cache = footerCache{w: w, items: b.String(), row: fit(row, w)}
	return f.cache.row
}
