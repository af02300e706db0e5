package engine

import (
	"errors"
	"testing"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// What a build or a healthcheck prints may hold anything, "; " too.
func TestOnlyARemedyIsShownAsRemedy(t *testing.T) {
	build := &container.BuildError{Service: "web", Step: "RUN npm ci; npm test", Err: errors.New("exit code 1")}
	ill := errors.New(`web: waits for db healthy, but db is unhealthy: its check says "no table; no index"`)
	unchecked := container.WithRemedy(errors.New("web: waits for db healthy, but db has no healthcheck"), "give it one")
	for _, c := range []struct {
		err          error
		text, remedy string
	}{
		{build, build.Error(), ""},
		{ill, ill.Error(), ""},
		{unchecked, "web: waits for db healthy, but db has no healthcheck", "give it one"},
	} {
		e := New(Options{Project: &project.Project{Name: "shop"}})
		failed, waits := newService(e, &project.Service{Name: "web"}), newService(e, &project.Service{Name: "web"})
		failed.lane.fail(c.err)
		e.mu.Lock()
		waits.lane.blockLocked(c.err)
		e.mu.Unlock()
		for _, s := range []*service{failed, waits} {
			if s.err != c.text || s.remedy != c.remedy {
				t.Errorf("%v:\n%q and %q", c.err, s.err, s.remedy)
			}
		}
	}
}
