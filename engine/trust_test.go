package engine_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/hostcmd"
)

func TestHostCommandWaitsForAYes(t *testing.T) {
	s := watched(t, map[string]string{"src/in": "one", "compose.yaml": `
services:
  a:
    image: app
    x-bulkhead: {prepare: {run: "cp src/in out", env: {TOKEN: hunter2}, watch: [src]}}
    develop: {watch: [{path: out, action: sync, target: /out}]}
  b: {image: app}
  c: {image: app, depends_on: [a]}
`})
	base := t.TempDir()
	s.run(engine.Options{Trust: hostcmd.OpenTrust(base, s.dir)})
	s.ready("b")
	n := s.until("an a that waits for a yes", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateBroken && len(n.Untrusted) > 0 })
	a := find(n, "a")
	if !strings.Contains(a.Err, "cp src/in out (prepare, compose.yaml:5)") || !strings.Contains(a.Remedy, "bulkhead trust") {
		t.Errorf("it says %q, remedy %q", a.Err, a.Remedy)
	}
	if u := n.Untrusted; len(u) != 1 || u[0].Service != "a" || u[0].Env[0] != "TOKEN=hunter2" {
		t.Errorf("untrusted: %+v", u)
	}
	var up *engine.UpError
	if err := s.WaitUp(t.Context(), engine.Wait{}); !errors.As(err, &up) || !strings.Contains(err.Error(), "not allowed on the host yet") {
		t.Errorf("up ends with %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "out")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("it ran")
	}
	if err := s.Do(t.Context(), engine.Command{Verb: engine.VerbTrust, Allow: []string{"what nobody saw"}}); err == nil {
		t.Error("another command was allowed")
	}
	s.do(engine.Command{Verb: engine.VerbTrust, Allow: []string{n.Untrusted[0].ID()}})
	s.ready()
	if now := s.Snapshot(); len(now.Untrusted) != 0 {
		t.Errorf("still untrusted: %+v", now.Untrusted)
	}
	if got, err := os.ReadFile(filepath.Join(s.dir, "out")); err != nil || string(got) != "one" {
		t.Errorf("out is %q, %v", got, err)
	}
	if !hostcmd.OpenTrust(base, s.dir).Allows(n.Untrusted[0]) {
		t.Error("the answer was not kept")
	}
}

func TestAnswerFromAnotherTerminalCounts(t *testing.T) {
	s := watched(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, x-bulkhead: {prepare: {run: "touch out"}}}
`})
	base := t.TempDir()
	s.run(engine.Options{Trust: hostcmd.OpenTrust(base, s.dir)})
	n := s.until("an a that waits for a yes", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateBroken })
	if err := hostcmd.OpenTrust(base, s.dir).Allow(n.Untrusted...); err != nil {
		t.Fatal(err)
	}
	s.do(engine.Command{Verb: engine.VerbTrust})
	s.ready()
}

func TestReloadNamesHostCommandsThatAreNew(t *testing.T) {
	s := watched(t, map[string]string{"compose.yaml": `
services:
  a: {image: app}
  b: {image: app, x-bulkhead: {prepare: {run: "true"}}}
`})
	s.up()
	s.write(map[string]string{"compose.yaml": `
services:
  a: {image: app, environment: {X: "1"}, x-bulkhead: {prepare: {run: "touch evil"}}}
  b: {image: app, x-bulkhead: {prepare: {run: "true"}}}
`})
	n := s.until("a reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) > 0 })
	if c := n.Reload.Commands; len(c) != 1 || c[0].Command != "touch evil" || c[0].Place != "compose.yaml:3" {
		t.Errorf("it runs on the host: %+v", c)
	}
}

// A provider stands for a service: its variables reach those that depend on it, and nothing is pulled.
func TestProviderIsCarriedOut(t *testing.T) {
	s := watched(t, map[string]string{".env": "SECRET_OF=dotenv\n", "demo": `#!/bin/sh
[ "$2" = metadata ] && { echo '{"description":"d","up":{"parameters":[{"name":"name"}]},"down":{},"stop":{}}'; exit; }
echo "$* $SECRET_OF" >>calls
[ -f fails ] && { printf '{"type":"error","message":"no quota"}\n'; exit 1; }
printf '{"type":"info","message":"made"}\n{"type":"setenv","message":"URL=http://demo:1"}\n{"type":"rawsetenv","message":"PLAIN=p"}\n'
`, "fails": "", "compose.yaml": `
services:
  db: {provider: {type: ./demo, options: {name: x, size: l}}}
  app: {image: app, depends_on: [db]}
  other: {image: app}
`})
	s.run(engine.Options{})
	s.ready("other")
	n := s.until("a db that failed", func(n *engine.Snapshot) bool { return find(n, "db").State == engine.StateBroken })
	if !strings.Contains(find(n, "db").Err, "no quota") {
		t.Errorf("it says %q", find(n, "db").Err)
	}
	if err := os.Remove(filepath.Join(s.dir, "fails")); err != nil {
		t.Fatal(err)
	}
	// The first attempt may be about to end still, and is then what is asked for.
	s.eventually("the provider done", func() bool {
		return s.Do(t.Context(), engine.Command{Verb: engine.VerbUp, Services: []string{"db"}}) == nil
	})
	s.ready()
	n = s.Snapshot()
	if db := find(n, "db"); db.State != engine.StateRunning || len(db.Replicas) != 0 {
		t.Errorf("db is %s with %d replicas", db.State, len(db.Replicas))
	}
	env := find(n, "app").Config.Config.Environment
	if url, plain := env["DB_URL"], env["PLAIN"]; url == nil || *url != "http://demo:1" || plain == nil || *plain != "p" {
		t.Errorf("the environment of app is %v", env)
	}
	id := s.identities()["app/1"].ID
	s.must(s.stop())
	s.up()
	if now := s.identities()["app/1"].ID; now != id {
		t.Errorf("a second up with the same variables recreated app\n%s", s.dump())
	}
	s.do(engine.Command{Verb: engine.VerbDown})
	calls, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	s.must(err)
	const up = "compose --project-name=play up --name=x db dotenv\n"
	if want := up + up + up + "compose --project-name=play down db dotenv\n"; string(calls) != want {
		t.Errorf("called\n%swant\n%s", calls, want)
	}
}
