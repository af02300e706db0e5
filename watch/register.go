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

// arrange gets notices for f: from the kernel, or else from the poller. t is
// the root that it is for; nil for a gate, which is never polled because
// verify looks at it anyway.
func (k *keeper) arrange(f *folder, t *tree) {
	if f.how != byNothing {
		return
	}
	if other := k.ids[f.id]; other != nil && other != f && f.id != (fileID{}) {
		info, err := os.Lstat(other.real)
		if id := (fileID{}); err == nil {
			if id, _ = idOf(info); id == f.id {
				f.how, f.twin = byTwin, other
				other.aliases = append(other.aliases, f)
				return
			}
		}
		// It moved from there, and the notice of that is still on its way. Its
		// watch must go first: the kernel would give the old one for the new path.
		k.forget(other)
	}
	if k.kernel == nil {
		k.poll(f, t)
		return
	}
	if name := k.silentFolder(f); name != "" {
		if t != nil {
			k.sayOnce("silent "+name+" "+t.Path, Notice{
				Text:   fmt.Sprintf("%s is on %s, where changes made elsewhere send no notice: it is looked at every %v", t.spell(f.real), name, k.opt.Poll),
				Remedy: "keep the project on a local disk for faster reactions",
			})
		}
		k.poll(f, t)
		return
	}
	err := k.kernel.add(f.real)
	if err == nil {
		f.how = byKernel
		if f.id != (fileID{}) {
			k.ids[f.id] = f
		}
		return
	}
	if outOfWatches(err) {
		if k.poll(f, t) {
			k.limited[f] = struct{}{}
			k.retry = time.Now().Add(retryPolls * k.opt.Poll)
		}
		return
	}
	switch {
	case t == nil, errors.Is(err, fs.ErrNotExist):
		// verify looks at gates, and a folder that is gone has a notice of its own
	case errors.Is(err, fs.ErrPermission):
		// enter says it: the folder cannot be listed either
	default:
		k.sayOnce("add "+err.Error(), Notice{
			Text: fmt.Sprintf("%s cannot be watched (%v): it is looked at every %v", t.spell(f.real), err, k.opt.Poll),
		})
		k.poll(f, t)
	}
}

// poll hands f to the poller, unless it is wanted for a gate alone.
func (k *keeper) poll(f *folder, t *tree) bool {
	if t == nil {
		return false
	}
	f.how = byPoll
	entries, ok := k.lists[f.real]
	if !ok {
		// When the folder cannot be read, all in it counts as new once it can.
		entries, _ = list(f.real)
		k.lists[f.real] = entries
	}
	k.poller.add(f.real, stampsOf(entries))
	return true
}

// silentFolder asks for the filesystem where it can differ: at the top, and
// where the device is not that of the folder above.
func (k *keeper) silentFolder(f *folder) string {
	parent := k.folders[filepath.Dir(f.real)]
	if parent != nil && parent != f && parent.how == byKernel && sameDevice(parent.id, f.id) {
		return ""
	}
	return k.silent(f.real)
}

// disarrange ends the notices for f.
func (k *keeper) disarrange(f *folder) {
	how := f.how
	f.how = byNothing
	delete(k.limited, f)
	switch how {
	case byPoll:
		k.poller.drop(f.real)
	case byTwin:
		f.twin.aliases = slices.DeleteFunc(f.twin.aliases, func(a *folder) bool { return a == f })
		f.twin = nil
	case byKernel:
		if k.ids[f.id] == f {
			delete(k.ids, f.id)
		}
		// The kernel drops the watch of a deleted folder by itself, so that an
		// error only says that it was faster.
		_ = k.kernel.remove(f.real)
		k.inherit(f)
	}
}

// inherit gives the watch of a folder to those that relied on it.
func (k *keeper) inherit(f *folder) {
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
		k.arrange(h, t)
	}
	if len(heirs) > 0 {
		// Between the two watches anything may have happened.
		now := time.Now()
		k.changes.put(change{first: now, last: now})
	}
}

// flush makes the kernel carry out what it put off. If it cannot, everything
// is polled.
func (k *keeper) flush() {
	if k.kernel == nil {
		return
	}
	err := k.kernel.flush()
	if err == nil {
		return
	}
	k.kernel = nil
	k.pollAll(err)
	clear(k.limited)
	for _, f := range k.folders {
		if f.how == byKernel {
			f.how = byNothing
			if len(f.trees) > 0 {
				k.poll(f, f.trees[0])
			}
		}
	}
	clear(k.lists)
	// Between the two anything may have happened.
	now := time.Now()
	k.changes.put(change{first: now, last: now})
}

// retryLimited asks the kernel again for the folders that it refused: the user
// may have raised the limit, or other programs released theirs.
func (k *keeper) retryLimited(now time.Time) {
	if len(k.limited) == 0 || now.Before(k.retry) {
		return
	}
	for f := range k.limited {
		if err := k.kernel.add(f.real); err != nil {
			k.retry = now.Add(retryPolls * k.opt.Poll)
			return
		}
		// The watch counts from here; what came before shows in a last look.
		k.poller.lookAt(f.real)
		k.poller.drop(f.real)
		delete(k.limited, f)
		f.how = byKernel
		if f.id != (fileID{}) {
			k.ids[f.id] = f
		}
	}
	delete(k.told, "limit")
	k.tell(Notice{Text: "the kernel sends notices for all folders again"})
}

// pollAll says why nothing can be watched by the kernel: because the user wants
// it so (err is nil), or because the system gives no watcher.
func (k *keeper) pollAll(err error) {
	if err == nil {
		k.tell(Notice{Text: fmt.Sprintf("polling is switched on: every folder is looked at every %v", k.opt.Poll)})
		return
	}
	k.tell(Notice{
		Text:   fmt.Sprintf("the system gives no file notices (%v): every folder is looked at every %v", err, k.opt.Poll),
		Remedy: moreInstances(),
	})
}

func (k *keeper) sayLimit() {
	if len(k.limited) == 0 || k.told["limit"] {
		return
	}
	k.sayOnce("limit", Notice{
		Text:   fmt.Sprintf("the limit of file watches is reached: %d folders are looked at every %v instead", len(k.limited), k.opt.Poll),
		Remedy: moreWatches(),
	})
}

func (k *keeper) sayOnce(key string, n Notice) {
	if !k.told[key] {
		k.told[key] = true
		k.tell(n)
	}
}
