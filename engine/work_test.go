package engine

import (
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
)

func TestWorkIsMergedAndSaysItsCause(t *testing.T) {
	e := &Engine{dir: "/p"}
	s := &service{conf: &project.Service{Name: "a", Extra: project.Extra{Prepare: &project.Prepare{Run: "make", Watch: []string{"/p/lib"}}}}}
	w := e.workFor(s, []string{"/p/lib/x.go", "/p/libother"})
	if !w.prepare || len(w.paths) != 1 || w.cause("/p") != "lib/x.go saved" {
		t.Errorf("work %+v, cause %q", w, w.cause("/p"))
	}
	w.merge(&work{at: w.at.Add(-time.Second), paths: map[string]struct{}{"/p/y": {}}, rebuild: true})
	if !w.prepare || !w.rebuild || w.cause("/p") != "2 files saved" {
		t.Errorf("merged %+v, cause %q", w, w.cause("/p"))
	}
}

func TestBindMountedFilesDoNotRebuildByTheDefaultRule(t *testing.T) {
	conf := &project.Service{Name: "a", Built: true, Rules: []project.Rule{{Action: project.Rebuild, Path: "/p", Default: true}}}
	conf.Config.Build = &types.BuildConfig{Context: "/p"}
	conf.Config.Volumes = []types.ServiceVolumeConfig{{Type: "bind", Source: "/p/src", Target: "/app"}}
	e := &Engine{dir: "/p"}
	for path, want := range map[string]bool{"/p/src/app.py": false, "/p/requirements.txt": true, "/p/src/Dockerfile": true} {
		if got := e.workFor(&service{conf: conf}, []string{path}).rebuild; got != want {
			t.Errorf("%s rebuilds: %v, want %v", path, got, want)
		}
	}
}
