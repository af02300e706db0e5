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

// seekGit finds the git folder whose work tree a root lies in. It may stand
// far above the root, and come and go there.
func (k *keeper) seekGit(t *tree) {
	dir := filepath.Dir(t.Path) // the nearest that is known of a root that is missing
	if t.place.info != nil {
		dir = t.place.real
	}
	git := findGit(dir)
	if git != t.git {
		k.unlinkGit(t, t.git, t.Path)
		t.git = git
	}
	if git != "" {
		k.addGit(t, git, t.Path)
	}
}

// seekGits does so for all roots, and tries again what was not finished.
func (k *keeper) seekGits() {
	for _, t := range k.trees {
		k.seekGit(t)
	}
	for h := range k.halfGits {
		if !exists(h.path) || !slices.Contains(k.trees, h.tree) {
			delete(k.halfGits, h)
			continue
		}
		k.foundGit(h.tree, h.path)
	}
}

// foundGit looks at a name .git in a folder of a root. The folder may be there
// before what makes it a git folder.
func (k *keeper) foundGit(t *tree, path string) {
	git := gitFolder(path)
	if git == "" {
		k.halfGits[halfGit{path, t}] = struct{}{}
		return
	}
	delete(k.halfGits, halfGit{path, t})
	k.addGit(t, git, t.spell(filepath.Dir(path)))
}

// addGit listens to a git folder for what t has below top.
func (k *keeper) addGit(t *tree, git, top string) {
	g := k.gits[git]
	if g == nil {
		g = &gitdir{real: git, tops: map[*tree]map[string]struct{}{}}
	}
	if _, known := g.tops[t][top]; known {
		return
	}
	if k.gits[git] == nil {
		f := k.folders[git]
		if f == nil {
			info, err := os.Lstat(git)
			if err != nil || !info.IsDir() {
				return // verify looks again
			}
			f = k.open(git, info)
		}
		k.gits[git] = g
		k.arrange(f, nil)
		k.lookAtGit(g, false)
	}
	if g.tops[t] == nil {
		g.tops[t] = map[string]struct{}{}
	}
	g.tops[t][top] = struct{}{}
	k.sayTops(g)
}

// unlinkGit ends the listening of t to a git folder for what lies below top.
func (k *keeper) unlinkGit(t *tree, git, top string) {
	g := k.gits[git]
	if g == nil {
		return
	}
	delete(g.tops[t], top)
	if len(g.tops[t]) == 0 {
		delete(g.tops, t)
	}
	if len(g.tops) > 0 {
		k.sayTops(g)
		return
	}
	k.forgetGit(git)
	if f := k.folders[git]; f != nil {
		k.tidy(f)
	}
}

// dropGits ends all listening to git folders for t.
func (k *keeper) dropGits(t *tree) {
	for git, g := range k.gits {
		for top := range maps.Clone(g.tops[t]) {
			k.unlinkGit(t, git, top)
		}
	}
}

// forgetGit ends what a git folder that is gone holds back.
func (k *keeper) forgetGit(git string) {
	if k.gits[git] != nil {
		delete(k.gits, git)
		k.tellGit(git, signGone, nil)
	}
}

func (k *keeper) sayTops(g *gitdir) {
	all := map[string]struct{}{}
	for _, tops := range g.tops {
		maps.Copy(all, tops)
	}
	k.tellGit(g.real, signFound, slices.Sorted(maps.Keys(all)))
}

func (k *keeper) tellGit(git string, kind signKind, tops []string) {
	k.changes.put(change{sign: sign{git: git, kind: kind, tops: tops}})
}

// gitMoved turns an event about a name in a git folder into a sign.
func (k *keeper) gitMoved(g *gitdir, name string, o op) {
	switch {
	case name == gitLock && o.has(opCreate|opWrite):
		k.tellGit(g.real, signLock, nil)
	case name == gitLock && o.has(opGone):
		k.tellGit(g.real, signUnlock, nil)
	case slices.Contains(gitWork, name) && o != opAttrib:
		k.tellGit(g.real, signWork, nil)
	}
}

// lookAtGits looks at the git folders that send no notices. With tick it is
// the regular look, and without it somebody has seen changes.
func (k *keeper) lookAtGits(tick bool) {
	for _, g := range k.gits {
		f := k.folders[g.real]
		if f == nil || f.how == byKernel || f.how == byTwin {
			continue
		}
		if tick && f.how == byNothing {
			k.arrange(f, nil) // the kernel may take it by now
		}
		k.lookAtGit(g, false)
	}
}

// lookAtGit compares the files in a git folder that tell of work with what
// they were at the last look. After lost notices it tells of the lock whatever
// it was.
func (k *keeper) lookAtGit(g *gitdir, lost bool) {
	first := g.seen == nil
	now := map[string]stamp{}
	for _, name := range append([]string{gitLock}, gitWork...) {
		if info, err := os.Lstat(filepath.Join(g.real, name)); err == nil {
			now[name] = stampOf(info)
		}
	}
	before := g.seen
	g.seen = now
	_, locked := now[gitLock]
	switch {
	case lost && locked:
		k.tellGit(g.real, signLock, nil)
	case lost:
		k.tellGit(g.real, signUnlock, nil)
	case first:
		// The first sign of a git folder says all that there is.
	case locked && now[gitLock] != before[gitLock]:
		k.tellGit(g.real, signLock, nil)
	case !locked && before[gitLock] != stamp{}:
		k.tellGit(g.real, signUnlock, nil)
	case !maps.Equal(before, now):
		k.tellGit(g.real, signWork, nil)
	}
}
