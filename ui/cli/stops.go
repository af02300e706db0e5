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

// stopNotices returns what prints whom a verb waits for that stops containers, each time one of
// them has ended; nil for other verbs.
func (x *action) stopNotices() func([]engine.Instance) {
	if !stopsContainers(x.verb()) {
		return nil
	}
	began := time.Now()
	notice := &stopNotice{verb: x.verb(), name: x.name, p: x.p, grace: x.cmds[0].Grace,
		hint: "ctrl+c stops waiting"}
	return func(instances []engine.Instance) {
		if text := notice.next(x.running(waitedFor(x.p, x.cmds[0], instances, began))); text != "" {
			x.app.console.notify(text)
		}
	}
}

// running leaves out the replicas that the verb's own engine has seen end since the engine's list was begun.
func (x *action) running(all []replica) []replica {
	s := x.session.Load()
	if s == nil || len(all) == 0 {
		return all
	}
	now := runningReplicas(s.e.Snapshot().Services)
	return slices.DeleteFunc(all, func(r replica) bool { return !slices.Contains(now, r) })
}

func stopsContainers(verb engine.Verb) bool {
	return verb == engine.VerbStop || verb == engine.VerbDown || verb == engine.VerbRestart
}

// waitedFor are the replicas of a command that run and have not been started since it began, by name.
func waitedFor(p *project.Project, cmd engine.Command, instances []engine.Instance, began time.Time) []replica {
	var out []replica
	for _, in := range instances {
		switch {
		case len(cmd.Services) > 0 && !slices.Contains(cmd.Services, in.Service):
		// an orphan, left alone
		case len(cmd.Services) == 0 && p != nil && !slices.Contains(serviceNames(p), in.Service):
		case in.State != engine.StateRunning && in.State != engine.StateStopping:
		case in.Started.After(began): // restarted already
		default:
			out = append(out, replica{service: in.Service, number: in.Replica})
		}
	}
	slices.SortFunc(out, func(a, b replica) int { return strings.Compare(a.String(), b.String()) })
	return out
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

// stopNotice makes the lines that say whom a stop waits for. It is not safe for concurrent use.
type stopNotice struct {
	verb    engine.Verb
	name    string           // the project's
	p       *project.Project // nil where there is only a name
	grace   *time.Duration   // of the command; nil: each service's own
	hint    string           // what ctrl+c does
	waiting int              // how many the last line named; 0 before the first
}

// next is the line for those that still run; "" where none of them has ended since the last line.
func (n *stopNotice) next(running []replica) string {
	if len(running) == 0 || n.waiting > 0 && len(running) >= n.waiting {
		return ""
	}
	n.waiting = len(running)
	return fmt.Sprintf("%s %s: waiting for %s (up to %s); %s", doing(n.verb), n.name,
		listReplicas(running), graceText(graceOf(n.p, n.grace, running)), n.hint)
}

// listReplicas names replicas, and only counts those that would make the line long.
func listReplicas(all []replica) string {
	const most = 8
	var names []string
	for _, r := range all[:min(most, len(all))] {
		names = append(names, r.String())
	}
	text := strings.Join(names, ", ")
	if len(all) > most {
		text += fmt.Sprintf(" and %d more", len(all)-most)
	}
	return text
}

// doing is a verb while it is carried out.
func doing(verb engine.Verb) string {
	switch verb {
	case engine.VerbDown:
		return "removing"
	case engine.VerbRestart:
		return "restarting"
	}
	return "stopping"
}

// defaultGrace is how long a service without a stop_grace_period has after its stop signal, by the
// Compose specification.
const defaultGrace = 10 * time.Second

// graceOf is the longest time that some replicas have between the stop signal and the kill. asked
// is what the command says, and may be nil.
func graceOf(p *project.Project, asked *time.Duration, replicas []replica) time.Duration {
	if asked != nil {
		return *asked
	}
	if p == nil {
		return defaultGrace
	}
	longest := time.Duration(0)
	for _, s := range p.Services {
		if !slices.ContainsFunc(replicas, func(r replica) bool { return r.service == s.Name }) {
			continue
		}
		grace := defaultGrace
		if g := s.Config.StopGracePeriod; g != nil {
			grace = time.Duration(*g)
		}
		longest = max(longest, grace)
	}
	if longest == 0 {
		return defaultGrace
	}
	return longest
}

// graceText writes a grace: "10 s".
func graceText(d time.Duration) string {
	return fmt.Sprintf("%d s", int((d+time.Second-1)/time.Second))
}
