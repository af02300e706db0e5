//go:build unix

package filesync

import (
	"context"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// List lists the files of a box, which all have the mode 0644.
func (b *box) List(
	_ context.Context, _, at string, visit func(string, container.Entry, io.Reader) error,
) error {
	for name, text := range b.list(at) {
		_, content, _ := strings.Cut(text, " ")
		if err := visit(at+"/"+name, container.Entry{Mode: 0o644, Size: int64(len(content))},
			strings.NewReader(content)); err != nil {
			return err
		}
	}
	return nil
}

// journalOf opens the journal of a new folder; with lost, its file is garbage.
func journalOf(t *testing.T, lost bool) *journal.Journal {
	t.Helper()
	o := journal.Options{Base: t.TempDir(), Engine: "e", Project: "p"}
	if lost {
		put(t, o.Base, "e/p/state.json", "garbage")
	}
	return journal.Open(o)
}

// What was owed to a container from when nobody watched is found by comparing,
// when the state that said so is lost.
func TestEverythingIsComparedWhenTheStateIsLost(t *testing.T) {
	dir := t.TempDir()
	for f, text := range map[string]string{"same": "1", "saved": "new", "made": "1"} {
		put(t, dir, f, text)
	}
	conf := &project.Service{Name: "a", Rules: []project.Rule{{Action: project.Sync, Path: dir,
		Target: "/app"}}}
	for _, lost := range []bool{false, true} {
		for _, fresh := range []bool{false, true} {
			b := &box{all: map[string]string{"/app/same": state(0o644, "1"), "/app/saved": state(0o644, "old")}}
			y := New(b, journalOf(t, lost), nil)
			target := Target{Service: conf, ID: "c1", ImageID: "i1"}
			y.RecordInitial(t.Context(), target, fresh)
			want := []string{filepath.Join(dir, "saved")}
			if lost && !fresh {
				want = []string{filepath.Join(dir, "made"), filepath.Join(dir, "saved")}
			}
			if got := y.Rescan(t.Context(), target)[0]; !reflect.DeepEqual(got, want) {
				t.Errorf("lost: %v, fresh: %v: %v differ, want %v", lost, fresh, got, want)
			}
		}
	}
}

func TestImageIsBuiltAgainWhenTheStateIsLost(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "f", "1")
	conf := &project.Service{Name: "a", Built: true,
		Rules: []project.Rule{{Action: project.Rebuild, Path: dir}}}
	conf.Config.Build = &types.BuildConfig{Context: dir}
	syncs := &project.Service{Name: "b", Built: true,
		Rules: []project.Rule{{Action: project.Sync, Path: dir, Target: "/app"}}}
	syncs.Config.Build = &types.BuildConfig{Context: dir}
	for _, lost := range []bool{false, true} {
		y := New(nil, journalOf(t, lost), nil)
		if y.ContextChanged(conf, "i1") != lost || y.RebuildChanged(conf, "i1") != lost {
			t.Errorf("lost: %v: context changed: %v, rebuild files: %v", lost,
				y.ContextChanged(conf, "i1"), y.RebuildChanged(conf, "i1"))
		}
		if y.ContextChanged(conf, "") || y.RebuildChanged(conf, "") || y.RebuildChanged(syncs, "i1") {
			t.Errorf("lost: %v: what there is not, or nobody rebuilds for, changed", lost)
		}
		y.RecordBuild("a", "i2", "i1", y.BuildInputs(conf, "i1"))
		if y.ContextChanged(conf, "i2") || y.RebuildChanged(conf, "i2") {
			t.Errorf("lost: %v: what was just built changed", lost)
		}
	}
}
