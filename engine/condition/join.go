package condition

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// A service may live in the network, ipc or pid namespace of another's first container, or use its
// volumes. Its container names the other one by id, so a new container there means a new one here;
// and namespaces end with the process that they began with, so a restart there means a restart
// here.

// Shared says what a service shares with the container of another: "network", "pid and ipc". It is
// empty where it shares volumes at most.
func Shared(conf *project.Service, parent string) string {
	var out []string
	c := conf.Config
	for _, ns := range []struct{ kind, mode string }{{"network", c.NetworkMode}, {"ipc", c.Ipc},
		{"pid", c.Pid}} {
		if name, ok := strings.CutPrefix(ns.mode, "service:"); ok && name == parent {
			out = append(out, ns.kind)
		}
	}
	return strings.Join(out, " and ")
}

// Neighbours are the other services that live in the same network namespace as one, sorted.
func (all Services) Neighbours(name string) (out []string) {
	home := all.home(name)
	for _, o := range all.Names() {
		if o != name && all.home(o) == home {
			out = append(out, o)
		}
	}
	return out
}

// home is the service whose network namespace one lives in.
func (all Services) home(name string) string {
	for range len(all) { // a circle does not load
		s := all[name]
		if s == nil {
			break
		}
		of, joins := strings.CutPrefix(s.Conf.Config.NetworkMode, "service:")
		if !joins {
			break
		}
		name = of
	}
	return name
}

// FirstID is the id of a service's first container, the one that others join; "" when there is none.
func (s *Service) FirstID() string {
	if len(s.Replicas) == 0 {
		return ""
	}
	return s.Replicas[0].Instance.ID
}

// Hosting says whether a service's first container has the process that namespaces live by.
func (s *Service) Hosting() bool {
	if s.FirstID() == "" {
		return false
	}
	switch s.Replicas[0].Instance.State {
	case container.StateRunning, container.StatePaused, container.StateStopping:
		return true
	}
	return false
}

// Joined is since when the namespaces that a service joins exist, and of whose which they are.
func (all Services) Joined(conf *project.Service) (since time.Time, why string) {
	for _, name := range conf.Parents() {
		d, what := all[name], Shared(conf, name)
		if d == nil || what == "" || !d.Hosting() {
			continue
		}
		if at := d.Replicas[0].Instance.Since(); at.After(since) {
			since, why = at, fmt.Sprintf("%s was restarted, whose %s it shares", name, what)
		}
	}
	return since, why
}

// Down lists the services whose namespaces a service shares and that are down: what it
// shares with them is gone.
func (all Services) Down(s *Service) Waits {
	if s.ByHand || s.Leaving || s.Completed() || !s.Settled || s.FirstID() == "" {
		return nil
	}
	var out Waits
	for _, name := range s.Conf.Parents() {
		if d := all[name]; d != nil && d.Settled && !d.Hosting() && Shared(s.Conf, name) != "" {
			out = append(out, Wait{Service: name, Goal: GoalRunning})
		}
	}
	return out
}

// Joiners lists the services that join the container of another.
func (all Services) Joiners(parent string) []*Service {
	var out []*Service
	for _, o := range all {
		if o.Name != parent && slices.Contains(o.Conf.Parents(), parent) {
			out = append(out, o)
		}
	}
	return out
}

// endSlack is how much earlier than the end of a container the ends of those that shared its
// namespaces may be noted: the processes of a pid namespace are ended before its first one.
const endSlack = 2 * time.Second

// Rejoins says why one that joins the first container of s comes along with a new life of it, "" when
// it does not: a new container, or with same another start of the one that it knows. ended is when the
// life before did.
func (o *Service) Rejoins(s *Service, same bool, ended time.Time) string {
	what := Shared(o.Conf, s.Name)
	if !o.Settled || o.ByHand || o.Leaving || o.Lane.Renewing || same && what == "" {
		return ""
	}
	goes := o.Follow
	for _, r := range o.Replicas {
		goes = goes || r.Live() || r.Instance.State == container.StateRestarting ||
			!r.Instance.Finished.Before(ended.Add(-endSlack))
	}
	switch {
	case !goes:
		return ""
	case same:
		return fmt.Sprintf("%s was restarted, whose %s it shares", s.Name, what)
	}
	return s.Name + " has a new container, which it joins"
}

// Parents returns the ids of the first containers of the services that a service joins, once they
// have those that they are going to have; until then ids is nil. With settled, those whose lanes have
// something to do are not there yet. orphaned says that one of them has no container and is not about
// to get one, which is an error.
func (all Services) Parents(
	conf *project.Service, settled bool,
) (ids map[string]string, orphaned bool, err error) {
	ids = map[string]string{}
	for _, name := range conf.Parents() {
		d := all[name]
		switch {
		case d == nil:
			return nil, false, container.WithRemedy(container.FailedTo("create", conf.Name,
				"it joins the container of %s, which is not enabled", name), "enable its profile")
		case !d.Settled || settled && !d.Lane.Idle():
			return nil, false, nil
		case d.FirstID() == "":
			return nil, true, container.WithRemedy(container.FailedTo("create", conf.Name,
				"it joins the container of %s, which has none", name), "it follows when %s is up", name)
		}
		ids[name] = d.FirstID()
	}
	return ids, false, nil
}

// Hosted says whether the services whose namespaces a service joins run. When one of them does not,
// and nobody is about to start it, that is an error.
func (all Services) Hosted(conf *project.Service) (bool, error) {
	for _, name := range conf.Parents() {
		d, what := all[name], Shared(conf, name)
		if what == "" || d == nil || d.Hosting() {
			continue
		}
		if !d.Lane.Idle() || !d.Settled || len(d.Replicas) > 0 &&
			d.Replicas[0].Instance.State == container.StateRestarting {
			return false, nil
		}
		return false, container.WithRemedy(container.FailedTo("start", conf.Name,
			"it shares the %s of %s, which does not run", what, name), "it follows when %s is up", name)
	}
	return true, nil
}
