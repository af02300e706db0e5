package ui

import (
	"slices"

	"bulkhead/engine/drill"
)

const (
	drillName = 12 // cells of a killed service's name, at least
	drillCell = 6  // of a column, at least
	drillTail = 18 // of BACK IN and VERDICT
)

// drillGrid is how wide the parts of a matrix are.
type drillGrid struct {
	name    int   // of a killed service
	columns int   // that are shown at once
	cells   []int // of each column; nil: drillCell
}

func (g *drillGrid) cell(column int) int {
	if column < len(g.cells) {
		return g.cells[column]
	}
	return drillCell
}

// drillGridOf makes room for whole names while all columns fit into w cells; where not all names do, the
// longest are cut.
func drillGridOf(r *drill.Report, w int) drillGrid {
	all := len(r.Services)
	g := drillGrid{name: drillName, columns: max(min((w-drillName-3-drillTail)/drillCell, all), 1)}
	if g.columns < all {
		return g
	}
	longest := drillCell
	for _, s := range r.Services {
		longest = max(longest, width(s)+1)
	}
	for most := longest; most > drillCell; most-- {
		name, cells := drillName, make([]int, all)
		for i := range r.Rows {
			name = max(name, min(width(r.Rows[i].Killed)+1, most))
		}
		sum := 3 + name + drillTail
		for i, s := range r.Services {
			cells[i] = max(drillCell, min(width(s)+1, most))
			sum += cells[i]
		}
		if sum <= w {
			g.name, g.cells = name, cells
			return g
		}
	}
	return g
}

// middle shortens a name in its middle, where names differ least.
func middle(name string, w int) string {
	r := []rune(name)
	if len(r) <= w || w < 3 {
		return name
	}
	tail := (w - 1) / 2
	return string(slices.Concat(r[:w-1-tail], []rune("…"), r[len(r)-tail:]))
}
