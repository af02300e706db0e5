package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// attribFresh is how near to its notice a modification time must be to say
// that the attribute notice is about it (touch) and not about the owner or a
// permission. Kernel timestamps are a few milliseconds coarse.
const attribFresh = 2 * time.Second

// tree is a Root and what is known of it.
type tree struct {
	Root
	place place
	stamp stamp  // of the root itself; zero when it is missing
	git   string // the git folder that the root lies below; empty when there is none
	dead  bool   // its folder was forgotten: look at the root again
}

// ignored says whether the root leaves out the real path.
func (t *tree) ignored(real string, dir bool) bool {
	return t.Ignore != nil && t.Ignore(t.spell(real), dir)
}

// spell gives a real path below the root as it is spelled through the root.
func (t *tree) spell(real string) string {
	rel, ok := below(t.place.real, real)
	if !ok || t.place.real == t.Path {
		return real
	}
	return filepath.Join(t.Path, rel)
}

// folder is a registered folder. Its real path is free of symlinks.
type folder struct {
	real  string
	id    fileID
	trees []*tree             // who wants all that happens in it
	gates map[string][]*tree  // who wants to know about one name in it
	kids  map[string]*folder  // registered folders in it
	skip  map[string]struct{} // folders in it that somebody ignores
	modes modes               // of the files in it
	perm  fs.FileMode         // its own permission bits
	how   how
	// The kernel has one watch per folder and names it by one path. When the
	// same folder is reached by another (a bind mount), that one is an alias.
	twin    *folder   // set on an alias: who has the watch
	aliases []*folder // the other side of twin
}

// how says where the notices of a folder come from.
type how uint8

const (
	byNothing how = iota
	byKernel
	byPoll
	byTwin
)

// keeper knows which folders are registered for which root, and turns events
// into changes. One goroutine owns it.
type keeper struct {
	opt     Options
	kernel  kernel // nil: poll everything
	silent  func(path string) string
	parents bool // whether the folder above a root is listened to as well
	poller  *poller
	changes *mailbox[change]
	tell    func(Notice)

	trees   []*tree
	folders map[string]*folder
	ids     map[fileID]*folder
	lists   map[string][]entry // what was listed while handling one event
	dead    []*tree
	told    map[string]bool // notices are said once
	limited map[*folder]struct{}
	retry   time.Time // when to try the limited folders again

	gits     map[string]*gitdir // by real path
	halfGits map[halfGit]struct{}
}

func newKeeper(opt Options, p *poller, changes *mailbox[change], tell func(Notice)) *keeper {
	return &keeper{
		opt: opt, poller: p, changes: changes, tell: tell, silent: silent, parents: listenToParents,
		folders: map[string]*folder{},
		ids:     map[fileID]*folder{},
		lists:   map[string][]entry{},
		told:    map[string]bool{},
		limited: map[*folder]struct{}{},

		gits:     map[string]*gitdir{},
		halfGits: map[halfGit]struct{}{},
	}
}

// setRoots replaces the trees. The new ones are registered before the old ones
// are released, so that a folder of both keeps its watch.
func (k *keeper) setRoots(ctx context.Context, roots []Root) {
	old := k.trees
	k.trees = make([]*tree, len(roots))
	for i, r := range roots {
		k.trees[i] = &tree{Root: r}
		k.settle(ctx, k.trees[i], time.Time{})
	}
	for _, t := range old {
		k.release(t)
		k.dropGits(t)
	}
	k.finish(ctx, time.Time{})
}

// settle finds out what the path of t means, and registers it. A time means
// that what is found is new and reported as of then.
func (k *keeper) settle(ctx context.Context, t *tree, at time.Time) {
	for range 10 { // the way to a root can change while it is walked; verify looks again later
		t.place = resolve(t.Path)
		t.stamp = stamp{}
		t.dead = false
		dir := false
		if t.place.info != nil {
			t.stamp = stampOf(t.place.info)
			dir = t.place.info.IsDir()
		}
		if k.parents || t.place.info != nil && !dir {
			for _, g := range t.place.gates {
				k.addGate(t, g)
			}
		}
		// From here on the gates tell of changes; what came before them shows now.
		if again := resolve(t.Path); again.real != t.place.real || !slices.Equal(again.gates, t.place.gates) {
			k.release(t)
			continue
		}
		k.seekGit(t)
		if dir {
			k.enter(ctx, t, t.place.real, t.place.info, at)
		}
		return
	}
	t.dead = true
	k.dead = append(k.dead, t)
}

// resettle looks at a root again after something happened to it or on the way
// to it, and reports it if it came, went, or became something else.
func (k *keeper) resettle(ctx context.Context, t *tree, at time.Time) {
	before := t.stamp
	k.release(t)
	k.settle(ctx, t, at)
	if before != (stamp{}) || t.stamp != (stamp{}) {
		k.report(t.Path, at, at)
	}
}

// release ends all registrations for t.
func (k *keeper) release(t *tree) {
	for _, g := range t.place.gates {
		k.dropGate(t, g)
	}
	if f := k.folders[t.place.real]; f != nil {
		k.leave(t, f)
	}
}

func (k *keeper) leave(t *tree, f *folder) {
	i := slices.Index(f.trees, t)
	if i < 0 {
		return
	}
	f.trees = slices.Delete(f.trees, i, i+1)
	for _, kid := range f.kids {
		k.leave(t, kid)
	}
	k.tidy(f)
}

func (k *keeper) addGate(t *tree, g gate) {
	f := k.folders[g.dir]
	if f == nil {
		info, err := os.Lstat(g.dir)
		if err != nil || !info.IsDir() {
			return // settle looks again at once, and verify later
		}
		f = k.open(g.dir, info)
	}
	if f.gates == nil {
		f.gates = map[string][]*tree{}
	}
	if !slices.Contains(f.gates[g.name], t) {
		f.gates[g.name] = append(f.gates[g.name], t)
	}
	k.arrange(f, nil)
}

func (k *keeper) dropGate(t *tree, g gate) {
	f := k.folders[g.dir]
	if f == nil || !slices.Contains(f.gates[g.name], t) {
		return // the folders above roots are not always listened to
	}
	left := slices.DeleteFunc(f.gates[g.name], func(o *tree) bool { return o == t })
	if f.gates[g.name] = left; len(left) == 0 {
		delete(f.gates, g.name)
	}
	k.tidy(f)
}

// enter registers the folder real for t, lists it, and goes on below. The
// order matters: what is made after the listing causes a notice, and what was
// made before it is in the list.
func (k *keeper) enter(ctx context.Context, t *tree, real string, info fs.FileInfo, at time.Time) {
	if ctx.Err() != nil {
		return
	}
	f := k.folders[real]
	if id, ok := idOf(info); f != nil && ok && f.id != id {
		k.forget(f) // another folder stands in its place now
		f = nil
	}
	if f == nil {
		f = k.open(real, info)
	} else {
		k.link(f)
	}
	if !slices.Contains(f.trees, t) {
		f.trees = append(f.trees, t)
	}
	// Where nothing is reported, what is known stays: a notice of what differs from it may be on its way.
	learn := !f.modes.known || !at.IsZero()
	if learn {
		f.modes.known, f.perm = true, info.Mode()&permBits
	}
	if f.how == byNothing {
		k.arrange(f, t)
	}
	entries, ok := k.lists[real]
	if !ok {
		var err error
		if entries, err = list(real); errors.Is(err, fs.ErrPermission) {
			k.sayOnce("permission "+t.Path, Notice{
				Text:   fmt.Sprintf("%s cannot be read: changes in it are not seen", t.spell(real)),
				Remedy: "give yourself the permission to read it, or ignore it",
			})
		}
		k.lists[real] = entries
	}
	for _, e := range entries {
		path := filepath.Join(real, e.name)
		if e.name == ".git" {
			k.foundGit(t, path)
		}
		if !e.info.IsDir() {
			if learn {
				f.modes.note(e.name, e.info)
			}
			if !at.IsZero() && !t.ignored(path, false) {
				k.report(t.spell(path), at, at)
			}
			continue
		}
		if t.ignored(path, true) {
			f.noteSkip(e.name)
			continue
		}
		if !at.IsZero() {
			k.report(t.spell(path), at, at)
		}
		k.enter(ctx, t, path, e.info, at)
	}
}

func (f *folder) noteSkip(name string) {
	if f.skip == nil {
		f.skip = map[string]struct{}{}
	}
	f.skip[name] = struct{}{}
}

// open makes the entry of a folder, without notices yet.
func (k *keeper) open(real string, info fs.FileInfo) *folder {
	f := &folder{real: real, perm: info.Mode() & permBits}
	f.id, _ = idOf(info)
	k.folders[real] = f
	k.link(f)
	return f
}

// link makes f known to the folder that it is in. One that is known for its
// git, or as a root, can be there before the folder above it.
func (k *keeper) link(f *folder) {
	if parent := k.folders[filepath.Dir(f.real)]; parent != nil && parent != f {
		if parent.kids == nil {
			parent.kids = map[string]*folder{}
		}
		parent.kids[filepath.Base(f.real)] = f
	}
}

// tidy removes a folder that nobody wants any more.
func (k *keeper) tidy(f *folder) {
	if len(f.trees) == 0 && len(f.gates) == 0 && k.gits[f.real] == nil && k.folders[f.real] == f {
		k.remove(f)
	} else if len(f.trees) == 0 && f.how == byPoll {
		// Only a gate is left, and verify looks at those.
		k.poller.drop(f.real)
		delete(k.limited, f)
		f.how = byNothing
	}
}

// forget removes a folder that is gone from its place, and all below it.
func (k *keeper) forget(f *folder) {
	for _, kid := range f.kids {
		k.forget(kid)
	}
	for _, t := range f.trees {
		if t.place.real == f.real {
			k.bury(t)
		}
	}
	for _, waiting := range f.gates {
		for _, t := range waiting {
			k.bury(t)
		}
	}
	k.forgetGit(f.real)
	k.remove(f)
}

func (k *keeper) bury(t *tree) {
	if !t.dead {
		t.dead = true
		k.dead = append(k.dead, t)
	}
}

func (k *keeper) remove(f *folder) {
	delete(k.folders, f.real)
	if parent := k.folders[filepath.Dir(f.real)]; parent != nil && parent.kids[filepath.Base(f.real)] == f {
		delete(parent.kids, filepath.Base(f.real))
	}
	k.disarrange(f)
}

// handle turns one event into changes, and keeps the registrations in step.
func (k *keeper) handle(ctx context.Context, e event) {
	if e.op.has(opLost) {
		if e.err != nil {
			k.sayOnce(e.err.Error(), Notice{Text: e.err.Error()})
		}
		k.resync(ctx, e.last)
		return
	}
	dir, name := filepath.Split(e.path)
	dir = filepath.Clean(dir)
	if f := k.folders[dir]; f != nil {
		all := append([]*folder{f}, f.aliases...)
		for _, f := range all {
			if k.folders[f.real] == f { // handling may forget folders
				k.handleIn(ctx, f, name, e)
			}
		}
	} else if f := k.folders[e.path]; f != nil && e.op.has(opGone) {
		// The notice of a root about itself.
		k.forget(f)
	}
	k.finish(ctx, e.last)
}

// handleIn handles an event about a name in f.
func (k *keeper) handleIn(ctx context.Context, f *folder, name string, e event) {
	real := filepath.Join(f.real, name)
	if g := k.gits[f.real]; g != nil {
		k.gitMoved(g, name, e.op)
	}
	if len(f.trees) == 0 && f.gates[name] == nil && k.folders[real] == nil {
		return // somebody else's work in /tmp or the home folder
	}
	if e.op.has(opGone) {
		k.gone(f, name, real, e)
	}
	if e.op.has(opCreate) {
		k.created(ctx, f, name, real, e)
	}
	if e.op.has(opWrite) && k.folders[real] == nil {
		if _, skipped := f.skip[name]; !skipped {
			k.reportIn(f, real, false, e)
		}
	}
	if e.op == opAttrib {
		k.attrib(ctx, f, name, real, e)
	}
	if name == ".git" && e.op.has(opCreate|opWrite) {
		for _, t := range f.trees {
			k.foundGit(t, real)
		}
	}
	waiting := slices.Clone(f.gates[name])
	for _, t := range waiting {
		switch {
		case t.dead:
		case e.op.has(opGone | opCreate):
			k.resettle(ctx, t, e.last)
		case t.place.real == real && t.stamp.mode.IsRegular():
			k.checkFile(t, e)
		case t.place.real == real && e.op.has(opAttrib):
			// A root that could not be read may have become readable.
			if sub := k.folders[real]; sub != nil && sub.how == byNothing {
				k.resettle(ctx, t, e.last)
			}
		}
	}
}

func (k *keeper) gone(f *folder, name, real string, e event) {
	sub := k.folders[real]
	_, skipped := f.skip[name]
	delete(f.skip, name)
	f.modes.forget(name)
	if sub != nil {
		k.forget(sub)
	}
	k.reportIn(f, real, sub != nil || skipped, e)
}

func (k *keeper) created(ctx context.Context, f *folder, name, real string, e event) {
	info, err := os.Lstat(real)
	if err != nil || !info.IsDir() {
		if sub := k.folders[real]; sub != nil {
			k.forget(sub) // a file took the folder's name
		}
		delete(f.skip, name)
		if err == nil {
			f.modes.note(name, info)
		}
		k.reportIn(f, real, false, e)
		return
	}
	f.modes.forget(name)
	for _, t := range slices.Clone(f.trees) {
		if t.ignored(real, true) {
			f.noteSkip(name)
			continue
		}
		k.report(t.spell(real), e.first, e.last)
		k.enter(ctx, t, real, info, e.last)
	}
}

// attrib decides whether an attribute notice means a change: see Batch.
func (k *keeper) attrib(ctx context.Context, f *folder, name, real string, e event) {
	if len(f.trees) == 0 {
		return
	}
	info, err := os.Lstat(real)
	if err != nil {
		return // its going has a notice of its own
	}
	if info.IsDir() {
		sub := k.folders[real]
		switch {
		case sub == nil: // ignored
		case sub.how == byNothing:
			k.created(ctx, f, name, real, e) // it may have become readable
		case sub.perm != info.Mode()&permBits:
			sub.perm = info.Mode() & permBits
			k.reportIn(f, real, true, e)
		}
		return
	}
	if f.modes.note(name, info) || fresh(info, e.last) {
		k.reportIn(f, real, false, e)
	}
}

func fresh(info fs.FileInfo, at time.Time) bool {
	return at.Sub(info.ModTime()).Abs() < attribFresh
}

// checkFile handles a write or attribute notice about a root that is a file.
func (k *keeper) checkFile(t *tree, e event) {
	info, err := os.Lstat(t.place.real)
	if err != nil {
		return // its going has a notice of its own
	}
	now := stampOf(info)
	if e.op.has(opWrite) || now.mode != t.stamp.mode || fresh(info, e.last) {
		k.report(t.Path, e.first, e.last)
	}
	t.stamp = now
}

// reportIn reports a real path in f through every root that wants it.
func (k *keeper) reportIn(f *folder, real string, dir bool, e event) {
	for _, t := range f.trees {
		if !t.ignored(real, dir) {
			k.report(t.spell(real), e.first, e.last)
		}
	}
}

func (k *keeper) report(path string, first, last time.Time) {
	k.changes.put(change{path: path, first: first, last: last})
}

// finish ends the handling of one event: listings are only good during it, and
// roots that lost their folder are looked at again.
func (k *keeper) finish(ctx context.Context, at time.Time) {
	for n := 0; len(k.dead) > 0 && n < 1000 && ctx.Err() == nil; n++ {
		clear(k.lists)
		t := k.dead[0]
		k.dead = k.dead[1:]
		if !slices.Contains(k.trees, t) {
			continue
		}
		if at.IsZero() {
			at = time.Now()
		}
		k.resettle(ctx, t, at)
	}
	clear(k.lists)
	k.flush()
	k.sayLimit()
}

// verify looks whether the roots are still what they were. It finds what has
// no notice: a folder far above a root that moved, and anything about a root
// whose surroundings are on a silent filesystem.
func (k *keeper) verify(ctx context.Context, now time.Time) {
	for _, t := range k.trees {
		var s stamp
		if info, err := os.Stat(t.Path); err == nil {
			s = stampOf(info)
		}
		if s != t.stamp || t.dead {
			k.resettle(ctx, t, now)
			k.finish(ctx, now)
		}
	}
	k.seekGits()
	k.flush()
	k.retryLimited(now)
}

// resync puts the registrations right after notices were lost, and says so.
func (k *keeper) resync(ctx context.Context, at time.Time) {
	for _, f := range k.folders {
		info, err := os.Lstat(f.real)
		id := fileID{}
		if err == nil {
			id, _ = idOf(info)
		}
		if err != nil || !info.IsDir() || id != f.id {
			k.forget(f)
		}
		f.modes = modes{} // a notice of a chmod may be among the lost
	}
	for _, t := range k.trees {
		if !t.dead && t.place.info != nil && t.place.info.IsDir() {
			k.enter(ctx, t, t.place.real, t.place.info, time.Time{})
		}
	}
	k.finish(ctx, at)
	for _, g := range k.gits {
		k.lookAtGit(g, true)
	}
	k.changes.put(change{first: at, last: at})
}
