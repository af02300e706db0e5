//go:build unix

package filesync

import (
	"errors"
	"io/fs"
	"maps"
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

// Names need not be UTF-8, neither those of files nor those of folders.
func TestFoldersWhoseNamesAreNotTextAreScanned(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "caf\xe9")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Skipf("this file system takes UTF-8 alone: %v", err)
	}
	put(t, folder, "deep/\xff", "1")
	put(t, dir, "caf\xe9.txt", "1")
	conf := &project.Service{Name: "a", Dir: dir, Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/app"}, {Action: project.Rebuild, Path: dir}}}
	b := &stoppable{box: &box{all: map[string]string{}}, running: true}
	y := New(b, journal.Open(journal.Options{}), func(text string) { t.Error(text) })
	target := Target{Service: conf, ID: "c", Running: true}
	y.records.change("c", func(_, _ Manifest) {})
	catchUp := func(what string) {
		t.Helper()
		left, err := y.CatchUp(t.Context(), target)
		if ok(t, err); len(left) > 0 || !maps.Equal(b.list("/app"), onDisk(dir)) {
			t.Errorf("%s: left out %v, the container has %q", what, left, b.list("/app"))
		}
	}
	catchUp("brought up")
	if got := rebuildFiles(conf); got[folder+"/deep/\xff"].Size != 1 {
		t.Errorf("a rebuild goes by %v", got)
	}
	put(t, folder, "deep/\xff", "longer")
	if got := y.Rescan(t.Context(), target)[0]; !slices.Equal(got, []string{folder + "/deep/\xff"}) {
		t.Errorf("saved, and %q differ", got)
	}
	ok(t, os.RemoveAll(folder))
	catchUp("the folder is gone")
}

// What came into a folder's place since it was listed is not entered, and a pipe
// does not hold up the look.
func TestFolderThatIsSwappedBeforeItIsListed(t *testing.T) {
	dir := t.TempDir()
	d := filepath.Join(dir, "d")
	put(t, dir, "other/f", "1")
	for what, swap := range map[string]func() error{
		"a link":         func() error { return os.Symlink("other", d) },
		"a link out":     func() error { return os.Symlink("/etc", d) },
		"a pipe":         func() error { return syscall.Mkfifo(d, 0o600) },
		"a file":         func() error { return os.WriteFile(d, nil, 0o600) },
		"another folder": func() error { return os.Mkdir(d, 0o755) },
		"nothing":        func() error { return nil },
	} {
		put(t, dir, "d/f", "1")
		tr, err := openTree(&project.Service{}, dir)
		ok(t, err)
		was, err := tr.root.Lstat("d")
		ok(t, err)
		// The folder itself stays, elsewhere, so that no other one gets its inode.
		ok(t, os.Rename(d, filepath.Join(t.TempDir(), "d")), swap())
		if got, err := tr.list("d", was); err == nil || len(got) > 0 {
			t.Errorf("%s: listed %v, %v", what, got, err)
		}
		tr.close()
		ok(t, os.RemoveAll(d))
	}
}

// Only permissions are said to be a matter of permissions.
func TestReasonWhyAPathCannotBeReadIsNamed(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	long := strings.Repeat("x", 300)
	conf := &project.Service{Name: "a", Dir: dir, Rules: []project.Rule{
		{Action: project.Sync, Path: filepath.Join(dir, "loop"), Target: "/loop"},
		{Action: project.Sync, Path: dir, Target: "/app"}}}
	var said []string
	y := New(&box{all: map[string]string{}}, journal.Open(journal.Options{}),
		func(line string) { said = append(said, line) })
	target := Target{Service: conf, ID: "c", Running: true}
	y.records.change("c", func(_, _ Manifest) {})
	d := y.Compare(t.Context(), target, map[int]map[string]struct{}{
		0: {filepath.Join(dir, "loop"): {}}, 1: {filepath.Join(dir, long): {}}})
	left, err := y.Send(t.Context(), target, d)
	if ok(t, err); len(left) != 2 || left[0].Why == "" || !left[0].Said || left[1].Why == "" || !left[1].Said {
		t.Errorf("left out %+v", left)
	}
	want := []string{"a: loop cannot be read, so it is not copied: EvalSymlinks: too many links",
		"a: " + long + " cannot be read, so it is not copied: file name too long"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	if why := whyNot(conf, dir, &fs.PathError{Op: "open", Path: dir, Err: syscall.EACCES}); why != "" {
		t.Errorf("of permissions: %q", why)
	}
}
