package plan

import (
	"slices"
	"strings"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// Lack is what a container lacks of the files that its service's rules copy.
type Lack struct {
	Replica int
	Seen    container.Instance
	Differs bool  // something is to be copied or deleted
	Rules   []int // indexes of the rules that have something to act on: a difference, or a file that is bound
}

// DecideFiles says what brings the containers of a service what they lack: a Sync for each that lacks
// something, and then a Restart of each, or an Exec for each rule that has a command. restart says that
// a rule asked for it without any file to copy. cause is why.
func DecideFiles(conf *project.Service, lacks []Lack, restart bool, cause string) Plan {
	var p Plan
	var execs []int
	for _, l := range lacks {
		if l.Differs {
			p = append(p, Step{Service: conf.Name, Replica: l.Replica, Op: Sync, Reason: cause, Seen: l.Seen})
		}
		for _, i := range l.Rules {
			switch conf.Rules[i].Action {
			case project.SyncRestart:
				restart = true
			case project.SyncExec:
				execs = append(execs, i)
			}
		}
	}
	if restart {
		for _, l := range lacks {
			p = append(p, Step{Service: conf.Name, Replica: l.Replica, Op: Restart, Reason: cause,
				Seen: l.Seen})
		}
		return p
	}
	slices.Sort(execs)
	for _, i := range slices.Compact(execs) {
		s := Step{Service: conf.Name, Op: Exec, Rule: &conf.Rules[i]}
		if e := conf.Rules[i].Exec; e != nil {
			s.Reason = strings.Join(e.Command, " ")
		}
		p = append(p, s)
	}
	return p
}

// FilesAction names what a plan of DecideFiles does in one word, "" for nothing.
func (p Plan) FilesAction() string {
	has := func(op Op) bool { return slices.ContainsFunc(p, func(s Step) bool { return s.Op == op }) }
	switch {
	case has(Restart) && has(Sync):
		return "sync+restart"
	case has(Restart):
		return "restart"
	case has(Exec):
		return "sync+exec"
	case has(Sync):
		return "sync"
	}
	return ""
}

// without returns the steps but those of one kind.
func (p Plan) without(op Op) Plan {
	return slices.DeleteFunc(slices.Clone(p), func(s Step) bool { return s.Op == op })
}

// Only returns the steps of one kind.
func (p Plan) Only(op Op) Plan {
	return slices.DeleteFunc(slices.Clone(p), func(s Step) bool { return s.Op != op })
}
