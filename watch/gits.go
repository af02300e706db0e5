package watch

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// gitdir is a git folder that is listened to: the folder itself and nothing in
// it, so that it costs one watch.
type gitdir struct {
	real string
	tops map[*tree]map[string]struct{} // for whom, and what of it lies in the work tree
	seen map[string]stamp              // of the files that tell of work; kept only where the kernel is silent
}

// halfGit is a name .git that was no git folder when it was found.
type halfGit struct {
	path string
	tree *tree
}

// gits knows the git folders whose work trees the roots lie in, and reports
// what git does there. The keeper's goroutine owns it.
type gits struct {
	reg     *registry
	changes *mailbox[change]
	dirs    map[string]*gitdir // by real path
	half    map[halfGit]struct{}
}

func newGits(r *registry, changes *mailbox[change]) *gits {
	return &gits{reg: r, changes: changes, dirs: map[string]*gitdir{}, half: map[halfGit]struct{}{}}
}

// seek finds the git folder whose work tree a root lies in. It may stand
// far above the root, and come and go there.
func (g *gits) seek(t *tree) {
	dir := filepath.Dir(t.Path) // the nearest that is known of a root that is missing
	if t.place.info != nil {
		dir = t.place.real
	}
	git := findGit(dir)
	if git != t.git {
		g.unlink(t, t.git, t.Path)
		t.git = git
	}
	if git != "" {
		g.add(t, git, t.Path)
	}
}

// seekAll does so for all roots, and tries again what was not finished.
func (g *gits) seekAll(trees []*tree) {
	for _, t := range trees {
		g.seek(t)
	}
	for h := range g.half {
		if !exists(h.path) || !slices.Contains(trees, h.tree) {
			delete(g.half, h)
			continue
		}
		if h.tree.place.info == nil {
			continue // its root is away: where the folder is in it cannot be told
		}
		g.found(h.tree, h.path)
	}
}

// found looks at a name .git in a folder of a root. The folder may be there
// before what makes it a git folder.
func (g *gits) found(t *tree, path string) {
	git := gitFolder(path)
	if git == "" {
		g.half[halfGit{path, t}] = struct{}{}
		return
	}
	delete(g.half, halfGit{path, t})
	g.add(t, git, t.spell(filepath.Dir(path)))
}

// add listens to a git folder for what t has below top.
func (g *gits) add(t *tree, git, top string) {
	d := g.dirs[git]
	if d == nil {
		d = &gitdir{real: git, tops: map[*tree]map[string]struct{}{}}
	}
	if _, known := d.tops[t][top]; known {
		return
	}
	if g.dirs[git] == nil {
		f := g.reg.folders[git]
		if f == nil {
			info, err := os.Lstat(git)
			if err != nil || !info.IsDir() {
				return // verify looks again
			}
			f = g.reg.open(git, info)
		}
		g.dirs[git], f.git = d, d
		g.reg.register(f, nil)
		g.lookAt(d, false)
	}
	if d.tops[t] == nil {
		d.tops[t] = map[string]struct{}{}
	}
	d.tops[t][top] = struct{}{}
	g.sendTops(d)
}

// unlink ends the listening of t to a git folder for what lies below top.
func (g *gits) unlink(t *tree, git, top string) {
	d := g.dirs[git]
	if d == nil {
		return
	}
	delete(d.tops[t], top)
	if len(d.tops[t]) == 0 {
		delete(d.tops, t)
	}
	if len(d.tops) > 0 {
		g.sendTops(d)
		return
	}
	g.forget(git)
	if f := g.reg.folders[git]; f != nil {
		g.reg.tidy(f)
	}
}

// drop ends all listening to git folders for t.
func (g *gits) drop(t *tree) {
	for git, d := range g.dirs {
		for top := range maps.Clone(d.tops[t]) {
			g.unlink(t, git, top)
		}
	}
}

// forget ends what a git folder that is gone holds back.
func (g *gits) forget(git string) {
	if g.dirs[git] != nil {
		delete(g.dirs, git)
		if f := g.reg.folders[git]; f != nil {
			f.git = nil
		}
		g.send(git, signGone, nil)
	}
}

func (g *gits) sendTops(d *gitdir) {
	all := map[string]struct{}{}
	for _, tops := range d.tops {
		maps.Copy(all, tops)
	}
	g.send(d.real, signFound, slices.Sorted(maps.Keys(all)))
}

func (g *gits) send(git string, kind signKind, tops []string) {
	g.changes.put(change{sign: sign{git: git, kind: kind, tops: tops}})
}

// moved turns an event about a name in a git folder into a sign.
func (g *gits) moved(d *gitdir, name string, o op) {
	switch {
	case name == gitLock && o.has(opCreate|opWrite):
		g.send(d.real, signLock, nil)
	case name == gitLock && o.has(opGone):
		g.send(d.real, signUnlock, nil)
	case slices.Contains(gitWork, name) && o != opAttrib:
		g.send(d.real, signWork, nil)
	}
}

// lookAtAll looks at the git folders that send no notices. With tick it is
// the regular look, and without it somebody has seen changes.
func (g *gits) lookAtAll(tick bool) {
	for _, d := range g.dirs {
		f := g.reg.folders[d.real]
		if f == nil || f.how == byKernel || f.how == aliased {
			continue
		}
		if tick && f.how == byNothing {
			g.reg.register(f, nil) // the kernel may take it by now
		}
		g.lookAt(d, false)
	}
}

// lookAt compares the files in a git folder that tell of work with what
// they were at the last look. After lost notices it tells of the lock whatever
// it was.
func (g *gits) lookAt(d *gitdir, lost bool) {
	first := d.seen == nil
	now := map[string]stamp{}
	for _, name := range append([]string{gitLock}, gitWork...) {
		if info, err := os.Lstat(filepath.Join(d.real, name)); err == nil {
			now[name] = stampOf(info)
		}
	}
	before := d.seen
	d.seen = now
	_, locked := now[gitLock]
	switch {
	case lost && locked:
		g.send(d.real, signLock, nil)
	case lost:
		g.send(d.real, signUnlock, nil)
	case first:
		// The first sign of a git folder says all that there is.
	case locked && now[gitLock] != before[gitLock]:
		g.send(d.real, signLock, nil)
	case !locked && before[gitLock] != stamp{}:
		g.send(d.real, signUnlock, nil)
	case !maps.Equal(before, now):
		g.send(d.real, signWork, nil)
	}
}
