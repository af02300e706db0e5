package engine_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

const loop = `["sh", "-c", "trap 'exit 0' TERM; echo hello from $$HOSTNAME; while :; do sleep 0.1; done"]`

func TestUpHoldsToDependencyConditionsAndASecondUpDoesNothing(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  db:
    image: ` + baseImage + `
    command: ["sh", "-c", "trap 'exit 0' TERM; sleep 1.5; touch /tmp/ready; while :; do sleep 0.1; done"]
    healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 1h} # only the early probe can find it ready
  migrate:
    image: ` + baseImage + `
    command: ["sh", "-c", "sleep 0.3; echo migrated"]
    depends_on: {db: {condition: service_healthy}}
  web:
    image: ` + baseImage + `
    command: ` + loop + `
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
`})
	s.up()
	n := s.Snapshot()
	db, migrate, web := find(n, "db"), find(n, "migrate"), find(n, "web")
	ready, err := strconv.ParseInt(s.sh("db", "stat -c %Y /tmp/ready"), 10, 64)
	if started := migrate.Replicas[0].Identity.Started; err != nil || started.Unix() < ready {
		t.Errorf("migrate started at %v, and db was ready at %v (%v)\n%s", started, time.Unix(ready, 0), err, s.dump())
	}
	if in, err := s.rt.Inspect(t.Context(), db.Replicas[0].Identity.ID); err != nil || in.Health != engine.HealthStarting {
		t.Errorf("for the engine db is %s (%v); want no verdict of its own yet", in.Health, err)
	}
	if !web.Started.After(migrate.Replicas[0].Finished) {
		t.Errorf("web started at %v, before migrate had completed at %v", web.Started, migrate.Replicas[0].Finished)
	}
	if migrate.State != engine.StateExited || migrate.ExitCode != 0 {
		t.Errorf("migrate is %s %d, want exited 0", migrate.State, migrate.ExitCode)
	}
	if !strings.Contains(n.Plan, "web/1: create (no container)") {
		t.Errorf("plan:\n%s", n.Plan)
	}
	before := s.identities()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.run(engine.Options{NoWatch: true})
	s.ready()
	if plan := s.Snapshot().Plan; strings.Count(plan, "keep") != 3 {
		t.Errorf("second up plans:\n%s", plan)
	}
	for name, id := range s.identities() {
		if id != before[name] {
			t.Errorf("second up moved %s: %+v, was %+v", name, id, before[name])
		}
	}
}

func TestKillTouchesNobodyElseAndUpBringsBack(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %[1]s, command: %[2]s, restart: unless-stopped}
  b: {image: %[1]s, command: %[2]s}
  c: {image: %[1]s, command: %[2]s, scale: 2}
`, baseImage, loop)})
	s.up()
	before := s.identities()
	s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Cause: "you pressed K"})
	n := s.until("a exited", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
	if a := find(n, "a"); a.ExitCode != 137 || !a.ByHand || a.Replicas[0].Cause != "you pressed K" {
		t.Errorf("a after the kill: exit %d, by hand %v, cause %q", a.ExitCode, a.ByHand, a.Replicas[0].Cause)
	}
	after := s.identities()
	for _, name := range []string{"b/1", "c/1", "c/2"} {
		if after[name] != before[name] || after[name].ID == "" {
			t.Errorf("%s moved: %+v, was %+v", name, after[name], before[name])
		}
	}
	l := n.Ledgers[len(n.Ledgers)-1]
	if l.Service != "a" || len(l.Rows) != 3 {
		t.Fatalf("ledger %+v, want three bystanders of a", l)
	}
	for _, row := range l.Rows {
		if row.Outcome != engine.Untouched || row.Before != before[fmt.Sprintf("%s/%d", row.Service, row.Replica)] {
			t.Errorf("ledger row %+v", row)
		}
	}
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
	n = s.until("a back", func(n *engine.Snapshot) bool { return find(n, "a").Ready })
	if a := find(n, "a"); a.Generation != 2 || a.ByHand || s.identities()["a/1"].ID != before["a/1"].ID {
		t.Errorf("a is back as generation %d, by hand %v", a.Generation, a.ByHand)
	}
	s.line("a", "gen 1 ended: exit code 137 (signal SIGKILL), you pressed K")
}

func TestCrashIsBroughtBackByTheRestartPolicyAndCounted(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  a: {image: ` + baseImage + `, restart: always, command: ["sh", "-c", "echo life; sleep 1; exit 3"]}
  b: {image: ` + baseImage + `, command: ` + loop + `}
`})
	s.up()
	n := s.until("restart by policy", func(n *engine.Snapshot) bool { return find(n, "a").Restarts >= 1 && find(n, "a").Generation >= 2 })
	if a := find(n, "a"); a.ByHand {
		t.Errorf("a: by hand %v, generation %d, restarts %d", a.ByHand, a.Generation, a.Restarts)
	}
	s.line("a", "gen 1 ended: exit code 3, ended by itself")
}

func TestStopGoesInReverseOrder(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  db: {image: %[1]s, command: %[2]s}
  api: {image: %[1]s, command: %[2]s, depends_on: [db]}
  web: {image: %[1]s, command: %[2]s, depends_on: [api]}
`, baseImage, loop)})
	s.up()
	s.do(engine.Command{Verb: engine.VerbStop})
	n := s.until("all exited", func(n *engine.Snapshot) bool {
		return !slices.ContainsFunc(n.Services, func(s engine.Service) bool { return s.State != engine.StateExited })
	})
	web, api, db := find(n, "web").Replicas[0], find(n, "api").Replicas[0], find(n, "db").Replicas[0]
	if !api.Finished.After(web.Finished) || !db.Finished.After(api.Finished) {
		t.Errorf("ended web %v, api %v, db %v; want this order", web.Finished, api.Finished, db.Finished)
	}
	for _, r := range []engine.Replica{web, api, db} {
		if r.ExitCode != 0 {
			t.Errorf("%s ended with %d, want 0: it got its stop signal and time to react", r.Name, r.ExitCode)
		}
	}
}

func TestScalePauseAndDown(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %[1]s, command: %[2]s, volumes: ["data:/data"]}
volumes: {data: {}}
`, baseImage, loop)})
	s.up()
	first := s.identities()["a/1"]
	s.do(engine.Command{Verb: engine.VerbScale, Services: []string{"a"}, Scale: 3})
	s.ready()
	if ids := s.identities(); len(ids) != 3 || ids["a/1"] != first {
		t.Errorf("after scale to 3: %v", ids)
	}
	s.do(engine.Command{Verb: engine.VerbScale, Services: []string{"a"}, Scale: 1})
	if ids := s.identities(); len(ids) != 1 || ids["a/1"] != first {
		t.Errorf("after scale to 1: %v", ids)
	}
	s.do(engine.Command{Verb: engine.VerbPause, Services: []string{"a"}})
	s.until("paused", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StatePaused })
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	s.until("running", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
	if got := s.identities()["a/1"]; got != first {
		t.Errorf("pause and back moved it: %+v, was %+v", got, first)
	}
	s.do(engine.Command{Verb: engine.VerbDown, Volumes: true})
	if ids := s.identities(); len(ids) != 0 {
		t.Errorf("after down: %v", ids)
	}
	gone, err := s.rt.RemoveVolumes(t.Context(), s.name)
	if err != nil || len(gone) != 0 {
		t.Errorf("down -v left volumes %v (%v)", gone, err)
	}
}

func TestSharedImageIsBuiltOnceAndRebuiltForAll(t *testing.T) {
	files := built()
	files["compose.yaml"] = `
services:
  a: {build: a, image: "${COMPOSE_PROJECT_NAME}-shared"}
  b: {image: "${COMPOSE_PROJECT_NAME}-shared"}
  c: {build: a}
`
	s := open(t, files)
	s.up()
	for _, b := range s.Snapshot().Builds {
		if b.Kind == "pull" {
			t.Errorf("%v pulled an image that a sibling builds", b.Services)
		}
	}
	before := s.identities()
	s.write(map[string]string{"a/text": "version 2\n"})
	for _, name := range []string{"a", "b", "c"} {
		s.line(name, "gen2 stdout version 2")
	}
	s.until("the old containers gone", func(*engine.Snapshot) bool {
		now := s.identities()
		return len(now) == 3 && now["a/1"].ID != before["a/1"].ID && now["b/1"].ID != before["b/1"].ID && now["c/1"].ID != before["c/1"].ID
	})
}

func TestUnhealthyServiceFailsTheWaitWithTheWordsOfItsCheck(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  a:
    image: ` + baseImage + `
    command: ` + loop + `
    healthcheck: {test: ["CMD-SHELL", "echo no table yet; exit 1"], interval: 200ms, timeout: 60s, retries: 2}
`})
	s.run(engine.Options{})
	err := s.WaitReady(t.Context())
	if err == nil || !strings.Contains(err.Error(), `a: unhealthy: its check says "no table yet"`) {
		t.Errorf("the wait says %v", err)
	}
}

func TestWithoutATailOnlyWhatIsSaidFromNowOnIsRead(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  a: {image: ` + baseImage + `, command: ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.05; done"]}
`})
	for round := 1; round <= 3; round++ {
		s.run(engine.Options{LogTail: -1})
		s.ready()
		s.line("a", fmt.Sprintf("gen%d stdout hello", round))
		s.do(engine.Command{Verb: engine.VerbStop})
		s.line("a", fmt.Sprintf("gen%d stdout bye", round)) // the stop waits for last words, and not for ever
		var said []string
		for _, l := range s.lines("a") {
			if strings.Contains(l, "stdout") {
				said = append(said, l)
			}
		}
		if want := []string{fmt.Sprintf("a gen%d stdout hello", round), fmt.Sprintf("a gen%d stdout bye", round)}; !slices.Equal(said, want) {
			t.Errorf("round %d: %q, want %q", round, said, want)
		}
		// An engine stamps a last word after the end, and a first line before the start. Where both fall together nobody can tell them apart,
		// and a first line is worth more; so here they are kept apart.
		finished := find(s.Snapshot(), "a").Replicas[0].Finished
		// A lower bound: the wait ends by itself.
		s.eventually("moment between two lives", func() bool { return time.Since(finished) > 1500*time.Millisecond })
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnhealthyServiceNamesTheOneItNeeds(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %[1]s, command: %[2]s}
  b:
    image: %[1]s
    command: %[2]s
    depends_on: [a]
    healthcheck: {test: [CMD, ping, -c1, -W1, a], interval: 500ms, timeout: 60s, retries: 1}
  c: {image: %[1]s, command: %[2]s}
`, baseImage, loop)})
	s.up()
	s.until("b healthy", func(n *engine.Snapshot) bool { return find(n, "b").Health == engine.Healthy })
	s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"c"}, Cause: "you pressed K"})
	s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Cause: "you pressed K"})
	n := s.until("b unhealthy", func(n *engine.Snapshot) bool { return find(n, "b").Health == engine.Unhealthy })
	i := slices.IndexFunc(n.Records, func(r engine.Record) bool { return r.Service == "b" && r.Health == engine.Unhealthy })
	if l := n.Records[i].Likely; l == nil || l.Service != "a" || l.What != "was killed" || !slices.Equal(l.Path, []string{"b", "a"}) || l.Before <= 0 {
		t.Errorf("b is unhealthy because of %v", l)
	}
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
	n = s.until("b healthy again", func(n *engine.Snapshot) bool { return find(n, "b").Health == engine.Healthy })
	r := n.Records[slices.IndexFunc(n.Records, func(r engine.Record) bool {
		return r.Service == "b" && r.Health == engine.Healthy && strings.Contains(r.Cause, "unhealthy ->")
	})]
	if r.Likely == nil || r.Likely.Service != "a" || r.Likely.What != "came back" {
		t.Errorf("b is healthy again because of %v", r.Likely)
	}
}
