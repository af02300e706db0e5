package engine_test

import (
	"testing"

	"bulkhead/engine"
)

func TestDependentsRestartAlongWithoutARunningUp(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  db: {image: app}
  api: {image: app, depends_on: [db]}
  web: {image: app, depends_on: [api]}
  other: {image: app}
`}, func(s *scene) {
		s.up()
		before := s.identities()
		s.must(s.stop())
		p, err := s.load(s.t.Context())
		s.must(err)
		s.must(engine.Direct(s.t.Context(), s.rt, s.name, p, engine.Command{Verb: engine.VerbRestart, Services: []string{"db"}, Dependents: true}, nil))
		after := s.identities()
		for _, name := range []string{"db/1", "api/1", "web/1"} {
			if !after[name].Started.After(before[name].Started) {
				t.Errorf("%s was not restarted", name)
			}
		}
		if after["other/1"] != before["other/1"] {
			t.Error("other was restarted, and depends on nobody")
		}
	})
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
#2 made/1: create (no container)
#3 missing: pull (no image)
#4 missing/1: create (no container)
#5 there/1: create (no container)
`
		if steps.String() != want {
			t.Errorf("plan:\n%swant:\n%s", steps, want)
		}
		if ids := s.identities(); len(ids) != 0 {
			t.Errorf("containers were made: %v", ids)
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
