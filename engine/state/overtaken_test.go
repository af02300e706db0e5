package state

import (
	"testing"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
	"bulkhead/engine/tail"
)

// unnumbered stands in for the logs and the journal, which these tests do not ask.
type unnumbered struct{}

func (unnumbered) Generation(string, int, container.Instance) int { return 1 }
func (unnumbered) Unhooked(string) bool                           { return false }
func (unnumbered) Observe(tail.Sighting)                          {}
func (unnumbered) Gone(tail.Replica, string, bool)                {}

func alone() (*State, *Member) {
	p := &project.Project{Name: "shop", Services: []*project.Service{{Name: "a", Replicas: 1}}}
	st := New(p, Options{Lives: unnumbered{}})
	return st, st.Member("a")
}

// A look at a container and the event of its end come by different ways, and the look may come last.
func TestLookThatWasOvertakenByTheEndDoesNotBringALifeBack(t *testing.T) {
	st, m := alone()
	began := time.Now()
	in := container.Instance{Identity: container.Identity{ID: "x", Started: began}, Service: "a",
		Replica: 1, State: container.StateRunning}
	m.Adopt(1, in, "")
	do := m.React(container.Event{Kind: container.EventDied, ID: "x", Service: "a", ExitCode: 3,
		Time: began.Add(time.Second)})
	if do.Ends == nil {
		t.Fatal("the event of the end is not shown at once")
	}
	m.Adopt(1, *do.Ends, do.Cause)
	m.Adopt(1, in, "")
	r := st.Snapshot().Services[0].Replicas[0]
	if r.State != container.StateExited || r.ExitCode != 3 {
		t.Errorf("it is %s with exit code %d, want exited with 3", r.State, r.ExitCode)
	}
	in.Started = began.Add(time.Minute)
	m.Adopt(1, in, "")
	if r := st.Snapshot().Services[0].Replicas[0]; r.State != container.StateRunning {
		t.Errorf("the next life is %s, want running", r.State)
	}
}

// What happens to a container while a lane is about to take it over makes the lane's look one that may
// be too early.
func TestContainerWithAnEventBeforeItIsTakenOverIsLookedAtAgain(t *testing.T) {
	for _, eventful := range []bool{false, true} {
		st, m := alone()
		Notes{State: st}.Created("a", "x")
		if eventful {
			m.React(container.Event{Kind: container.EventDied, ID: "x", Service: "a", Time: time.Now()})
		}
		in := container.Instance{Identity: container.Identity{ID: "x", Started: time.Now()},
			Service: "a", Replica: 1, State: container.StateRunning}
		if f := m.Adopt(1, in, ""); (f.Again == "x") != eventful {
			t.Errorf("eventful %v: look again at %q", eventful, f.Again)
		}
		if f := m.Adopt(1, in, ""); f.Again != "" {
			t.Errorf("eventful %v: look again after the second look", eventful)
		}
	}
}
