package project

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatOnlyABuildNeedsIsLoadedForIt(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  main: {build: {dockerfile_inline: "FROM a", additional_contexts: {a: "service:dep"}}}
  dep: {build: {dockerfile_inline: "FROM c", additional_contexts: {c: "service:deeper", d: "service:main"}}}
  deeper: {build: {dockerfile_inline: "FROM scratch"}, profiles: [never]}
  other: {build: .}
`)
	p := load(t, Options{Services: []string{"main"}})
	var got []string
	for _, s := range p.BuildOnly {
		got = append(got, s.Name)
		if s.Replicas != 0 {
			t.Errorf("%s would run", s.Name)
		}
	}
	if names(p) != "main" || !slices.Equal(got, []string{"deeper", "dep"}) {
		t.Errorf("enabled %s, built for it %v", names(p), got)
	}
	if p := load(t, Options{Services: []string{"other"}}); len(p.BuildOnly) != 0 {
		t.Errorf("built without a need: %v", p.BuildOnly)
	}
}

func TestOwnerAndModeOfASecretFileAreWarnedOf(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  a:
    image: x
    secrets:
      - {source: file, uid: "5", mode: 0440}
      - {source: file, target: plain}
      - {source: env, mode: 0400}
    configs: [{source: conf, gid: "6"}]
secrets: {file: {file: f}, env: {environment: HOME}}
configs: {conf: {file: f}}
-- f --
x
`)
	p := load(t, Options{})
	var got []string
	for _, w := range p.Warnings {
		got = append(got, w.String())
	}
	text := strings.Join(got, "\n")
	if len(got) != 2 || !strings.Contains(text, "the uid, mode of secret file cannot be applied") || !strings.Contains(text, "the gid of config conf cannot be applied") || !strings.Contains(text, "compose.yaml:5:") {
		t.Errorf("warnings:\n%s", text)
	}
}
