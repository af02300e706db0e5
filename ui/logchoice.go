package ui

import (
	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// What keys change of which lines are seen.

func (f *logFilter) streamLabel() string {
	switch f.stream {
	case logs.Stderr:
		return "stdout"
	case logs.Stdout:
		return "both streams"
	}
	return "stderr"
}

// contextLines is how many lines are shown before and after each that matches.
const contextLines = 3

// onlyMatching goes on from all lines to those that match, to those with the lines around them.
func (f *logFilter) onlyMatching() tea.Cmd {
	switch {
	case !f.only || f.invert:
		f.only, f.invert, f.around = true, false, 0
	case f.around == 0:
		f.around = contextLines
	default:
		f.only, f.around = false, 0
	}
	f.apply()
	return nil
}

func (f *logFilter) exceptMatching() tea.Cmd {
	f.invert = !f.invert
	f.only, f.around = f.invert, 0
	f.apply()
	return nil
}

func (f *logFilter) onlyLabel() string {
	if f.solo {
		return "all logs"
	}
	return "only its logs"
}

// toggleOnly shows the logs of the selected service only, or of all again.
func (f *logFilter) toggleOnly() tea.Cmd {
	f.solo = !f.solo
	clear(f.sel.marked)
	f.e.tab = paneLogs // else nothing is seen of it
	return nil
}
