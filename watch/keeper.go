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

// keeper knows which folders are registered for which root, and turns events
// into changes. One goroutine owns it.
type keeper struct {
	reg     *registry
	gits    *gits
	notes   *notes
	parents bool // whether the folder above a root is listened to as well
	changes *mailbox[change]

	trees []*tree
	dead  []*tree
}

func newKeeper(opt Options, p *poller, changes *mailbox[change], tell func(Notice)) *keeper {
	n := &notes{tell: tell, sent: map[string]bool{}}
	r := newRegistry(opt.Poll, p, changes, n)
	k := &keeper{reg: r, gits: newGits(r, changes), notes: n, parents: listenToParents, changes: changes}
	r.moved = k.forget
	return k
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
		k.gits.drop(t)
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
			for _, a := range t.place.ancestors {
				k.addAncestor(t, a)
			}
		}
		// From here on the ancestors tell of changes; what came before them shows now.
		if again := resolve(t.Path); again.real != t.place.real || !slices.Equal(again.ancestors,
			t.place.ancestors) {
			k.release(t)
			continue
		}
		k.gits.seek(t)
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
	for _, a := range t.place.ancestors {
		k.dropAncestor(t, a)
	}
	if f := k.reg.folders[t.place.real]; f != nil {
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
	k.reg.tidy(f)
}

func (k *keeper) addAncestor(t *tree, a ancestor) {
	f := k.reg.folders[a.dir]
	if f == nil {
		info, err := os.Lstat(a.dir)
		if err != nil || !info.IsDir() {
			return // settle looks again at once, and verify later
		}
		f = k.reg.open(a.dir, info)
	}
	if f.waiting == nil {
		f.waiting = map[string][]*tree{}
	}
	if !slices.Contains(f.waiting[a.name], t) {
		f.waiting[a.name] = append(f.waiting[a.name], t)
	}
	k.reg.register(f, nil)
}

func (k *keeper) dropAncestor(t *tree, a ancestor) {
	f := k.reg.folders[a.dir]
	if f == nil || !slices.Contains(f.waiting[a.name], t) {
		return // the folders above roots are not always listened to
	}
	left := slices.DeleteFunc(f.waiting[a.name], func(o *tree) bool { return o == t })
	if f.waiting[a.name] = left; len(left) == 0 {
		delete(f.waiting, a.name)
	}
	k.reg.tidy(f)
}

// enter registers the folder real for t, lists it, and goes on below. The
// order matters: what is made after the listing causes a notice, and what was
// made before it is in the list.
func (k *keeper) enter(ctx context.Context, t *tree, real string, info fs.FileInfo, at time.Time) {
	if ctx.Err() != nil {
		return
	}
	f := k.reg.folders[real]
	if id, ok := idOf(info); f != nil && ok && f.id != id {
		k.forget(f) // another folder stands in its place now
		f = nil
	}
	if f == nil {
		f = k.reg.open(real, info)
	} else {
		k.reg.link(f)
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
		k.reg.register(f, t)
	}
	if k.reg.folders[real] != f {
		return // one above it was forgotten with it, and the notice of that leads here again
	}
	k.enterBelow(ctx, t, f, learn, at)
}

// enterBelow goes on with what is in a folder: with learn it notes the modes of the files.
func (k *keeper) enterBelow(ctx context.Context, t *tree, f *folder, learn bool, at time.Time) {
	entries, err := k.reg.list(f.real)
	if errors.Is(err, fs.ErrPermission) {
		k.notes.once("permission "+t.Path, Notice{
			Text:   fmt.Sprintf("%s cannot be read: changes in it are not seen", t.spell(f.real)),
			Remedy: "give yourself the permission to read it, or ignore it",
		})
	}
	for _, e := range entries {
		path := filepath.Join(f.real, e.name)
		if e.name == ".git" {
			k.gits.found(t, path)
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
		if k.reg.folders[f.real] != f {
			return
		}
	}
}

// forget removes a folder that is gone from its place, and all below it.
func (k *keeper) forget(f *folder) {
	for _, kid := range f.kids {
		k.forget(kid)
	}
	for _, t := range f.trees {
		if t.place.real == f.real {
			k.markDead(t)
		}
	}
	for _, waiting := range f.waiting {
		for _, t := range waiting {
			k.markDead(t)
		}
	}
	k.gits.forget(f.real)
	k.reg.remove(f)
}

func (k *keeper) markDead(t *tree) {
	if !t.dead {
		t.dead = true
		k.dead = append(k.dead, t)
	}
}

// handle turns one event into changes, and keeps the registrations in step.
func (k *keeper) handle(ctx context.Context, e event) {
	if e.op.has(opLost) {
		if e.err != nil {
			k.notes.once(e.err.Error(), Notice{Text: e.err.Error()})
		}
		k.resync(ctx, e.last)
		return
	}
	dir, name := filepath.Split(e.path)
	dir = filepath.Clean(dir)
	if f := k.reg.folders[dir]; f != nil {
		all := append([]*folder{f}, f.aliases...)
		for _, f := range all {
			if k.reg.folders[f.real] == f { // handling may forget folders
				k.handleIn(ctx, f, name, e)
			}
		}
	} else if f := k.reg.folders[e.path]; f != nil && e.op.has(opGone) {
		// The notice of a root about itself.
		k.forget(f)
	}
	k.finish(ctx, e.last)
}

// handleIn handles an event about a name in f.
func (k *keeper) handleIn(ctx context.Context, f *folder, name string, e event) {
	real := filepath.Join(f.real, name)
	if f.git != nil {
		k.gits.moved(f.git, name, e.op)
	}
	if len(f.trees) == 0 && f.waiting[name] == nil && k.reg.folders[real] == nil {
		return // somebody else's work in /tmp or the home folder
	}
	back := e.op.has(opGone) && k.gone(f, name, real, e)
	if e.op.has(opCreate) || back {
		k.created(ctx, f, name, real, e)
	}
	if e.op.has(opWrite) && k.reg.folders[real] == nil {
		if _, skipped := f.skip[name]; !skipped {
			k.reportIn(f, real, false, e)
		}
	}
	if e.op == opAttrib {
		k.attrib(ctx, f, name, real, e)
	}
	if name == ".git" && e.op.has(opCreate|opWrite) {
		for _, t := range f.trees {
			k.gits.found(t, real)
		}
	}
	for _, t := range slices.Clone(f.waiting[name]) {
		switch {
		case t.dead:
		case e.op.has(opGone | opCreate):
			k.resettle(ctx, t, e.last)
		case t.place.real == real && t.stamp.mode.IsRegular():
			k.checkFile(t, e)
		case t.place.real == real && e.op.has(opAttrib):
			// A root that could not be read may have become readable.
			if sub := k.reg.folders[real]; sub != nil && sub.how == byNothing {
				k.resettle(ctx, t, e.last)
			}
		}
	}
}

// gone handles a name that went, and says whether a folder has it again. The notice of that need not
// come: where the folder above was registered again in between, the kernel has dropped the rest of
// what it had to say about the registration before.
func (k *keeper) gone(f *folder, name, real string, e event) (back bool) {
	sub := k.reg.folders[real]
	_, skipped := f.skip[name]
	delete(f.skip, name)
	f.modes.forget(name)
	if sub != nil {
		k.forget(sub)
	}
	k.reportIn(f, real, sub != nil || skipped, e)
	if sub == nil && !skipped {
		return false
	}
	info, err := os.Lstat(real)
	return err == nil && info.IsDir()
}

func (k *keeper) created(ctx context.Context, f *folder, name, real string, e event) {
	info, err := os.Lstat(real)
	if err != nil || !info.IsDir() {
		if sub := k.reg.folders[real]; sub != nil {
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
		sub := k.reg.folders[real]
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
		clear(k.reg.lists)
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
	clear(k.reg.lists)
	k.reg.flush()
	k.reg.sayLimit()
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
	k.gits.seekAll(k.trees)
	k.reg.flush()
	k.reg.retryLimited(now)
}

// resync puts the registrations right after notices were lost, and says so.
func (k *keeper) resync(ctx context.Context, at time.Time) {
	for _, f := range k.reg.folders {
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
	for _, d := range k.gits.dirs {
		k.gits.lookAt(d, true)
	}
	k.changes.put(change{first: at, last: at})
}
