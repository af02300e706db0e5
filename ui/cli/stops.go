package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// stopNotices returns what prints whom a verb waits for that stops containers, each time one of
// them has ended; nil for other verbs.
func (x *action) stopNotices() func([]engine.Instance) {
	if !stopsContainers(x.verb()) {
		return nil
	}
	began := time.Now()
	var before []string
	return func(instances []engine.Instance) {
		names := x.running(waitedFor(x.p, x.cmds[0], instances, began))
		if len(names) == 0 || before != nil && len(names) >= len(before) {
			return
		}
		before = names
		x.app.console.notify(fmt.Sprintf("%s %s: waiting for %s (up to %s); ctrl+c stops waiting",
			doing(x.verb()), x.name, listNames(names),
			graceText(graceOf(x.p, x.cmds[0].Grace, names))))
	}
}

// running leaves out the replicas that the verb's own engine has seen end since the engine's list was begun.
func (x *action) running(names []string) []string {
	s := x.session.Load()
	if s == nil || len(names) == 0 {
		return names
	}
	now := runningReplicas(s.e.Snapshot().Services)
	return slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(now, name) })
}

func stopsContainers(verb engine.Verb) bool {
	return verb == engine.VerbStop || verb == engine.VerbDown || verb == engine.VerbRestart
}

// waitedFor names the replicas of a command that run and have not been started since it began.
func waitedFor(p *project.Project, cmd engine.Command, instances []engine.Instance, began time.Time) []string {
	var names []string
	for _, in := range instances {
		switch {
		case len(cmd.Services) > 0 && !slices.Contains(cmd.Services, in.Service):
		// an orphan, left alone
		case len(cmd.Services) == 0 && p != nil && !slices.Contains(serviceNames(p), in.Service):
		case in.State != engine.StateRunning && in.State != engine.StateStopping:
		case in.Started.After(began): // restarted already
		default:
			names = append(names, replicaName(in.Service, in.Replica))
		}
	}
	slices.Sort(names)
	return names
}

// interrupted words the end of a verb that a signal ended while it stopped containers: their stop signal has been sent.
func (x *action) interrupted(err error) error {
	if !errors.Is(err, context.Canceled) || !stopsContainers(x.verb()) {
		return err
	}
	return &exit{code: exitFailed,
		err: fmt.Errorf(
			"%s: interrupted; what was asked to stop goes on stopping, `bulkhead ps` shows it",
			x.what(x.cmds[0]))}
}
