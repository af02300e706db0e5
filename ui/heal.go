package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// What H does: it makes all well again and asks nothing. What was stopped or paused on purpose is
// not broken: u brings it back.

func (v *verbs) canHeal() bool { return len(v.e.snap.Faults) > 0 || v.e.snap.any(v.broken) }

// broken says whether a service is down because of a kill, of itself or of another one.
func (v *verbs) broken(s *engine.Service) bool {
	switch {
	case s.State == engine.StatePaused, s.State == engine.StateStopping:
		return false
	case downByHand(s):
		return s.Last == nil || s.Last.Action != "stop"
	}
	return s.State == engine.StateExited && s.ExitCode != 0 && v.diedOfFault(s.Name)
}

// diedOfFault says whether the latest fault ended a service that it did not hit.
func (v *verbs) diedOfFault(service string) bool {
	n := len(v.e.snap.Ledgers)
	if n == 0 {
		return false
	}
	for _, r := range v.e.snap.Ledgers[n-1].Rows {
		if r.Service == service && r.Outcome == engine.Died {
			return true
		}
	}
	return false
}

func (v *verbs) heal() tea.Cmd {
	var cmds []tea.Cmd
	key := v.e.keyOf("heal")
	faulty := map[string]bool{}
	if len(v.e.snap.Faults) > 0 {
		cmds = append(cmds, v.send("heal all faults", key, engine.Command{Verb: engine.VerbHeal}))
		for _, a := range v.e.snap.Faults {
			faulty[a.Fault.Service] = true
		}
	}
	var down []string
	for i := range v.e.snap.Services {
		if s := &v.e.snap.Services[i]; v.broken(s) && !faulty[s.Name] { // the fault brings its own back
			down = append(down, s.Name)
		}
	}
	if len(down) > 0 {
		cmds = append(cmds, v.send("bring back "+strings.Join(down, ", "), key,
			engine.Command{Verb: engine.VerbUp, Services: down}))
	}
	return tea.Batch(cmds...)
}
