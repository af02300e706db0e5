package filesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// Runtime is what a sync needs of the port. A runtime that cannot write files
// answers with container.ErrUnsupported.
type Runtime interface {
	container.FileWriter
	container.FileReader
	Inspect(ctx context.Context, id string) (container.Instance, error)
}

// Syncer keeps containers equal to the disk. Its methods may be called from any
// goroutine, for one container by one at a time.
type Syncer struct {
	Prepares *Prepares // the commands whose outputs are copied or built

	rt      Runtime
	records *records
	warn    func(string)

	mu       sync.Mutex
	warned   map[string]bool     // lines that warn got
	building map[string]Manifest // what the last builds of this process were made of, by service
}

// New makes a syncer that keeps its records in j. warn shows one line to the
// user; nil drops it.
func New(rt Runtime, j *journal.Journal, warn func(text string)) *Syncer {
	r := openRecords(j)
	return &Syncer{Prepares: &Prepares{records: r, all: map[string]*prepared{}}, rt: rt, records: r, warn: warn,
		warned: map[string]bool{}, building: map[string]Manifest{}}
}

// report says what of the host cannot be copied whatever its permissions are,
// each once.
func (y *Syncer) report(d *Diff, unreadable map[string]error) {
	var lines []string
	for file, kind := range d.odd {
		lines = append(lines, fmt.Sprintf("%s: %s is %s, so it is not copied",
			d.conf.Name, project.Relative(d.conf.Dir, file), kind))
	}
	for file, err := range unreadable {
		if why := whyNot(d.conf, file, err); why != "" {
			lines = append(lines, d.conf.Name+": "+why)
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		y.mu.Lock()
		known := y.warned[line]
		y.warned[line] = true
		y.mu.Unlock()
		if !known && y.warn != nil {
			y.warn(line)
		}
	}
}

// Target is one container of a service.
type Target struct {
	Service *project.Service
	ID      string
	ImageID string
	Started time.Time // of its present life; zero before the first
	Running bool
}

// LeftOut is a file on the host that was not copied.
type LeftOut struct {
	Path string
	// what stands in the way, in the container or on the host; "" when the permissions
	// of the file do, or the container has to run first
	Why  string
	Said bool // the user was shown a line already
	// Again says that it may work later, without anything being done on the host.
	Again bool
}

// Refused is the error of a copy of which nothing can be done, because of what
// stands in the container.
type Refused struct {
	Service string
	Left    []LeftOut
}

// Again says that it may work later, without anything being done on the host.
func (r *Refused) Again() bool {
	return slices.ContainsFunc(r.Left, func(l LeftOut) bool { return l.Again })
}

// Error names the first of the reasons.
func (r *Refused) Error() string {
	first := ""
	for _, l := range r.Left {
		if l.Why != "" && (first == "" || l.Why < first) {
			first = l.Why
		}
	}
	return "copy into " + r.Service + ": " + first
}

// RecordInitial records what a container holds of its sync rules' files, when
// nothing is known of it. What an image of ours was built from is known. Of an
// image that somebody else built, and of rules with initial_sync, the container
// itself is asked; of what it does not have, only initial_sync says that it is
// to have it, unless the state was lost: then what it does not have may be owed
// to it. fresh says that the container was just made from its image.
func (y *Syncer) RecordInitial(ctx context.Context, t Target, fresh bool) {
	has := Manifest{}
	d := newDiff(t.Service, nil)
	all := d.trees
	defer all.close()
	base, known := y.records.baseline(t.Service.Name, t.ImageID)
	for i := range t.Service.Rules {
		r := &t.Service.Rules[i]
		if !r.Action.Syncs() {
			continue
		}
		if known && !r.InitialSync {
			for at, n := range base {
				if _, ok := origin(r, at); ok && !d.overruled(r, at) {
					has[at] = n
				}
			}
			continue
		}
		tr, err := all.of(r.Path)
		if err != nil {
			continue
		}
		disk := all.scanRule(r).files
		maps.DeleteFunc(disk, func(file string, _ FileStat) bool {
			return t.Service.Bound(file) || d.overruled(r, target(r, file))
		})
		found := y.readContainer(ctx, t.ID, r, disk)
		for file, n := range disk {
			at := target(r, file)
			if is, ok := found[at]; ok {
				has[at] = is
			} else if !r.InitialSync && (fresh || !y.records.lost) {
				has[at] = n.withSum(tr, file)
			}
		}
	}
	if fresh && !known {
		y.records.setBaseline(t.Service.Name, t.ImageID, has)
	}
	y.records.change(t.ID, func(now, _ Manifest) { maps.Copy(now, has) })
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// maxListed is how much more than the files in question, in bytes, a container
// may send when it is asked what it has of them. Beyond that, it is cheaper to
// send them all.
const maxListed = 32 << 20

// readContainer finds out which of a rule's files a container has, and with
// which content.
func (y *Syncer) readContainer(ctx context.Context, id string, r *project.Rule, disk Manifest) Manifest {
	found := Manifest{}
	if len(disk) == 0 {
		return found
	}
	left, where := int64(maxListed), ""
	for file, n := range disk {
		left += n.Size
		where = common(where, target(r, file))
	}
	// An error leaves something unknown, and what is not known to be there is sent.
	_ = y.rt.List(ctx, id, where, func(at string, en container.Entry, content io.Reader) error {
		if left -= en.Size; left < 0 {
			return errEnough
		}
		file, ok := origin(r, at)
		n, wanted := disk[file]
		if !ok || !wanted {
			return nil
		}
		is := FileStat{Mode: uint32(en.Mode), Link: en.Link, Seen: en.Mode.Type() == n.mode().Type()}
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

// common is the nearest folder that two paths of the container lie in, or the
// one that is above the other; "" is above nothing.
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

// has is what a container has of the files of its sync rules.
func (y *Syncer) has(ctx context.Context, t Target) Manifest {
	if y.records.has(t.ID) == nil {
		y.RecordInitial(ctx, t, false)
	}
	y.records.began(t)
	if paths, cut := y.records.j.Unsettled(filesOf(t.ID)); cut {
		y.records.doubt(t.ID, paths)
	}
	return y.records.has(t.ID)
}

// CatchUp sends a container that does not run what its rules' files have become
// since it was made or last synced. That the container refuses all of it is not
// an error: it may start without.
func (y *Syncer) CatchUp(ctx context.Context, t Target) (left []LeftOut, err error) {
	left, err = y.Send(ctx, t, diffAll(t.Service, y.has(ctx, t)))
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return refused.Left, nil
	}
	return left, err
}

// Compare compares the paths on the host that changed, by the index of the rule
// that claims them, with what a container has.
func (y *Syncer) Compare(ctx context.Context, t Target, changed map[int]map[string]struct{}) *Diff {
	d := newDiff(t.Service, y.has(ctx, t))
	for _, i := range slices.Sorted(maps.Keys(changed)) {
		r := &t.Service.Rules[i]
		before, bound := d.size(), false
		for _, f := range slices.Sorted(maps.Keys(changed[i])) {
			bound = bound || t.Service.Bound(f)
			d.add(r, f)
		}
		d.addNoted(r)
		d.differs = d.differs || d.size() > before
		if d.size() > before || bound {
			d.rules = append(d.rules, i)
		}
	}
	d.finish()
	y.report(d, d.unreadable)
	y.learn(t.ID, d)
	return d
}

// Rescan compares everything that a service's sync rules name with what a
// container has, and returns the paths on the host that differ, by the index of
// the rule.
func (y *Syncer) Rescan(ctx context.Context, t Target) map[int][]string {
	out := map[int][]string{}
	if !t.Service.Syncs() {
		return out
	}
	has := y.has(ctx, t)
	for i := range t.Service.Rules {
		r := &t.Service.Rules[i]
		if !r.Action.Syncs() {
			continue
		}
		d := newDiff(t.Service, has)
		d.addAll(r)
		d.finish()
		y.report(d, d.unreadable)
		if paths := d.paths(); len(paths) > 0 {
			out[i] = paths
		}
		y.learn(t.ID, d)
	}
	return out
}

// learn records what a comparison found out, whether its result is sent or not.
func (y *Syncer) learn(id string, d *Diff) {
	renewed, forgotten := d.renewed, d.forgotten
	if !d.empty() {
		forgotten = nil // what is sent makes it so
	}
	if len(renewed)+len(forgotten) == 0 {
		return
	}
	y.records.change(id, func(has, _ Manifest) {
		maps.Copy(has, renewed)
		for _, at := range forgotten {
			delete(has, at)
		}
	})
}
