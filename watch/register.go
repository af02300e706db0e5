package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// retryPolls is how many pauses of polling to leave the kernel alone after it
// refused a watch: 10 s by default.
const retryPolls = 20

// registry has the registered folders, and who sends the notices of each: the
// kernel, the poller, or another folder that is the same one. The keeper's
// goroutine owns it.
type registry struct {
	kernel kernel // nil: poll everything
	silent func(path string) string
	// moved is called for a folder that another one turns out to have been
	// before it was moved; it must be removed.
	moved   func(*folder)
	pause   time.Duration // of polling
	poller  *poller
	changes *mailbox[change]
	notes   *notes

	folders map[string]*folder
	ids     map[fileID]*folder
	lists   map[string][]entry // what was listed while handling one event
	limited map[*folder]struct{}
	retry   time.Time // when to try the limited folders again
}

func newRegistry(pause time.Duration, p *poller, changes *mailbox[change], n *notes) *registry {
	return &registry{
		silent: silent, pause: pause, poller: p, changes: changes, notes: n,
		folders: map[string]*folder{},
		ids:     map[fileID]*folder{},
		lists:   map[string][]entry{},
		limited: map[*folder]struct{}{},
	}
}

// list reads a folder, once while one event is handled: only the first call
// returns the error.
func (r *registry) list(real string) ([]entry, error) {
	if entries, ok := r.lists[real]; ok {
		return entries, nil
	}
	entries, err := list(real)
	r.lists[real] = entries
	return entries, err
}

// open makes the entry of a folder, without notices yet.
func (r *registry) open(real string, info fs.FileInfo) *folder {
	f := &folder{real: real, perm: info.Mode() & permBits}
	f.id, _ = idOf(info)
	r.folders[real] = f
	r.link(f)
	return f
}

// link makes f known to the folder that it is in. One that is known for its
// git, or as a root, can be there before the folder above it.
func (r *registry) link(f *folder) {
	if parent := r.folders[filepath.Dir(f.real)]; parent != nil && parent != f {
		if parent.kids == nil {
			parent.kids = map[string]*folder{}
		}
		parent.kids[filepath.Base(f.real)] = f
	}
}

// tidy removes a folder that nobody wants any more.
func (r *registry) tidy(f *folder) {
	if len(f.trees) == 0 && len(f.waiting) == 0 && f.git == nil && r.folders[f.real] == f {
		r.remove(f)
	} else if len(f.trees) == 0 && f.how == byPoll {
		// It is only an ancestor of a root now, and verify looks at these.
		r.poller.drop(f.real)
		delete(r.limited, f)
		f.how = byNothing
	}
}

func (r *registry) remove(f *folder) {
	delete(r.folders, f.real)
	if parent := r.folders[filepath.Dir(f.real)]; parent != nil && parent.kids[filepath.Base(f.real)] == f {
		delete(parent.kids, filepath.Base(f.real))
	}
	r.unregister(f)
}

// register gets notices for f: from the kernel, or else from the poller. t is
// the root that it is for; nil for an ancestor, which is never polled because
// verify looks at it anyway.
func (r *registry) register(f *folder, t *tree) {
	if f.how != byNothing {
		return
	}
	if r.known(f) {
		return
	}
	if r.kernel == nil {
		r.poll(f, t)
		return
	}
	if name := r.silentFolder(f); name != "" {
		if t != nil {
			r.notes.once("silent "+name+" "+t.Path, Notice{
				Text: fmt.Sprintf(
					"%s is on %s, where changes made elsewhere send no notice: it is looked at every %v", t.spell(f.real), name, r.pause),
				Remedy: "keep the project on a local disk for faster reactions",
			})
		}
		r.poll(f, t)
		return
	}
	err := r.kernel.add(f.real)
	if err == nil {
		f.how = byKernel
		if f.id != (fileID{}) {
			r.ids[f.id] = f
		}
		return
	}
	if outOfWatches(err) {
		if r.poll(f, t) {
			r.limited[f] = struct{}{}
			r.retry = time.Now().Add(retryPolls * r.pause)
		}
		return
	}
	switch {
	case t == nil, errors.Is(err, fs.ErrNotExist):
		// verify looks at ancestors, and a folder that is gone has a notice of its own
	case errors.Is(err, fs.ErrPermission):
		// enter says it: the folder cannot be listed either
	default:
		r.notes.once("add "+err.Error(), Notice{
			Text: fmt.Sprintf("%s cannot be watched (%v): it is looked at every %v", t.spell(f.real),
				err, r.pause),
		})
		r.poll(f, t)
	}
}

// known deals with a folder that is registered by another path, and says whether that leaves nothing to
// register: f is an alias of it, or was below the other and is gone with it.
func (r *registry) known(f *folder) bool {
	other := r.ids[f.id]
	if other == nil || other == f || f.id == (fileID{}) {
		return false
	}
	info, err := os.Lstat(other.real)
	if id := (fileID{}); err == nil {
		if id, _ = idOf(info); id == f.id {
			f.how, f.twin = aliased, other
			other.aliases = append(other.aliases, f)
			return true
		}
	}
	// It moved from there, and the notice of that is still on its way. Its
	// watch must go first: the kernel would give the old one for the new path.
	r.moved(other)
	return r.folders[f.real] != f
}

// poll hands f to the poller, unless it is only an ancestor.
func (r *registry) poll(f *folder, t *tree) bool {
	if t == nil {
		return false
	}
	f.how = byPoll
	// When the folder cannot be read, all in it counts as new once it can.
	entries, _ := r.list(f.real)
	r.poller.add(f.real, stampsOf(entries))
	return true
}

// silentFolder asks for the filesystem where it can differ: at the top, and
// where the device is not that of the folder above.
func (r *registry) silentFolder(f *folder) string {
	parent := r.folders[filepath.Dir(f.real)]
	if parent != nil && parent != f && parent.how == byKernel && sameDevice(parent.id, f.id) {
		return ""
	}
	return r.silent(f.real)
}

// unregister ends the notices for f.
func (r *registry) unregister(f *folder) {
	how := f.how
	f.how = byNothing
	delete(r.limited, f)
	switch how {
	case byPoll:
		r.poller.drop(f.real)
	case aliased:
		f.twin.aliases = slices.DeleteFunc(f.twin.aliases, func(a *folder) bool { return a == f })
		f.twin = nil
	case byKernel:
		if r.ids[f.id] == f {
			delete(r.ids, f.id)
		}
		// The kernel drops the watch of a deleted folder by itself, so that an
		// error only says that it was faster.
		_ = r.kernel.remove(f.real)
		r.inherit(f)
	}
}

// inherit returns the watch of a folder to those that relied on it.
func (r *registry) inherit(f *folder) {
	heirs := f.aliases
	f.aliases = nil
	for _, h := range heirs {
		h.how, h.twin = byNothing, nil
	}
	for _, h := range heirs {
		var t *tree
		if len(h.trees) > 0 {
			t = h.trees[0]
		}
		r.register(h, t)
	}
	if len(heirs) > 0 {
		// Between the two watches anything may have happened.
		now := time.Now()
		r.changes.put(change{first: now, last: now})
	}
}

// flush makes the kernel carry out what it put off. If it cannot, everything
// is polled.
func (r *registry) flush() {
	if r.kernel == nil {
		return
	}
	err := r.kernel.flush()
	if err == nil {
		return
	}
	r.kernel = nil
	r.pollAll(err)
	clear(r.limited)
	for _, f := range r.folders {
		if f.how == byKernel {
			f.how = byNothing
			if len(f.trees) > 0 {
				r.poll(f, f.trees[0])
			}
		}
	}
	clear(r.lists)
	// Between the two anything may have happened.
	now := time.Now()
	r.changes.put(change{first: now, last: now})
}

// retryLimited asks the kernel again for the folders that it refused: the user
// may have raised the limit, or other programs released theirs.
func (r *registry) retryLimited(now time.Time) {
	if len(r.limited) == 0 || now.Before(r.retry) {
		return
	}
	for f := range r.limited {
		if err := r.kernel.add(f.real); err != nil {
			r.retry = now.Add(retryPolls * r.pause)
			return
		}
		// The watch counts from here; what came before shows in a last look.
		r.poller.lookAt(f.real)
		r.poller.drop(f.real)
		delete(r.limited, f)
		f.how = byKernel
		if f.id != (fileID{}) {
			r.ids[f.id] = f
		}
	}
	r.notes.forget("limit")
	r.notes.tell(Notice{Text: "the kernel sends notices for all folders again"})
}

// pollAll says why nothing can be watched by the kernel: because the user wants
// it so (err is nil), or because the system has no watcher left.
func (r *registry) pollAll(err error) {
	if err == nil {
		r.notes.tell(
			Notice{Text: fmt.Sprintf("polling is switched on: every folder is looked at every %v", r.pause)})
		return
	}
	r.notes.tell(Notice{
		Text: fmt.Sprintf("the system has no file notices (%v): every folder is looked at every %v",
			err, r.pause),
		Remedy: moreInstances(),
	})
}

func (r *registry) sayLimit() {
	if len(r.limited) == 0 {
		return
	}
	r.notes.once("limit", Notice{
		Text: fmt.Sprintf("the limit of file watches is reached: %d folders are looked at every %v instead",
			len(r.limited), r.pause),
		Remedy: moreWatches(),
	})
}

// notes are the notices to the user about the watching itself.
type notes struct {
	tell func(Notice)
	sent map[string]bool
}

// once sends a notice unless one with the same key was sent before.
func (n *notes) once(key string, notice Notice) {
	if !n.sent[key] {
		n.sent[key] = true
		n.tell(notice)
	}
}

// forget lets a notice be sent again.
func (n *notes) forget(key string) { delete(n.sent, key) }
