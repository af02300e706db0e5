//go:build unix

package filesync

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bulkhead/engine/hostfile"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// ok fails the test on the first error.
func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// A pipe in the place of a file would hold up a lane for ever, and with it
// every stop.
func TestOnlyFilesOfTheTreeAreOpened(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "src")
	secret := put(t, top, "outside/secret", "x")
	put(t, dir, "sub/file", "inside")
	at := func(name string) string { return filepath.Join(dir, name) }
	ok(t, syscall.Mkfifo(at("pipe"), 0o600), os.Symlink(secret, at("link")), os.Symlink("sub/file", at("near")),
		os.Symlink(filepath.Dir(secret), at("way")))
	tr, err := openTree(&project.Service{}, dir)
	ok(t, err)
	defer tr.close()
	if sum, err := tr.sumOf(at("sub/file")); err != nil || sum == "" {
		t.Errorf("a file: %q, %v", sum, err)
	}
	var kind *hostfile.KindError
	for _, name := range []string{"pipe", "link", "near"} {
		if _, err := tr.sumOf(at(name)); !errors.As(err, &kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, file := range []string{at("way/secret"), secret, at("none")} {
		if _, err := tr.sumOf(file); err == nil {
			t.Errorf("%s was read", file)
		}
	}
	if _, _, err := tr.lstat(at("way/secret")); err == nil {
		t.Error("what lies behind a link was looked at")
	}
	l := tr.scan(nil, nil)
	if len(l.files) != 5 || l.files[at("link")].Link != secret || l.odd[at("pipe")] != "a pipe" {
		t.Errorf("listed: %v", l)
	}
}

// What stands in a file's place when it is sent, and did not when it was listed,
// is not sent: neither what a link leads to nor what comes out of a pipe.
func TestFileThatIsSwappedBeforeItIsSent(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "src")
	secret := put(t, top, "outside/f", "secret")
	conf := &project.Service{Name: "a", Rules: []project.Rule{{Action: project.Sync, Path: dir,
		Target: "/app"}}}
	swaps := map[string]func(){
		"a link": func() {
			ok(t, os.Remove(filepath.Join(dir, "d/f")), os.Symlink(secret, filepath.Join(dir, "d/f")))
		},
		"a pipe": func() {
			ok(t, os.Remove(filepath.Join(dir, "d/f")), syscall.Mkfifo(filepath.Join(dir, "d/f"), 0o600))
		},
		"a folder's link": func() {
			ok(t, os.RemoveAll(filepath.Join(dir, "d")), os.Symlink(filepath.Dir(secret),
				filepath.Join(dir, "d")))
		},
		"the whole tree": func() { ok(t, os.RemoveAll(dir), os.Symlink(filepath.Dir(secret), dir)) },
	}
	for what, swap := range swaps {
		ok(t, os.RemoveAll(dir))
		put(t, dir, "d/f", "plain")
		put(t, dir, "g", "other")
		conf.Dir, conf.Led = top+"/none", map[string]string{dir: dir}
		b := &box{all: map[string]string{}}
		y := New(b, journal.Open(journal.Options{}), nil)
		d := diffAll(conf, Manifest{})
		swap()
		_, err := y.Send(t.Context(), Target{Service: conf, ID: "c"}, d)
		ok(t, err)
		for at, have := range b.all {
			if strings.Contains(have, "secret") {
				t.Errorf("%s: %s has %s", what, at, have)
			}
		}
		if has := y.records.has("c"); has["/app/d/f"].Sum != "" {
			t.Errorf("%s: counts as sent: %v", what, has["/app/d/f"])
		}
	}
}

// A folder that is swapped for a link out of the project is not followed, with a
// line; one that the project named as a link, or that leads elsewhere inside, is.
func TestWatchedFolderThatBecomesALink(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "project")
	src := filepath.Join(dir, "src")
	put(t, top, "home/key", "secret")
	put(t, dir, "other/f", "other")
	put(t, src, "f", "one")
	conf := &project.Service{Name: "a", Dir: dir, Led: map[string]string{src: src},
		Rules: []project.Rule{{Action: project.Sync, Path: src, Target: "/app"}}}
	b := &box{all: map[string]string{}}
	var warned []string
	y := New(b, journal.Open(journal.Options{}), func(line string) { warned = append(warned, line) })
	target := Target{Service: conf, ID: "c"}
	send := func() error {
		_, err := y.Send(t.Context(), target, diffAll(conf, y.records.has("c")))
		return err
	}
	ok(t, send(), os.RemoveAll(src), os.Symlink(filepath.Join(top, "home"), src))
	if err := send(); err != nil {
		t.Error(err)
	}
	changed := map[int]map[string]struct{}{0: {filepath.Join(src, "key"): {}}}
	if d := y.Compare(t.Context(), target, changed); d.Differs() {
		t.Errorf("a save outside is to be copied: %s", d)
	}
	if b.all["/app/f"] == "" || b.all["/app/key"] != "" {
		t.Errorf("the container has %v", b.all)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "outside of the project") {
		t.Errorf("said: %q", warned)
	}
	ok(t, os.Remove(src), os.Symlink("other", src), send())
	if !strings.Contains(b.all["/app/f"], "other") {
		t.Errorf("a link that stays inside: %v", b.all)
	}
	conf.Led[src] = filepath.Join(top, "home")
	ok(t, os.Remove(src), os.Symlink("../home", src), send())
	if b.all["/app/f"] != "" || b.all["/app/key"] == "" {
		t.Errorf("a link that the project named: %v", b.all)
	}
}

// Pipes, sockets and devices are left out, with one line each.
func TestPipesAreLeftOutWithALine(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "f", "x")
	ok(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	conf := &project.Service{Name: "a", Dir: dir,
		Rules: []project.Rule{{Action: project.Sync, Path: dir, Target: "/app"}}}
	b := &box{all: map[string]string{}}
	var warned []string
	y := New(b, journal.Open(journal.Options{}), func(line string) { warned = append(warned, line) })
	for range 2 {
		left, err := y.Send(t.Context(), Target{Service: conf, ID: "c"}, diffAll(conf, y.records.has("c")))
		if ok(t, err); len(left) > 0 {
			t.Errorf("left out: %v", left)
		}
	}
	y.Compare(t.Context(), Target{Service: conf, ID: "c"},
		map[int]map[string]struct{}{0: {filepath.Join(dir, "pipe"): {}}})
	if want := []string{"a: pipe is a pipe, so it is not copied"}; !slices.Equal(warned, want) {
		t.Errorf("said %q", warned)
	}
	if b.all["/app/pipe"] != "" || b.all["/app/f"] == "" {
		t.Errorf("the container has %v", b.all)
	}
}
