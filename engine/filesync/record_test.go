package filesync

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// rebuilt is a service that is rebuilt for what lies in a folder.
func rebuilt(dir string) *project.Service {
	conf := &project.Service{Name: "a", Dir: dir, Built: true,
		Rules: []project.Rule{{Action: project.Rebuild, Path: filepath.Join(dir, "src")}}}
	conf.Config.Build = &types.BuildConfig{Context: dir}
	return conf
}

// A batch is a build's own when nothing at or below its paths is another than the
// build was made of; a folder stands for all in it, also when it is gone.
func TestBatchThatABuildWasMadeOf(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	same, changed := put(t, src, "d/same", "1"), put(t, src, "d/changed", "1")
	gone := put(t, src, "old/deep/f", "1")
	put(t, src, "d2/same", "1")
	conf := rebuilt(dir)
	y := New(nil, journal.Open(journal.Options{}), nil)
	y.IntendBuild("a", y.BuildInputs(conf, ""))
	put(t, src, "d/changed", "longer")
	fresh := put(t, src, "new/f", "1")
	if err := os.RemoveAll(filepath.Join(src, "old")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		same: true, filepath.Join(src, "d2"): true, filepath.Join(src, "none"): true,
		filepath.Join(dir, "other"): true,
		changed:                     false, filepath.Dir(changed): false, gone: false, filepath.Join(src, "old"): false,
		fresh: false, filepath.Join(src, "new"): false, src: false, dir: false,
	} {
		if got := y.BuiltOf(conf, "", []string{same, path}); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// The goroutine that hands batches to all lanes asks for each batch: what it
// costs must not grow with the paths times the files.
func TestCostOfALargeBatchIsThatOfOneLook(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i := range 400 {
		paths = append(paths, put(t, dir, fmt.Sprintf("src/d%d/f%d", i/20, i), "1"))
	}
	conf := rebuilt(dir)
	y := New(nil, journal.Open(journal.Options{}), nil)
	y.IntendBuild("a", y.BuildInputs(conf, ""))
	ask := func(paths []string) func() {
		return func() {
			if !y.BuiltOf(conf, "", paths) {
				t.Error("nothing changed, and the batch is news")
			}
		}
	}
	ask(paths[:1])() // what is made once
	if one, all := allocated(ask(paths[:1])), allocated(ask(paths)); all > 2*one {
		t.Errorf("one path of %d takes %d bytes, all of them %d", len(paths), one, all)
	}
}

// Nor does what a comparison costs when files are gone by the thousand: each is
// not looked for among all that the container has.
func TestCostOfManyDeletionsIsThatOfOneLook(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i := range 200 {
		paths = append(paths, put(t, dir, fmt.Sprint("d/f", i), "1"))
	}
	const target = "/srv/long/enough/for/a/path/to/be/put/on/the/heap"
	rule := &project.Rule{Action: project.Sync, Path: dir, Target: target}
	few := has(rule)
	many := maps.Clone(few)
	for i := range 4000 {
		many[fmt.Sprint(target, "/other/f", i)] = FileStat{Mode: 0o644}
	}
	if err := os.RemoveAll(filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	compare := func(have Manifest) func() {
		return func() {
			d := newDiff(&project.Service{Rules: []project.Rule{*rule}}, have)
			for _, f := range paths {
				d.add(rule, f)
			}
			if d.addNoted(rule); len(d.deletes) != len(paths) {
				t.Errorf("of %d paths that are gone, the diff is %s", len(paths), d)
			}
			d.trees.close()
		}
	}
	compare(few)() // what is made once
	if of, all := allocated(compare(few)), allocated(compare(many)); all > 3*of {
		t.Errorf("of %d files it takes %d bytes, of %d %d", len(few), of, len(many), all)
	}
}

// allocated is how many bytes f allocates: a measure of its work that does not
// depend on the machine.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A build that was abandoned may have named its image: it is made again, by this
// process and the next one, until one is recorded.
func TestAbandonedBuildIsMadeAgain(t *testing.T) {
	dir, base := t.TempDir(), t.TempDir()
	f := put(t, dir, "src/f", "1")
	conf := rebuilt(dir)
	opened := func() (*Syncer, *journal.Journal) {
		j := journal.Open(journal.Options{Base: base, Engine: "e", Project: "p"})
		return New(nil, j, nil), j
	}
	check := func(y *Syncer, when string, changed bool) {
		t.Helper()
		for _, image := range []string{"i1", "named just before the end"} {
			context, rebuild := y.ContextChanged(conf, image), y.RebuildChanged(conf, image)
			if context != changed || rebuild != changed {
				t.Errorf("%s: %s: context changed: %v, rebuild files: %v; want %v", when, image,
					context, rebuild, changed)
			}
		}
		if y.ContextChanged(conf, "") || y.RebuildChanged(conf, "") {
			t.Errorf("%s: an image that is not there changed", when)
		}
		if got := y.BuiltOf(conf, "i1", []string{f}); got == changed {
			t.Errorf("%s: what it was built of: %v", when, got)
		}
	}
	y, j := opened()
	build := func() BuildInputs {
		in := y.BuildInputs(conf, "i1")
		y.IntendBuild("a", in)
		return in
	}
	y.RecordBuild("a", "i1", "", build())
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	y, _ = opened()
	check(y, "built", false)
	build()
	y.AbandonBuild("a")
	check(y, "abandoned", true)
	y, j = opened()
	check(y, "in the next process", true)
	y.RecordBuild("a", "i1", "i1", build())
	delete(y.building, "a") // as in a process that built nothing
	check(y, "built again", false)
	build()
	y.AbandonBuild("a")
	y.RecordBuild("a", "i1", "i1", build())
	delete(y.building, "a")
	check(y, "begun again at once", false)
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	y, _ = opened()
	check(y, "in the process after", false)
}
