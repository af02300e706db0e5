package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"time"

	"bulkhead/engine/project"
)

// remember notes what a container holds of its sync rules' files, when nothing is known of it. What an image of ours was built from is
// known. Of an image that somebody else built, and of rules with initial_sync, the container itself is asked; of what it does not have,
// only initial_sync says that it is to have it. fresh says that the container was just made from its image.
func (e *Engine) remember(ctx context.Context, s *service, id, imageID string, fresh bool) {
	have := table{}
	base, known := e.store.baseline(s.name, imageID)
	for i := range s.conf.Rules {
		r := &s.conf.Rules[i]
		if !copies(r) {
			continue
		}
		if known && !r.InitialSync {
			for at, n := range base {
				if _, ok := origin(r, at); ok {
					have[at] = n
				}
			}
			continue
		}
		disk, _ := scanRule(r)
		maps.DeleteFunc(disk, func(file string, _ fileNote) bool { return bound(s.conf, file) })
		found := e.ask(ctx, id, r, disk)
		for file, n := range disk {
			at := target(r, file)
			if is, ok := found[at]; ok {
				have[at] = is
			} else if !r.InitialSync {
				if n.mode().IsRegular() && n.Size <= hashed {
					n.Sum, _ = sumOf(file) // without it, the file is sent once more than it need be
				}
				have[at] = n
			}
		}
	}
	if fresh && !known {
		e.store.setBaseline(s.name, imageID, have)
	}
	e.store.change(id, func(now, _ table) { maps.Copy(now, have) })
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// spared is how much more than the files in question a container may send when it is asked what it has of them. Beyond that, it is
// cheaper to send them all.
const spared = 32 << 20

// ask finds out which of a rule's files a container has, and with which content.
func (e *Engine) ask(ctx context.Context, id string, r *project.Rule, disk table) table {
	found := table{}
	if len(disk) == 0 {
		return found
	}
	left, where := int64(spared), ""
	for file, n := range disk {
		left += n.Size
		where = common(where, target(r, file))
	}
	// An error leaves something unknown, and what is not known to be there is sent.
	_ = e.rt.List(ctx, id, where, func(at string, en Entry, content io.Reader) error {
		if left -= en.Size; left < 0 {
			return errEnough
		}
		file, ok := origin(r, at)
		n, wanted := disk[file]
		if !ok || !wanted {
			return nil
		}
		is := fileNote{Mode: uint32(en.Mode), Link: en.Link, Seen: en.Mode.Type() == n.mode().Type()}
		switch {
		case en.Mode.IsRegular() && en.Size == n.Size:
			sum, err := sumFrom(content)
			if err != nil {
				return err
			}
			is.Size, is.Sum = en.Size, sum
		case en.Mode&fs.ModeSymlink != 0 && n.mode()&fs.ModeSymlink != 0:
			is.Mode = n.Mode // a link has no mode of its own
		case !en.Mode.IsDir():
			is.Size = en.Size
		}
		found[at] = is
		return nil
	})
	return found
}

// common is the nearest folder that two paths of the container lie in, or the one that is above the other; "" is above nothing.
func common(a, b string) string {
	if a == "" {
		return b
	}
	for a != b && a != "/" {
		if _, in := inside(a, b); in {
			break
		}
		a = path.Dir(a)
	}
	return a
}

// holds is what a container has of the files of its sync rules.
func (e *Engine) holds(ctx context.Context, s *service, id, imageID string) table {
	have := e.store.files(id)
	if have == nil {
		e.remember(ctx, s, id, imageID, false)
		have = e.store.files(id)
	}
	return have
}

// catchUp gives a container that does not run what its rules' files have become since it was made or last synced.
func (e *Engine) catchUp(ctx context.Context, s *service, id, imageID string) error {
	if e.opts.NoWatch || !syncs(s.conf) {
		return nil
	}
	p := differences(s.conf, e.holds(ctx, s, id, imageID))
	left, err := e.send(ctx, s, id, p)
	if no := (*refusal)(nil); errors.As(err, &no) {
		// That is no reason not to start.
		e.warn(err.Error())
		left, err = no.paths, nil
	}
	e.mark(s, left)
	return err
}

// syncs says whether any rule of a service copies.
func syncs(conf *project.Service) bool {
	for i := range conf.Rules {
		if copies(&conf.Rules[i]) {
			return true
		}
	}
	return false
}

// differences compares all sync rules with what a container has.
func differences(conf *project.Service, have table) *parcel {
	p := newParcel(conf, have)
	for i := range conf.Rules {
		if r := &conf.Rules[i]; copies(r) {
			p.addAll(r)
		}
	}
	p.tidy()
	return p
}

// missed looks for what changed while nobody watched a container that is kept, and hands it to the lane, or marks it as stale.
func (e *Engine) missed(ctx context.Context, s *service) {
	e.mu.Lock()
	rs := s.held(0)
	e.mu.Unlock()
	for _, h := range rs {
		if h.in.State == StateRunning || h.in.State == StatePaused {
			if err := e.settleDeletes(ctx, s, h.in.ID); err != nil && ctx.Err() == nil {
				e.warn(err.Error())
			}
		}
	}
	w := newWork(time.Now())
	e.lookAtAll(ctx, s, w)
	if w.empty() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.mode == project.Auto && !e.opts.NoWatch {
		s.offer(w)
		return
	}
	maps.Copy(s.stale, w.paths)
	e.bump()
}
