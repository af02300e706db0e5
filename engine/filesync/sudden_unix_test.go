//go:build unix

package filesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// sudden is a box whose calls are the last thing that a process does: they are
// carried out in part, and what comes after them never happens.
type sudden struct {
	*box
	rnd   *rand.Rand
	calls int // that are carried out before the end
}

var errEnded = errors.New("the process has ended")

func (s *sudden) last() (ended, last bool) {
	s.calls--
	return s.calls < 0, s.calls == 0
}

func (s *sudden) CopyTo(ctx context.Context, id, below string, r io.Reader, replace bool) error {
	ended, last := s.last()
	if ended {
		return errEnded
	}
	if last {
		r = io.LimitReader(r, int64(s.rnd.IntN(4000)))
	}
	err := s.box.CopyTo(ctx, id, below, r, replace)
	if last {
		return errEnded
	}
	return err
}

func (s *sudden) Delete(ctx context.Context, id, below string, paths []string) error {
	ended, last := s.last()
	if ended {
		return errEnded
	}
	if last {
		paths = paths[:s.rnd.IntN(len(paths)+1)]
	}
	if err := s.box.Delete(ctx, id, below, paths); err != nil || !last {
		return err
	}
	return errEnded
}

// Whenever a process ends, the next one leaves exactly what is on the disk, also
// where files were changed, deleted and put back meanwhile.
func TestSuddenEndsConverge(t *testing.T) {
	for seed := range uint64(25) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		dir, base := t.TempDir(), t.TempDir()
		conf := &project.Service{Name: "a", Dir: dir,
			Rules: []project.Rule{{Action: project.Sync, Path: dir, Target: "/app"}}}
		b := &box{all: map[string]string{"/app": state(fs.ModeDir|0o755, ""),
			"/app/own": state(0o644, "the image's")}}
		target := Target{Service: conf, ID: "c", ImageID: "i"}
		change := func() {
			for range 1 + rnd.IntN(6) {
				f := filepath.Join(dir, fmt.Sprintf("d%d/f%d", rnd.IntN(3), rnd.IntN(4)))
				switch rnd.IntN(4) {
				case 0:
					ok(t, os.RemoveAll(f))
				case 1:
					ok(t, os.RemoveAll(filepath.Dir(f)))
				default:
					ok(t, os.MkdirAll(filepath.Dir(f), 0o755),
						os.WriteFile(f, fmt.Append(nil, rnd.IntN(1000),
							strings.Repeat("x", rnd.IntN(600))), 0o644))
				}
			}
		}
		for range 12 {
			// Nothing is flushed but what Intend writes by itself, or now and then all.
			j := journal.Open(journal.Options{Base: base, Engine: "e", Project: "p"})
			y := New(&sudden{box: b, rnd: rnd, calls: rnd.IntN(4)}, j, nil)
			y.records.change("c", func(_, _ Manifest) {})
			for range 3 {
				change()
				if _, err := y.Send(t.Context(), target,
					diffAll(conf, y.has(t.Context(), target))); err != nil {
					break
				}
				if rnd.IntN(3) == 0 {
					ok(t, j.Flush())
				}
			}
			change() // while nobody watches
		}
		j := journal.Open(journal.Options{Base: base, Engine: "e", Project: "p"})
		y := New(b, j, nil)
		y.records.change("c", func(_, _ Manifest) {})
		if _, err := y.CatchUp(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"/app": state(fs.ModeDir|0o755, ""), "/app/own": state(0o644, "the image's")}
		ok(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(dir, p)
			switch {
			case err != nil || rel == ".":
				return err
			case d.IsDir():
				want["/app/"+filepath.ToSlash(rel)] = state(fs.ModeDir|0o755, "")
			default:
				text, _ := os.ReadFile(p)
				want["/app/"+filepath.ToSlash(rel)] = state(0o644, string(text))
			}
			return nil
		}))
		for _, at := range sortedKeys(want, b.all) {
			if b.all[at] != want[at] {
				t.Fatalf("seed %d: %s is %.60q, want %.60q", seed, at, b.all[at], want[at])
			}
		}
	}
}

func sortedKeys(maps ...map[string]string) []string {
	var all []string
	for _, m := range maps {
		for k := range m {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
