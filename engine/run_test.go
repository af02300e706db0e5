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
		if row.Outcome != engine.Untouched || row.Before.Identity != before[fmt.Sprintf("%s/%d", row.Service, row.Replica)] {
			t.Errorf("ledger row %+v", row)
		}
	}
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
	n = s.until("a back", func(n *engine.Snapshot) bool { return find(n, "a").Ready })
	if a := find(n, "a"); a.Generation != 2 || a.ByHand || s.identities()["a/1"].ID != before["a/1"].ID {
		t.Errorf("a is back as generation %d, by hand %v", a.Generation, a.ByHand)
	}
	s.line("a", "run 1 ended: exit code 137 (signal SIGKILL), you pressed K")
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
