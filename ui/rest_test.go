package ui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

func TestScreenComesToRest(t *testing.T) {
	m, f := load(t, 7, 80, 24)
	for i := range f.snap.Services {
		svc := &f.snap.Services[i]
		svc.State, svc.ByHand, svc.Last, svc.Started = engine.StateRunning, false, nil, start.Add(-time.Hour)
	}
	if !strings.Contains(m.View().Content, "12:04:31") {
		t.Fatal("no seconds while things move")
	}
	f.now = f.now.Add(restAfter + time.Second)
	m.Update(tickMsg{})
	if text := m.View().Content; strings.Contains(text, "12:04:52") || !strings.Contains(text, "12:04") {
		t.Error("the clock still counts seconds")
	}
	f.now = f.now.Add(time.Second)
	first := m.View().Content
	m.Update(tickMsg{})
	if m.View().Content != first {
		t.Error("a screen at rest moves")
	}
	m.Update(tea.KeyPressMsg{Code: 'j', Text: "j"})
	m.Update(tickMsg{})
	if !strings.Contains(m.View().Content, "12:04:53") {
		t.Error("no seconds after a key")
	}
}

func TestEngineHearsWhoseReadingsAreSeen(t *testing.T) {
	b := shop()
	for i := range 20 {
		b.snap.Services = append(b.snap.Services, engine.Service{Name: "z" + string(rune('a'+i)),
			State: engine.StateRunning})
	}
	s := openScreen(t, b, 80, 24)
	s.until("the first rows", func(string) bool {
		return b.told("attention true api,cache,db,") && !b.told("zt")
	})
	s.keys("G")
	s.until("the last rows", func(string) bool { return b.told("zs,zt") })
	s.quit()
}
