//go:build unix

package filesync

import (
	"io/fs"
	"testing"
	"time"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// A volume that is a tmpfs is filled after each start: before it, what is written there would be
// gone with the start, and what an earlier life had is.
func TestVolumeThatIsEmptyAtEachStartIsFilledAfterIt(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "f", "x")
	conf := &project.Service{Name: "a", Dir: dir, Emptied: []string{"/t"}, Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/t/in", InitialSync: true},
		{Action: project.Sync, Path: dir, Target: "/s", InitialSync: true}}}
	b := &box{all: map[string]string{}}
	y := New(b, journal.Open(journal.Options{}), nil)
	y.records.change("c", func(_, _ Manifest) {})
	target := Target{Service: conf, ID: "c"}
	catchUp := func() []LeftOut {
		left, err := y.CatchUp(t.Context(), target)
		ok(t, err)
		return left
	}
	if left := catchUp(); len(left) != 1 || !left[0].Again || b.all["/t/in/f"] != "" || b.all["/s/f"] == "" {
		t.Errorf("before the start: left %v, has %v", left, b.all)
	}
	for life := range 2 {
		target.Running, target.Started = true, time.Unix(int64(100+life), 0)
		clear(b.all)
		b.all["/t"] = state(fs.ModeDir|0o755, "")
		if left := catchUp(); len(left) > 0 || b.all["/t/in/f"] == "" {
			t.Errorf("life %d: left %v, has %v", life, left, b.all)
		}
		if d := diffAll(conf, y.has(t.Context(), target)); d.size() > 0 {
			t.Errorf("life %d: it is copied again: %s", life, d)
		}
	}
}

// Where a runtime writes nothing is the runtime's to know; what goes elsewhere is copied all the same.
func TestFolderThatTheRuntimeDoesNotReachIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "f", "x")
	conf := &project.Service{Name: "a", Dir: dir, Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/t/in", InitialSync: true},
		{Action: project.Sync, Path: dir, Target: "/s", InitialSync: true},
	}}
	b := &box{all: map[string]string{},
		unreachable: map[string]string{"/t": "is out of reach; name another target"}}
	y := New(b, journal.Open(journal.Options{}), nil)
	y.records.change("c", func(_, _ Manifest) {})
	left, err := y.CatchUp(t.Context(), Target{Service: conf, ID: "c", Running: true,
		Started: time.Unix(100, 0)})
	ok(t, err)
	if len(left) != 1 || left[0].Why != "/t/in/f is out of reach; name another target" || left[0].Again {
		t.Errorf("left out: %+v", left)
	}
	if b.all["/t/in/f"] != "" || b.all["/s/f"] == "" {
		t.Errorf("the container has %v", b.all)
	}
}
