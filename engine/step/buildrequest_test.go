package step

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
)

func TestBuildRequestHasTheNamesOfAllEqualBuilds(t *testing.T) {
	dir := t.TempDir()
	compose := `
name: p
services:
  b: {build: {context: ., args: {A: "1", HOME: }, tags: [extra], additional_contexts: {base: "service:base"}, labels: {own: x}}}
  a: {build: {context: ., args: {A: "1", HOME: }, tags: [extra], additional_contexts: {base: "service:base"}, labels: {own: x}}}
  base: {build: {context: ., target: base}}
`
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(compose), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(t.Context(),
		project.Options{Files: []string{filepath.Join(dir, "compose.yaml")},
			Services: []string{"a", "b"}, Env: []string{"HOME=/h"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := BuildRequest(p, p.Service("b"), func(of string) (string, error) { return "p-" + of, nil })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Tags, []string{"p-a", "p-b", "extra"}) ||
		r.Labels["com.docker.compose.service"] != "a" || r.Labels["own"] != "x" {
		t.Errorf("tags %v, labels %v", r.Tags, r.Labels)
	}
	if r.Args["A"] != "1" || r.Args["HOME"] != "/h" || r.AdditionalContexts["base"] != "docker-image://p-base" {
		t.Errorf("args %v, contexts %v", r.Args, r.AdditionalContexts)
	}
	// One that only others need is not among the services.
	only, err := BuildRequest(p, p.BuildOnly[0], nil)
	if err != nil || !slices.Equal(only.Tags, []string{"p-base"}) {
		t.Errorf("tags %v, %v", only.Tags, err)
	}
}

func TestBuildIsForThePlatformThatRuns(t *testing.T) {
	dir := t.TempDir()
	compose := `
services:
  many: {build: {context: ., platforms: [linux/amd64, linux/arm64]}}
  one: {platform: linux/arm64, build: {context: ., platforms: [linux/amd64, linux/arm64]}}
  only: {build: {context: ., platforms: [linux/arm64]}}
`
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(compose), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(t.Context(),
		project.Options{Files: []string{filepath.Join(dir, "compose.yaml")}, Name: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"many": nil, "one": {"linux/arm64"}, "only": {"linux/arm64"}} {
		if r, err := BuildRequest(p, p.Service(name), nil); err != nil || !slices.Equal(r.Platforms, want) {
			t.Errorf("%s is built for %v, %v; want %v", name, r.Platforms, err, want)
		}
	}
}

// A context that has become a link out of the project is not read.
func TestBuildOfAContextThatBecameALink(t *testing.T) {
	top := t.TempDir()
	dir, ctx := filepath.Join(top, "project"), filepath.Join(top, "project", "b")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Symlink(top, ctx)); err != nil {
		t.Fatal(err)
	}
	s := &project.Service{Name: "b", Dir: dir, Led: map[string]string{ctx: ctx}}
	s.Config.Build = &types.BuildConfig{Context: ctx}
	p := &project.Project{Compose: &types.Project{}, Services: []*project.Service{s}}
	var outside *project.OutsideError
	if _, err := BuildRequest(p, s, nil); !errors.As(err, &outside) || outside.To != top {
		t.Errorf("error %v", err)
	}
}
