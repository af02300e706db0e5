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
		b.say("db", fmt.Sprintf("line %02d of many", i), start.Add(time.Duration(i)*time.Millisecond))
	}
	s := openScreen(t, b, 80, 24)
	y := s.rowOf("line 95 of many")
	s.drag(40, y, y-1, y-2)
	s.wait("|12:04:31 db     line 95", "|12:04:31 db     line 94", ">12:04:31 db     line 93")
	s.drop(40, y-2)
	s.wait("3 lines selected, y copies")
	for range 6 {
		s.p.Send(tea.MouseWheelMsg{X: 40, Y: y, Button: tea.MouseWheelUp}) // the range stays where it is, out of sight
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
