package condition

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// service is one whose first up is done, with a replica that runs; tests change what they are about.
func service(name string, change ...func(*Service)) *Service {
	s := &Service{
		Name: name, Conf: &project.Service{Name: name, Replicas: 1, Config: types.ServiceConfig{Name: name}},
		Settled: true, State: container.StateRunning,
	}
	in := container.Instance{Identity: container.Identity{ID: "c" + name, Started: time.Now()},
		State: container.StateRunning, Health: container.HealthNone}
	s.Replicas = []*Replica{{Number: 1, Instance: in, State: container.StateRunning}}
	for _, f := range change {
		f(s)
	}
	return s
}

// in changes what is seen of the replica.
func in(f func(*container.Instance)) func(*Service) {
	return func(s *Service) { f(&s.Replicas[0].Instance) }
}

func health(h container.Health) func(*Service) {
	return in(func(i *container.Instance) { i.Check, i.Health = []string{"check"}, h })
}

func exited(code int) func(*Service) {
	return in(func(i *container.Instance) { i.State, i.ExitCode = container.StateExited, code })
}

// needs says what a service depends on.
func needs(on, condition string, required bool) func(*Service) {
	return func(s *Service) {
		s.Conf.DependsOn = map[string]types.ServiceDependency{on: {Condition: condition, Required: required}}
	}
}

func TestReadyGoesByWhatThereIsToAsk(t *testing.T) {
	probed := func(s *Service) { s.Conf.Extra.Probe = "tcp://localhost:1" }
	early := func(s *Service) { s.Replicas[0].Early = true }
	for name, c := range map[string]struct {
		s     *Service
		ready bool
		by    string
		shown container.State
	}{
		"it runs":              {service("a"), true, "running", container.StateRunning},
		"probe, no answer yet": {service("a", probed), false, "probe", container.StateStarting},
		"probe answered":       {service("a", probed, early), true, "probe", container.StateRunning},
		"check, no result yet": {service("a", health(container.HealthStarting)), false,
			"healthcheck", container.StateStarting},
		"check, our own run": {service("a", health(container.HealthStarting), early), true,
			"early probe", container.StateRunning},
		"check passed": {service("a", health(container.Healthy)), true, "healthcheck",
			container.StateRunning},
		"check failed": {service("a", health(container.Unhealthy), early), false,
			"healthcheck", container.StateRunning},
		"hooks to come": {service("a", func(s *Service) {
			s.Replicas[0].Unhooked = true
		}), false, "running", container.StateStarting},
		"first up to come": {service("a", func(s *Service) {
			s.Settled = false
		}), false, "running", container.StateRunning},
		"its host is down": {service("a", func(s *Service) {
			s.WaitsOn = Waits{{Service: "b", Goal: GoalRunning}}
		}), false, "running", container.StateWaiting},
		"none wanted": {service("a", func(s *Service) {
			s.Conf.Replicas, s.Replicas = 0, nil
		}), true, "running", container.StateExited},
		"one of two": {service("a", func(s *Service) {
			s.Conf.Replicas = 2
		}), false, "running", container.StateRunning},
		"a job, done": {service("a", exited(0)), true, "running", container.StateExited},
		"a job, stopped": {service("a", exited(0), func(s *Service) {
			s.Replicas[0].ExpectedExit = true
		}), false, "running", container.StateExited},
		"failed": {service("a", exited(3)), false, "running", container.StateExited},
		"what failed is repaired": {service("a", exited(3), func(s *Service) {
			s.Lane = Lane{Busy: true, Arriving: true}
		}), false, "running", container.StateStarting},
	} {
		if got := c.s.Ready(); got != c.ready || c.s.ReadyBy() != c.by || c.s.Shown() != c.shown {
			t.Errorf("%s: ready %v by %s, shown %s; want %v by %s, %s", name, got, c.s.ReadyBy(),
				c.s.Shown(), c.ready, c.by, c.shown)
		}
	}
}

func TestRowOfShortLivesIsACrashUntilOneLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service("a", func(s *Service) { s.Replicas[0].Crashes = crashingFrom })
		if got := s.Shown(); got != container.StateCrashing {
			t.Errorf("in a short life: %s", got)
		}
		time.Sleep(SteadyAfter)
		if got := s.Shown(); got != container.StateRunning {
			t.Errorf("after %s: %s", SteadyAfter, got)
		}
	})
}

func TestConditionsOfDependsOn(t *testing.T) {
	const healthy, started, completed = types.ServiceConditionHealthy, types.ServiceConditionStarted,
		types.ServiceConditionCompletedSuccessfully
	busy := func(s *Service) { s.Lane = Lane{Busy: true, Arriving: true} }
	for name, c := range map[string]struct {
		db        *Service
		condition string
		waits     string
		why       string
	}{
		"started": {service("db"), started, "[]", ""},
		"started, with hooks left": {service("db", func(s *Service) {
			s.Replicas[0].Unhooked = true
		}), started, "[db started]", ""},
		"healthy": {service("db", health(container.Healthy)), healthy, "[]", ""},
		"not yet healthy": {service("db", health(container.HealthStarting)), healthy,
			"[db healthy]", ""},
		"the old life is healthy": {service("db", health(container.Healthy), busy), healthy,
			"[db healthy]", ""},
		"unhealthy": {service("db", health(container.Unhealthy)), healthy,
			"[db healthy]", "web: waits for db healthy, but db is unhealthy"},
		"nothing to be healthy by": {service("db", func(s *Service) {
			s.Image = &container.Image{}
		}), healthy, "[db healthy]",
			"web: waits for db healthy, but db has no healthcheck, in the file or in its image"},
		"completed":   {service("db", exited(0)), completed, "[]", ""},
		"still at it": {service("db"), completed, "[db completed]", ""},
		"failed at it": {service("db", exited(2)), completed, "[db completed]",
			"web: waits for db completed, but db exited with code 2"},
		"held down": {service("db", exited(2), func(s *Service) { s.ByHand = true }), healthy, "[]", ""},
		"none wanted": {service("db", func(s *Service) {
			s.Conf.Replicas, s.Replicas = 0, nil
		}), healthy, "[]", ""},
		"not enabled": {nil, healthy, "[]", ""},
	} {
		all := Services{"web": service("web", needs("db", c.condition, true))}
		if c.db != nil {
			all["db"] = c.db
		}
		waits, why := all.Unmet(all["web"].Conf, nil, nil)
		text := ""
		if why != nil {
			text, _ = container.Explain(why)
		}
		if "["+waits.String()+"]" != c.waits || text != c.why {
			t.Errorf("%s: waits for %v, %q; want %s, %q", name, waits, text, c.waits, c.why)
		}
	}
}

func TestWhatIsNotRequiredIsLeftOutOnceItFails(t *testing.T) {
	all := Services{
		"web": service("web", needs("db", types.ServiceConditionHealthy, false)),
		"db":  service("db", health(container.HealthStarting)),
	}
	skipped := ""
	skip := func(name string, why error) { skipped = name + ": " + why.Error() }
	if waits, why := all.Unmet(all["web"].Conf, nil, skip); len(waits) != 1 || why != nil || skipped != "" {
		t.Errorf("while it may come: %v, %v, %q", waits, why, skipped)
	}
	health(container.Unhealthy)(all["db"])
	if waits, why := all.Unmet(all["web"].Conf, nil, skip); len(waits) != 0 || why != nil ||
		skipped != "db: db is unhealthy" {
		t.Errorf("once it failed: %v, %v, %q", waits, why, skipped)
	}
	if all.Awaited("db") {
		t.Error("db is taken for a job")
	}
}

func TestHopelessSaysWhy(t *testing.T) {
	loop := in(func(i *container.Instance) {
		i.State, i.ExitCode, i.Restarts = container.StateRestarting, 7, crashLoop
	})
	for want, s := range map[string]*Service{
		"":                      service("a"),
		"a: exited with code 3": service("a", exited(3)),
		"a: out of memory, killed by the kernel (exit code 137)": service("a",
			exited(137), in(func(i *container.Instance) { i.OOM = true })),
		"a: crash-looping: exited with code 7, restarted 5 times by its restart policy": service("a", loop),
		`a: unhealthy: its check says "refused" (exit 7)`: service("a",
			health(container.Unhealthy), in(func(i *container.Instance) {
				i.HealthOutput, i.HealthExit = "one\nrefused\n", 7
			})),
		"a: stopped by you": service("a", exited(0), func(s *Service) {
			s.ByHand, s.Replicas[0].ExpectedExit = true, true
		}),
		"no such image": service("a", func(s *Service) { s.Problem.Text = "no such image" }),
	} {
		got := ""
		if why := s.Hopeless(); why != nil {
			got = why.Error()
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestThoseThatJoinComeAlong(t *testing.T) {
	joins := func(s *Service) { s.Conf.Config.NetworkMode = types.ServicePrefix + "host" }
	host, guest := service("host"), service("guest", joins)
	all := Services{"host": host, "guest": guest}
	ended := time.Now()
	for name, c := range map[string]struct {
		change func(*Service)
		same   bool
		want   string
	}{
		"a new container": {func(*Service) {}, false, "host has a new container, which it joins"},
		"the same, again": {func(*Service) {}, true, "host was restarted, whose network it shares"},
		"held down":       {func(s *Service) { s.ByHand = true }, false, ""},
		"it ended long before": {in(func(i *container.Instance) {
			i.State, i.Finished = container.StateExited, ended.Add(-time.Minute)
		}), false, ""},
		"it ended with the one": {in(func(i *container.Instance) {
			i.State, i.Finished = container.StateExited, ended
		}), false, "host has a new container, which it joins"},
		"its lane will look": {func(s *Service) { s.Lane.Renewing = true }, false, ""},
	} {
		if got := service("guest", joins, c.change).Rejoins(host, c.same, ended); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if ids, _, err := all.Parents(guest.Conf, true); err != nil || ids["host"] != "chost" {
		t.Errorf("parents %v, %v", ids, err)
	}
	host.Lane.Busy = true
	if ids, _, err := all.Parents(guest.Conf, true); ids != nil || err != nil {
		t.Errorf("while the host's lane is busy: %v, %v", ids, err)
	}
	host.Lane.Busy = false
	exited(0)(host)
	if ok, err := all.Hosted(guest.Conf); ok || err == nil {
		t.Errorf("with the host down: %v, %v", ok, err)
	}
}

// A service that is waited for has its time from its own start on, and what waits for it is told of it.
func TestArrivalIsLateByItsOwnStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := service("db", health(container.HealthStarting))
		web := service("web", needs("db", types.ServiceConditionHealthy, true), func(s *Service) {
			s.Replicas, s.WaitsFor, s.Lane = nil, Waits{{Service: "db", Goal: GoalHealthy}}, Lane{Busy: true, Arriving: true}
		})
		all := Services{"db": db, "web": web}
		a := NewArrival(time.Minute)
		if next := a.Look(all); !next.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("the next look is at %v", next)
		}
		time.Sleep(59 * time.Second)
		a.Look(all)
		if over, err := a.There(web, true); over || err != nil {
			t.Errorf("in time: %v, %v", over, err)
		}
		time.Sleep(time.Second)
		a.Look(all)
		for _, s := range []*Service{db, web} {
			if over, err := a.There(s, true); !over || !errors.Is(err, ErrLate) {
				t.Errorf("%s after its limit: %v, %v", s.Name, over, err)
			}
		}
		health(container.Healthy)(db)
		if over, err := a.There(db, true); !over || err != nil {
			t.Errorf("ready after all: %v, %v", over, err)
		}
	})
}
