package ui

import (
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

func TestReloadIsOfferedAndApplied(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.b.change(func(n *engine.Snapshot) {
		n.Reload = &engine.Reload{At: start,
			Changes: []project.Change{{Service: "web", Kind: project.Recreate},
				{Service: "search", Kind: project.Added}}}
	})
	s.wait("Compose file changed: web to be recreated, search is new", "[u] apply", "pending recreate")
	s.keys("u")
	s.until("the apply", func(string) bool { return s.b.told("apply  (you pressed u)") })
	if got := (&echo{e: &env{snap: snapshot{Snapshot: s.b.Snapshot()}}}).of(engine.Command{Verb: engine.VerbApply}); len(got) != 1 ||
		!strings.HasSuffix(got[0], " up -d --no-deps web search") {
		t.Errorf("docker's command for it is %q", got)
	}
	s.b.change(func(n *engine.Snapshot) { n.Reload = &engine.Reload{Err: "compose.yaml:3: no such key"} })
	s.wait("does not load: compose.yaml:3: no such key")
	s.quit()
}

// What is selected comes first: its changed Compose file before another service that is held down.
func TestChangeOfTheSelectedServiceIsAppliedFirst(t *testing.T) {
	f := shop()
	f.change(func(n *engine.Snapshot) {
		n.Ledgers = []engine.Ledger{fakeLedger(n, "worker", start)}
		worker := &n.Services[6]
		worker.ByHand, worker.Replicas[0].Cause = true, "you pressed K"
		n.Reload = &engine.Reload{At: start, Changes: []project.Change{{Service: "web", Kind: project.Recreate}}}
	})
	s := openScreen(t, f, 80, 24)
	s.wait("[u] bring back")
	s.keys("G", "k")
	s.wait("> ● web", "u apply")
	s.keys("u")
	s.until("the apply", func(string) bool { return s.b.told("apply  (you pressed u)") })
	s.quit()
}

// A service that could not be brought to what the file says stays to be applied, whatever was done to it since.
func TestWhatCouldNotBeAppliedStaysPending(t *testing.T) {
	f := shop()
	f.change(func(n *engine.Snapshot) {
		web := &n.Services[5]
		web.Unapplied, web.Last = true, &engine.Change{Service: "web", Action: "restart", Began: start, Ended: start}
	})
	s := openScreen(t, f, 80, 24)
	s.keys("G", "k")
	s.wait("> ● web", "pending recreate", "u apply")
	s.keys("u")
	s.until("the apply", func(string) bool { return s.b.told("up web (you pressed u)") })
	s.quit()
}

// The end of an error says what to do about it, also where the screen is small.
func TestErrorOfTheComposeFileIsReadToItsEnd(t *testing.T) {
	f := shop()
	why := "compose.yaml:14: " + strings.Repeat("something is not as it should be, ", 5) + "write a target"
	f.change(func(n *engine.Snapshot) { n.Reload = &engine.Reload{At: start, Err: why} })
	s := openScreen(t, f, 80, 24)
	s.wait("does not load: compose.yaml:14", ", write", "a target")
	s.quit()
}
