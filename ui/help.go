package ui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// openHelp shows all keys, made from the key map.
func (e *env) openHelp() tea.Cmd {
	e.over = &textView{e: e, title: "Keys", lines: e.helpLines, close: []string{e.keyOf("help")}}
	return nil
}

func (e *env) helpLines(w int) []string {
	var groups []string
	byGroup := map[string][]key.Binding{}
	for i := range e.keys.actions {
		a := &e.keys.actions[i]
		if len(a.keys) == 0 {
			continue
		}
		if !slices.Contains(groups, a.group) {
			groups = append(groups, a.group)
		}
		byGroup[a.group] = append(byGroup[a.group], a.key)
	}
	var out []string
	for _, g := range groups {
		out = append(out, e.st.titleFocus.s(strings.ToUpper(g)))
		half := (len(byGroup[g]) + 1) / 2
		colW := w / 2
		if w < 100 {
			half, colW = len(byGroup[g]), w
		}
		lines := func(b key.Binding) []string {
			keyW := max(9, width(b.Help().Key)) // a key that is cut is none
			text := wrapped(b.Help().Desc, colW-keyW-4)
			rows := []string{fit("  "+e.st.key.s(fit(b.Help().Key, keyW))+" "+text[0], colW)}
			for _, more := range text[1:] {
				rows = append(rows, fit(spaces(keyW+3)+more, colW))
			}
			return rows
		}
		for i := range half {
			rows := lines(byGroup[g][i])
			if i+half < len(byGroup[g]) && colW < w {
				beside := lines(byGroup[g][i+half])
				for len(rows) < len(beside) {
					rows = append(rows, spaces(colW))
				}
				for j := range beside {
					rows[j] += beside[j]
				}
			}
			out = append(out, rows...)
		}
		out = append(out, "")
	}
	for _, note := range []string{
		"Keys belong to the focused pane: w, p, left and right mean something else among the logs.",
		"ctrl+c twice stops the project and quits. Mouse: click selects, dragging selects log lines, the wheel scrolls the pane under it; " +
			"shift+drag is the terminal's own selection (option+drag in iTerm).",
		"bulkhead keys prints this map in the form of the config file.", e.opts.Version} {
		for _, row := range wrapped(note, w) {
			out = append(out, e.st.dim.s(row))
		}
	}
	return out
}
