package engine

import (
	"testing"
	"time"

	"bulkhead/engine/project"
	"bulkhead/watch"
)

func TestOutlineOfABatch(t *testing.T) {
	for want, o := range map[string]struct {
		files  int
		duties []duty
	}{
		"27 files: rebuild api, sync web":          {27, []duty{{"web", "sync"}, {"api", "rebuild"}}},
		"1 file: sync web":                         {1, []duty{{"web", "sync"}}},
		"3 files: rebuild a, b and c, sync web":    {3, []duty{{"c", "rebuild"}, {"web", "sync"}, {"a", "rebuild"}, {"b", "rebuild"}}},
		"2 files: prepare x and y, mark stale z":   {2, []duty{{"z", "mark stale"}, {"y", "prepare"}, {"x", "prepare"}}},
		"2 files: restart r, sync+restart a":       {2, []duty{{"a", "sync+restart"}, {"r", "restart"}}},
		"9 files: sync+exec e, sync s and u":       {9, []duty{{"u", "sync"}, {"e", "sync+exec"}, {"s", "sync"}}},
		"4 files: prepare a, rebuild b, restart c": {4, []duty{{"c", "restart"}, {"b", "rebuild"}, {"a", "prepare"}}},
	} {
		if got := outline(o.files, o.duties); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestVerbOfWorkIsThatOfItsRules(t *testing.T) {
	conf := &project.Service{Rules: []project.Rule{{Action: project.Sync}, {Action: project.SyncExec}, {Action: project.SyncRestart}}}
	sync := func(rules ...int) map[int]map[string]struct{} {
		m := map[int]map[string]struct{}{}
		for _, i := range rules {
			m[i] = map[string]struct{}{"/f": {}}
		}
		return m
	}
	for _, c := range []struct {
		w    work
		want string
	}{
		{work{sync: sync(0)}, "sync"},
		{work{sync: sync(0, 1)}, "sync+exec"},
		{work{sync: sync(0, 1, 2)}, "sync+restart"},
		{work{sync: sync(0), restart: true}, "sync+restart"},
		{work{restart: true}, "restart"},
		{work{sync: sync(0), rebuild: true}, "rebuild"},
		{work{sync: sync(2), rebuild: true, prepare: true}, "prepare"},
	} {
		if got := c.w.verb(conf); got != c.want {
			t.Errorf("%+v is %q, want %q", c.w, got, c.want)
		}
	}
}

func TestCauseNamesTheOperationOfGit(t *testing.T) {
	w := newWork(time.Now())
	w.paths["/p/a"] = struct{}{}
	w.git = watch.Operation{Name: "git checkout", From: "main", To: "feature"}
	if got := w.cause("/p"); got != "git checkout: 1 file" {
		t.Errorf("cause %q", got)
	}
	// A save that comes before the lane took it belongs to the same work.
	o := newWork(time.Now())
	o.paths["/p/b"] = struct{}{}
	o.merge(w)
	if got := o.cause("/p"); got != "git checkout: 2 files" {
		t.Errorf("merged cause %q", got)
	}
}
