package oneoff

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/images"
	"bulkhead/engine/project"
)

// maker has a builder that makes what it is asked for, and keeps the lines that are reported.
type maker struct {
	*Maker
	rt    *memory.Runtime
	lines []string
}

// Build implements container.Builder.
func (m *maker) Build(
	_ context.Context, r container.BuildRequest, _ func(container.BuildProgress),
) (container.BuildResult, error) {
	for _, name := range r.Tags {
		m.rt.Put(name, memory.Image{Command: []string{"loop"}})
	}
	return container.BuildResult{}, nil
}

// Close implements container.Builder.
func (m *maker) Close() error { return nil }

func newMaker(t *testing.T, compose string) *maker {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(compose), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(t.Context(), project.Options{Dir: dir, Name: "play"})
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{rt: memory.New()}
	t.Cleanup(func() { m.rt.Close() })
	m.rt.Put("app", memory.Image{Command: []string{"loop"}})
	m.rt.Publish("far", memory.Image{Command: []string{"loop"}})
	m.Maker = &Maker{Runtime: container.Completed(m.rt), Builder: m, Project: p,
		Report: func(_ images.Kind, l string) { m.lines = append(m.lines, l) }}
	return m
}

// A one-off gets its image by the same decisions as an up of its service does.
func TestOneOffGetsItsImage(t *testing.T) {
	const compose = `
services:
  here: {image: app}
  far: {image: far}
  never: {image: gone, pull_policy: never}
  made: {build: {context: ., dockerfile_inline: "FROM app"}}
  of: {image: play-made}
`
	for _, c := range []struct{ service, pull, want string }{
		{"here", "", ""},
		{"here", "always",
			"here: pulling app; pull app for here: pull app: the registry in memory has no such image: not found"},
		{"far", "", "far: pulling far"},
		{"far", "never",
			"create far: image far is not there and its pull_policy is never; load it, or change the policy"},
		{"never", "",
			"create never: image gone is not there and its pull_policy is never; load it, or change the policy"},
		{"made", "", "made: building play-made; made: built play-made"},
		{"of", "", "made: building play-made; made: built play-made"},
	} {
		m := newMaker(t, compose)
		made, err := m.Make(t.Context(), c.service, Options{Pull: c.pull})
		lines := m.lines
		switch {
		case err != nil:
			lines = append(lines, err.Error())
		default: // the network and the container
			lines = lines[:len(lines)-2]
			if in, err := m.rt.Inspect(t.Context(), made.ID); err != nil || in.State != container.StateCreated {
				t.Errorf("%s: %+v, %v", c.service, in, err)
			}
		}
		if got := strings.Join(lines, "; "); got != c.want {
			t.Errorf("%s with --pull=%q: %s\nwant %s", c.service, c.pull, got, c.want)
		}
	}
}
