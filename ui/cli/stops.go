package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// stops gives what says who a verb waits for that stops containers, each time somebody has ended; nil for other verbs.
func (a *app) stops(name string, p *project.Project, cmd engine.Command) func([]engine.Instance) {
	if !stopsContainers(cmd.Verb) {
		return nil
	}
	began := time.Now()
	var before []string
	return func(instances []engine.Instance) {
		names := waitedFor(p, cmd, instances, began)
		if len(names) == 0 || before != nil && len(names) >= len(before) {
			return
		}
		before = names
		a.waiting(fmt.Sprintf("%s %s: waiting for %s (up to %s); ctrl+c stops waiting", doing(cmd.Verb), name, some(names),
			graceText(graceOf(p, cmd.Grace, names))))
	}
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
		case len(cmd.Services) == 0 && p != nil && !slices.Contains(serviceNames(p), in.Service): // an orphan, left alone
		case in.State != engine.StateRunning && in.State != engine.StateStopping:
		case in.Started.After(began): // restarted already
		default:
			names = append(names, replicaName(in.Service, in.Replica))
		}
	}
	slices.Sort(names)
	return names
}

// interruptedStop words the end of a verb that a signal ended while it stopped containers: their stop signal has been sent.
func interruptedStop(name string, cmd engine.Command, err error) error {
	if !errors.Is(err, context.Canceled) || !stopsContainers(cmd.Verb) {
		return err
	}
	what := strings.TrimSpace(string(cmd.Verb) + " " + strings.Join(cmd.Services, " "))
	if len(cmd.Services) == 0 {
		what += " " + name
	}
	return &exit{code: exitFailed, err: fmt.Errorf("%s: interrupted; what was told to stop goes on stopping, `bulkhead ps` shows it", what)}
}
