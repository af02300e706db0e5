package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

func TestScrollingToTheTopLoadsOlderLinesAndStays(t *testing.T) {
	b := shop()
	wait, calls := make(chan struct{}), 0
	b.older = func() engine.Older {
		<-wait
		if calls++; calls > 2 {
			return engine.Older{}
		}
		for i := range 100 {
			b.store.Append("db", 1, 1, logs.Stdout, start.Add(-time.Duration(calls)*time.Minute+
				time.Duration(i)*time.Millisecond), fmt.Appendf(nil, "page %d line %d", calls, i))
		}
		b.change(func(*engine.Snapshot) {})
		return engine.Older{Lines: 100}
	}
	s := openScreen(t, b, 100, 24)
	s.wait("following")
	s.keys("2", "g")
	s.wait(">12:04:21.000 api    INFO  GET /orders 200 14ms", "loading older lines")
	s.keys("j") // a key is answered meanwhile
	s.wait(">12:04:24.000 web")
	s.keys("k")
	close(wait)
	s.gone("loading older lines")
	s.wait(">12:04:21.000 api    INFO  GET /orders 200 14ms")
	s.keys("k")
	s.wait(">12:03:31.099 db     page 1 line 99")
	s.wait("page 1 line 99") // the next page is on its way before its place is reached
	s.until("page 2", func(string) bool { return b.told("older of [] from 12:03:31") })
	s.until("the top of page 2", func(text string) bool {
		s.keys("g") // which is the top of page 1 until page 2 is there
		return strings.Contains(text, ">12:02:31.000 db     page 2 line 0")
	})
	s.quit()
}

func TestTopTellsWhatWasDropped(t *testing.T) {
	b := shop()
	b.store = logs.New(logs.Options{ServiceBytes: 64 << 10})
	for i := range 5000 {
		b.write("db", fmt.Sprintf("line %d of many", i), start.Add(time.Duration(i)*time.Millisecond))
	}
	s := openScreen(t, b, 120, 30)
	s.wait("line 4999 of many")
	if text := s.text(); strings.Contains(text, "dropped") {
		t.Errorf("who follows is told of what was dropped:\n%s", text)
	}
	s.keys("2", "g")
	s.wait(fmt.Sprintf("… %s older lines dropped", thousands(b.store.Dropped("db"))))
	s.quit()
}

func TestLinesThatComeLateLeaveTheCursorOnItsLine(t *testing.T) {
	b := shop()
	for i := range 50 {
		b.write("db", fmt.Sprintf("line %d of db", i), start.Add(time.Duration(i)*100*time.Millisecond))
	}
	s := openScreen(t, b, 100, 24)
	s.wait("line 49 of db")
	s.keys("2", "k", "k", "k")
	s.wait(">12:04:35.600 db     line 46 of db")
	for i := range 25 { // from a source that lags by two seconds
		b.write("web", fmt.Sprintf("late %d", i), start.Add(time.Duration(i)*100*time.Millisecond+
			2550*time.Millisecond))
	}
	text := s.wait(">12:04:35.600 db     line 46 of db", "12:04:35.650 web    late 21")
	for _, pair := range [][2]string{{"late 19", "line 45 of db"}, {"line 45 of db", "late 20"},
		{"late 20", "line 46 of db"}, {"line 46 of db", "late 21"}} {
		if a, z := strings.Index(text, pair[0]), strings.Index(text, pair[1]); a < 0 || z < 0 || a > z {
			t.Errorf("%s is not above %s:\n%s", pair[0], pair[1], text)
		}
	}
	s.quit()
}
