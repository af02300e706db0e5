//go:build unix

package filesync

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// watched is a box that counts how often it is asked for its volumes, which is once
// for each time that a diff is packed; with settle, what it has changes then.
type watched struct {
	*box
	packed int
	settle func(all map[string]string)
}

func (w *watched) Unreachable(s *types.ServiceConfig) map[string]string {
	w.packed++
	return w.box.Unreachable(s)
}

func (w *watched) Stat(ctx context.Context, id string, paths []string) (map[string]container.Entry, error) {
	out, err := w.box.Stat(ctx, id, paths)
	if w.settle != nil && w.packed == 1 {
		w.settle(w.all)
	}
	return out, err
}

// Only a link may be gone in a moment: what else stands in the way of a copy is not
// waited for at each save.
func TestOnlyLinksAreLookedAtAgain(t *testing.T) {
	dir := state(fs.ModeDir|0o755, "")
	for what, tt := range map[string]struct {
		has         map[string]string
		have        Manifest
		volume      string
		unreachable map[string]string
		target      string
		settle      func(all map[string]string)
		packed      int
		copied      bool
	}{
		"the target is a folder": {has: map[string]string{"/app": dir}, target: "/app", packed: 1},
		"a folder is in its place": {has: map[string]string{"/app": dir, "/app/d": dir, "/app/d/f": dir},
			have: Manifest{"/app/d/f": {Mode: uint32(fs.ModeSymlink)}}, target: "/app/", packed: 1},
		"the target is a file": {has: map[string]string{"/app": state(0o644, "")}, target: "/app/", packed: 1},
		"a tmpfs": {has: map[string]string{"/app": dir}, target: "/app/", packed: 1,
			unreachable: map[string]string{"/app": "is out of reach"}},
		"a volume": {has: map[string]string{"/app": dir, "/app/d": dir, "/app/d/f": dir}, target: "/app/",
			have: Manifest{"/app/d/f": {Mode: uint32(fs.ModeDir)}}, volume: "/app/d/f", packed: 1},
		"a link that stays": {has: map[string]string{"/app": dir, "/app/d": "-> /var"}, target: "/app/",
			packed: settling},
		"a link on the move": {has: map[string]string{"/app": dir, "/app/d": "-> /var"}, target: "/app/",
			settle: func(all map[string]string) { all["/app/d"] = dir }, packed: 2, copied: true},
	} {
		t.Run(what, func(t *testing.T) {
			src := t.TempDir()
			f := put(t, src, "d/f", "1")
			rt := &watched{box: &box{all: tt.has, unreachable: tt.unreachable}, settle: tt.settle}
			path := src
			if tt.target == "/app" {
				path = f
			}
			conf := &project.Service{Name: "a", Rules: []project.Rule{
				{Action: project.Sync, Path: path, Target: tt.target}}}
			if tt.volume != "" {
				conf.Config.Volumes = []types.ServiceVolumeConfig{{Type: "volume", Target: tt.volume}}
			}
			y := New(rt, journal.Open(journal.Options{}), nil)
			target := Target{Service: conf, ID: "c", Running: true}
			y.records.change("c", func(has, _ Manifest) { maps.Copy(has, tt.have) })
			_, err := y.Send(t.Context(), target,
				y.Compare(t.Context(), target, map[int]map[string]struct{}{0: {f: {}}}))
			if refused := (*Refused)(nil); errors.As(err, &refused) == tt.copied {
				t.Errorf("the error is %v", err)
			}
			if rt.packed != tt.packed {
				t.Errorf("looked at %d times, want %d", rt.packed, tt.packed)
			}
		})
	}
}
