package ui

import (
	"strings"
	"testing"

	"bulkhead/engine"
)

// What a service writes without ending the line is seen while that service alone is shown, as a
// terminal shows it, until its whole line is in the log.
func TestUnfinishedLineOfTheShownService(t *testing.T) {
	b := shop()
	b.snap.Caps.Preview = true
	s := openScreen(t, b, 80, 24)
	s.wait("GET /orders 200 15ms")
	s.keys("enter")
	s.until("api is previewed", func(string) bool { return b.told("preview of api/1") })
	write := func(text string) {
		b.mu.Lock()
		show := b.open
		b.mu.Unlock()
		show(text)
	}
	lines := func() []string { return strings.Split(s.text(), "\n") }
	s.wait("GET /orders 200 14ms")
	write("fetching  10%\rfetching  55\x1b[31m%\x1b[2J\x1b[m")
	s.wait("fetching  55%")
	s.golden("preview")
	write("password: ")
	s.wait("password:")
	for i, l := range lines() {
		if strings.Contains(l, "password:") &&
			(i == 0 || !strings.Contains(lines()[i-1], "GET /orders 200 15ms")) {
			t.Errorf("it is not below the newest line:\n%s", s.text())
		}
	}
	s.gone("fetching")
	b.write("api", "password: accepted", start)
	write("")
	s.until("the whole line alone", func(text string) bool {
		return strings.Count(text, "password:") == 1 && strings.Contains(text, "accepted")
	})

	// It is closed when the service is not the only one that is shown, and while older lines are.
	s.keys("esc")
	s.until("closed", func(string) bool { return b.told("preview of api/1 closed") })
	s.keys("3", "1", "j", "enter") // which shows the logs, too
	s.until("cache is previewed", func(string) bool { return b.told("preview of cache/1") })
	write("never seen before its time")
	s.keys("3")
	s.until("closed", func(string) bool { return b.told("preview of cache/1 closed") })
	s.quit()
	for _, l := range b.heard {
		if strings.Contains(l, "preview of") && !strings.Contains(l, "api/1") &&
			!strings.Contains(l, "cache/1") {
			t.Errorf("also: %s", l)
		}
	}
}

// Where the runtime has no previews, it is asked once at most; a screen that is to be suspended
// reads nothing any more, and so holds nobody up.
func TestPreviewIsClosedBeforeTheScreenIsSuspended(t *testing.T) {
	b := shop()
	p := &preview{e: &env{jobs: &jobs{ctx: t.Context()}, backend: b}}
	p.e.snap = snapshot{&engine.Snapshot{}}
	if p.settle(target{service: "api", replica: 1}); p.open != nil {
		t.Fatal("opened on a runtime without previews")
	}
	p.e.snap.Caps.Preview = true
	p.settle(target{service: "api", replica: 1})
	s := p.open
	if s == nil {
		t.Fatal("not opened")
	}
	go func() { <-s.over; close(s.ended) }()
	if cmd := p.hold(); cmd == nil || cmd() != nil {
		t.Error("it is not waited for")
	}
	select {
	case <-s.ended:
	default:
		t.Error("suspended before it was closed")
	}
	if p.settle(target{service: "api", replica: 1}); p.open != nil {
		t.Error("opened while it is held")
	}
	p.held = false
	p.settle(target{service: "api", replica: 1})
	if _, ok := p.receive(previewEndMsg{from: p.open, err: engine.ErrUnsupported}); !ok || p.open != nil {
		t.Error("the end of a stream was not taken in")
	}
	if p.settle(target{service: "api", replica: 1}); p.open != nil {
		t.Error("opened again where it cannot be")
	}
}

// A line that is young is not shown: most are ended by the next write.
func TestYoungLineIsNotDue(t *testing.T) {
	s := &previewStream{news: make(chan struct{}, 1)}
	s.set("half a")
	if text, wait := s.due(); text != "" || wait <= 0 {
		t.Errorf("due: %q, %s", text, wait)
	}
	s.since = s.since.Add(-previewAfter)
	s.set("half a line")
	if text, wait := s.due(); text != "half a line" || wait != 0 {
		t.Errorf("due: %q, %s", text, wait)
	}
	s.set("")
	s.set("another")
	if text, _ := s.due(); text != "" {
		t.Errorf("due: %q", text)
	}
}
