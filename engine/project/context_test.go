package project

import (
	"slices"
	"strings"
	"testing"
)

func TestBuildsLoadAsTheyAreWritten(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  file: {build: ./Dockerfile}
  many: {build: {context: ., platforms: [linux/amd64, linux/arm64]}}
  one: {platform: linux/arm64, build: {context: ., platforms: [linux/amd64, linux/arm64]}}
-- Dockerfile --
FROM scratch
`)
	p := load(t, Options{})
	if names(p) != "file many one" {
		t.Errorf("loaded %s", names(p))
	}
	for _, name := range []string{"many", "one"} {
		if got := p.Service(name).Config.Build.Platforms; !slices.Equal(got,
			[]string{"linux/amd64", "linux/arm64"}) {
			t.Errorf("%s is built for %v", name, got)
		}
	}
}

func TestReplicasHaveALimit(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  a: {image: x, scale: 1000000000}
`)
	if _, err := Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(),
		"compose.yaml:") || !strings.Contains(err.Error(), "a service may have 0 to 1000") {
		t.Errorf("a billion replicas: %v", err)
	}
	write(t, `
-- compose.yaml --
services:
  a: {image: x}
`)
	if _, err := Load(t.Context(), Options{Scale: map[string]int{"a": 1 << 30}}); err == nil {
		t.Error("--scale to a billion was taken")
	}
}
