package journal

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What was begun is known after a sudden end, until its outcome has been written.
func TestIntentionsOutliveASuddenEnd(t *testing.T) {
	base := t.TempDir()
	open := func() *Journal { return Open(Options{Base: base, Engine: "e", Project: "p"}) }
	pending := filepath.Join(filepath.Dir(File(base, "e", "p")), "pending.json")
	j := open()
	j.Intend("files c", []string{"/b", "/a"})
	j.Intend("files c", []string{"/c"})
	j.Intend("build b", nil)
	if fi, err := os.Stat(pending); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", fi, err)
	}
	j.Settle("files c") // and the end comes before the state is written
	if _, ok := j.Unsettled("files c"); ok {
		t.Error("one's own intention counts as one of the process before")
	}

	j = open()
	if paths, ok := j.Unsettled("files c"); !ok || !slices.Equal(paths, []string{"/a", "/b", "/c"}) {
		t.Errorf("after a sudden end: %v, %v", paths, ok)
	}
	if _, ok := j.Unsettled("build b"); !ok {
		t.Error("the build is forgotten")
	}
	j.Intend("files d", nil)
	j.Settle("files c")
	j.Settle("files d")
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}

	j = open()
	if _, ok := j.Unsettled("files c"); ok {
		t.Error("what was settled is still there")
	}
	if _, ok := j.Unsettled("build b"); !ok {
		t.Error("what was not settled is gone")
	}
	j.Settle("build b")
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pending); !os.IsNotExist(err) {
		t.Errorf("with nothing pending: %v", err)
	}
	if err := os.WriteFile(pending, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	var warned []string
	if j := Open(Options{Base: base, Engine: "e", Project: "p", Warn: func(s string) {
		warned = append(warned, s)
	}}); !j.Lost() || len(warned) != 1 {
		t.Errorf("a damaged file: lost %v, said %q", j.Lost(), warned)
	}
}

// A stop that was begun is known to the next process until the container has ended, starts again or is gone.
func TestStopsThatWereBegunOutliveASuddenEnd(t *testing.T) {
	base := t.TempDir()
	open := func() *Journal { return Open(Options{Base: base, Engine: "e", Project: "p"}) }
	j := open()
	for _, id := range []string{"ended", "cut", "gone"} {
		j.BeginStop(id)
	}
	j.EndStop("ended")
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	j = open()
	if got := slices.Sorted(maps.Keys(j.StopsBegun())); !slices.Equal(got, []string{"cut", "gone"}) {
		t.Errorf("begun %v", got)
	}
	j.EndStop("cut")
	j.Forget("gone")
	j.EndStop("never begun")
	if got := j.StopsBegun(); len(got) > 0 {
		t.Errorf("still begun: %v", got)
	}
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := open().StopsBegun(); len(got) > 0 {
		t.Errorf("after the next end: %v", got)
	}
}

// A path need not be UTF-8, and what was begun with one is known by it.
func TestPathsThatAreNotTextOutliveASuddenEnd(t *testing.T) {
	base := t.TempDir()
	open := func() *Journal { return Open(Options{Base: base, Engine: "e", Project: "p"}) }
	want := []string{"/app/caf\xe9.txt", "/app/caf\xe9/", "/app/plain \u00e9"}
	open().Intend("files c", want)
	j := open()
	if paths, ok := j.Unsettled("files c"); !ok || !slices.Equal(paths, want) {
		t.Errorf("after a sudden end: %q, %v; want %q", paths, ok, want)
	}
	j.Intend("build b", nil) // the file is written again, with what is left of the process before
	j = open()
	if paths, ok := j.Unsettled("files c"); !ok || !slices.Equal(paths, want) {
		t.Errorf("after the next end: %q, %v; want %q", paths, ok, want)
	}
	if paths, ok := j.Unsettled("build b"); !ok || paths != nil {
		t.Errorf("without paths: %q, %v", paths, ok)
	}
}
