package engine_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// This file holds what docker compose gets wrong and bulkhead must get right, as
// far as no real engine is needed for it; the rest is in compose_test.go.

func TestIgnoreFilesMeanWhatTheySay(t *testing.T) {
	s := watched(t, map[string]string{
		"a/Dockerfile": "FROM app\nCOPY . /app\n", "a/.dockerignore": "*\n!src\nsrc/node_modules/\n",
		"a/src/x": "1", "a/src/node_modules/m": "1", "a/src/sub/node_modules/m": "1", "a/top.txt": "1", "a/.git/index": "1", "a/src/.git/index": "1",
		"compose.yaml": "services:\n  a: {build: a, develop: {watch: [{path: a, action: sync, target: /app, initial_sync: true}]}}\n",
	})
	s.up()
	n := len(s.idle("a").Changes)
	s.write(map[string]string{"a/src/.git/index": "2", "a/.git/index": "2", "a/top.txt": "2", "a/src/node_modules/m": "2", "a/src/sub/node_modules/m": "2", "a/src/x": "2"})
	if c := s.change("a", "sync", n); c.Cause != "2 files saved" {
		t.Errorf("synced because %s: %v", c.Cause, c.Paths)
	}
	var got []string
	for at, f := range s.rt.Files(s.identities()["a/1"].ID, "/app") {
		if f.Mode.IsRegular() && !strings.Contains(at, "ockerfile") && !strings.Contains(at, ".dockerignore") { // they come with COPY . in memory
			got = append(got, at+":"+f.Text)
		}
	}
	slices.Sort(got)
	if want := []string{"/app/src/.git/index:1", "/app/src/sub/node_modules/m:2", "/app/src/x:2"}; !slices.Equal(got, want) {
		t.Errorf("the container has %q, want %q", got, want)
	}
}

func TestFailedBuildOfOneKeepsTheSyncOfAnother(t *testing.T) {
	files := rebuilt("")
	files["compose.yaml"] = `
services:
  a: {build: a}
  b: {image: app, develop: {watch: [{path: b, action: sync, target: /b}]}}
`
	files["b/x"] = "1"
	s := showing(t, files)
	s.up()
	s.write(map[string]string{"a/Dockerfile": "FROM app\nRUN fail at once\n", "b/x": "2"})
	s.until("failed build", func(n *engine.Snapshot) bool { l := find(n, "a").Last; return l != nil && l.Err != "" })
	s.until("sync of b", func(*engine.Snapshot) bool { return s.file("b", "/b/x") == "2" })
}

func TestFileThatIsWrittenAllTheTimeStarvesNobody(t *testing.T) {
	s := watched(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, develop: {watch: [{path: src, action: sync, target: /app, initial_sync: true}]}}
`, "src/busy": "0", "src/calm": "0"})
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
	s.eventually("busy and calm while busy is written", func() bool { return s.file("a", "/app/busy") != "0" && s.file("a", "/app/calm") == "1" })
	close(stop)
	n := <-last
	s.must(busy(n))
	s.eventually("the last state", func() bool { return s.file("a", "/app/busy") == fmt.Sprint(n) })
}

// Four services are rebuilt five times each, at the same time.
func TestTwentyRebuildsLeaveNoImageBehind(t *testing.T) {
	files := map[string]string{}
	compose := "services:\n"
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		files[name+"/Dockerfile"] = "FROM app\nCOPY text /text\n"
		files[name+"/text"] = name + " 0"
		compose += "  " + name + ": {build: " + name + "}\n"
	}
	files["compose.yaml"] = compose
	s := watched(t, files)
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
		if got := s.file(name, "/text"); got != name+" 5" {
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

// How long an up with nothing to do takes: `make bench BENCH=chain`.
func TestUpOfAHealthyChainOfSixDoesNothing(t *testing.T) {
	compose := "services:\n"
	for i := 1; i <= 6; i++ {
		compose += fmt.Sprintf("  s%d:\n    image: app\n    healthcheck: {test: [\"CMD\", \"true\"], interval: 1s}\n", i)
		if i > 1 {
			compose += fmt.Sprintf("    depends_on: {s%d: {condition: service_healthy}}\n", i-1)
		}
	}
	virtually(t, map[string]string{"compose.yaml": compose}, func(s *scene) {
		s.up()
		before := s.identities()
		s.eventually("the runtime's own verdicts", func() bool {
			for _, in := range s.instances() {
				if in.Health != engine.Healthy {
					return false
				}
			}
			return true
		})
		s.must(s.stop())
		methods := []string{"Create", "Start", "Stop", "Kill", "Remove", "Rename", "Exec"}
		calls := map[string]int{}
		for _, m := range methods {
			calls[m] = s.rt.Calls(m)
		}
		s.up()
		for _, m := range methods {
			if n := s.rt.Calls(m) - calls[m]; n != 0 {
				s.t.Errorf("an up that has nothing to do asked for %s %d times\n%s", m, n, s.dump())
			}
		}
		if after := s.identities(); fmt.Sprint(after) != fmt.Sprint(before) {
			s.t.Errorf("identities %v, were %v", after, before)
		}
	})
}

func TestNewContentOfAConfigOrSecretRecreatesItsUsers(t *testing.T) {
	compose := `
services:
  inline: {image: app, configs: [text]}
  file: {image: app, secrets: [token]}
  none: {image: app}
configs: {text: {content: one}}
secrets: {token: {file: ./token}}
`
	virtually(t, map[string]string{"compose.yaml": compose, "token": "one"}, func(s *scene) {
		s.up()
		before := s.identities()
		s.must(s.stop())
		s.write(map[string]string{"compose.yaml": strings.Replace(compose, "content: one", "content: two", 1)})
		// An editor puts another file in the place of the one that is mounted.
		s.must(os.WriteFile(s.path("token.new"), []byte("two"), 0o644), os.Rename(s.path("token.new"), s.path("token")))
		s.up()
		if got := s.file("inline", "/text") + " " + s.file("file", "/run/secrets/token"); got != "two two" {
			s.t.Errorf("after another up they read %q", got)
		}
		after := s.identities()
		if after["inline/1"].ID == before["inline/1"].ID || after["file/1"].ID == before["file/1"].ID || after["none/1"] != before["none/1"] {
			s.t.Errorf("identities %v, were %v", after, before)
		}
	})
}

func TestCompletedOneShotRunsAgainOnlyWhenItChanged(t *testing.T) {
	compose := `
services:
  migrate: {image: app, command: [echo, migrated]}
  web: {image: app, depends_on: {migrate: {condition: service_completed_successfully}}}
`
	virtually(t, map[string]string{"compose.yaml": compose}, func(s *scene) {
		s.up()
		before := s.identities()
		s.do(engine.Command{Verb: engine.VerbUp})
		s.must(s.stop())
		s.up()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"web"}})
		if after := s.identities(); after["migrate/1"] != before["migrate/1"] {
			s.t.Errorf("migrate is %+v, was %+v", after["migrate/1"], before["migrate/1"])
		}
		s.must(s.stop())
		s.write(map[string]string{"compose.yaml": strings.Replace(compose, "echo, migrated", "echo, migrated, more", 1)})
		s.up()
		s.line("migrate", "migrated more")
		if after := s.identities(); after["migrate/1"].ID == before["migrate/1"].ID {
			s.t.Error("a changed one-shot was not run again")
		}
	})
}

// waits says whether a build is at its RUN wait.
func waits(b engine.Build) bool {
	return slices.ContainsFunc(b.Steps, func(st engine.BuildStep) bool {
		return strings.Contains(st.Name, "wait") && !st.Began.IsZero() && st.Ended.IsZero()
	})
}

func TestTwoServicesWithTheSameBuildAreBuiltOnce(t *testing.T) {
	s := watched(t, map[string]string{
		"a/Dockerfile": "FROM app\nCOPY text /text\nRUN wait\n", "a/text": "1",
		"compose.yaml": "services:\n  a: {build: {context: a}}\n  b: {build: {context: a}}\n",
	})
	hold := make(chan struct{})
	s.builds.hold = hold
	s.run(engine.Options{})
	s.until("both build", func(n *engine.Snapshot) bool { return len(n.Builds) == 2 && waits(n.Builds[0]) && waits(n.Builds[1]) })
	close(hold)
	s.ready()
	if n := s.builds.built(); n != 1 {
		t.Errorf("built %d times, want once for both", n)
	}
	before := s.instances()
	if before["a/1"].ImageID != before["b/1"].ImageID {
		t.Errorf("a runs %s, b %s", before["a/1"].ImageID, before["b/1"].ImageID)
	}
	s.write(map[string]string{"a/text": "2"})
	for _, name := range []string{"a", "b"} {
		s.change(name, "rebuild", 1)
	}
	if a, b := s.file("a", "/text"), s.file("b", "/text"); a != "2" || b != "2" {
		t.Errorf("rebuilt, a has %q and b %q", a, b)
	}
}

func TestOnlyTheLastStateOfABurstIsBuilt(t *testing.T) {
	files := rebuilt("")
	files["a/Dockerfile"] = "FROM app\nCOPY text /text\nRUN wait\nCMD [\"show\"]\n"
	s := showing(t, files)
	s.up()
	hold := make(chan struct{})
	s.builds.mu.Lock()
	s.builds.hold = hold
	s.builds.mu.Unlock()
	first := len(s.Snapshot().Builds)
	for v := 2; v <= 4; v++ {
		s.write(map[string]string{"a/text": fmt.Sprintf("version %d", v)})
		s.until("another build at its long step", func(n *engine.Snapshot) bool {
			return len(n.Builds) == first+v-1 && waits(n.Builds[len(n.Builds)-1])
		})
	}
	close(hold)
	s.change("a", "rebuild", 1)
	s.line("a", "gen2 stdout version 4")
	done, canceled := 0, 0
	for _, b := range s.Snapshot().Builds[first:] {
		switch {
		case b.Canceled:
			canceled++
		case b.Err == "":
			done++
		}
	}
	if done != 1 || canceled != 2 {
		t.Errorf("of the builds after the first, %d were finished and %d cancelled\n%s", done, canceled, s.dump())
	}
	for _, l := range s.lines("a") {
		if strings.Contains(l, "version") && !strings.HasSuffix(l, "version 1") && !strings.HasSuffix(l, "version 4") {
			t.Errorf("a state in between ran: %s", l)
		}
	}
}

// Contents that come back are images that are there already, without a name:
// cleaning up must not take them away again.
func TestContentThatComesBackIsRunByAll(t *testing.T) {
	files := map[string]string{"f": "0", "Dockerfile": "FROM app\nCOPY f /f\n", ".dockerignore": "*\n!f\n"}
	compose := "services:\n"
	services := []string{"a", "b", "c", "d"}
	for _, n := range services {
		compose += fmt.Sprintf("  %s: {build: {context: ., args: {N: %s}}}\n", n, n)
	}
	files["compose.yaml"] = compose
	s := watched(t, files)
	s.up()
	for round := range 8 {
		text := fmt.Sprint((round + 1) % 2)
		s.write(map[string]string{"f": text})
		for _, n := range services {
			s.until(n+" with "+text, func(snap *engine.Snapshot) bool {
				svc := find(snap, n)
				if svc.Err != "" {
					t.Fatalf("%s: %s\n%s", n, svc.Err, s.dump())
				}
				return svc.State == engine.StateRunning && s.file(n, "/f") == text
			})
		}
	}
	if w := s.Snapshot().Warnings; len(w) > 0 {
		t.Errorf("warnings: %q", w)
	}
}

func TestSharedImageIsBuiltOnceAndRebuiltForAll(t *testing.T) {
	files := rebuilt("")
	files["compose.yaml"] = `
services:
  a: {build: a, image: "${COMPOSE_PROJECT_NAME}-shared"}
  b: {image: "${COMPOSE_PROJECT_NAME}-shared"}
  c: {build: a}
`
	s := watched(t, files)
	s.rt.Program("show", memory.Program{Run: show})
	s.up()
	for _, b := range s.Snapshot().Builds {
		if b.Kind == "pull" {
			t.Errorf("%v pulled an image that a sibling builds", b.Services)
		}
	}
	before := s.identities()
	s.write(map[string]string{"a/text": "version 2"})
	for _, name := range []string{"a", "b", "c"} {
		s.line(name, "gen2 stdout version 2")
	}
	s.until("the old containers gone", func(*engine.Snapshot) bool {
		now := s.identities()
		return len(now) == 3 && now["a/1"].ID != before["a/1"].ID && now["b/1"].ID != before["b/1"].ID && now["c/1"].ID != before["c/1"].ID
	})
}

// based is a project whose builds begin with each other's images.
func based() map[string]string {
	return map[string]string{
		"compose.yaml": `
services:
  a: {build: a}
  b: {image: "play/only", depends_on: [a]}
  only: {image: "play/only", build: {context: only}, profiles: [build]}
  z: {image: "play/base", build: z, scale: 0}
`,
		"a/Dockerfile": "FROM play/base\nCOPY text /text\n", "a/text": "a 1",
		"z/Dockerfile": "FROM app\nRUN wait\nCOPY text /base\n", "z/text": "base 1",
		"only/Dockerfile": "FROM play/base\nCOPY text /only\n", "only/text": "only 1",
	}
}

func TestBuildWaitsForTheImageOfAnotherServiceThatItBeginsWith(t *testing.T) {
	virtually(t, based(), func(s *scene) {
		hold := make(chan struct{})
		s.builds.hold = hold
		s.run(engine.Options{})
		time.Sleep(time.Minute) // virtual: whoever does not wait has failed by now
		if n := s.builds.built(); n != 1 {
			s.t.Errorf("%d builds have begun, want the one that the others begin with", n)
		}
		close(hold)
		s.ready()
		for _, b := range s.Snapshot().Builds {
			if b.Kind == "pull" || b.Err != "" {
				s.t.Errorf("%s of %v: %q", b.Kind, b.Services, b.Err)
			}
		}
		if got := s.file("a", "/base") + ", " + s.file("b", "/only") + " on " + s.file("b", "/base"); got != "base 1, only 1 on base 1" {
			s.t.Errorf("they run %q", got)
		}
		if n := s.builds.built(); n != 3 {
			s.t.Errorf("%d builds, want one of each", n)
		}
		s.must(s.stop())
		s.up()
		if n := s.builds.built(); n != 3 {
			s.t.Errorf("%d builds of what is there", n-3)
		}
	})
}

func TestImageThatChangedIsBuiltAgainForThoseThatBeginWithIt(t *testing.T) {
	s := watched(t, based())
	s.up()
	s.write(map[string]string{"z/text": "base 2"})
	s.eventually("a with the new base", func() bool { return s.file("a", "/base") == "base 2" && s.file("a", "/text") == "a 1" })
	if c := s.change("a", "rebuild", 1); c.Cause != "z has built its image again" {
		t.Errorf("a was built again because of %q", c.Cause)
	}
}

func TestServiceThatMountsAnImageGoesByIt(t *testing.T) {
	files := based()
	files["compose.yaml"] = `
services:
  a: {image: app, volumes: [{type: image, source: z, target: /z}, {type: image, source: app, target: /app}]}
  z: {build: z, scale: 0}
`
	s := watched(t, files)
	s.up()
	before := s.instances()["a/1"]
	img, err := s.rt.Image(t.Context(), "play-z", "")
	s.must(err)
	app, err := s.rt.Image(t.Context(), "app", "")
	s.must(err)
	if want := "/app=" + app.Digest + ",/z=" + img.Digest; before.VolumeImages != want {
		t.Errorf("it mounts %q, want %q", before.VolumeImages, want)
	}
	s.must(s.stop())
	s.up()
	if now := s.instances()["a/1"]; now.Identity != before.Identity {
		t.Errorf("without a change %+v became %+v", before.Identity, now.Identity)
	}
	s.write(map[string]string{"z/text": "base 2"})
	s.eventually("a with the new image", func() bool {
		now := s.instances()["a/1"]
		return now.ID != before.ID && now.VolumeImages != before.VolumeImages && now.State == engine.StateRunning
	})
}
