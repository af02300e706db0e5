package docker

import (
	"slices"
	"testing"

	moby "github.com/moby/moby/api/types/container"
)

func TestCheckIsTheCommandThatTheEngineRuns(t *testing.T) {
	for _, c := range []struct{ test, shell, want []string }{
		{},
		{test: []string{"NONE"}},
		{test: []string{"NONE", "x"}},
		{test: []string{"CMD"}},
		{test: []string{"CMD", "wget", "-q", "localhost"}, want: []string{"wget", "-q", "localhost"}},
		{test: []string{"CMD-SHELL", "exit 0"}, want: []string{"/bin/sh", "-c", "exit 0"}},
		{test: []string{"CMD-SHELL", "exit 0"}, shell: []string{"/bin/bash", "-o", "pipefail", "-c"},
			want: []string{"/bin/bash", "-o", "pipefail", "-c", "exit 0"}},
	} {
		conf := &moby.Config{Healthcheck: &moby.HealthConfig{Test: c.test}, Shell: c.shell}
		if got := instance(moby.InspectResponse{Config: conf}).Check; !slices.Equal(got, c.want) {
			t.Errorf("%q with shell %q: %q, want %q", c.test, c.shell, got, c.want)
		}
	}
	if got := instance(moby.InspectResponse{Config: &moby.Config{}}).Check; got != nil {
		t.Errorf("without a healthcheck: %q", got)
	}
}
