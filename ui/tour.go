package ui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/drill"
)

// tour leads a person through the shop: one line at the bottom says what to press and what to look
// at, and goes on once that was done.
type tour struct {
	e     *env
	on    bool
	begun bool // the shop was up once
	step  int
	drill *drill.Report // when the step began
}

// steps are what to do, and how to see that it was done.
func (t *tour) steps() []tourStep {
	k := t.e.keyOf
	down := func(n snapshot) bool { return n.any(downByHand) }
	return []tourStep{
		{"j to orders, " + k("kill") + " kills it; watch gateway and web", func(n snapshot) bool {
			l := n.openLedger()
			return l != nil && l.Service == "orders" && down(n)
		}},
		{"nothing else was touched, " + k("ledger") + " has the proof; " + k("up") +
			" brings it back", func(n snapshot) bool { return !down(n) }},
		{"now slow: select catalog, " + k("fault") + ", latency, enter", func(n snapshot) bool {
			return len(n.Faults) > 0
		}},
		{k("heal") + " heals all", func(n snapshot) bool { return len(n.Faults) == 0 && !down(n) }},
		{k("drill") + " drill, " + k("drill-fault") + " picks pause, " + k("drill-volumes") +
			" takes all, " + k("drill-enter") + " starts it (4 minutes)", func(n snapshot) bool {
			return n.Drilling
		}},
		{"each service hangs in turn; LEAK: the gateway hangs with it", func(n snapshot) bool {
			return !n.Drilling && n.Drill != nil
		}},
		{"in gateway/patience.go return service.Middle, not 0; save", func(n snapshot) bool {
			s := n.service("gateway")
			return s != nil && s.Last != nil && len(s.Last.Paths) > 0 && !s.Last.Ended.IsZero() &&
				s.Last.Err == ""
		}},
		{"prove it: " + k("drill") + ", " + k("drill-new") + ", " + k("drill-enter") +
			" run the drill again", func(n snapshot) bool {
			return !n.Drilling && n.Drill != nil && n.Drill != t.drill && n.Drill.Over() &&
				len(n.Drill.Find(drill.DefaultFailOn())) == 0
		}},
		{"no leak any more; " + k("quit") + " quits, " + k("help") + " has all keys",
			func(snapshot) bool { return false }},
	}
}

type tourStep struct {
	text string
	done func(n snapshot) bool
}

// refresh goes on where the step was done.
func (t *tour) refresh() {
	t.begun = t.begun || t.e.snap.Ready // there is nothing to do before
	if !t.on || !t.begun {
		return
	}
	steps := t.steps()
	if t.step < len(steps) && steps[t.step].done(t.e.snap) {
		t.step++
		t.drill = t.e.snap.Drill
	}
}

// line is what to do now; "" without a tour.
func (t *tour) line() string {
	switch {
	case !t.on:
		return ""
	case !t.begun:
		return "tour: the shop comes up; the first time it is compiled"
	}
	steps := t.steps()
	return fmt.Sprintf("tour %d/%d: %s", t.step+1, len(steps), steps[t.step].text)
}

// next is the action that goes on without doing the step.
func (t *tour) next() tea.Cmd {
	t.step = min(t.step+1, len(t.steps())-1)
	t.drill = t.e.snap.Drill
	return nil
}

// end is the action that takes the tour away.
func (t *tour) end() tea.Cmd { t.on = false; return nil }

func (t *tour) running() bool { return t.on }
