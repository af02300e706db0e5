//go:build unix

package filesync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// stoppable is a box whose container can be stopped: then nothing can be
// deleted in it.
type stoppable struct {
	*box
	running bool
}

func (s *stoppable) Inspect(context.Context, string) (container.Instance, error) {
	in := container.Instance{State: container.StateExited}
	if s.running {
		in.State = container.StateRunning
	}
	return in, nil
}

func (s *stoppable) Delete(ctx context.Context, id, below string, paths []string) error {
	if !s.running {
		return container.ErrUnsupported
	}
	return s.box.Delete(ctx, id, below, paths)
}

// What cannot be deleted in a stopped container is owed to it, also to the next
// process, and not deleted when it is there again by then.
func TestDeletionInAStoppedContainerIsOwedToItsNextStart(t *testing.T) {
	dir, base := t.TempDir(), t.TempDir()
	gone, back := put(t, dir, "sub/gone", "1"), put(t, dir, "back", "1")
	put(t, dir, "kept", "1")
	rt := &stoppable{box: &box{all: map[string]string{}}}
	target := Target{Service: &project.Service{Name: "a", Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/app", InitialSync: true}}}, ID: "c1"}
	opened := func() (*Syncer, *journal.Journal) {
		j := journal.Open(journal.Options{Base: base, Engine: "e", Project: "p"})
		return New(rt, j, nil), j
	}
	y, j := opened()
	catchUp := func() {
		t.Helper()
		if left, err := y.CatchUp(t.Context(), target); err != nil || len(left) > 0 {
			t.Fatalf("left out %v, %v", left, err)
		}
	}
	catchUp()
	if err := errors.Join(os.RemoveAll(filepath.Dir(gone)), os.Remove(back)); err != nil {
		t.Fatal(err)
	}
	catchUp()
	if got := rt.list("/app"); len(got) != 4 || !y.Owes("c1") {
		t.Errorf("the stopped container has %v, owed: %v", got, y.Owes("c1"))
	}
	put(t, dir, "back", "2")
	catchUp()
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	y, _ = opened()
	rt.running = true
	rt.running = false
	if gone, err := y.DeleteOwed(t.Context(), target); err != nil || len(gone) > 0 || !y.Owes("c1") {
		t.Errorf("while it does not run: deleted %v, %v", gone, err)
	}
	rt.running = true
	if gone, err := y.DeleteOwed(t.Context(), target); err != nil || len(gone[0]) == 0 {
		t.Errorf("deleted %v, %v", gone, err)
	}
	want := map[string]string{"kept": state(0o644, "1"), "back": state(0o644, "2")}
	if got := rt.list("/app"); !maps.Equal(got, want) || y.Owes("c1") {
		t.Errorf("the container has %v, want %v; owed: %v", got, want, y.Owes("c1"))
	}
}

// A copy of which nothing can be done is an error of Send that names the first
// reason; a container that starts without it only returns what is left out.
func TestWhatIsRefusedComesBackWithItsReason(t *testing.T) {
	dir := t.TempDir()
	out, in := put(t, dir, "out/f", "1"), put(t, dir, "in/f", "1")
	rt := &stoppable{box: &box{all: map[string]string{
		"/app": state(fs.ModeDir|0o755, ""), "/app/out": state(fs.ModeSymlink|0o777, "/var")}}}
	conf := &project.Service{Name: "a",
		Rules: []project.Rule{{Action: project.Sync, Path: filepath.Dir(out), Target: "/app/out"},
			{Action: project.Sync, Path: filepath.Dir(in), Target: "/app/in"}}}
	y := New(rt, journal.Open(journal.Options{}), nil)
	target := Target{Service: conf, ID: "c1"}
	y.records.change("c1", func(_, _ Manifest) {}) // it is known to have nothing
	changed := map[int]map[string]struct{}{0: {out: {}}}
	d := y.Compare(t.Context(), target, changed)
	_, err := y.Send(t.Context(), target, d)
	var refused *Refused
	if !errors.As(err, &refused) || len(refused.Left) != 1 || refused.Left[0].Path != out ||
		err.Error() != "copy into a: the target /app/out is a link to /var in the container; name that as the target" {
		t.Errorf("the error is %v", err)
	}
	// Beside something that can be copied it is no error.
	changed[1] = map[string]struct{}{in: {}}
	d = y.Compare(t.Context(), target, changed)
	if !d.Differs() || !slices.Equal(d.Rules(), []int{0, 1}) {
		t.Errorf("differs: %v, by rules %v", d.Differs(), d.Rules())
	}
	left, err := y.Send(t.Context(), target, d)
	if err != nil || len(left) != 1 || left[0].Path != out || !strings.Contains(left[0].Why,
		"is a link to /var") {
		t.Errorf("left out %v, %v", left, err)
	}
	if rt.list("/app")["in/f"] != state(0o644, "1") {
		t.Errorf("the container has %v", rt.list("/app"))
	}
	if left, err := y.CatchUp(t.Context(), target); err != nil || len(left) != 1 {
		t.Errorf("catching up left out %v, %v", left, err)
	}
}

// A file that is to take a folder's place may be gone before it is read: the folder is there still with
// what it has, and that goes when it is looked at again.
func TestFolderWhoseReplacementVanishedIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	d := filepath.Dir(put(t, dir, "d/sub/f", "1"))
	d = filepath.Dir(d)
	put(t, dir, "kept", "1")
	rt := &stoppable{box: &box{all: map[string]string{}}, running: true}
	y := New(rt, journal.Open(journal.Options{}), nil)
	target := Target{Service: &project.Service{Name: "a", Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/app", InitialSync: true}}}, ID: "c1"}
	if left, err := y.CatchUp(t.Context(), target); err != nil || len(left) > 0 {
		t.Fatalf("left out %v, %v", left, err)
	}
	send := func(meanwhile func() error) {
		t.Helper()
		diff := y.Compare(t.Context(), target, map[int]map[string]struct{}{0: {d: {}}})
		if err := meanwhile(); err != nil {
			t.Fatal(err)
		}
		if left, err := y.Send(t.Context(), target, diff); err != nil || len(left) > 0 {
			t.Errorf("left out %v, %v", left, err)
		}
	}
	if err := os.RemoveAll(d); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "d", "a file for a moment")
	send(func() error { return errors.Join(os.Remove(d), os.Mkdir(d, 0o755)) })
	send(func() error { return nil })
	if got := rt.list("/app"); !maps.Equal(got, onDisk(dir)) {
		t.Errorf("the container has %v, and the disk %v", got, onDisk(dir))
	}
}

// What a bind mount brings in is not copied, but its rule acts on it.
func TestChangeInABindMountActsWithoutACopy(t *testing.T) {
	dir := t.TempDir()
	f := put(t, dir, "src/f", "1")
	conf := &project.Service{Name: "a", Rules: []project.Rule{{Action: project.SyncExec, Path: dir,
		Target: "/app"}}}
	conf.Config.Volumes = append(conf.Config.Volumes, types.ServiceVolumeConfig{
		Type: "bind", Source: filepath.Join(dir, "src"), Target: "/app/src"})
	y := New(&stoppable{box: &box{all: map[string]string{}}}, journal.Open(journal.Options{}), nil)
	target := Target{Service: conf, ID: "c1"}
	y.records.change("c1", func(_, _ Manifest) {})
	d := y.Compare(t.Context(), target, map[int]map[string]struct{}{0: {f: {}}})
	if d.Differs() || !slices.Equal(d.Rules(), []int{0}) {
		t.Errorf("differs: %v, by rules %v", d.Differs(), d.Rules())
	}
	if got := y.Rescan(t.Context(), target); len(got) > 0 {
		t.Errorf("compared without a notice, %v differ", got)
	}
}

// users is a box that counts how often it is asked whom its process runs as.
type users struct {
	*box
	asked int
}

func (u *users) User(context.Context, string) (uid, gid int, err error) {
	u.asked++
	return 1000 + u.asked, 0, nil
}

// Whom files belong to is asked once in each life, and only the present one's is
// kept.
func TestOwnersOfEarlierLivesAreNotKept(t *testing.T) {
	dir := t.TempDir()
	f := put(t, dir, "f", "0")
	rt := &users{box: &box{all: map[string]string{}}}
	y := New(rt, journal.Open(journal.Options{}), nil)
	target := Target{ID: "c1", Running: true, Service: &project.Service{Name: "a", Rules: []project.Rule{
		{Action: project.SyncRestart, Path: dir, Target: "/app"}}}}
	y.records.change("c1", func(_, _ Manifest) {})
	for life := range 5 {
		target.Started = time.Unix(int64(100+life), 0)
		for _, text := range []string{"one", "other"} {
			put(t, dir, "f", fmt.Sprint(text, life))
			_, err := y.Send(t.Context(), target,
				y.Compare(t.Context(), target, map[int]map[string]struct{}{0: {f: {}}}))
			ok(t, err)
		}
		if len(y.records.owners) != 1 || rt.asked != life+1 {
			t.Errorf("life %d: %v are kept, asked %d times", life, y.records.owners, rt.asked)
		}
	}
	if y.Forget("c1"); len(y.records.owners) > 0 {
		t.Errorf("of a container that is gone, %v are kept", y.records.owners)
	}
}
