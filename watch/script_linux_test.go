package watch

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A script in testdata is paragraphs of commands with the paths that must be
// reported below them:
//
//	modes kernel poll    run in both modes (default: kernel); what runs with the
//	                     kernel runs with made-up events of FSEvents as well
//	root PATH [PATTERN…] one more root; patterns are ignored, as in .dockerignore
//	ready                sets the roots and waits until they are registered;
//	                     "ready again" replaces them while watching
//	none                 nothing must be reported after the commands above
//	mkdir, write, append, rm, mv, link, hardlink, chmod, touch, age, read, exec
//	> PATH               must be reported after the commands above
//	~ PATH               may be reported
//
// Everything else that is reported is a failure. PATH is below a fresh folder.
type script struct {
	t     *testing.T
	dir   string
	w     *Watcher
	roots []Root
	seen  map[string]bool
	marks int
	where string // file and line of the commands that are being checked
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		modes := []string{"kernel"}
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, "modes "); ok {
				modes = strings.Fields(rest)
			}
		}
		if slices.Contains(modes, "kernel") {
			modes = append(modes, "stream")
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		for _, mode := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				runScript(t, file, text, mode)
			})
		}
	}
}

func runScript(t *testing.T, file, text, mode string) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, dir: dir, seen: map[string]bool{}}
	opt := quick()
	opt.ForcePoll = mode == "poll"
	if mode == "stream" {
		s.w = runOn(t, opt, func() (kernel, error) { return newStreams(madeUp(t, dir), linuxDisk), nil })
	} else {
		s.w = run(t, opt)
	}
	os.Mkdir(filepath.Join(dir, ".mark"), 0o755)
	s.roots = []Root{{Path: filepath.Join(dir, ".mark")}}

	var want, may []string
	first := 0
	check := func() {
		if first > 0 {
			s.where = fmt.Sprintf("%s:%d", file, first)
			s.compare(want, may)
		}
		want, may, first = nil, nil, 0
	}
	for i, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0][0] == '#' || f[0] == "modes":
		case f[0] == ">":
			want = append(want, f[1])
		case f[0] == "~":
			may = append(may, f[1])
		default:
			if len(want)+len(may) > 0 || f[0] == "ready" || f[0] == "none" {
				check()
			}
			if f[0] == "none" {
				continue
			}
			if err := s.do(f); err != nil {
				t.Fatalf("%s:%d: %s: %v", file, i+1, line, err)
			}
			if first == 0 && f[0] != "ready" && f[0] != "root" && s.ready() {
				first = i + 1
			}
		}
	}
	check()
}

func (s *script) ready() bool {
	select {
	case <-s.w.Ready():
		return true
	default:
		return false
	}
}

func (s *script) do(f []string) error {
	path := func(i int) string { return filepath.Join(s.dir, f[i]) }
	switch f[0] {
	case "root":
		r := Root{Path: path(1)}
		if len(f) > 2 {
			ig, err := NewIgnore(r.Path, f[2:])
			if err != nil {
				return err
			}
			r.Ignore = ig.Match
		}
		s.roots = append(s.roots, r)
	case "ready":
		s.w.SetRoots(s.roots)
		select {
		case <-s.w.Ready():
		case <-time.After(patience):
			return fmt.Errorf("never ready")
		}
		s.settle(nil) // a second set has no Ready of its own
		clear(s.seen)
		s.roots = s.roots[:1:1]
	case "mkdir":
		return os.MkdirAll(path(1), 0o755)
	case "write":
		return os.WriteFile(path(1), []byte(strings.Join(f[2:], " ")), 0o644)
	case "append":
		file, err := os.OpenFile(path(1), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.WriteString(file, strings.Join(f[2:], " "))
		return err
	case "rm":
		return os.RemoveAll(path(1))
	case "mv":
		return os.Rename(path(1), path(2))
	case "link":
		return os.Symlink(f[1], path(2))
	case "hardlink":
		return os.Link(path(1), path(2))
	case "chmod":
		mode, err := strconv.ParseUint(f[1], 8, 32)
		if err != nil {
			return err
		}
		return os.Chmod(path(2), os.FileMode(mode))
	case "touch":
		now := time.Now()
		return os.Chtimes(path(1), now, now)
	case "age":
		old := time.Now().Add(-time.Hour)
		return os.Chtimes(path(1), old, old)
	case "read":
		_, err := os.ReadFile(path(1))
		return err
	case "exec":
		cmd := exec.Command(f[1], f[2:]...)
		cmd.Dir = s.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	default:
		return fmt.Errorf("unknown command")
	}
	return nil
}

// settle collects what is reported until all of want has come, and then until
// everything has that was caused before now: two marks, because a poller may
// have passed a folder by when it sees the first.
func (s *script) settle(want []string) {
	s.collect("the wanted paths", func() bool {
		return !slices.ContainsFunc(want, func(p string) bool { return !s.seen[p] })
	})
	for range 2 {
		s.marks++
		mark := fmt.Sprintf(".mark/%d", s.marks)
		if err := os.WriteFile(filepath.Join(s.dir, mark), nil, 0o644); err != nil {
			s.t.Fatal(err)
		}
		s.collect("a mark", func() bool { return s.seen[mark] })
	}
}

func (s *script) collect(what string, done func() bool) {
	limit := time.After(patience)
	for !done() {
		select {
		case b, ok := <-s.w.Batches():
			if !ok {
				s.t.Fatalf("%s: the watcher ended", s.where)
			}
			if b.Lost {
				s.seen["LOST"] = true
			}
			for _, p := range b.Paths {
				rel, err := filepath.Rel(s.dir, p)
				if err != nil {
					s.t.Fatal(err)
				}
				s.seen[rel] = true
			}
		case <-limit:
			s.t.Fatalf("%s: no report of %s; seen %v", s.where, what, slices.Sorted(maps.Keys(s.seen)))
		}
	}
}

func (s *script) compare(want, may []string) {
	s.t.Helper()
	s.settle(want)
	var got []string
	for p := range s.seen {
		if !strings.HasPrefix(p, ".mark") && (slices.Contains(want, p) || !slices.Contains(may, p)) {
			got = append(got, p)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: reported\n\t%s\nwant\n\t%s", s.where, strings.Join(got, "\n\t"),
			strings.Join(want, "\n\t"))
	}
	clear(s.seen)
}

// run makes a watcher and begins it.
func run(t testing.TB, opt Options) *Watcher {
	t.Helper()
	return runOn(t, opt, newKernel)
}

// runOn does so with another kernel.
func runOn(t testing.TB, opt Options, own func() (kernel, error)) *Watcher {
	t.Helper()
	w, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	w.kernel = own
	begin(t, w)
	return w
}

// begin runs a watcher and ends it with the test.
func begin(t testing.TB, w *Watcher) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	})
}

// queued asks the kernel how many bytes of notices wait for this process.
func queued(t testing.TB) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if to, err := os.Readlink(name); err != nil || to != "anon_inode:inotify" {
			continue // an error: the descriptor that listed the folder
		}
		fd, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD by its other name
		if err != nil {
			t.Fatal(err)
		}
		n += waiting
	}
	return n
}
