//go:build unix

package filesync

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
	"bulkhead/watch"
)

// box is a container's files in memory: what CopyTo and Delete promise, and
// nothing of how an engine does it.
type box struct {
	Runtime // what a sync does not need

	mu  sync.Mutex
	all map[string]string // by path: what state makes of it

	unreachable map[string]string
}

func (b *box) Unreachable(*types.ServiceConfig) map[string]string { return b.unreachable }

// state is what a container must have of a path: its kind, its mode, and its
// content or where it leads to.
func state(mode fs.FileMode, text string) string {
	if mode&fs.ModeSymlink != 0 {
		return "-> " + text
	}
	return fmt.Sprintf("%v %s", mode, text)
}

func (b *box) CopyTo(_ context.Context, _, _ string, r io.Reader, replace bool) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return err
		}
		at, mode := path.Clean("/"+h.Name), h.FileInfo().Mode()
		if h.Typeflag == tar.TypeSymlink {
			content = []byte(h.Linkname)
		}
		b.mu.Lock()
		old, there := b.all[at]
		if was := strings.HasPrefix(old, "d"); there && was != mode.IsDir() {
			if !replace {
				b.mu.Unlock()
				return fmt.Errorf("%w: cannot overwrite %s", container.ErrConflict, at)
			}
			b.removeLocked(at)
		}
		ancestors(at, func(dir string) bool {
			if b.all[dir] == "" {
				b.all[dir] = state(fs.ModeDir|0o755, "")
			}
			return true
		})
		b.all[at] = state(mode, string(content))
		b.mu.Unlock()
	}
}

func (b *box) removeLocked(at string) {
	delete(b.all, at)
	maps.DeleteFunc(b.all, func(p, _ string) bool { _, in := inside(at, p); return in })
}

func (b *box) Delete(_ context.Context, _, _ string, paths []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range paths {
		b.removeLocked(at)
	}
	return nil
}

func (b *box) Stat(_ context.Context, _ string, paths []string) (map[string]container.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]container.Entry{}
	for _, at := range paths {
		switch s, ok := b.all[at]; {
		case !ok:
		case strings.HasPrefix(s, "d"):
			out[at] = container.Entry{Mode: fs.ModeDir | 0o755}
		case strings.HasPrefix(s, "-> "):
			out[at] = container.Entry{Mode: fs.ModeSymlink | 0o777, Link: s[3:]}
		default:
			out[at] = container.Entry{Mode: 0o644}
		}
	}
	return out, nil
}

func (b *box) User(context.Context, string) (uid, gid int, err error)          { return 0, 0, nil }
func (b *box) Owner(context.Context, string, string) (uid, gid int, err error) { return 0, 0, nil }

// list is what it holds, by path relative to a folder.
func (b *box) list(dir string) map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]string{}
	for at, s := range b.all {
		if rel, ok := inside(dir, at); ok {
			out[rel] = s
		}
	}
	return out
}

// onDisk is the same of a folder of this machine.
func onDisk(dir string) map[string]string {
	out := map[string]string{}
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return nil // it went away meanwhile, so the caller sees a difference and looks again
		}
		fi, err := d.Info()
		if err != nil {
			return nil
		}
		text := ""
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			text, _ = os.Readlink(p)
		case fi.Mode().IsRegular():
			b, _ := os.ReadFile(p)
			text = string(b)
		}
		out[filepath.ToSlash(rel)] = state(fi.Mode(), text)
		return nil
	})
	return out
}

// mirror watches one folder and keeps a box equal to it, by the way that the
// engine goes from a batch to what is sent.
type mirror struct {
	t    *testing.T
	src  string
	rule *project.Rule
	box  *box
}

const mirrored = "/t"

func newMirror(t *testing.T, src string, poll bool) *mirror {
	t.Helper()
	m := &mirror{t: t, src: src, box: &box{all: map[string]string{}}}
	conf := &project.Service{Name: "a", Replicas: 1,
		Rules: []project.Rule{{Action: project.Sync, Path: src, Target: mirrored, InitialSync: true}}}
	m.rule = &conf.Rules[0]
	y := New(m.box, journal.Open(journal.Options{}), nil)
	w, err := watch.New(watch.Options{Poll: 50 * time.Millisecond, ForcePoll: poll})
	if err != nil {
		t.Fatal(err)
	}
	w.SetRoots([]watch.Root{{Path: src, Ignore: func(path string, dir bool) bool {
		return watch.Ephemeral(filepath.Base(path)) || m.rule.Ignored(path, dir)
	}}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- w.Run(ctx) }()
	go func() { ended <- m.follow(ctx, y, Target{Service: conf, ID: "id"}, w) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
	})
	<-w.Ready()
	return m
}

func (m *mirror) follow(ctx context.Context, y *Syncer, t Target, w *watch.Watcher) error {
	y.records.change(t.ID, func(_, _ Manifest) {}) // it is known to have nothing
	for b := range w.Batches() {
		var d *Diff
		if b.Lost {
			d = diffAll(t.Service, y.records.has(t.ID))
			y.learn(t.ID, d)
		} else {
			changed := map[string]struct{}{}
			for _, f := range b.Paths {
				if m.rule.Match(f) {
					changed[f] = struct{}{}
				}
			}
			d = y.Compare(ctx, t, map[int]map[string]struct{}{0: changed})
		}
		if _, err := y.Send(ctx, t, d); err != nil {
			return fmt.Errorf("send %v: %w", d, err)
		}
	}
	return nil
}

// settle waits until the box holds what the disk does.
func (m *mirror) settle(what string) bool {
	m.t.Helper()
	var want, got map[string]string
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if want, got = onDisk(m.src), m.box.list(mirrored); maps.Equal(want, got) {
			return true
		}
	}
	m.t.Errorf("after %s\nthe disk has %v\nand the container %v", what, lines(want), lines(got))
	return false
}

func lines(all map[string]string) string {
	var b bytes.Buffer
	for _, p := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "\n  %s: %s", p, all[p])
	}
	return b.String()
}

// disturber does random things to a tree that is watched, and writes them down.
type disturber struct {
	rnd *rand.Rand
	top string // the folder in which the watched one lies
	n   int
	did []string
}

var names = []string{"a", "b", "c", "d"}

// anywhere is a random path below the watched folder; it need not exist.
func (d *disturber) anywhere() string {
	p := filepath.Join(d.top, "src")
	for range 1 + d.rnd.IntN(3) {
		p = filepath.Join(p, names[d.rnd.IntN(len(names))])
	}
	return p
}

// fill makes a folder with a few things in it.
func (d *disturber) fill(dir string) {
	_ = os.MkdirAll(dir, 0o755)
	for range d.rnd.IntN(4) {
		d.n++
		p := filepath.Join(dir, names[d.rnd.IntN(len(names))])
		if d.rnd.IntN(3) == 0 {
			_ = os.MkdirAll(p, 0o755)
			p = filepath.Join(p, names[d.rnd.IntN(len(names))])
		}
		_ = os.WriteFile(p, fmt.Appendf(nil, "%06d", d.n), 0o644)
	}
}

func (d *disturber) pause() {
	pause := time.Duration(d.rnd.IntN(101)) * time.Millisecond
	if d.rnd.IntN(2) == 0 {
		pause = 0
	}
	d.did = append(d.did, fmt.Sprint("pause ", pause))
	time.Sleep(pause)
}

// step does one thing. Most errors say that the path is not of the right kind
// for it: then nothing happens, and that is fine.
func (d *disturber) step() {
	p, q := d.anywhere(), d.anywhere()
	away := filepath.Join(d.top, "away")
	note := func(format string, args ...any) {
		d.did = append(d.did, strings.ReplaceAll(fmt.Sprintf(format, args...), d.top+"/", ""))
	}
	d.n++
	switch d.rnd.IntN(11) {
	case 0, 1:
		note("write %s %06d", p, d.n)
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		_ = os.WriteFile(p, fmt.Appendf(nil, "%06d", d.n), 0o644)
	case 2:
		note("rename %s %s", p, q)
		_ = os.Rename(p, q)
	case 3:
		note("remove %s", p)
		_ = os.RemoveAll(p)
	case 4:
		note("fill %s", p)
		d.fill(p)
	case 5: // as a build does it: mv dist old; mv dist.new dist
		note("swap %s", p)
		d.fill(away)
		_ = os.RemoveAll(p + ".old")
		_ = os.Rename(p, p+".old")
		d.pause()
		_ = os.Rename(away, p)
	case 6:
		note("swap %s, the old one outside", p)
		d.fill(away)
		_ = os.RemoveAll(away + ".old")
		_ = os.Rename(p, away+".old")
		d.pause()
		_ = os.Rename(away, p)
	case 7: // mv dist old; mkdir dist; echo > dist/z
		note("empty %s", p)
		_ = os.RemoveAll(p + ".old")
		_ = os.Rename(p, p+".old")
		d.pause()
		_ = os.MkdirAll(p, 0o755)
		d.pause()
		_ = os.WriteFile(filepath.Join(p, "z"), nil, 0o644)
	case 8:
		note("root")
		src := filepath.Join(d.top, "src")
		d.fill(away)
		_ = os.RemoveAll(src + ".old")
		_ = os.Rename(src, src+".old")
		d.pause()
		_ = os.Rename(away, src)
	case 9:
		note("link %s -> %s", p, filepath.Base(q))
		_ = os.Remove(p)
		_ = os.Symlink(filepath.Base(q), p)
	case 10:
		mode := fs.FileMode([]uint32{0o755, 0o700, 0o711, 0o750}[d.rnd.IntN(4)])
		note("chmod %s %v", p, mode)
		if fi, err := os.Lstat(p); err == nil && fi.Mode()&fs.ModeSymlink == 0 {
			if !fi.IsDir() {
				mode &^= 0o111
			}
			_ = os.Chmod(p, mode)
		}
	}
}

// Whatever is done to a folder, and however fast: in the end the container has
// what the disk has.
func TestContainerEndsEqualToTheDisk(t *testing.T) {
	const trees, rounds = 8, 25
	for tree := range trees {
		t.Run(fmt.Sprint(tree), func(t *testing.T) {
			t.Parallel()
			seed := uint64(tree)
			d := &disturber{rnd: rand.New(rand.NewPCG(seed, 1)), top: t.TempDir()}
			src := filepath.Join(d.top, "src")
			if err := os.Mkdir(src, 0o755); err != nil {
				t.Fatal(err)
			}
			m := newMirror(t, src, tree%4 == 3) // one tree in four without the kernel's notices
			for round := range rounds {
				d.did = nil
				for range 1 + d.rnd.IntN(6) {
					d.step()
					d.pause()
				}
				if !m.settle(fmt.Sprintf("round %d of seed %d:\n  %s", round, seed,
					strings.Join(d.did, "\n  "))) {
					return
				}
			}
		})
	}
}

// Builds replace a folder by two renames. When both lie in one batch, no notice
// names what went with the old one.
func TestFolderThatWasReplacedIsComparedWhole(t *testing.T) {
	dir := t.TempDir()
	rule := &project.Rule{Action: project.Sync, Path: dir, Target: "/app"}
	for _, f := range []string{"dist/gone", "dist/deep/gone", "dist/kept", "distant/f", "f"} {
		put(t, dir, f, "x")
	}
	have := has(rule)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.Rename(filepath.Join(dir, "dist"), filepath.Join(t.TempDir(), "old")))
	put(t, dir, "dist/kept", "x")
	do(os.Remove(filepath.Join(dir, "distant/f")))
	for _, tt := range []struct{ reported, want string }{
		{"dist", "-/app/dist/deep -/app/dist/gone"}, // kept has the same content
		{"f", ""},
		{"", "-/app/dist/deep -/app/dist/gone -/app/distant/f"},
	} {
		p := newDiff(&project.Service{Rules: []project.Rule{*rule}}, have)
		p.add(rule, filepath.Join(dir, tt.reported))
		if p.finish(); p.String() != tt.want {
			t.Errorf("when %q is reported, the diff is %q, want %q", tt.reported, p, tt.want)
		}
	}
}

// Two files that were made within one tick of the clock, of one size, cannot be
// told apart by their times.
func TestFileThatTookAnothersPlaceWithItsTimesIsSent(t *testing.T) {
	dir := t.TempDir()
	rule := &project.Rule{Action: project.Sync, Path: filepath.Join(dir, "src"), Target: "/app"}
	for range 1000 {
		put(t, dir, "src/d/f", "one")
		put(t, dir, "new/f", "two")
		var times []int64
		for _, f := range []string{"src/d/f", "new/f"} {
			fi, err := os.Lstat(filepath.Join(dir, f))
			if err != nil {
				t.Fatal(err)
			}
			times = append(times, fi.ModTime().UnixNano(), changed(fi))
		}
		if times[0] != times[2] || times[1] != times[3] {
			continue
		}
		have := has(rule)
		if err := errors.Join(os.RemoveAll(filepath.Join(dir, "src/d")),
			os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "src/d"))); err != nil {
			t.Fatal(err)
		}
		if p := diffOf(rule, have); p.String() != "/app/d/f" {
			t.Errorf("the diff is %q, want /app/d/f", p)
		}
		return
	}
	t.Skip("this file system's clock is too fine for two files to have one time")
}
