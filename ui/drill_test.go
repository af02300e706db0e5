package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/drill"
)

// drilled is a report of the fake's project, whose rows from done on are not through yet.
func drilled(done int) *drill.Report {
	services := []string{"gw", "web", "api", "worker", "mail", "cache", "db"}
	r := &drill.Report{Schema: drill.Schema, Project: "shop", Fault: "kill", Began: start,
		HoldMS: 10_000, SettleMS: 60_000, Repeat: 1, Phase: drill.PhaseRunning,
		Services: services, Edges: []drill.Edge{{From: "gw", To: "worker", By: "depends_on"}},
		Baseline: []drill.Baseline{{Service: "gw", Health: "healthy", ErrorsPerSec: .2, Asked: 50, P95MS: 31}}}
	for i, name := range services {
		back := int64(1200)
		row := drill.Row{Killed: name, Phase: drill.PhaseDone, Verdict: drill.Isolated,
			BackInMS: &back, BackBy: "healthy", Repeat: 1}
		for _, s := range services {
			if s != name {
				row.Cells = append(row.Cells, drill.Cell{Service: s, Outcome: drill.Untouched,
					Evidence: []drill.Evidence{{Kind: "probe", Text: "50 of 50 answered, p95 12ms"}}})
			}
		}
		switch {
		case i > done:
			row = drill.Row{Killed: name, Phase: drill.PhaseQueued}
		case i == done:
			row = drill.Row{Killed: name, Phase: drill.PhaseHold,
				Until: start.Add(6 * time.Second).Format(time.RFC3339Nano)}
		case name == "worker":
			row.Verdict, row.Why = drill.Leak, "gw unhealthy"
			gw := row.Cell("gw")
			gw.Outcome, gw.AfterMS, gw.Evidence = drill.Unhealthy, 2310, []drill.Evidence{
				{AfterMS: 1100, Kind: "log", Level: "error", Count: 3, Text: "upstream worker 502"},
				{AfterMS: 2310, Kind: "health", Text: "healthy -> unhealthy"}}
		}
		r.Rows = append(r.Rows, row)
	}
	if done >= len(services) {
		r.Phase = drill.PhaseDone
	}
	return r
}

func TestDrillIsSetUpAndStarted(t *testing.T) {
	b := shop()
	s := openScreen(t, b, 80, 24)
	s.keys("I")
	s.wait("enter starts it")
	s.keys("v", "t")
	s.wait("Fault of the drill")
	s.keys("e") // the fifth: pause
	s.wait("fault     pause")
	s.keys("enter")
	s.until("the drill", func(string) bool { return b.told("drill pause of [], volumes true") })
}

func TestDrillIsShownAsItFills(t *testing.T) {
	b := shop()
	b.change(func(n *engine.Snapshot) { n.Drill, n.Drilling = drilled(4), true })
	s := openScreen(t, b, 80, 24)
	s.keys("I")
	s.wait("hold 6 s")
	s.keys("j", "j", "j")
	s.wait("upstream worker 502")
	s.golden("drill")
	s.keys("space")
	s.until("the hold", func(string) bool { return b.told("drill hold") })
	s.keys("k", "r")
	s.until("the row again", func(string) bool { return b.told("drill again api") })
	s.keys("esc")
	s.wait("esc again within two seconds")
	s.keys("esc")
	s.until("the abort", func(string) bool { return b.told("drill abort") })
}

func TestWideMatrixScrollsByColumnBesideTheNames(t *testing.T) {
	b := shop()
	b.change(func(n *engine.Snapshot) { n.Drill = drilled(7) })
	s := openScreen(t, b, 60, 24)
	s.keys("I")
	s.wait("1-4 of 7")
	s.keys("right", "right", "right", "right", "right", "right")
	text := s.wait("4-7 of 7")
	for _, name := range []string{"FAULT ON", "worker", "gw", "cache", "db", "LEAK <-"} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not there:\n%s", name, text)
		}
	}
}

func TestMatrixCutsNoNameThatHasRoom(t *testing.T) {
	r := drilled(7)
	names := []string{"gw", "web", "recommendations", "worker", "notification-mailer", "cache", "db"}
	for i, name := range names {
		for n := range r.Rows {
			for c := range r.Rows[n].Cells {
				if cell := &r.Rows[n].Cells[c]; cell.Service == r.Services[i] {
					cell.Service = name
				}
			}
		}
		r.Rows[i].Killed = name
	}
	r.Services = names
	for w, want := range map[int]string{
		200: "20 [6 6 16 7 20 6 6]", 108: "20 [6 6 16 7 20 6 6]", 100: "16 [6 6 16 7 16 6 6]", 75: "12 []",
	} {
		g := drillGridOf(r, w)
		if got := fmt.Sprint(g.name, " ", g.cells); g.columns != 7 || got != want {
			t.Errorf("%d wide: %s, want %s", w, got, want)
		}
	}
	b := shop()
	b.change(func(n *engine.Snapshot) { n.Drill = r })
	s := openScreen(t, b, 200, 50)
	s.keys("I")
	text := s.wait("notification-mailer ")
	if strings.Contains(text, "…") {
		t.Errorf("a name is cut:\n%s", text)
	}
}

func TestReportOfADrillIsSaved(t *testing.T) {
	dir := t.TempDir()
	b := shop()
	b.change(func(n *engine.Snapshot) { n.Drill = drilled(7) })
	s := openScreen(t, b, 80, 24, func(o *Options) { o.Config.SaveDir = dir })
	s.keys("I", "ctrl+s")
	s.wait("Save the report")
	s.keys("h")
	s.wait("saved to")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || filepath.Ext(files[0].Name()) != ".html" {
		t.Fatalf("%v %v", files, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil || !slices.Contains(strings.Fields(string(text)), "leak") &&
		!strings.Contains(string(text), "LEAK") {
		t.Errorf("%v\n%s", err, text)
	}
}
