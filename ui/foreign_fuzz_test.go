package ui

import (
	"testing"

	"bulkhead/ui/internal/hostile"
)

// Every field of a snapshot, in every pane and over them.
func FuzzForeignSnapshot(f *testing.F) {
	for _, text := range []string{hostile.Text, "\u009d52;c;x\u009c", "\x9d52;c;x\x9c",
		"\x1b_x\x1b\\", "\u202eevil\u2069", "\r\n\t\b\x7f", "日本\xff", "\x1b[31m"} {
		for i := range paneIDs() {
			f.Add(text, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, text string, how uint8) {
		m, b := load(t, 3, 110, 40)
		hostile.FillWith(&b.snap, text)
		panes := paneIDs()
		m.e.focusPane(panes[int(how)%len(panes)])
		m.refresh()
		for range 2 {
			m.dirty = true
			checkRows(t, m.View().Content, 110, 40)
			m.e.over = nil
			m.detail.inspect() // drawn over the panes in the second round
		}
	})
}
