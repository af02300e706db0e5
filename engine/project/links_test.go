package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A link that a rule names may be pointed elsewhere, so its path keeps it, wherever in the project it was written.
func TestWatchPathsKeepTheLinksOfTheProject(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
include: [sub/inc.yaml]
services:
  plain: {image: x, develop: {watch: [{path: r1, action: sync, target: /a}, {path: cur, action: sync, target: /b}, {path: cur/deep, action: sync, target: /c}]}}
  var: {image: x, develop: {watch: [{path: "${WHERE:-cur}", action: restart}]}}
  base: {image: x, develop: {watch: [{path: cur, action: sync, target: /x}]}}
  heir: {extends: {service: base}}
  far: {extends: {service: base, file: sub/base.yaml}}
  built: {build: cur, x-bulkhead: {prepare: {run: make, watch: [cur/deep]}}}
-- compose.override.yaml --
services:
  plain: {develop: {watch: [{path: ./cur, action: rebuild}]}, build: cur}
-- sub/inc.yaml --
services:
  inc: {image: x, develop: {watch: [{path: here, action: sync, target: /x}]}}
-- sub/base.yaml --
services:
  base: {image: x, develop: {watch: [{path: here, action: sync, target: /y}]}}
-- r1/deep/f --
-- r1/Dockerfile --
FROM x
-- r1/.dockerignore --
hidden
-- r2/f --
`)
	if err := errors.Join(os.Symlink("r1", filepath.Join(dir, "cur")),
		os.Symlink("../r1", filepath.Join(dir, "sub/here"))); err != nil {
		t.Fatal(err)
	}
	p := load(t, Options{})
	for service, want := range map[string]string{
		"plain": "r1 cur cur/deep cur", "var": "cur", "heir": "cur", "far": "sub/here",
		"inc": "sub/here", "built": "cur",
	} {
		var got []string
		for _, r := range p.Service(service).Rules {
			rel, _ := filepath.Rel(dir, r.Path)
			got = append(got, rel)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", service, got, want)
		}
	}
	built := p.Service("built")
	if got := matched(&built.Rules[0], dir, "cur/deep/f", "cur/hidden", "cur/Dockerfile",
		"r1/other"); got != "cur/deep/f cur/Dockerfile" {
		t.Errorf("the default rule matches %s", got)
	}
	if got := built.Extra.Prepare.Watch[0]; got != filepath.Join(dir, "cur/deep") {
		t.Errorf("prepare watches %s", got)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "cur")),
		os.Symlink("r2", filepath.Join(dir, "cur"))); err != nil {
		t.Fatal(err)
	}
	if changes := Diff(p, load(t, Options{})); len(changes) != 0 {
		t.Errorf("a link that was pointed elsewhere is a change of the project: %v", changes)
	}
}
