package ui

import (
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// askTicker ends at once and notes whether the program's ticker was found.
type askTicker struct {
	p     *tea.Program
	found *bool
}

func (a askTicker) Init() tea.Cmd                       { return tea.Quit }
func (a askTicker) View() tea.View                      { return tea.NewView("") }
func (a askTicker) Update(tea.Msg) (tea.Model, tea.Cmd) { return a, nil }

func TestTickerOfThisBubbleTeaIsFound(t *testing.T) {
	found := false
	m := &askTicker{found: &found}
	m.p = tea.NewProgram(m, tea.WithInput(nil), tea.WithOutput(io.Discard), tea.WithoutSignalHandler(), tea.WithFilter(func(_ tea.Model, msg tea.Msg) tea.Msg {
		found = tickerOf(m.p) != nil // in the event loop, as the screen does it
		return msg
	}))
	if _, err := m.p.Run(); err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Error("this Bubble Tea has no such ticker: the screen would not come to rest")
	}
}

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
		b.snap.Services = append(b.snap.Services, engine.Service{Name: "z" + string(rune('a'+i)), State: engine.StateRunning})
	}
	s := openScreen(t, b, 80, 24)
	s.until("the first rows", func(string) bool { return b.told("attention true api,cache,db,") && !b.told("zt") })
	s.keys("G")
	s.until("the last rows", func(string) bool { return b.told("zs,zt") })
	s.quit()
}
