package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// drag moves the pointer with its button down.
func (s *screen) drag(x int, rows ...int) {
	s.p.Send(tea.MouseClickMsg{X: x, Y: rows[0], Button: tea.MouseLeft})
	for _, y := range rows[1:] {
		s.p.Send(tea.MouseMotionMsg{X: x, Y: y, Button: tea.MouseLeft})
	}
}

func (s *screen) drop(x, y int) { s.p.Send(tea.MouseReleaseMsg{X: x, Y: y, Button: tea.MouseLeft}) }

// rowOf is the row of the screen that holds a text.
func (s *screen) rowOf(what string) int {
	s.t.Helper()
	for y, row := range strings.Split(s.wait(what), "\n") {
		if strings.Contains(row, what) {
			return y
		}
	}
	return -1
}

func TestDraggingSelectsLines(t *testing.T) {
	b := shop()
	for i := range 100 {
		b.write("db", fmt.Sprintf("line %02d of many", i), start.Add(time.Duration(i)*time.Millisecond))
	}
	s := openScreen(t, b, 80, 24)
	y := s.rowOf("line 95 of many")
	s.drag(40, y, y-1, y-2)
	s.wait("|12:04:31 db     line 95", "|12:04:31 db     line 94", ">12:04:31 db     line 93")
	s.drop(40, y-2)
	s.wait("3 lines selected, y copies")
	for range 6 {
		// the range stays where it is, out of sight
		s.p.Send(tea.MouseWheelMsg{X: 40, Y: y, Button: tea.MouseWheelUp})
	}
	s.wait("line 75")
	s.gone("line 93")
	s.keys("y")
	s.wait("copied 3 lines to the terminal (OSC 52)")

	// Past the upper edge it scrolls on its own for as long as the pointer is held there.
	s.keys("f")
	s.wait("line 99 of many", "following")
	y = s.rowOf("line 95 of many")
	s.drag(40, y, 2)
	s.wait(">12:04:21 api    INFO  GET /orders")
	s.drop(40, 2)
	s.wait("105 lines selected")
	// A click alone selects one line.
	s.p.Send(tea.MouseClickMsg{X: 40, Y: y, Button: tea.MouseLeft})
	s.drop(40, y)
	s.gone("|12:04:31")
	s.quit()
}

// dragAcross moves the pointer with its button down, and lets go of it.
func (s *screen) dragAcross(x, y, toX, toY int) {
	s.p.Send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	s.p.Send(tea.MouseMotionMsg{X: toX, Y: toY, Button: tea.MouseLeft})
	s.drop(toX, toY)
}

// cellOf is where a text begins on the screen.
func (s *screen) cellOf(what string) (x, y int) {
	s.t.Helper()
	y = s.rowOf(what)
	row := strings.Split(s.text(), "\n")[y]
	return width(row[:max(strings.Index(row, what), 0)]), y
}

func TestDraggingWithinALineSelectsCharacters(t *testing.T) {
	b := shop()
	b.write("db", "\x1b[32mone\x1b[m two ünï 日本 end", start)
	b.write("db", "the line below", start)
	b.write("db", "head "+strings.Repeat("0123456789", 12)+" tail", start)
	s := openScreen(t, b, 80, 24)
	x, y := s.cellOf("two ünï")
	s.dragAcross(x, y, x+6, y)
	s.wait("7 characters selected, y copies")
	s.until("the selected cells", func(string) bool {
		on := func(x int) bool { c := s.CellAt(x, y); return c != nil && c.Style.Attrs != 0 }
		return on(x) && on(x+6) && !on(x-1) && !on(x+7)
	})
	s.keys("y")
	s.wait("copied 7 characters to the terminal (OSC 52)")
	s.keys("y")
	s.wait("copied 1 line to the terminal") // the selection is done with

	s.dragAcross(x+8+1, y, x, y) // from the right, and out of a wide character
	s.wait("9 characters selected")
	s.keys("esc")
	s.keys("y")
	s.wait("copied 1 line to the terminal")

	s.dragAcross(x, y, x+5, y) // goes with the cursor
	s.wait("6 characters selected")
	s.keys("j", "y")
	s.wait("copied 1 line to the terminal")

	s.dragAcross(x, y, x+5, y+1) // another line: lines
	s.wait("2 lines selected, y copies")
	s.p.Send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	for _, to := range [][2]int{{x + 2, y + 1}, {x + 2, y}} { // and back
		s.p.Send(tea.MouseMotionMsg{X: to[0], Y: to[1], Button: tea.MouseLeft})
	}
	s.drop(x+2, y)
	s.wait("3 characters selected")

	s.keys("f")
	x, y = s.cellOf("head 0123")
	// the time and the name in front are not the line's, nor is the mark of what is cut off
	s.dragAcross(0, y, 79, y)
	s.until("what is seen", func(text string) bool {
		return strings.Contains(text, " characters selected") && !strings.Contains(text, "3 characters")
	})
	s.keys("w")
	s.wait(" 8901234567890123") // the second row
	s.gone("characters selected")
	s.keys("y")
	s.wait("copied 1 line to the terminal") // what is laid out otherwise is not what was selected
	s.quit()
}

func TestSelectedCharactersAreTheLinesOwn(t *testing.T) {
	b := shop()
	b.write("db", "\x1b[32mone\x1b[m two ünï 日本 end", start)
	b.write("db", "head "+strings.Repeat("0123456789", 12)+" tail", start)
	for _, c := range []struct {
		wrap           bool
		x, y, toX, toY int // in the text, from the first of the two lines on
		want           string
	}{
		{x: 0, toX: 2, want: "one"},
		{x: 6, toX: 4, want: "two"},
		{x: 8, toX: 14, want: "ünï 日"},
		{x: 12, toX: 200, want: "日本 end"},
		{x: -9, toX: 2, want: "one"},
		{x: 0, y: 1, toX: 200, toY: 1, want: "head " + strings.Repeat("0123456789", 12)[:57]},
		{wrap: true, x: 5, y: 1, toX: 5, toY: 2, want: strings.Repeat("0123456789", 12)[:64]},
		{wrap: true, x: 5, y: 2, toX: 5, toY: 1, want: strings.Repeat("0123456789", 12)[:64]},
		{x: 3, toX: 3, want: ""},
	} {
		m, err := newModel(t.Context(), Options{Backend: b, Now: b.clock}, make(chan struct{}))
		if err != nil {
			t.Fatal(err)
		}
		m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
		m.e.focusPane(paneLogs)
		m.log.format.wrap = c.wrap
		view := func() string { m.dirty = true; return m.View().Content }
		view()
		first := -1
		for y, r := range m.log.win.seen {
			if strings.Contains(string(r.line.Text), "two") {
				first = y
			}
		}
		x, y := m.e.f.main.x+m.log.textX, m.e.f.main.y+first
		m.Update(tea.MouseClickMsg{X: x + c.x, Y: y + c.y, Button: tea.MouseLeft})
		view()
		m.Update(tea.MouseMotionMsg{X: x + c.toX, Y: y + c.toY, Button: tea.MouseLeft})
		checkRows(t, view(), 80, 24)
		m.Update(tea.MouseReleaseMsg{})
		got := ""
		if sel := m.log.charsOf(&m.log.win.cur.line); sel != nil {
			got = sel.text
		}
		if got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
