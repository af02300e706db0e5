package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// A service may live in the network, ipc or pid namespace of another's first container, or use its
// volumes. Its container names the other one by id, so a new container there means a new one here;
// and namespaces end with the process that they began with, so a restart there means a restart
// here.

// shared says what a service shares with the container of another: "network", "pid and ipc". It is
// empty where it shares volumes at most.
func shared(conf *project.Service, parent string) string {
	var out []string
	c := conf.Config
	for _, ns := range []struct{ kind, mode string }{{"network", c.NetworkMode}, {"ipc", c.Ipc}, {"pid", c.Pid}} {
		if name, ok := strings.CutPrefix(ns.mode, "service:"); ok && name == parent {
			out = append(out, ns.kind)
		}
	}
	return strings.Join(out, " and ")
}

// parentNames lists the services whose containers a service joins or takes volumes from.
func parentNames(conf *project.Service) []string {
	var out []string
	c := conf.Config
	for _, mode := range []string{c.NetworkMode, c.Ipc, c.Pid} {
		if name, ok := strings.CutPrefix(mode, "service:"); ok {
			out = append(out, name)
		}
	}
	for _, v := range c.VolumesFrom {
		name, _, _ := strings.Cut(v, ":")
		if name != "container" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// parents waits until the services that a service joins have the containers that they are going to
// have, and returns the ids of their first ones.
func (l *lane) parents(ctx context.Context, settled bool) (map[string]string, error) {
	e, s := l.e, l.s
	names := parentNames(s.conf)
	if len(names) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	err := e.await(ctx, func() (bool, error) {
		for _, name := range names {
			d := e.svcs[name]
			if d == nil {
				return false, container.WithRemedy(container.Failed("create "+s.name, "it joins the container of %s, which is not enabled", name), "enable its profile")
			}
			busy := !d.settled || settled && d.busy()
			id := d.firstID()
			switch {
			case busy:
				return false, nil
			case id == "":
				s.follow = true
				return false, container.WithRemedy(container.Failed("create "+s.name, "it joins the container of %s, which has none", name), "it follows when %s is up", name)
			}
			out[name] = id
		}
		return true, nil
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out, err
}

// busy says whether a service's lane has something to do. Callers hold Engine.mu.
func (s *service) busy() bool { return s.lane.busy != nil || len(s.lane.queue) > 0 }

// firstID is the id of a service's first container, the one that others join; "" when there is
// none. Callers hold Engine.mu.
func (s *service) firstID() string {
	if rs := s.sorted(); len(rs) > 0 {
		return rs[0].inst.ID
	}
	return ""
}

// hosting says whether a service's first container has the process that namespaces live by. Callers hold Engine.mu.
func (s *service) hosting() bool {
	rs := s.sorted()
	if len(rs) == 0 || rs[0].inst.ID == "" {
		return false
	}
	switch rs[0].inst.State {
	case StateRunning, StatePaused, StateStopping:
		return true
	}
	return false
}

// joined is since when the namespaces that a service joins exist, and of whose which they are. Callers hold mu.
func (e *Engine) joinedLocked(s *service) (since time.Time, why string) {
	for _, name := range parentNames(s.conf) {
		d, what := e.svcs[name], shared(s.conf, name)
		if d == nil || what == "" || !d.hosting() {
			continue
		}
		if at := d.sorted()[0].inst.Started; at.After(since) {
			since, why = at, fmt.Sprintf("%s was restarted, whose %s it shares", name, what)
		}
	}
	return since, why
}

// awaitNamespaces waits until the services whose namespaces a service joins run. When one of them
// does not, and nobody is about to start it, that is an error, and the service follows as soon as
// it is up.
func (l *lane) awaitNamespaces(ctx context.Context) error {
	e, s := l.e, l.s
	err := e.await(ctx, func() (bool, error) {
		for _, name := range parentNames(s.conf) {
			d, what := e.svcs[name], shared(s.conf, name)
			if what == "" || d == nil || d.hosting() {
				continue
			}
			rs := d.sorted()
			if d.busy() || !d.settled || len(rs) > 0 && rs[0].inst.State == StateRestarting {
				return false, nil
			}
			s.follow = true
			return false, container.WithRemedy(container.Failed("start "+s.name, "it shares the %s of %s, which does not run", what, name), "it follows when %s is up", name)
		}
		return true, nil
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// waitsForLocked lists the services whose namespaces a service shares and that are down: what it
// shares with them is gone. Callers hold mu.
func (e *Engine) waitsForLocked(s *service) []string {
	if s.byHand || s.leaving || s.completed() || !s.settled || s.firstID() == "" {
		return nil
	}
	var out []string
	for _, name := range parentNames(s.conf) {
		if d := e.svcs[name]; d != nil && d.settled && !d.hosting() && shared(s.conf, name) != "" {
			out = append(out, name+" running")
		}
	}
	return out
}

// joiners lists the services that join the container of s. Callers hold mu.
func (e *Engine) joinersLocked(s *service) []*service {
	var out []*service
	for _, o := range e.svcs {
		if o != s && slices.Contains(parentNames(o.conf), s.name) {
			out = append(out, o)
		}
	}
	return out
}

// endSlack is how much earlier than the end of a container the ends of those that shared its
// namespaces may be noted: the processes of a pid namespace are ended before its first one.
const endSlack = 2 * time.Second

// rejoinLocked brings those that join a service's first container along, after a new life of it
// began: a new container, or with same another start of the one that they know. ended is when the
// life before it did. Callers hold mu.
func (e *Engine) rejoinLocked(s *service, same bool, ended time.Time) {
	for _, o := range e.joinersLocked(s) {
		what := shared(o.conf, s.name)
		if !o.settled || o.byHand || o.leaving || same && what == "" {
			continue
		}
		goes := o.follow
		for _, r := range o.reps {
			goes = goes || r.live() || r.inst.State == StateRestarting || !r.inst.Finished.Before(ended.Add(-endSlack))
		}
		if !goes || o.renewing() {
			continue
		}
		o.follow = false
		cause := s.name + " has a new container, which it joins"
		if same {
			cause = fmt.Sprintf("%s was restarted, whose %s it shares", s.name, what)
		}
		o.enqueue(&task{verb: verbRenew, cause: cause, follows: true, done: make(chan error, 1)})
	}
}

// renewing says whether a task that looks at all of a service waits already. Callers hold Engine.mu.
func (s *service) renewing() bool {
	n := len(s.lane.queue)
	return n > 0 && s.lane.queue[n-1].verb == verbRenew
}

// restartJoined restarts a container in place whose namespaces began again without it.
func (e *Engine) restartJoined(ctx context.Context, u step.Service, spec CreateSpec, in Instance, cause string, k *change) error {
	how, note, err := e.steps.Restart(ctx, u, spec, in, step.Asked, cause, k)
	k.stopped(how, note)
	return err
}
