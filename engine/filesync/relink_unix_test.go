//go:build unix

package filesync

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/engine/project"
)

// relink points a link elsewhere as ln -sfn does.
func relink(t *testing.T, to, link string) {
	t.Helper()
	if err := errors.Join(os.Symlink(to, link+".new"), os.Rename(link+".new", link)); err != nil {
		t.Fatal(err)
	}
}

func TestWatchedLinkThatIsPointedElsewhereIsFollowed(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, top, "r1/old", "1")
	put(t, top, "r1/both", "1")
	put(t, top, "r2/both", "2")
	put(t, top, "r2/deep/new", "2")
	cur := filepath.Join(top, "cur")
	relink(t, "r1", cur)
	m := newMirror(t, cur, false)
	settle := func(what string) {
		t.Helper()
		m.src, _ = filepath.EvalSymlinks(cur) // "" while it leads nowhere: then nothing is to be there
		if !m.settle(what) {
			t.FailNow()
		}
	}
	put(t, top, "r1/old", "1 saved")
	put(t, top, "r1/both", "1 saved")
	settle("saves below the first")
	relink(t, "r2", cur)
	settle("the link was pointed elsewhere")
	put(t, top, "r2/deep/new", "2 saved")
	put(t, top, "r1/old", "1 saved again, which is nobody's")
	settle("a save below the second")
	relink(t, "nowhere", cur)
	settle("it leads nowhere")
	relink(t, filepath.Join(top, "r1"), cur)
	settle("it leads back")
}

// What is compared without any notice follows the link as well.
func TestLinkOfARuleStandsForWhatItLeadsTo(t *testing.T) {
	top := t.TempDir()
	put(t, top, "r1/old", "1")
	put(t, top, "r2/new", "2")
	put(t, top, "f1", "1")
	put(t, top, "f2", "2")
	cur, file := filepath.Join(top, "cur"), filepath.Join(top, "file")
	relink(t, "r1", cur)
	relink(t, "f1", file)
	tree := &project.Rule{Action: project.Sync, Path: cur, Target: "/app"}
	one := &project.Rule{Action: project.Sync, Path: file, Target: "/etc/file"}
	haveTree, haveOne := has(tree), has(one)
	conf := &project.Service{Rules: []project.Rule{{Action: project.Rebuild, Path: cur}}}
	before := rebuildFiles(conf).fingerprint(nil)
	if p := diffOf(tree, haveTree); len(haveTree) != 1 || !p.empty() {
		t.Errorf("nothing changed: it has %v, and the diff is %s", haveTree, p)
	}
	if n := haveOne["/etc/file"]; !n.mode().IsRegular() {
		t.Errorf("the file behind a link is noted as %v", n.mode())
	}
	relink(t, "r2", cur)
	relink(t, "f2", file)
	if p := diffOf(tree, haveTree); p.String() != "-/app/old /app/new" {
		t.Errorf("after the link was pointed elsewhere, the diff is %s", p)
	}
	if p := diffOf(one, haveOne); p.String() != "/etc/file" {
		t.Errorf("after the file's link was pointed elsewhere, the diff is %s", p)
	}
	if rebuildFiles(conf).fingerprint(nil) == before {
		t.Error("a rebuild rule's link was pointed elsewhere, and its files count as the same")
	}
	p := newDiff(&project.Service{Rules: []project.Rule{*tree}}, haveTree)
	p.add(tree, cur)
	if p.finish(); p.String() != "-/app/old" {
		t.Errorf("when the link is reported, the diff is %s", p)
	}
}
