package state

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
	unchecked := container.WithRemedy(
		errors.New("web: waits for db healthy, but db has no healthcheck"), "give it one")
	for _, c := range []struct {
		err          error
		text, remedy string
	}{
		{build, build.Error(), ""},
		{ill, ill.Error(), ""},
		{unchecked, "web: waits for db healthy, but db has no healthcheck", "give it one"},
	} {
		p := &project.Project{Name: "shop", Services: []*project.Service{{Name: "failed"}, {Name: "waits"}}}
		st := New(p, Options{})
		st.Member("failed").Fail(c.err)
		st.Member("waits").Waits(nil, c.err)
		for _, s := range st.Snapshot().Services {
			if s.Err != c.text || s.Remedy != c.remedy {
				t.Errorf("%v:\n%q and %q", c.err, s.Err, s.Remedy)
			}
		}
	}
}
