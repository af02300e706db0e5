package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

func TestDependencyConditionsHoldAndASecondUpDoesNothing(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  db:
    image: app
    command: [db]
    healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 1h} # only the early probe can find it ready
  migrate: {image: app, command: [migrate], depends_on: {db: {condition: service_healthy}}}
  web:
    image: app
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
`}, func(s *scene) {
		var made time.Time
		s.rt.Program("db", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			p.Sleep(90 * time.Second)
			made = time.Now()
			p.WriteFile("/tmp/ready", "")
			p.Wait()
			return 0
		}})
		s.rt.Program("migrate", once("migrated", 20*time.Second, 0))
		s.up()
		n := s.Snapshot()
		migrate, web := find(n, "migrate"), find(n, "web")
		if migrate.Replicas[0].Identity.Started.Before(made) {
			s.t.Errorf("migrate started at %v, and db was ready at %v\n%s", migrate.Replicas[0].Identity.Started, made, s.dump())
		}
		if in := s.instances()["db/1"]; in.Health != engine.HealthStarting {
			s.t.Errorf("for the runtime db is %s; want no verdict of its own yet", in.Health)
		}
		if !web.Started.After(migrate.Replicas[0].Finished) {
			s.t.Errorf("web started at %v, before migrate had completed at %v", web.Started, migrate.Replicas[0].Finished)
		}
		if migrate.State != engine.StateExited || migrate.ExitCode != 0 {
			s.t.Errorf("migrate is %s %d, want exited 0", migrate.State, migrate.ExitCode)
		}
		if !strings.Contains(n.Plan, "web/1: create (no container)") {
			s.t.Errorf("plan:\n%s", n.Plan)
		}
		before := s.identities()
		s.must(s.stop())
		s.up()
		if plan := s.Snapshot().Plan; strings.Count(plan, "keep") != 3 {
			s.t.Errorf("second up plans:\n%s", plan)
		}
		for name, id := range s.identities() {
			if id != before[name] {
				s.t.Errorf("second up moved %s: %+v, was %+v", name, id, before[name])
			}
		}
	})
}

func TestKillOpensALedgerAndUpBringsBack(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, restart: unless-stopped}
  b: {image: app}
  c: {image: app, scale: 2}
`}, func(s *scene) {
		s.up()
		before := s.identities()
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Cause: "you pressed K"})
		n := s.until("a exited", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
		if a := find(n, "a"); a.ExitCode != 137 || !a.ByHand || a.Replicas[0].Cause != "you pressed K" {
			s.t.Errorf("a after the kill: exit %d, by hand %v, cause %q", a.ExitCode, a.ByHand, a.Replicas[0].Cause)
		}
		l := n.Ledgers[len(n.Ledgers)-1]
		if l.Service != "a" || len(l.Rows) != 3 {
			s.t.Fatalf("ledger %+v, want three bystanders of a", l)
		}
		for _, row := range l.Rows {
			if row.Outcome != engine.Untouched || row.Before.Identity != before[fmt.Sprintf("%s/%d", row.Service, row.Replica)] {
				s.t.Errorf("ledger row %+v", row)
			}
		}
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
		n = s.until("a back", func(n *engine.Snapshot) bool { return find(n, "a").Ready })
		if a := find(n, "a"); a.Generation != 2 || a.ByHand || s.identities()["a/1"].ID != before["a/1"].ID {
			s.t.Errorf("a is back as generation %d, by hand %v", a.Generation, a.ByHand)
		}
		s.line("a", "run 1 ended: exit code 137 (signal SIGKILL), you pressed K")
	})
}

func TestCrashIsBroughtBackByTheRestartPolicyAndCounted(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, restart: always, command: [crash]}
  b: {image: app}
`}, func(s *scene) {
		s.rt.Program("crash", once("life", 10*time.Second, 3))
		s.up()
		n := s.until("three restarts by policy", func(n *engine.Snapshot) bool { return find(n, "a").Restarts >= 3 && find(n, "a").Generation >= 4 })
		if a := find(n, "a"); a.ByHand {
			s.t.Errorf("a: by hand %v, generation %d, restarts %d", a.ByHand, a.Generation, a.Restarts)
		}
		for g := 1; g <= 3; g++ {
			s.line("a", fmt.Sprintf("run %d ended: exit code 3, ended by itself", g))
			s.line("a", fmt.Sprintf("gen%d stdout life", g))
		}
	})
}

func TestStopsGoInReverseOrder(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  db: {image: app, command: [slow]}
  api: {image: app, command: [slow], depends_on: [db]}
  web: {image: app, command: [slow], depends_on: [api]}
`}, func(s *scene) {
		s.rt.Program("slow", program("up", 5*time.Second, "", 0))
		s.up()
		s.do(engine.Command{Verb: engine.VerbStop})
		n := s.until("all exited", func(n *engine.Snapshot) bool {
			return !slices.ContainsFunc(n.Services, func(s engine.Service) bool { return s.State != engine.StateExited })
		})
		web, api, db := find(n, "web").Replicas[0], find(n, "api").Replicas[0], find(n, "db").Replicas[0]
		if api.Finished.Sub(web.Finished) < 5*time.Second || db.Finished.Sub(api.Finished) < 5*time.Second { // virtual time
			s.t.Errorf("ended web %v, api %v, db %v; want this order, each after the one before", web.Finished, api.Finished, db.Finished)
		}
		for _, r := range []engine.Replica{web, api, db} {
			if r.ExitCode != 0 {
				s.t.Errorf("%s ended with %d, want 0: it got its stop signal and time to react", r.Name, r.ExitCode)
			}
		}
	})
}

func TestScalePauseAndDown(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, volumes: ["data:/data"]}
volumes: {data: {}}
`}, func(s *scene) {
		s.up()
		first := s.identities()["a/1"]
		s.do(engine.Command{Verb: engine.VerbScale, Services: []string{"a"}, Scale: 3})
		s.ready()
		if ids := s.identities(); len(ids) != 3 || ids["a/1"] != first {
			s.t.Errorf("after scale to 3: %v", ids)
		}
		s.do(engine.Command{Verb: engine.VerbScale, Services: []string{"a"}, Scale: 1})
		if ids := s.identities(); len(ids) != 1 || ids["a/1"] != first {
			s.t.Errorf("after scale to 1: %v", ids)
		}
		s.do(engine.Command{Verb: engine.VerbPause, Services: []string{"a"}})
		s.until("paused", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StatePaused })
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
		s.until("running", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
		if got := s.identities()["a/1"]; got != first {
			s.t.Errorf("pause and back moved it: %+v, was %+v", got, first)
		}
		s.do(engine.Command{Verb: engine.VerbDown, Volumes: true})
		if ids := s.identities(); len(ids) != 0 {
			s.t.Errorf("after down: %v", ids)
		}
		volumes, err := s.rt.RemoveVolumes(s.t.Context(), s.name, nil)
		networks, nerr := s.rt.RemoveNetworks(s.t.Context(), s.name, nil)
		if err != nil || nerr != nil || len(volumes.Removed)+len(networks.Removed) != 0 {
			s.t.Errorf("down -v left volumes %v (%v), networks %v (%v)", volumes, err, networks, nerr)
		}
	})
}

func TestUnhealthyServiceFailsTheWaitWithTheWordsOfItsCheck(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, healthcheck: {test: ["CMD-SHELL", "echo no table yet; exit 1"], interval: 10s, timeout: 60s, retries: 2}}
`}, func(s *scene) {
		s.rt.Program("echo no table yet; exit 1", once("no table yet", 0, 1))
		s.run(engine.Options{})
		err := s.WaitReady(s.t.Context())
		if err == nil || !strings.Contains(err.Error(), `a: unhealthy: its check says "no table yet"`) {
			s.t.Errorf("the wait says %v", err)
		}
	})
}

// A start that came to nothing in time and then worked is not a failure for good.
func TestServiceThatBecomesHealthyLateIsNotShownAsFailed(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, healthcheck: {test: [CMD, check], interval: 10s, timeout: 60s, retries: 2}}
`}, func(s *scene) {
		began := time.Now()
		s.rt.Program("check", memory.Program{Run: func(*memory.Process) int {
			if time.Since(began) > time.Minute { // virtual
				return 0
			}
			return 1
		}})
		s.run(engine.Options{})
		n := s.until("the start's failure", func(n *engine.Snapshot) bool { a := find(n, "a"); return a.Last != nil && a.Last.Err != "" })
		if !find(n, "a").Last.Failed() {
			s.t.Error("an unhealthy service is not shown as failed")
		}
		n = s.until("its health", func(n *engine.Snapshot) bool { return !find(n, "a").Last.Failed() })
		if a := find(n, "a"); a.Health != engine.Healthy || a.Last.Recovered.IsZero() || a.Last.Err == "" {
			s.t.Errorf("its change is %+v", a.Last)
		}
		if !slices.ContainsFunc(n.Records, func(r engine.Record) bool { return strings.HasPrefix(r.Text, "a: up: ready after all, ") }) {
			s.t.Error("no event says that it is ready after all")
		}
		// Only the change that is the last one recovers.
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
		n = s.until("its restart", func(n *engine.Snapshot) bool {
			a := find(n, "a")
			return a.Last.Action == "restart" && !a.Last.Ended.IsZero()
		})
		if a := find(n, "a"); a.Last.Err != "" || !a.Last.Recovered.IsZero() {
			s.t.Errorf("the restart is %+v", a.Last)
		}
	})
}

func TestUnhealthyServiceNamesTheOneItNeeds(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  a: {image: app}
  b: {image: app, depends_on: [a], healthcheck: {test: [CMD, ask-a], interval: 5s, timeout: 60s, retries: 1}}
  c: {image: app}
`}, func(s *scene) {
		s.rt.Program("ask-a", memory.Program{Run: func(*memory.Process) int {
			if s.instances()["a/1"].State == engine.StateRunning {
				return 0
			}
			return 1
		}})
		s.up()
		s.until("b healthy", func(n *engine.Snapshot) bool { return find(n, "b").Health == engine.Healthy })
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"c"}, Cause: "you pressed K"})
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Cause: "you pressed K"})
		n := s.until("b unhealthy", func(n *engine.Snapshot) bool { return find(n, "b").Health == engine.Unhealthy })
		i := slices.IndexFunc(n.Records, func(r engine.Record) bool { return r.Service == "b" && r.Health == engine.Unhealthy })
		if l := n.Records[i].Likely; l == nil || l.Service != "a" || l.What != "was killed" || !slices.Equal(l.Path, []string{"b", "a"}) || l.Before <= 0 {
			s.t.Errorf("b is unhealthy because of %v", l)
		}
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
		n = s.until("b healthy again", func(n *engine.Snapshot) bool { return find(n, "b").Health == engine.Healthy })
		r := n.Records[slices.IndexFunc(n.Records, func(r engine.Record) bool {
			return r.Service == "b" && r.Health == engine.Healthy && strings.Contains(r.Cause, "unhealthy ->")
		})]
		if r.Likely == nil || r.Likely.Service != "a" || r.Likely.What != "came back" {
			s.t.Errorf("b is healthy again because of %v", r.Likely)
		}
	})
}

func TestWithoutATailOnlyWhatIsSaidFromNowOnIsRead(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [greeter]}\n"}, func(s *scene) {
		s.rt.Program("greeter", program("hello", 0, "bye", 0))
		for round := 1; round <= 3; round++ {
			s.run(engine.Options{LogTail: -1})
			s.ready()
			s.line("a", fmt.Sprintf("gen%d stdout hello", round))
			s.do(engine.Command{Verb: engine.VerbStop})
			s.line("a", fmt.Sprintf("gen%d stdout bye", round)) // the stop waits for last words, and not for ever
			var lines []string
			for _, l := range s.lines("a") {
				if strings.Contains(l, "stdout") {
					lines = append(lines, l)
				}
			}
			if want := []string{fmt.Sprintf("a gen%d stdout hello", round), fmt.Sprintf("a gen%d stdout bye", round)}; !slices.Equal(lines, want) {
				s.t.Errorf("round %d: %q, want %q", round, lines, want)
			}
			time.Sleep(time.Minute) // virtual: a first line may be stamped before the start, so lives are kept apart
			s.must(s.stop())
		}
	})
}

// Without logs and readings an engine brings a project up all the same, and stops
// it without waiting for last words.
func TestEngineWithoutLogsAndReadings(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [sleep]}\n"}, func(s *scene) {
		s.run(engine.Options{NoLogs: true, NoStats: true})
		s.ready()
		s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		if got := s.lines(); len(got) != 0 {
			s.t.Errorf("lines %q", got)
		}
		if c := s.change("a", "stop", 0); len(c.Stages) == 0 {
			s.t.Errorf("stages %+v", c.Stages)
		}
		if n := s.rt.Calls("Logs") + s.rt.Calls("Attach") + s.rt.Calls("Stats"); n != 0 {
			s.t.Errorf("it asked %d times for what nobody wants", n)
		}
	})
}
