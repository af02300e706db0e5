package plan

import (
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
	"bulkhead/watch"
)

func TestSummaryOfABatch(t *testing.T) {
	for want, o := range map[string]struct {
		files   int
		actions []ServiceAction
	}{
		"27 files: rebuild api, sync web": {27, []ServiceAction{{"web", "sync"}, {"api", "rebuild"}}},
		"1 file: sync web":                {1, []ServiceAction{{"web", "sync"}}},
		"3 files: rebuild a, b and c, sync web": {3, []ServiceAction{{"c", "rebuild"},
			{"web", "sync"}, {"a", "rebuild"}, {"b", "rebuild"}}},
		"2 files: prepare x and y, mark stale z": {2, []ServiceAction{{"z", "mark stale"},
			{"y", "prepare"}, {"x", "prepare"}}},
		"2 files: restart r, sync+restart a": {2, []ServiceAction{{"a", "sync+restart"},
			{"r", "restart"}}},
		"9 files: sync+exec e, sync s and u": {9, []ServiceAction{{"u", "sync"},
			{"e", "sync+exec"}, {"s", "sync"}}},
		"4 files: prepare a, rebuild b, restart c": {4, []ServiceAction{{"c", "restart"},
			{"b", "rebuild"}, {"a", "prepare"}}},
	} {
		if got := Summary(o.files, o.actions); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestActionOfWorkIsThatOfItsRules(t *testing.T) {
	conf := &project.Service{Rules: []project.Rule{{Action: project.Sync}, {Action: project.SyncExec},
		{Action: project.SyncRestart}}}
	sync := func(rules ...int) map[int]map[string]struct{} {
		m := map[int]map[string]struct{}{}
		for _, i := range rules {
			m[i] = map[string]struct{}{"/f": {}}
		}
		return m
	}
	for _, c := range []struct {
		w    Work
		want string
	}{
		{Work{Sync: sync(0)}, "sync"},
		{Work{Sync: sync(0, 1)}, "sync+exec"},
		{Work{Sync: sync(0, 1, 2)}, "sync+restart"},
		{Work{Sync: sync(0), Restart: true}, "sync+restart"},
		{Work{Restart: true}, "restart"},
		{Work{Sync: sync(0), Rebuild: true}, "rebuild"},
		{Work{Sync: sync(2), Rebuild: true, Prepare: true}, "prepare"},
	} {
		if got := c.w.Action(conf); got != c.want {
			t.Errorf("%+v is %q, want %q", c.w, got, c.want)
		}
	}
}

func TestCauseNamesTheOperationOfGit(t *testing.T) {
	w := NewWork(time.Now())
	w.Paths["/p/a"] = struct{}{}
	w.Git = watch.Operation{Name: "git checkout", From: "main", To: "feature"}
	if got := w.Cause("/p"); got != "git checkout: 1 file" {
		t.Errorf("cause %q", got)
	}
	// A save that comes before the lane took it belongs to the same work.
	o := NewWork(time.Now())
	o.Paths["/p/b"] = struct{}{}
	o.Merge(w)
	if got := o.Cause("/p"); got != "git checkout: 2 files" {
		t.Errorf("merged cause %q", got)
	}
}

func TestWorkIsMergedAndSaysItsCause(t *testing.T) {
	conf := &project.Service{Name: "a", Extra: project.Extra{Prepare: &project.Prepare{Run: "make",
		Watch: []string{"/p/lib"}}}}
	w := WorkFor(conf, []string{"/p/lib/x.go", "/p/libother"}, time.Now())
	if !w.Prepare || len(w.Paths) != 1 || w.Cause("/p") != "lib/x.go saved" {
		t.Errorf("work %+v, cause %q", w, w.Cause("/p"))
	}
	w.Merge(&Work{At: w.At.Add(-time.Second), Paths: map[string]struct{}{"/p/y": {}}, Rebuild: true})
	if !w.Prepare || !w.Rebuild || w.Cause("/p") != "2 files saved" {
		t.Errorf("merged %+v, cause %q", w, w.Cause("/p"))
	}
}

func TestBindMountedFilesDoNotRebuildByTheDefaultRule(t *testing.T) {
	conf := &project.Service{Name: "a", Built: true,
		Rules: []project.Rule{{Action: project.Rebuild, Path: "/p", Default: true}}}
	conf.Config.Build = &types.BuildConfig{Context: "/p"}
	conf.Config.Volumes = []types.ServiceVolumeConfig{{Type: "bind", Source: "/p/src", Target: "/app"}}
	for path, want := range map[string]bool{"/p/src/app.py": false, "/p/requirements.txt": true,
		"/p/src/Dockerfile": true} {
		if got := WorkFor(conf, []string{path}, time.Now()).Rebuild; got != want {
			t.Errorf("%s rebuilds: %v, want %v", path, got, want)
		}
	}
}
