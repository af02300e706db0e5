package project

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// matched returns those of the slash-separated relative paths that the rule matches.
func matched(r *Rule, dir string, paths ...string) string {
	var list []string
	for _, p := range paths {
		if r.Match(filepath.Join(dir, p)) {
			list = append(list, p)
		}
	}
	return strings.Join(list, " ")
}

func TestDefaultRuleIsTheBuildContext(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
services:
  web: {build: {context: web, dockerfile: ../docker/Web.dockerfile}}
  inline: {build: {context: web, dockerfile_inline: "FROM scratch"}}
  image: {image: x}
  remote: {build: "https://example.com/a.git"}
-- web/.dockerignore --
*.md
node_modules
Web.dockerfile
.dockerignore
-- docker/Web.dockerfile --
FROM scratch
`)
	p := load(t, Options{})
	web := p.Service("web").Rules
	if len(web) != 1 || !web[0].Default || web[0].Action != Rebuild ||
		web[0].Path != filepath.Join(dir, "web") {
		t.Fatalf("%+v", web)
	}
	all := []string{"web/main.go", "web/deep/main.go", "web/README.md", "web/node_modules/a/b",
		"web/.git/index", "web/.dockerignore",
		"docker/Web.dockerfile", "docker/other", "webby/main.go", "compose.yaml", "web/.gitignore", "web"}
	if got, want := matched(&web[0], dir, all...),
		"web/main.go web/deep/main.go web/.dockerignore docker/Web.dockerfile web/.gitignore web"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := matched(&p.Service("inline").Rules[0], dir, "docker/Web.dockerfile", "web/x"); got != "web/x" {
		t.Errorf("inline: %s", got)
	}
	if len(p.Service("image").Rules)+len(p.Service("remote").Rules) != 0 {
		t.Error("a service without a context has a rule")
	}
}

func TestIgnoreFileNamedForTheDockerfileWins(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
services: {web: {build: {context: ., dockerfile: a.Dockerfile}}}
-- .dockerignore --
one
-- a.Dockerfile.dockerignore --
two
`)
	r := load(t, Options{}).Service("web").Rules[0]
	if got := matched(&r, dir, "one", "two", "a.Dockerfile",
		"a.Dockerfile.dockerignore"); got != "one a.Dockerfile a.Dockerfile.dockerignore" {
		t.Error(got)
	}
}

// docker compose watch drops all but the exceptions from a list with a star in it, and so ignores nothing.
func TestStarWithExceptions(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
services: {web: {build: .}}
-- .dockerignore --
*
!src
!cmd/*/main.go
src/gen
`)
	r := load(t, Options{}).Service("web").Rules[0]
	if got := matched(&r, dir, "top.txt", "src/a.go", "src/gen/x", "cmd/a/main.go", "cmd/a/b.go",
		"Dockerfile"); got != "src/a.go cmd/a/main.go Dockerfile" {
		t.Error(got)
	}
	for path, want := range map[string]bool{"": false, "src": false, "src/gen": true,
		"src/deep": false, "cmd": false, "cmd/a": false,
		"docs": true, ".git": true, "src/.git/objects": true} {
		if got := r.Ignored(filepath.Join(dir, path), true); got != want {
			t.Errorf("folder %q: ignored is %t", path, got)
		}
	}
	if !r.Ignored(filepath.Join(dir, "top.txt"), false) || r.Ignored(filepath.Join(dir, "src/a.go"), false) {
		t.Error("files")
	}
	if r.Ignored(filepath.Dir(dir), true) || !r.Ignored(filepath.Join(filepath.Dir(dir), "elsewhere"), true) {
		t.Error("folders outside")
	}
}

func TestWatchRules(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
services:
  web:
    build: .
    develop:
      watch:
        - {path: src, action: sync, target: /src, ignore: [tmp/, "*.log", "!keep.log"], initial_sync: true}
        - {path: html, action: sync+restart, target: /html, include: ["*.html", "css"]}
        - {path: conf/app.conf, action: restart}
        - {path: hook, action: sync+exec, target: /hook, exec: {command: [kill, "1"], user: root}}
        - {path: ., action: rebuild}
        - {path: .git/HEAD, action: restart}
-- .dockerignore --
conf
Dockerfile
src/secret
`)
	p := load(t, Options{})
	rules := p.Service("web").Rules
	var actions []string
	for _, r := range rules {
		if r.Default || !filepath.IsAbs(r.Path) {
			t.Errorf("%+v", r)
		}
		actions = append(actions, r.Action.String())
	}
	if got := strings.Join(actions, " "); got != "sync sync+restart restart sync+exec rebuild restart" {
		t.Fatal(got)
	}
	if r := rules[0]; !r.InitialSync || r.Target != "/src" || r.Exec != nil {
		t.Errorf("%+v", r)
	}
	if r := rules[3]; r.Exec == nil || !slices.Equal(r.Exec.Command, []string{"kill", "1"}) ||
		!r.Action.Syncs() {
		t.Errorf("%+v", r)
	}
	paths := []string{"src/a.go", "src/tmp/x", "src/deep/tmp/x", "src/a.log", "src/keep.log",
		"src/secret", "html/a.html", "html/css/x.css",
		"html/a.js", "conf/app.conf", "conf/app.conf.bak", "hook/x", "Dockerfile", ".git/HEAD", ".git/index"}
	for i, want := range []string{
		"src/a.go src/deep/tmp/x src/keep.log",
		"html/a.html html/css/x.css",
		"conf/app.conf",
		"hook/x",
		"src/a.go src/tmp/x src/deep/tmp/x src/a.log src/keep.log html/a.html html/css/x.css html/a.js hook/x Dockerfile",
		".git/HEAD",
	} {
		if got := matched(&rules[i], dir, paths...); got != want {
			t.Errorf("rule %d\ngot  %s\nwant %s", i, got, want)
		}
	}
	if r := rules[0]; !r.Ignored(filepath.Join(dir, "html"), true) ||
		!r.Ignored(filepath.Join(dir, "src/secret"), true) ||
		r.Ignored(filepath.Join(dir, "src/deep"), true) {
		t.Error("ignored folders")
	}
}

func TestSymbolicLinkIsAFileLikeOthers(t *testing.T) {
	dir := write(t, "-- compose.yaml --\nservices: {web: {build: .}}\n-- a --\n")
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r := load(t, Options{}).Service("web").Rules[0]
	if got := matched(&r, dir, "a", "link", "deleted"); got != "a link deleted" {
		t.Error(got)
	}
}

func TestTargetIsAbsolute(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  web:
    image: x
    develop: {watch: [{path: a, action: sync, target: app/x/}, {path: b, action: sync, target: /app/../etc}, {path: c, action: sync, target: /}]}
`)
	p := load(t, Options{})
	rules := p.Service("web").Rules
	if rules[0].Target != "/app/x/" || rules[1].Target != "/etc" || rules[2].Target != "/" {
		t.Errorf("targets %q %q %q", rules[0].Target, rules[1].Target, rules[2].Target)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0].String(), "compose.yaml:4") ||
		!strings.Contains(p.Warnings[0].Text, "write /app/x/") {
		t.Errorf("warnings %v", p.Warnings)
	}
}

// A watcher reports paths below the folder it was given, so rules must name folders by their real paths.
func TestRulePathsFollowSymbolicLinks(t *testing.T) {
	dir := write(t, `
-- real/compose.yaml --
services:
  web: {build: ., x-bulkhead: {prepare: {run: make, watch: [src, new/file]}}}
-- real/.dockerignore --
skip
-- real/src/a --
`)
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	p := load(t, Options{Files: []string{filepath.Join(dir, "link/compose.yaml")}})
	s := p.Service("web")
	real := filepath.Join(dir, "real")
	if got := matched(&s.Rules[0], real, "src/a", "skip", "Dockerfile"); s.Rules[0].Path != real ||
		got != "src/a Dockerfile" {
		t.Errorf("%s %s", s.Rules[0].Path, got)
	}
	if want := []string{filepath.Join(real, "src"), filepath.Join(real, "new/file")}; !slices.Equal(
		s.Extra.Prepare.Watch, want) {
		t.Errorf("%v", s.Extra.Prepare.Watch)
	}
}

func TestWhatPrepareWritesIsNobodyElsesContext(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
services:
  orders:
    build: .
    x-bulkhead: {prepare: {run: go build -o bin/orders ./orders, watch: [orders]}}
    develop: {watch: [{path: bin/orders, action: sync+restart, target: /orders}]}
  whole:
    build: .
    x-bulkhead: {prepare: {run: make}}
    develop: {watch: [{path: ., action: rebuild}]}
  plain: {build: .}
`)
	p := load(t, Options{})
	plain := p.Service("plain").Rules[0]
	if got := matched(&plain, dir, "bin/orders", "bin/cart",
		"orders/main.go"); got != "bin/cart orders/main.go" {
		t.Errorf("default rule: %s", got)
	}
	if !plain.Ignored(filepath.Join(dir, "bin/orders"), false) {
		t.Error("a watcher is not told")
	}
	if got := matched(&p.Service("orders").Rules[0], dir, "bin/orders"); got != "bin/orders" {
		t.Errorf("own rule: %s", got)
	}
	if got := matched(&p.Service("whole").Rules[0], dir, "bin/orders"); got != "bin/orders" {
		t.Errorf("a rule that somebody wrote: %s", got)
	}
}

func TestFurtherContextsAreWatchedToo(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
services:
  web:
    build: {context: web, additional_contexts: {lib: ./lib, base: "service:base", img: "docker-image://x", again: "service:base"}}
  base: {build: base}
-- lib/.dockerignore --
tmp
`)
	var paths []string
	rules := load(t, Options{}).Service("web").Rules
	for _, r := range rules {
		paths = append(paths, inside(dir, r.Path))
	}
	if got := strings.Join(paths, " "); !strings.Contains(got, "web base lib") &&
		!strings.Contains(got, "web web base lib") {
		t.Error(got)
	}
	if got := matched(&rules[len(rules)-1], dir, "lib/a", "lib/tmp"); got != "lib/a" {
		t.Error(got)
	}
}

func TestDockerfileIsSyncedOnlyWhereDockerignoreLetsIt(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
services:
  web: {build: ., develop: {watch: [{path: ., action: sync, target: /app}, {path: ., action: rebuild}]}}
-- .dockerignore --
Dockerfile
`)
	rules := load(t, Options{}).Service("web").Rules
	if got := matched(&rules[0], dir, "Dockerfile", "x"); got != "x" {
		t.Errorf("synced: %s", got)
	}
	if got := matched(&rules[1], dir, "Dockerfile", "x"); got != "Dockerfile x" {
		t.Errorf("rebuilt for: %s", got)
	}
}

func TestRuleHiddenByDockerignoreIsWarnedAbout(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  web:
    build: .
    develop:
      watch:
        - {path: src, action: rebuild}
        - {path: bin/web, action: sync, target: /web}
-- .dockerignore --
bin
`)
	want := "compose.yaml:7: this rule never applies, because .dockerignore has bin/web; add !bin/web to it"
	if got := lines(load(t, Options{}).Warnings); got != want {
		t.Errorf("got %s", got)
	}
}

func TestRuleMadeByHand(t *testing.T) {
	r := &Rule{Action: Sync, Path: "/src", Ignore: []string{"tmp"}, Include: []string{"**/*.go"}}
	if !r.Match("/src/deep/a.go") || r.Match("/src/tmp/a.go") || r.Match("/src/a.js") ||
		r.Match("/other/a.go") {
		t.Error("match")
	}
}
