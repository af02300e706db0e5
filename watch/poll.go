package watch

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// stamp is what the poller compares of a file. Nothing is ever opened.
type stamp struct {
	time int64 // modification time, Unix nanoseconds
	size int64
	id   fileID
	mode fs.FileMode // type and permission bits
}

// replaces says whether what has the stamp is another thing than what had old, of the same name.
func (s stamp) replaces(old stamp) bool {
	return s.mode.Type() != old.mode.Type() || old.mode.IsDir() && s.id != old.id
}

func stampOf(fi fs.FileInfo) stamp {
	s := stamp{time: fi.ModTime().UnixNano(), size: fi.Size(), mode: fi.Mode() & (fs.ModeType | permBits)}
	s.id, _ = idOf(fi)
	if fi.IsDir() {
		// A folder's own times and size follow its content, which is looked at by itself.
		s.time, s.size, s.mode = 0, 0, fs.ModeDir
	}
	return s
}

// stampsOf returns the stamps of what stands in a folder.
func stampsOf(names []entry) map[string]stamp {
	m := make(map[string]stamp, len(names))
	for _, n := range names {
		m[n.name] = inFolder(n.info)
	}
	return m
}

// inFolder is stampOf for what stands in a folder that is looked at: the
// permission bits of a folder count there.
func inFolder(fi fs.FileInfo) stamp {
	s := stampOf(fi)
	if fi.IsDir() {
		s.mode |= fi.Mode() & permBits
	}
	return s
}

// entry is one name in a folder.
type entry struct {
	name string
	info fs.FileInfo // of the name itself, symlinks not followed
}

// list reads a folder. Names that go while it is read are left out.
func list(dir string) ([]entry, error) {
	found, err := os.ReadDir(dir)
	if len(found) == 0 && err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, d := range found {
		if info, err := d.Info(); err == nil {
			entries = append(entries, entry{d.Name(), info})
		}
	}
	return entries, nil
}

// poller looks at folders again and again and posts the differences as events.
type poller struct {
	pause time.Duration
	post  *inbox
	wake  chan struct{} // capacity 1: there is something to look at

	mu   sync.Mutex
	dirs map[string]map[string]stamp
	took time.Duration // the last look at all of them
}

func newPoller(pause time.Duration, post *inbox) *poller {
	return &poller{pause: pause, post: post, wake: make(chan struct{}, 1), dirs: map[string]map[string]stamp{}}
}

// add starts looking at dir; known is what stands in it already. A folder that
// is looked at keeps the older stamps, so that no difference to them is lost.
func (p *poller) add(dir string, known map[string]stamp) {
	p.mu.Lock()
	if _, ok := p.dirs[dir]; !ok {
		p.dirs[dir] = known
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default: // a token is waiting already
	}
}

// late says how much later than a notice a change may be reported; zero while
// there is nothing to look at.
func (p *poller) late() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.dirs) == 0 {
		return 0
	}
	// A look that began before the change is followed by a pause and a whole one; half a pause is for what comes between.
	return max(p.pause, 10*p.took) + p.took + p.pause/2
}

func (p *poller) drop(dir string) {
	p.mu.Lock()
	delete(p.dirs, dir)
	p.mu.Unlock()
}

// run looks until ctx ends. Without folders it sleeps.
func (p *poller) run(ctx context.Context) error {
	timer := time.NewTimer(p.pause)
	defer timer.Stop()
	for {
		p.mu.Lock()
		idle := len(p.dirs) == 0
		p.mu.Unlock()
		if idle {
			select {
			case <-ctx.Done():
				return nil
			case <-p.wake:
			}
			timer.Reset(p.pause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		p.look(ctx)
		took := time.Since(began)
		p.mu.Lock()
		p.took = took
		p.mu.Unlock()
		// A large tree must not keep a core busy: a tenth of one at most.
		timer.Reset(max(p.pause, 10*took))
	}
}

// look compares all folders once.
func (p *poller) look(ctx context.Context) {
	p.mu.Lock()
	dirs := make([]string, 0, len(p.dirs))
	for dir := range p.dirs {
		dirs = append(dirs, dir)
	}
	p.mu.Unlock()
	for _, dir := range dirs {
		if ctx.Err() != nil {
			return
		}
		p.lookAt(dir)
	}
}

func (p *poller) lookAt(dir string) {
	entries, err := list(dir)
	now := time.Now()
	if err != nil {
		p.mu.Lock()
		_, still := p.dirs[dir]
		p.mu.Unlock()
		if _, gone := os.Lstat(dir); still && gone != nil {
			p.post.post(event{path: dir, op: opGone, first: now, last: now})
		}
		return // unreadable for the moment: compare with the old stamps next time
	}
	fresh := stampsOf(entries)
	p.mu.Lock()
	old, still := p.dirs[dir]
	if still {
		p.dirs[dir] = fresh
	}
	p.mu.Unlock()
	if !still {
		return // dropped meanwhile
	}
	// Neither is written to any more: another look may go over them at the same time.
	for name, o := range old {
		if n, ok := fresh[name]; !ok || n.replaces(o) {
			p.post.post(event{path: filepath.Join(dir, name), op: opGone, first: now, last: now})
		}
	}
	for name, n := range fresh {
		o, ok := old[name]
		switch {
		case !ok, n.replaces(o), o.id != n.id:
			p.post.post(event{path: filepath.Join(dir, name), op: opCreate, first: now, last: now})
		case o != n && n.mode.IsDir():
			p.post.post(event{path: filepath.Join(dir, name), op: opAttrib, first: now, last: now})
		case o != n:
			p.post.post(event{path: filepath.Join(dir, name), op: opWrite, first: now, last: now})
		}
	}
}
