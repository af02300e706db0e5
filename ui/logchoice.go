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

func (f *logFilter) onlyMatching() tea.Cmd {
	f.only, f.invert = !f.only || f.invert, false
	f.apply()
	return nil
}

func (f *logFilter) exceptMatching() tea.Cmd {
	f.invert = !f.invert
	f.only = f.invert
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
	return nil
}
