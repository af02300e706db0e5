package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bulkhead/engine"
)

// Each pair is a dependency that will not come by itself, and one that waits for it; the wait has no limit.
func TestConditionThatWillNotHoldIsNamedAtOnce(t *testing.T) {
	const never = `healthcheck: {test: [CMD, "false"], interval: 1h}`
	pairs := []struct{ name, db, condition, want string }{
		{"done", `command: ["true"], ` + never, "healthy", "done-db exited with code 0 before it was healthy"},
		{"gone", `command: ["false"], ` + never, "healthy", "gone-db exited with code 1"},
		{"loop", `command: ["false"], restart: always, ` + never, "healthy", "loop-db is crash-looping: exited with code 1"},
		{"none", `command: ` + loop, "healthy", "none-db has no healthcheck, in the file or in its image"},
		{"off", `command: ` + loop + `, healthcheck: {disable: true}`, "healthy", "off-db has no healthcheck"},
		{"probe", `command: [httpd, -f, -p, "80"], x-bulkhead: {probe: "tcp://localhost:80"}`, "healthy", "probe-db has no healthcheck"},
		{"ill", `command: ` + loop + `, healthcheck: {test: [CMD-SHELL, "echo no table yet; exit 1"], interval: 200ms, retries: 2}`, "healthy",
			`ill-db is unhealthy: its check says "no table yet"`},
		{"job", `command: [sh, -c, "exit 3"]`, "completed_successfully", "job-db exited with code 3"},
		{"prog", `command: [/no/such/program]`, "started", "prog-db"},
	}
	file, named := "services:\n", map[string]string{}
	for _, p := range pairs {
		file += fmt.Sprintf("  %s-db: {image: %s, network_mode: none, %s}\n", p.name, baseImage, p.db)
		file += fmt.Sprintf("  %s-web: {image: %s, network_mode: none, command: %s, depends_on: {%s-db: {condition: service_%s}}}\n", p.name, baseImage, loop, p.name, p.condition)
		named[p.name+"-web"] = p.want
	}
	s := open(t, map[string]string{"compose.yaml": file})
	s.run(engine.Options{NoWatch: true})
	err := s.waitUp(engine.Wait{})
	var up *engine.UpError
	if !errors.As(err, &up) {
		t.Fatalf("the wait says %v", err)
	}
	for _, f := range up.Failures {
		if want, ok := named[f.Service]; ok && !strings.Contains(f.Err.Error(), want) {
			t.Errorf("%s: %v; want %q in it", f.Service, f.Err, want)
		}
		delete(named, f.Service)
	}
	if len(named) > 0 {
		t.Errorf("not in the error: %v", named)
	}
	for _, p := range pairs {
		if r := find(s.Snapshot(), p.name+"-web").Replicas; len(r) > 0 && !r[0].Identity.Started.IsZero() {
			t.Errorf("%s-web was started", p.name)
		}
	}
	// A verb does not wait for what will not come either.
	err = s.try(engine.Command{Verb: engine.VerbStart, Services: []string{"ill-web"}})
	if err == nil || !strings.Contains(err.Error(), "ill-web: waits for ill-db healthy, but ill-db is unhealthy") {
		t.Errorf("start says %v", err)
	}
}

func TestWhatWaitsForSomethingUnhealthyStartsOnceThatIsMended(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  db:
    image: %[1]s
    command: %[2]s
    healthcheck: {test: [CMD, test, -f, /tmp/ok], interval: 200ms, retries: 1}
  web: {image: %[1]s, command: %[2]s, depends_on: {db: {condition: service_healthy}}}
`, baseImage, loop)})
	s.run(engine.Options{})
	n := s.until("web broken", func(n *engine.Snapshot) bool { return find(n, "web").State == engine.StateBroken })
	if web := find(n, "web"); !strings.Contains(web.Err, "db is unhealthy") {
		t.Errorf("web's error is %q", web.Err)
	}
	s.sh("db", "touch /tmp/ok")
	n = s.until("web ready", func(n *engine.Snapshot) bool { return find(n, "web").Ready })
	if web := find(n, "web"); web.Err != "" {
		t.Errorf("web runs with the error %q", web.Err)
	}
}

func TestDependencyThatIsNotRequiredMayFail(t *testing.T) {
	file := "services:\n"
	for name, db := range map[string]string{
		"done": `command: ["true"], healthcheck: {test: [CMD, "false"], interval: 1h}`,
		"none": `command: ` + loop,
		"prog": `command: [/no/such/program]`,
		"ill":  `command: ` + loop + `, healthcheck: {test: [CMD, "false"], interval: 200ms, retries: 1}`,
	} {
		file += fmt.Sprintf("  %s-db: {image: %s, network_mode: none, %s}\n", name, baseImage, db)
		file += fmt.Sprintf("  %s-web: {image: %s, network_mode: none, command: %s, depends_on: {%s-db: {condition: service_healthy, required: false}}}\n", name, baseImage, loop, name)
	}
	s := open(t, map[string]string{"compose.yaml": file})
	s.run(engine.Options{NoWatch: true})
	// The others start without it. That it could not be started is an error all the same, and the only one.
	var up *engine.UpError
	if err := s.waitUp(engine.Wait{}); !errors.As(err, &up) || len(up.Failures) != 1 || up.Failures[0].Service != "prog-db" {
		t.Errorf("up: %v", err)
	}
	warnings := strings.Join(s.Snapshot().Warnings, "\n")
	for _, name := range []string{"done", "none", "prog", "ill"} {
		if !s.running(name + "-web") {
			t.Errorf("%s-web does not run", name)
		}
		if want := name + "-web starts without " + name + "-db, which it does not require: "; strings.Count(warnings, want) != 1 {
			t.Errorf("warnings %q; want %q once", warnings, want)
		}
	}
}

// What somebody stopped and starts again together comes up in the order of its conditions.
func TestBroughtBackTogetherADependencyIsWaitedFor(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  z-db:
    image: %[1]s
    command: %[2]s
    healthcheck: {test: [CMD, "true"], interval: 1h}
    post_start: [{command: [sleep, "1"]}]
    pre_stop: [{command: [sleep, "2"]}]
  a-web: {image: %[1]s, command: %[2]s, depends_on: {z-db: {condition: service_healthy}}}
  b-web: {image: %[1]s, command: %[2]s, depends_on: [z-db]}
`, baseImage, loop)})
	s.up()
	// The second time z-db is still being stopped when all are to come back.
	for round := range 2 {
		if round == 0 {
			s.do(engine.Command{Verb: engine.VerbStop})
		} else {
			s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a-web", "b-web"}})
			stopped := make(chan error, 1)
			go func() { stopped <- s.try(engine.Command{Verb: engine.VerbStop, Services: []string{"z-db"}}) }()
			defer func() { s.must(<-stopped) }()
			s.until("z-db stopping", func(n *engine.Snapshot) bool { return find(n, "z-db").State == engine.StateStopping })
		}
		s.do(engine.Command{Verb: engine.VerbUp})
		s.ready()
		n := s.Snapshot()
		for _, name := range []string{"a-web", "b-web"} {
			if !find(n, name).Started.After(find(n, "z-db").Started) {
				t.Errorf("round %d: %s started at %v, z-db at %v", round, name, find(n, name).Started, find(n, "z-db").Started)
			}
		}
	}
}
