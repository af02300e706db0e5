package engine_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/docker"
)

// This file holds what docker compose gets wrong and bulkhead must get right, a test for each, on the real engine.
// One of them stands elsewhere: "what is deleted while a container is stopped is gone after its start, and images without rm are no
// exception" is TestDeletedWhileStoppedIsGoneWhoeverStartsItNext and TestDeletesNeedNoProgramInTheImageAndTakeAnyName in sync_test.go.

func TestIgnoreFilesMeanWhatTheySay(t *testing.T) {
	s := open(t, map[string]string{
		"a/Dockerfile":    "FROM " + baseImage + "\nCOPY . /app\nCMD " + strings.ReplaceAll(loop, "$$", "$") + "\n",
		"a/.dockerignore": "*\n!src\nsrc/node_modules/\n",
		"a/src/x":         "1", "a/src/node_modules/m": "1", "a/src/sub/node_modules/m": "1", "a/top.txt": "1", "a/.git/index": "1", "a/src/.git/index": "1",
		"compose.yaml": "services:\n  a: {build: a, develop: {watch: [{path: a, action: sync, target: /app, initial_sync: true}]}}\n",
	})
	s.up()
	n := len(s.idle("a").Changes)
	s.write(map[string]string{"a/src/.git/index": "2", "a/.git/index": "2", "a/top.txt": "2", "a/src/node_modules/m": "2", "a/src/sub/node_modules/m": "2", "a/src/x": "2"})
	if c := s.change("a", "sync", n); c.Cause != "2 files saved" {
		t.Errorf("synced because %s: %v", c.Cause, c.Paths)
	}
	if got, want := s.sh("a", "cd /app; find . -type f | sort | xargs grep ."), "./src/.git/index:1\n./src/sub/node_modules/m:2\n./src/x:2"; got != want {
		t.Errorf("the container has\n%s\nwant\n%s", got, want)
	}
}

func TestFailedBuildOfOneKeepsTheSyncOfAnother(t *testing.T) {
	files := built()
	files["compose.yaml"] = fmt.Sprintf(`
services:
  a: {build: a}
  b: {image: %s, command: %s, develop: {watch: [{path: b, action: sync, target: /b}]}}
`, baseImage, loop)
	files["b/x"] = "1"
	s := open(t, files)
	s.up()
	s.write(map[string]string{"a/Dockerfile": "FROM " + baseImage + "\nRUN exit 7\n", "b/x": "2"})
	s.until("failed build", func(n *engine.Snapshot) bool { l := find(n, "a").Last; return l != nil && l.Err != "" })
	s.until("sync of b", func(*engine.Snapshot) bool { got, err := s.tryCat("b", "/b/x"); return err == nil && got == "2" })
}

func TestFileThatIsWrittenAllTheTimeStarvesNobody(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll), "src/busy": "0", "src/calm": "0"})
	s.up()
	busy := func(n int) error { return os.WriteFile(s.path("src/busy"), []byte(fmt.Sprint(n)), 0o644) }
	stop, last := make(chan struct{}), make(chan int)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				last <- n
				return
			case <-time.After(20 * time.Millisecond): // the writer's pace, quicker than any quiet period, is what the case is about
				if err := busy(n); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	s.write(map[string]string{"src/calm": "1"})
	s.eventually("busy and calm while busy is written", func() bool {
		busy, err := s.tryCat("a", "/app/busy")
		calm, cerr := s.tryCat("a", "/app/calm")
		return err == nil && cerr == nil && busy != "0" && calm == "1"
	})
	close(stop)
	n := <-last
	s.must(busy(n))
	s.eventually("the last state", func() bool { got, err := s.tryCat("a", "/app/busy"); return err == nil && got == fmt.Sprint(n) })
}

// Ten replicas live ten times each: a hundred generations. Without a network, a start takes half the time.
func TestFirstLineOfEveryGenerationIsThereAHundredTimes(t *testing.T) {
	const replicas, lives = 10, 10
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %s, scale: %d, network_mode: none, command: ["sh", "-c", "echo first; echo second; exec sleep 1000"]}
`, baseImage, replicas)})
	s.up()
	before := s.identities()
	for range lives - 1 {
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
	}
	count := func(text string) (n int) {
		for _, l := range s.lines("a") {
			if strings.HasSuffix(l, text) {
				n++
			}
		}
		return n
	}
	s.until("the last line of all", func(*engine.Snapshot) bool {
		return count(fmt.Sprintf("gen%d stdout second", lives)) >= replicas
	})
	for g := 1; g <= lives; g++ {
		for _, text := range []string{"first", "second"} {
			want := fmt.Sprintf("a gen%d stdout %s", g, text)
			if n := count(want); n != replicas {
				t.Errorf("%q is there %d times, want %d", want, n, replicas)
			}
		}
	}
	for name, after := range s.identities() {
		if was := before[name]; after.ID != was.ID || !after.Started.After(was.Started) {
			t.Errorf("%s: identity %+v, was %+v; want the same container, started later", name, after, was)
		}
	}
}

// Four services are rebuilt five times each, at the same time.
func TestTwentyRebuildsLeaveNoImageBehind(t *testing.T) {
	files := map[string]string{}
	compose := "services:\n"
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		files[name+"/Dockerfile"] = "FROM " + baseImage + "\nCOPY text /text\nCMD [\"sleep\", \"1000\"]\n"
		files[name+"/text"] = name + " 0"
		compose += "  " + name + ": {build: " + name + ", network_mode: none}\n"
	}
	files["compose.yaml"] = compose
	s := open(t, files)
	s.up()
	for v := 1; v <= 5; v++ {
		for _, name := range names {
			s.write(map[string]string{name + "/text": fmt.Sprint(name, " ", v)})
		}
		for _, name := range names {
			s.change(name, "rebuild", v)
		}
	}
	for _, name := range names {
		if got := s.cat(name, "/text"); got != name+" 5" {
			t.Errorf("%s runs %q", name, got)
		}
	}
	s.eventually("no old image", func() bool {
		left, err := s.rt.ProjectImages(t.Context(), s.name, false)
		return err == nil && len(left) == 0
	})
	if all, err := s.rt.ProjectImages(t.Context(), s.name, true); err != nil || len(all) != len(names) {
		t.Errorf("%d images with a name, %v; want one for each service", len(all), err)
	}
}

// asked counts what an engine does to containers, and how often it runs something in them.
type asked struct {
	*docker.Runtime
	created, started, stopped, removed, ran atomic.Int32
}

func (a *asked) Create(ctx context.Context, s engine.CreateSpec) (string, error) {
	a.created.Add(1)
	return a.Runtime.Create(ctx, s)
}

func (a *asked) Start(ctx context.Context, s engine.CreateSpec, id string) error {
	a.started.Add(1)
	return a.Runtime.Start(ctx, s, id)
}

func (a *asked) Stop(ctx context.Context, id string, grace time.Duration) error {
	a.stopped.Add(1)
	return a.Runtime.Stop(ctx, id, grace)
}

func (a *asked) Remove(ctx context.Context, id string, force, volumes bool) error {
	a.removed.Add(1)
	return a.Runtime.Remove(ctx, id, force, volumes)
}

func (a *asked) Exec(ctx context.Context, id string, o engine.ExecOptions) (int, error) {
	a.ran.Add(1)
	return a.Runtime.Exec(ctx, id, o)
}

// How long an up with nothing to do takes: `make bench BENCH=chain`.
func TestUpOfAHealthyChainOfSixDoesNothing(t *testing.T) {
	compose := "services:\n"
	for i := 1; i <= 6; i++ {
		compose += fmt.Sprintf("  s%d:\n    image: %s\n    command: [sleep, \"1000\"]\n    healthcheck: {test: [\"CMD\", \"true\"], interval: 1s}\n", i, baseImage)
		if i > 1 {
			compose += fmt.Sprintf("    depends_on: {s%d: {condition: service_healthy}}\n", i-1)
		}
	}
	s := open(t, map[string]string{"compose.yaml": compose})
	s.up()
	before := s.identities()
	s.until("the engine's own verdicts", func(*engine.Snapshot) bool {
		for _, id := range before {
			if in, err := s.rt.Inspect(t.Context(), id.ID); err != nil || in.Health != engine.Healthy {
				return false
			}
		}
		return true
	})
	s.must(s.stop())
	rt := &asked{Runtime: s.rt}
	s.run(engine.Options{Runtime: rt})
	s.ready()
	for what, n := range map[string]*atomic.Int32{"created": &rt.created, "started": &rt.started, "stopped": &rt.stopped, "removed": &rt.removed, "ran something in": &rt.ran} {
		if n.Load() != 0 {
			t.Errorf("an up that has nothing to do %s %d containers\n%s", what, n.Load(), s.dump())
		}
	}
	if after := s.identities(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("identities %v, were %v", after, before)
	}
}

func TestNewContentOfAConfigOrSecretRecreatesItsUsers(t *testing.T) {
	compose := fmt.Sprintf(`
services:
  inline: {image: %[1]s, command: %[2]s, configs: [text]}
  file: {image: %[1]s, command: %[2]s, secrets: [token]}
  none: {image: %[1]s, command: %[2]s}
configs: {text: {content: one}}
secrets: {token: {file: ./token}}
`, baseImage, loop)
	s := open(t, map[string]string{"compose.yaml": compose, "token": "one"})
	s.up()
	before := s.identities()
	s.must(s.stop())
	s.write(map[string]string{"compose.yaml": strings.Replace(compose, "content: one", "content: two", 1)})
	// An editor puts another file in the place of the one that is mounted.
	s.must(os.WriteFile(s.path("token.new"), []byte("two"), 0o644), os.Rename(s.path("token.new"), s.path("token")))
	s.up()
	if got := s.cat("inline", "/text") + " " + s.cat("file", "/run/secrets/token"); got != "two two" {
		t.Errorf("after another up they read %q", got)
	}
	after := s.identities()
	if after["inline/1"].ID == before["inline/1"].ID || after["file/1"].ID == before["file/1"].ID || after["none/1"] != before["none/1"] {
		t.Errorf("identities %v, were %v", after, before)
	}
}

func TestServiceThatKnowsNoStopSignalIsSwappedAtOnce(t *testing.T) {
	files := built() // sh as the first process, without a handler
	s := open(t, files)
	s.up()
	n := len(find(s.Snapshot(), "a").Changes)
	old := s.identities()["a/1"].ID
	signals := s.signals(old)
	s.write(map[string]string{"a/text": "version 2\n"})
	c := s.change("a", "rebuild", n)
	if got := signals(); !slices.Equal(got, []string{"9"}) || !strings.Contains(c.Note, "killed at once") {
		t.Errorf("the old container got the signals %v, want SIGKILL alone; note %q", got, c.Note)
	}
}

// signals follows the engine's events of a container from now on. What it returns waits for the container's end and gives the signals
// that it got.
func (s *stage) signals(id string) func() []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	var got []string
	ended := make(chan error, 1)
	since := time.Now()
	go func() {
		died := false
		err := s.rt.Events(ctx, s.name, since, func(ev engine.Event) {
			switch {
			case ev.ID != id || died:
			case ev.Kind == engine.EventKilled:
				got = append(got, ev.Signal)
			case ev.Kind == engine.EventDied:
				died = true
				cancel()
			}
		})
		if died {
			err = nil
		}
		ended <- err
	}()
	return func() []string {
		s.t.Helper()
		defer cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("no end of the container among the engine's events: %v", err)
		}
		return got
	}
}

func TestCompletedOneShotRunsAgainOnlyWhenItChanged(t *testing.T) {
	compose := fmt.Sprintf(`
services:
  migrate: {image: %[1]s, command: ["sh", "-c", "echo migrated"]}
  web: {image: %[1]s, command: %[2]s, depends_on: {migrate: {condition: service_completed_successfully}}}
`, baseImage, loop)
	s := open(t, map[string]string{"compose.yaml": compose})
	s.up()
	before := s.identities()
	s.do(engine.Command{Verb: engine.VerbUp})
	s.must(s.stop())
	s.up()
	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"web"}})
	if after := s.identities(); after["migrate/1"] != before["migrate/1"] {
		t.Errorf("migrate is %+v, was %+v", after["migrate/1"], before["migrate/1"])
	}
	s.must(s.stop())
	s.write(map[string]string{"compose.yaml": strings.Replace(compose, "echo migrated", "echo migrated more", 1)})
	s.up()
	s.line("migrate", "migrated more")
	if after := s.identities(); after["migrate/1"].ID == before["migrate/1"].ID {
		t.Error("a changed one-shot was not run again")
	}
}

func TestVolumesFromReadOnlyIsReadOnly(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %[1]s, command: %[2]s, volumes: ["data:/data"]}
  ro: {image: %[1]s, command: %[2]s, volumes_from: ["a:ro"]}
  rw: {image: %[1]s, command: %[2]s, volumes_from: [a]}
volumes: {data: {}}
`, baseImage, loop)})
	s.up()
	s.sh("rw", "echo hello > /data/x")
	if got := s.sh("ro", "cat /data/x; touch /data/y 2>&1 || true"); !strings.Contains(got, "hello") || !strings.Contains(got, "Read-only") {
		t.Errorf("through a:ro: %q", got)
	}
}

func TestTwoServicesWithTheSameBuildAreBuiltOnce(t *testing.T) {
	s := open(t, map[string]string{
		"a/Dockerfile": "FROM " + baseImage + "\nCOPY text /text\nRUN cat /proc/sys/kernel/random/uuid > /id\nCMD [\"sleep\", \"1000\"]\n",
		"a/text":       "1",
		"compose.yaml": "services:\n  a: {build: {context: a, no_cache: true}}\n  b: {build: {context: a, no_cache: true}}\n",
	})
	s.up()
	first := s.cat("a", "/id")
	if got := s.cat("b", "/id"); got != first {
		t.Errorf("a was built as %q, b as %q", first, got)
	}
	s.write(map[string]string{"a/text": "2"})
	for _, name := range []string{"a", "b"} {
		s.change(name, "rebuild", 1)
	}
	if a, b := s.cat("a", "/id"), s.cat("b", "/id"); a != b || a == first {
		t.Errorf("rebuilt, a is %q and b %q, both were %q", a, b, first)
	}
}

func TestOnlyTheLastStateOfABurstIsBuilt(t *testing.T) {
	s := open(t, map[string]string{
		"a/Dockerfile": "FROM " + baseImage + "\nCOPY text /text\nRUN grep -q '[04]' /text || sleep 1000\nCMD [\"sh\", \"-c\", \"cat /text; sleep 1000\"]\n",
		"a/text":       "version 0\n",
		"compose.yaml": "services: {a: {build: a}}\n",
	})
	s.up()
	built := len(s.Snapshot().Builds)
	began := func(n *engine.Snapshot) bool {
		b := n.Builds[len(n.Builds)-1]
		return len(n.Builds) > built && slices.ContainsFunc(b.Steps, func(st engine.BuildStep) bool {
			return strings.Contains(st.Name, "sleep") && !st.Began.IsZero() && st.Ended.IsZero()
		})
	}
	for v := 1; v <= 3; v++ {
		s.write(map[string]string{"a/text": fmt.Sprintf("version %d\n", v)})
		built = s.until("build at its long step", began).Builds[0].ID - 1 + len(s.Snapshot().Builds) // the next one is another
	}
	s.write(map[string]string{"a/text": "version 4\n"})
	s.change("a", "rebuild", 1)
	s.line("a", "gen2 stdout version 4")
	done, canceled := 0, 0
	for _, b := range s.Snapshot().Builds[1:] {
		switch {
		case b.Canceled:
			canceled++
		case b.Err == "":
			done++
		}
	}
	if done != 1 || canceled == 0 {
		t.Errorf("of the builds after the first, %d were finished and %d cancelled\n%s", done, canceled, s.dump())
	}
	for _, l := range s.lines("a") {
		if strings.Contains(l, "version") && !strings.HasSuffix(l, "version 0") && !strings.HasSuffix(l, "version 4") {
			t.Errorf("a state in between ran: %s", l)
		}
	}
}
