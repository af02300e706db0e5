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
  dep: {build: {dockerfile_inline: "FROM c", additional_contexts: {c: "service:deeper"}}}
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

func TestBuildsThatBeginWithEachOtherAreRefusedWhoeverIsSelected(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  a: {build: {dockerfile_inline: "FROM x", additional_contexts: {x: "service:b"}}}
  b: {build: {dockerfile_inline: "FROM x", additional_contexts: {x: "service:c"}}}
  c: {build: {dockerfile_inline: "FROM x", additional_contexts: {x: "service:b"}}, profiles: [never]}
  other: {build: .}
`)
	_, err := Load(t.Context(), Options{Services: []string{"a"}})
	if err == nil || !strings.Contains(err.Error(), "compose.yaml:3: the builds begin with each other: b -> c -> b") {
		t.Errorf("a alone: %v", err)
	}
	load(t, Options{Services: []string{"other"}})
}

func TestBuildsBeginWithTheImagesOfOtherServices(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  web: {build: web}
  api:
    build:
      context: .
      args: {BASE: acme/base}
      dockerfile_inline: |
        ARG TAG=1.0
        ARG BASE=nothing
        FROM --platform=linux/amd64 \
          # which one
          $$BASE:$${TAG} AS tools
        FROM scratch
        COPY --from=tools /x /x
        COPY --link --from=docker.io/library/assets:latest /y /y
  base: {image: "acme/base:1.0", build: {dockerfile_inline: "FROM scratch"}, profiles: [never]}
  assets: {build: {dockerfile_inline: "FROM scratch", tags: [assets]}, profiles: [never]}
  unused: {build: {dockerfile_inline: "FROM scratch"}, profiles: [never], x-bulkhead: {nonsense: 1}}
  user: {image: "acme/base:1.0"}
  one: {image: one, build: {dockerfile_inline: "FROM two\nFROM three AS three"}}
  two: {image: two, build: {dockerfile_inline: "FROM one"}}
  three: {image: three, build: {dockerfile_inline: "FROM three AS three", target: three}}
  left: {image: left, build: {dockerfile_inline: "FROM right"}}
  right: {image: right, build: {dockerfile_inline: "FROM left"}}
  own: {image: own, build: {dockerfile_inline: "FROM own AS own\nFROM own"}}
  named: {build: {dockerfile_inline: "FROM two", additional_contexts: {two: "docker-image://elsewhere", x: "service:three"}}}
  unreached: {build: {dockerfile_inline: "FROM two AS skipped\nFROM three", target: "1"}}
-- web/Dockerfile --
# escape=`+"`"+`
FROM `+"`"+`
  --platform=$BUILDPLATFORM one
RUN --mount=type=cache,target=/c --mount=type=bind,from=assets,target=/a true
`)
	p := load(t, Options{})
	for service, want := range map[string]string{
		"web": "assets one", "api": "assets base", "one": "three", "two": "one", "left": "",
		"right": "", "three": "", "own": "",
		"named": "three", "unreached": "three",
	} {
		var got []string
		for _, b := range p.Bases(p.Service(service)) {
			got = append(got, b.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s begins with %v, want %s", service, got, want)
		}
	}
	var only []string
	for _, s := range p.BuildOnly {
		only = append(only, s.Name)
	}
	if !slices.Equal(only, []string{"assets", "base"}) {
		t.Errorf("built for others: %v", only)
	}
	if p := load(t, Options{Services: []string{"user"}}); len(p.BuildOnly) != 1 ||
		p.Maker("acme/base:1.0") != p.BuildOnly[0] {
		t.Errorf("for the one that runs it: %v", p.BuildOnly)
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
	if len(got) != 2 || !strings.Contains(text, "the uid, mode of secret file cannot be applied") ||
		!strings.Contains(text, "the gid of config conf cannot be applied") ||
		!strings.Contains(text, "compose.yaml:5:") {
		t.Errorf("warnings:\n%s", text)
	}
}

// A restart policy that no engine knows keeps nobody from what needs no new container: it is a warning.
func TestUnknownRestartPolicyIsWarnedOf(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  a: {image: x, restart: alway}
  b: {image: x, restart: "always:3"}
  c: {image: x, restart: "on-failure:x"}
  d: {image: x, restart: "on-failure:3"}
  e: {image: x, restart: "no"}
`)
	var got []string
	for _, w := range load(t, Options{}).Warnings {
		got = append(got, w.String())
	}
	text := strings.Join(got, "\n")
	if len(got) != 3 ||
		!strings.Contains(text, "compose.yaml:2: restart alway is not known: did you mean always?") ||
		!strings.Contains(text,
			"compose.yaml:3: restart always:3 is not known: only on-failure takes a number") ||
		!strings.Contains(text, "compose.yaml:4: restart on-failure:x is not known: its number is not one") {
		t.Errorf("warnings:\n%s", text)
	}
}

// A limit that is read as none is worth a line.
func TestLimitThatIsReadAsNoneIsWarnedOf(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  a: {image: x, mem_limit: 5e8, shm_size: 64m, pids_limit: 100}
  b: {image: x, mem_limit: "0", memswap_limit: -1, pids_limit: -1}
`)
	var got []string
	for _, w := range load(t, Options{}).Warnings {
		got = append(got, w.String())
	}
	if len(got) != 1 || !strings.Contains(got[0], "compose.yaml:2: mem_limit 5e8 is read as 0, which is no limit") {
		t.Errorf("warnings:\n%s", strings.Join(got, "\n"))
	}
}
