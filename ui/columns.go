package ui

import "strings"

// columns are the widths that fit; 0 leaves a column out.
type columns struct {
	name, state, health, up, rst, cpu, mem, port, last int
}

const (
	leadW    = 5 // " >●* " and the like
	leastTxt = 13
)

// fitColumns returns the widths of columns that fit into w cells. Columns leave in the order MEM, CPU, RST, PORT, UP.
func fitColumns(w, name, port int) columns {
	c := columns{name: min(max(name, 7), max(24, w*3/10)), state: 13, health: 9, up: 4, rst: 3,
		cpu: 4, mem: 4, port: port}
	total := func() int {
		n := leadW
		for _, x := range []int{c.name, c.state, c.health, c.up, c.rst, c.cpu, c.mem, c.port} {
			if x > 0 {
				n += x + 1
			}
		}
		return n
	}
	for _, leave := range []*int{&c.mem, &c.cpu, &c.rst, &c.port, &c.up} {
		if w-total() >= leastTxt {
			break
		}
		*leave = 0
	}
	if w-total() < leastTxt {
		c.name = min(c.name, max(w-60, 14)) // a long name before a long wait for room
	}
	if w-total() < 8 {
		c.health = 0
	}
	if w-total() < 0 {
		c.name, c.state = min(c.name, 10), 10
	}
	c.last = max(w-total(), 0)
	return c
}

// wideColumns are the widths for the services column of a wide screen, which leaves ports and changes to other parts.
func wideColumns(w int) columns {
	c := columns{state: 13, health: 10, up: 4, rst: 3, cpu: 4, mem: 5}
	c.name = max(w-leadW-c.state-c.health-c.up-c.rst-c.cpu-c.mem-7, 7)
	return c
}

func columnHeads(c columns, lead string, focus bool) string {
	name := "service"
	if focus {
		name = "SERVICE"
	}
	return rowOf(c, lead, name, "STATE", "HEALTH", "UP", "RST", "CPU", "MEM", "PORT", "LAST CHANGE")
}

// headSpot is where the name of a column stands that services can be sorted by.
type headSpot struct {
	order order
	at, w int // cells from the left edge of the head; width of the name
}

// headSpots returns the places of the names that columnHeads writes in full.
func headSpots(c columns) (out []headSpot) {
	at := leadW
	for _, col := range []struct {
		w, name int // of the column; of its name, 0 where it is no order
		toRight bool
		order   order
	}{
		{w: c.name, name: len("SERVICE"), order: byName},
		{w: c.state, name: len("STATE"), order: byState},
		{w: c.health, name: len("HEALTH"), order: byState},
		{w: c.up}, {w: c.rst},
		{w: c.cpu, name: len("CPU"), toRight: true, order: byCPU},
		{w: c.mem, name: len("MEM"), toRight: true, order: byMem},
	} {
		if col.w <= 0 {
			continue
		}
		if col.name > 0 && col.name <= col.w {
			spot := headSpot{order: col.order, at: at, w: col.name}
			if col.toRight {
				spot.at += col.w - col.name
			}
			out = append(out, spot)
		}
		at += col.w + 1
	}
	return out
}

// rowOf puts cells into columns.
func rowOf(c columns, lead, name, state, health, up, rst, cpu, mem, port, last string) string {
	var b strings.Builder
	b.WriteString(lead)
	put := func(s string, w int, toRight bool) {
		if w <= 0 {
			return
		}
		if toRight {
			b.WriteString(right(s, w))
		} else {
			b.WriteString(fit(s, w))
		}
		b.WriteByte(' ')
	}
	put(name, c.name, false)
	put(state, c.state, false)
	put(health, c.health, false)
	put(up, c.up, true)
	put(rst, c.rst, true)
	put(cpu, c.cpu, true)
	put(mem, c.mem, true)
	put(port, c.port, false)
	if c.last > 0 {
		b.WriteString(fit(last, c.last))
	}
	return b.String()
}
