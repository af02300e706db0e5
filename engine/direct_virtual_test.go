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
