package project

import (
	"slices"
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
		if got := p.Service(name).Config.Build.Platforms; !slices.Equal(got, []string{"linux/amd64", "linux/arm64"}) {
			t.Errorf("%s is built for %v", name, got)
		}
	}
}
