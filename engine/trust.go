package engine

import (
	"fmt"
	"slices"

	"bulkhead/engine/container"
	"bulkhead/engine/lane"
	"bulkhead/engine/project"
)

// newCommands are the host commands of one load that another one does not have.
func newCommands(was, is *project.Project) []HostCommand {
	old := HostCommands(was)
	return slices.DeleteFunc(HostCommands(is), func(c HostCommand) bool {
		return slices.ContainsFunc(old, func(o HostCommand) bool { return o.ID() == c.ID() })
	})
}

// trusting asks for the agreement to the host commands of the project, and takes it.
type trusting struct{ p *lane.Parts }

// note looks which host commands nobody has allowed, so that readers can ask.
func (tr trusting) note() {
	tr.p.State.SetUntrusted(tr.p.Trust.Missing(HostCommands(tr.p.State.Project())))
}

// allow notes that a person has agreed to host commands, and returns the lanes of what waited for that.
// c.Allow are the commands that the person saw: without any, only answers that were given elsewhere count.
func (tr trusting) allow(c Command) (waiting []*lane.Lane, err error) {
	var seen []HostCommand
	names := map[string]bool{}
	for _, t := range HostCommands(tr.p.State.Project()) {
		switch {
		case slices.Contains(c.Allow, t.ID()):
			seen = append(seen, t)
			names[t.Service] = true
		case len(c.Allow) == 0 && tr.p.Trust.Allows(t):
			names[t.Service] = true
		}
	}
	if len(c.Allow) > 0 && len(seen) == 0 {
		changed := container.Failed(string(c.Verb), "the host commands have changed meanwhile")
		return nil, container.WithRemedy(changed, "look at them again")
	}
	var kept error
	if len(seen) > 0 && tr.p.Trust != nil {
		if c.Once {
			tr.p.Trust.AllowRun(seen...)
		} else {
			kept = tr.p.Trust.Allow(seen...)
		}
		for _, t := range seen {
			tr.p.State.Notice("trust", fmt.Sprintf("allowed on the host: %s", t))
		}
	}
	if kept != nil {
		tr.p.State.Warn(kept.Error())
	}
	tr.note()
	for _, l := range tr.p.Lanes.List() {
		if names[l.Name] && l.M.Allowed() {
			waiting = append(waiting, l)
		}
	}
	return waiting, nil
}
