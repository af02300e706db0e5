package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

// waitUp is WaitUp for two minutes at most, which only a wait that hangs takes.
func (s *stage) waitUp(w engine.Wait) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	return s.WaitUp(ctx, w)
}

// try is Do likewise.
func (s *stage) try(c engine.Command) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	return s.Do(ctx, c)
}

// What cannot be applied is an error, whether nothing runs yet or an older container serves on.
func TestWhatWasNotAppliedIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	bad := map[string]string{
		"build":   "build: bad",
		"program": "image: " + baseImage + ", command: [/no/such/program]",
		"port":    "image: " + baseImage + ", command: " + loop + `, ports: ["127.0.0.1:` + port + `:80"]`,
		"mount":   "image: " + baseImage + ", command: " + loop + ", volumes: [{type: bind, source: ./nowhere, target: /x, bind: {create_host_path: false}}]",
		"image":   "image: no-such-image, pull_policy: never",
	}
	good, broken := "services:\n", "services:\n"
	for name, b := range bad {
		good += fmt.Sprintf("  %s: {image: %s, command: %s}\n", name, baseImage, loop)
		broken += fmt.Sprintf("  %s: {%s}\n  new-%s: {%s}\n", name, b, name, b)
	}
	broken += "  joins: {image: " + baseImage + ", network_mode: \"service:new-build\"}\n"
	s := open(t, map[string]string{"compose.yaml": good, "bad/Dockerfile": "FROM " + baseImage + "\nRUN echo oops; false\n"})
	s.up()
	before := s.identities()
	s.must(s.stop())
	s.write(map[string]string{"compose.yaml": broken})
	s.run(engine.Options{NoWatch: true})
	err = s.waitUp(engine.Wait{})
	var up *engine.UpError
	if !errors.As(err, &up) || len(up.Failures) != 2*len(bad)+1 {
		t.Fatalf("the wait says %v; want all of %d services", err, 2*len(bad)+1)
	}
	for name := range bad {
		for _, verb := range []engine.Verb{engine.VerbUp, engine.VerbScale} {
			if err := s.try(engine.Command{Verb: verb, Services: []string{name}, Scale: 1}); err == nil {
				t.Errorf("%s %s: no error", verb, name)
			}
		}
		if !s.running(name) {
			t.Errorf("%s: the older container does not serve on", name)
		}
	}
	if now := s.identities(); now["build/1"].ID != before["build/1"].ID || now["image/1"] != before["image/1"] {
		t.Errorf("moved: %v, was %v", now, before)
	}
	if err := s.try(engine.Command{Verb: engine.VerbRebuild, Services: []string{"build"}}); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("rebuild: %v", err)
	}
}

// A limit counts from the start of a service's own container, and cuts nobody's build off.
func TestLimitOfAWaitLeavesBuildsAlone(t *testing.T) {
	s := open(t, map[string]string{"slow/Dockerfile": "FROM " + baseImage + "\nRUN sleep 4\nCMD " + strings.ReplaceAll(loop, "$$", "$") + "\n",
		"compose.yaml": fmt.Sprintf(`
services:
  db: {image: %[1]s, command: %[2]s, healthcheck: {test: [CMD, "false"], interval: 1h}}
  web: {image: %[1]s, command: %[2]s, depends_on: {db: {condition: service_healthy}}}
  slow: {build: slow}
`, baseImage, loop)})
	s.run(engine.Options{NoWatch: true})
	err := s.waitUp(engine.Wait{Limit: time.Second})
	var up *engine.UpError
	if !errors.As(err, &up) || len(up.Failures) != 1 || up.Failures[0].Service != "web" || !up.Failures[0].Late ||
		!strings.Contains(err.Error(), "waits for db healthy: db is not ready 1.0s after its start (starting, starting); give it longer with --wait-timeout") {
		t.Errorf("the wait says %v", err)
	}
	if !s.running("slow") {
		t.Errorf("slow does not run: its build was cut off\n%s", s.dump())
	}
	if err := s.waitUp(engine.Wait{Ready: true, Limit: time.Second}); !errors.As(err, &up) || len(up.Failures) != 2 || !up.Failures[0].Late {
		t.Errorf("the wait for all to be ready says %v; want db and web", err)
	}
	err = s.try(engine.Command{Verb: engine.VerbUp, Services: []string{"web"}, Limit: time.Second})
	if err == nil || !strings.Contains(err.Error(), "db is not ready 1.0s after its start") {
		t.Errorf("up says %v", err)
	}
}

func TestReadyTakesAnEndOfAJobAlone(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  job: {image: %[1]s, command: ["true"]}
  web: {image: %[1]s, command: %[2]s, depends_on: {job: {condition: service_completed_successfully}}}
  over: {image: %[1]s, command: ["true"], healthcheck: {test: [CMD, "false"], interval: 1h}}
`, baseImage, loop)})
	s.run(engine.Options{NoWatch: true})
	s.must(s.waitUp(engine.Wait{}))
	err := s.waitUp(engine.Wait{Ready: true})
	var up *engine.UpError
	if !errors.As(err, &up) || len(up.Failures) != 1 || up.Failures[0].Service != "over" || !strings.Contains(err.Error(), "exited with code 0") {
		t.Errorf("the wait says %v; want over alone", err)
	}
}

// up of a changed file waits for what the change asks for, and does not take a later look at the
// old container for success.
func TestUpOfAChangedFileReportsWhatFailed(t *testing.T) {
	file := func(dockerfile, more string) string {
		return fmt.Sprintf("services:\n  a: {build: {context: a, dockerfile: %s}}\n%s", dockerfile, more)
	}
	s := open(t, map[string]string{
		"a/Dockerfile": "FROM " + baseImage + "\nCMD " + strings.ReplaceAll(loop, "$$", "$") + "\n", "a/bad": "FROM " + baseImage + "\nRUN echo oops; false\n",
		"compose.yaml": file("Dockerfile", "  b: {image: "+baseImage+", command: "+loop+"}\n"),
	})
	s.up()
	before := s.identities()["a/1"]
	s.write(map[string]string{"compose.yaml": file("bad", "")})
	s.until("changed file", func(n *engine.Snapshot) bool { return n.Reload != nil && n.Reload.Err == "" })
	for _, services := range [][]string{nil, {"a"}} {
		if err := s.try(engine.Command{Verb: engine.VerbUp, Services: services}); err == nil || !strings.Contains(err.Error(), "oops") {
			t.Errorf("up %v: %v; want the failed build", services, err)
		}
		if a := find(s.Snapshot(), "a"); !strings.Contains(a.Err, "oops") || !s.running("a") {
			t.Errorf("a is %s, with the error %q", a.State, a.Err)
		}
	}
	if now := s.identities(); now["a/1"] != before || now["b/1"].ID != "" {
		t.Errorf("there are %v; want a as it was, and no b", now)
	}
	s.write(map[string]string{"a/bad": "FROM " + baseImage + "\nCMD " + strings.ReplaceAll(loop, "$$", "$") + "\n"})
	s.until("a mended", func(n *engine.Snapshot) bool { a := find(n, "a"); return a.Ready && a.Err == "" })
	s.do(engine.Command{Verb: engine.VerbUp})
}
