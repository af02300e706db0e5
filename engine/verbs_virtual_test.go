package engine_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/project"
)

// ways are the two that a command can take: through the engine of a running up, and through one of its
// own for the moment.
var ways = map[string]func(s *scene, c engine.Command) error{
	"with a running up": func(s *scene, c engine.Command) error {
		if err := s.Do(s.t.Context(), c); err != nil {
			return err
		}
		return s.WaitUp(s.t.Context(), engine.Wait{})
	},
	"without one": func(s *scene, c engine.Command) error {
		p, err := s.load(s.t.Context())
		s.must(err)
		s.must(s.stop())
		return engine.Once(s.t.Context(), engine.Options{Runtime: s.rt, Builder: s.b, StateDir: s.state, Project: p}, c)
	},
	"without one and without a file": func(s *scene, c engine.Command) error {
		s.must(s.stop())
		return engine.Once(s.t.Context(), engine.Options{Runtime: s.rt, Builder: s.b, StateDir: s.state, Project: project.Unfiled(s.name)}, c)
	},
}

// TestVerbsDoTheSameWithAndWithoutARunningUp has each verb do its work in every way that it can be asked
// for. What is written of a service: what it is, and then "moved" when it was started since, "new" when it
// has another container.
func TestVerbsDoTheSameWithAndWithoutARunningUp(t *testing.T) {
	stop := engine.Command{Verb: engine.VerbStop}
	of := func(v engine.Verb, services ...string) engine.Command {
		return engine.Command{Verb: v, Services: services}
	}
	for _, v := range []struct {
		name   string
		before []engine.Command
		cmd    engine.Command
		filed  bool // it needs the file
		want   string
	}{
		{name: "start of all", before: []engine.Command{stop}, cmd: of(engine.VerbStart),
			want: "api running moved, db running moved, job exited, side running moved, web running moved"},
		{name: "start of one", before: []engine.Command{stop}, cmd: of(engine.VerbStart, "db"),
			want: "api exited, db running moved, job exited, side exited, web exited"},
		{name: "start of a job that is done", cmd: of(engine.VerbStart, "job"),
			want: "api running, db running, job exited moved, side running, web running"},
		{name: "stop of all", cmd: stop, want: "api exited, db exited, job exited, side exited, web exited"},
		{name: "stop of one", cmd: of(engine.VerbStop, "api"), want: "api exited, db running, job exited, side running, web running"},
		{name: "restart", cmd: of(engine.VerbRestart, "web"),
			want: "api running, db running, job exited, side running, web running moved"},
		{name: "restart takes those along that follow", cmd: of(engine.VerbRestart, "db"),
			want: "api running moved, db running moved, job exited, side running moved, web running"},
		{name: "restart --dependents", cmd: engine.Command{Verb: engine.VerbRestart, Services: []string{"db"}, Dependents: true},
			want: "api running moved, db running moved, job exited, side running moved, web running moved"},
		{name: "kill", cmd: of(engine.VerbKill, "api"), want: "api exited, db running, job exited, side running, web running"},
		{name: "kill with another signal", cmd: engine.Command{Verb: engine.VerbKill, Services: []string{"api"}, Signal: "TERM"},
			want: "api exited, db running, job exited, side running, web running"},
		{name: "pause", cmd: of(engine.VerbPause, "api"), want: "api paused, db running, job exited, side running, web running"},
		{name: "unpause", before: []engine.Command{of(engine.VerbPause, "api")}, cmd: of(engine.VerbUnpause, "api"),
			want: "api running, db running, job exited, side running, web running"},
		{name: "rebuild", cmd: of(engine.VerbRebuild, "web"), filed: true,
			want: "api running, db running, job exited, side running, web running new"},
		{name: "scale up", cmd: engine.Command{Verb: engine.VerbScale, Services: []string{"api"}, Scale: 2}, filed: true,
			want: "api running, api/2 running new, db running, job exited, side running, web running"},
		{name: "scale down", cmd: engine.Command{Verb: engine.VerbScale, Services: []string{"api"}, Scale: 0}, filed: true,
			want: "db running, job exited, side running, web running"},
		{name: "down", cmd: of(engine.VerbDown), want: ""},
		{name: "down of one", cmd: of(engine.VerbDown, "web"), want: "api running, db running, job exited, side running"},
	} {
		for way, do := range ways {
			if v.filed && strings.Contains(way, "without a file") {
				continue
			}
			t.Run(v.name+"/"+way, func(t *testing.T) {
				virtually(t, map[string]string{"a/Dockerfile": "FROM app\nCOPY f /f\n", "a/f": "0", "compose.yaml": `
services:
  db: {image: app}
  api: {image: app, depends_on: {db: {condition: service_started, restart: true}}}
  web: {build: a, depends_on: [api]}
  side: {image: app, network_mode: "service:db"}
  job: {image: job}
`}, func(s *scene) {
					s.rt.Put("job", memory.Image{Command: []string{"done"}})
					s.rt.Program("done", once("", time.Second, 0))
					s.up()
					time.Sleep(time.Minute) // the job ends
					for _, c := range v.before {
						s.do(c)
					}
					if v.cmd.Verb == engine.VerbRebuild {
						s.write(map[string]string{"a/f": "1"})
					}
					before := s.identities()
					time.Sleep(time.Minute)
					s.must(do(s, v.cmd))
					time.Sleep(time.Minute)
					if got := s.became(before); got != v.want {
						t.Errorf("%s\nwant %s", got, v.want)
					}
				})
			})
		}
	}
}

// became says what the project's containers are, and what of them has changed.
func (s *scene) became(before map[string]container.Identity) string {
	var out []string
	now := s.instances()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		in := now[name]
		text := strings.TrimSuffix(name, "/1") + " " + in.State.String()
		switch {
		case in.ID != before[name].ID:
			text += " new"
		case !in.Started.Equal(before[name].Started):
			text += " moved"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// What cannot be done names what is in the way, however it is asked for.
func TestVerbsThatCannotBeDoneSayWhy(t *testing.T) {
	for name, v := range map[string]struct {
		cmd  engine.Command
		want string
	}{
		"pause of what is paused": {engine.Command{Verb: engine.VerbPause, Services: []string{"a"}}, "pause a: it is paused"},
		"kill of what has ended":  {engine.Command{Verb: engine.VerbKill, Services: []string{"b"}}, "kill b: it is exited"},
	} {
		for way, do := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				virtually(t, map[string]string{"compose.yaml": "services: {a: {image: app}, b: {image: app}}"}, func(s *scene) {
					s.up()
					s.do(engine.Command{Verb: engine.VerbPause, Services: []string{"a"}})
					s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"b"}})
					if err := do(s, v.cmd); err == nil || err.Error() != v.want {
						t.Errorf("error %v, want %s", err, v.want)
					}
				})
			})
		}
	}
}

func TestDryRunSaysWhatUpWouldDoAndDoesNothing(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  there: {image: app}
  missing: {image: elsewhere}
  made: {build: {context: ., dockerfile_inline: "FROM app"}}
`}, func(s *scene) {
		p, err := s.load(s.t.Context())
		s.must(err)
		steps, err := engine.New(engine.Options{Runtime: s.rt, Project: p}).DryRun(s.t.Context())
		s.must(err)
		want := `#1 made: build (no image)
#2 network default: create (not there)
#3 made/1: create (no container)
#4 missing: pull (no image)
#5 missing/1: create (no container)
#6 there/1: create (no container)
`
		if steps.String() != want {
			t.Errorf("plan:\n%swant:\n%s", steps, want)
		}
		if ids := s.identities(); len(ids) != 0 {
			t.Errorf("containers were made: %v", ids)
		}
	})
}

// The dry run goes by the decisions of the first up: about images, prepare and files, too.
func TestDryRunSaysWhatAnotherUpWouldDo(t *testing.T) {
	file := `
services:
  made:
    build: {context: made, dockerfile_inline: "FROM app\nCOPY a /a\n"}
    x-bulkhead: {prepare: {run: "true", watch: [made]}, swap: overlap}
    develop: {watch: [{path: made, action: rebuild}]}
  of: {image: play-made}
  copied:
    image: app
    develop: {watch: [{path: src, action: sync, target: /src}]}
  fresh: {image: far, pull_policy: always}
`
	files := map[string]string{"compose.yaml": file, "made/a": "1", "src/a": "1", "src/b": "1"}
	virtually(t, files, func(s *scene) {
		dry := func() string {
			s.t.Helper()
			p, err := s.load(s.t.Context())
			s.must(err)
			steps, err := engine.New(engine.Options{Runtime: s.rt, Project: p, StateDir: s.state}).DryRun(s.t.Context())
			s.must(err)
			return steps.String()
		}
		s.rt.Publish("far", memory.Image{Command: []string{"loop"}})
		s.up()
		s.must(s.stop())
		s.stop = nil
		before := s.identities()
		want := `#1 copied/1: keep (running)
#2 fresh: pull (pull_policy: always)
#3 fresh/1: keep (running)
#4 made/1: keep (running)
#5 of/1: keep (running)
`
		if got := dry(); got != want {
			t.Errorf("with nothing changed:\n%swant:\n%s", got, want)
		}
		s.write(map[string]string{"made/a": "22", "src/a": "22", "src/b": "22"})
		want = `#1 copied/1: keep (running)
#2 fresh: pull (pull_policy: always)
#3 fresh/1: keep (running)
#4 made: prepare (what it watches changed)
#5 made: build (files changed while nobody watched)
#6 made/1: overlap (image was built again)
#7 of: await (made builds it)
#8 of/1: recreate (made builds its image)
#9 copied/1: sync (changed while nobody watched: 2 files)
`
		if got := dry(); got != want {
			t.Errorf("with changed files:\n%swant:\n%s", got, want)
		}
		if !maps.Equal(before, s.identities()) {
			t.Errorf("something was done: %s", s.became(before))
		}
	})
}

func TestScaleHasLimits(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app, container_name: only}\n"}, func(s *scene) {
		s.up()
		for _, c := range []engine.Command{{Services: []string{"a"}, Scale: -1}, {Services: []string{"a"}, Scale: 1_000_000_000}, {Services: []string{"b"}, Scale: 2}} {
			c.Verb = engine.VerbScale
			if err := s.Do(s.t.Context(), c); err == nil {
				t.Errorf("scale to %d was taken", c.Scale)
			}
		}
		if n := len(s.identities()); n != 2 {
			t.Errorf("%d containers, want 2", n)
		}
	})
}
