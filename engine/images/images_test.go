package images_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/images"
	"bulkhead/engine/project"
)

// builder notes the order of builds; those of fails do not work.
type builder struct {
	mu    sync.Mutex
	built []string
	fails string
}

func (b *builder) Build(
	_ context.Context, r container.BuildRequest, _ func(container.BuildProgress),
) (container.BuildResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.built = append(b.built, r.Service)
	if r.Service == b.fails {
		return container.BuildResult{}, errors.New("it does not build")
	}
	return container.BuildResult{}, nil
}

func (b *builder) Close() error { return nil }

// shop is a project of services that build; each begins with the image of the next where it names one.
func shop(t *testing.T, bases map[string]string) *project.Project {
	p := &project.Project{Name: "shop", Dir: t.TempDir(), Compose: &types.Project{}}
	for _, name := range []string{"api", "base", "web"} {
		s := &project.Service{Name: name, Image: "shop-" + name, Built: true}
		s.Config.Build = &types.BuildConfig{Context: p.Dir, DockerfileInline: "FROM scratch"}
		if of := bases[name]; of != "" {
			s.Config.Build.AdditionalContexts = types.Mapping{"of": "service:" + of}
		}
		p.Services = append(p.Services, s)
	}
	return p
}

func TestBuildMakesWhatABuildBeginsWithFirstAndOnce(t *testing.T) {
	b := &builder{}
	set := &images.Set{Builder: b, Project: shop(t, map[string]string{"api": "base", "web": "base"})}
	if made, err := set.Build(t.Context(), []string{"api", "web"},
		images.BuildOptions{}); err != nil || made != 2 {
		t.Fatalf("made %d, %v", made, err)
	}
	if len(b.built) != 3 || b.built[0] != "base" {
		t.Errorf("built %v, want base first and each once", b.built)
	}
}

func TestBuildThatFailsDoesNotEndTheOthers(t *testing.T) {
	b := &builder{fails: "api"}
	set := &images.Set{Builder: b, Project: shop(t, nil), Parallel: 1}
	_, err := set.Build(t.Context(), []string{"api", "base", "web", "unknown"}, images.BuildOptions{})
	slices.Sort(b.built)
	if err == nil || !slices.Equal(b.built, []string{"api", "base", "web"}) {
		t.Errorf("built %v, %v", b.built, err)
	}
}

func TestPullFetchesEachImageOnce(t *testing.T) {
	rt := memory.New()
	t.Cleanup(func() { rt.Close() })
	rt.Publish("far", memory.Image{Command: []string{"loop"}})
	p := &project.Project{Name: "shop", Compose: &types.Project{}}
	for _, name := range []string{"a", "b", "lost"} {
		s := &project.Service{Name: name, Image: "far"}
		if name == "lost" {
			s.Image = "nowhere"
		}
		s.Config.Image = s.Image
		p.Services = append(p.Services, s)
	}
	var lines []string
	set := &images.Set{Runtime: rt, Project: p, Report: func(kind images.Kind, line string) {
		if kind == images.PullStep {
			lines = append(lines, line)
		}
	}, Warn: func(line string) { lines = append(lines, "warning: "+line) }}
	if err := set.Pull(t.Context(), images.PullOptions{Names: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := rt.Image(t.Context(), "far", ""); err != nil {
		t.Errorf("the image is not there: %v", err)
	}
	if n := strings.Count(strings.Join(lines, "\n"), "pulled far"); n != 1 {
		t.Errorf("pulled %d times, want once: %q", n, lines)
	}
	if err := set.Pull(t.Context(), images.PullOptions{Names: []string{"lost"}}); err == nil {
		t.Error("an image that no registry has is not an error")
	}
	o := images.PullOptions{Names: []string{"lost"}, IgnoreFailures: true}
	if err := set.Pull(t.Context(), o); err != nil || !strings.HasPrefix(lines[len(lines)-1], "warning: ") {
		t.Errorf("failures that are ignored: %v, %q", err, lines)
	}
}
