package filesync

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// containerRecord is what is known of the files of a container. Nobody writes
// to its manifests.
type containerRecord struct {
	Has  Manifest `json:"has"`            // what sync rules put in or found in; nil when unknown
	Owes Manifest `json:"owes,omitempty"` // what is still to be deleted, at the next start
	// when the life began in which volumes that are empty at each start were filled; nanoseconds
	Life int64 `json:"life,omitempty"`
}

// BuildInputs is what a service's image was built from.
type BuildInputs struct {
	Context string   `json:"context"` // fingerprint of the whole build context
	Rebuild string   `json:"rebuild"` // fingerprint of the files that its rebuild rules name
	Files   Manifest `json:"has"`     // what its sync rules name as it was then, by path in the container
	// Foreign says that somebody else built the image: Files is what it had
	// when it was first seen, and the rest is not known.
	Foreign bool `json:"foreign,omitempty"`

	files Manifest // what its rebuild rules name, by path on the host; nil in what was stored
}

// records are the tables that outlive the process, and the owners, which do not.
type records struct {
	j *journal.Journal
	// there was a state that could not be used: see journal.Journal.Lost
	lost       bool
	containers *journal.Table[containerRecord] // by id
	images     *journal.Table[BuildInputs]     // by imageKey
	prepared   *journal.Table[string]          // fingerprint of what prepare last ran with, by service
	// what prepare writes among the files that it watches, by service
	outputs *journal.Table[journal.Paths]

	mu     sync.Mutex
	owners map[ownerKey]owner
	cut    map[string]bool // services whose last build was abandoned: see halfBuilt
}

// ownerKey is a container, and where a rule puts files in it.
type ownerKey struct{ id, top string }

// owner is whom files belong to there, in one life of the container: the last one
// in which somebody asked.
type owner struct {
	started  int64 // nanoseconds
	uid, gid int
}

func openRecords(j *journal.Journal) *records {
	r := &records{
		j: j, containers: journal.TableOf[containerRecord](j, "containers"),
		images:   journal.TableOf[BuildInputs](j, "images"),
		prepared: journal.TableOf[string](j, "prepare_fingerprints"),
		outputs:  journal.TableOf[journal.Paths](j, "prepare_outputs"), owners: map[ownerKey]owner{},
		cut: map[string]bool{},
	}
	r.lost = j.Lost() // opening a table may find out
	return r
}

func imageKey(service, id string) string { return service + " " + id }

// has returns what a container has of the files of its sync rules; nil when
// unknown.
func (r *records) has(id string) Manifest {
	c, _ := r.containers.Get(id)
	return c.Has
}

// The keys of what is intended; see journal.Journal.Intend.
func filesOf(id string) string        { return "files " + id }
func buildOf(service string) string   { return "build " + service }
func prepareOf(service string) string { return "prepare " + service }

// began drops what a container had in volumes that are empty at each start, when
// a new life of it has begun.
func (r *records) began(t Target) {
	life := t.Started.UnixNano()
	if c, _ := r.containers.Get(t.ID); len(t.Service.Emptied) == 0 || !t.Running || c.Life == life {
		return
	}
	r.change(t.ID, func(has, _ Manifest) {
		maps.DeleteFunc(has, func(at string, _ FileStat) bool { return emptied(t.Service, at) })
	})
	r.containers.Update(t.ID, func(c containerRecord) containerRecord { c.Life = life; return c })
}

// unknown is a file of which nothing is known but that it may be there, and ours.
func unknown(dir bool) FileStat {
	if dir {
		return FileStat{Mode: uint32(fs.ModeDir), Size: -1}
	}
	return FileStat{Size: -1}
}

// intend notes that an upload is about to be carried out.
func (r *records) intend(id string, u *upload) { r.j.Intend(filesOf(id), u.touches()) }

// touches lists the paths of the container that an upload changes, those of
// folders with a slash at their ends.
func (u *upload) touches() []string {
	paths := make([]string, 0, len(u.entries)+len(u.diff.deletes))
	add := func(at string, dir bool) {
		if dir {
			at += "/"
		}
		paths = append(paths, at)
	}
	for _, en := range u.entries {
		if en.file != "" {
			add(en.at, en.stat.isDir())
		}
	}
	for at := range u.diff.deletes {
		add(at, u.diff.have[at].isDir())
	}
	return paths
}

// doubt records that the outcome of what was intended is not known: what is on
// the disk is sent again, and what is not is deleted.
func (r *records) doubt(id string, paths []string) {
	r.change(id, func(has, _ Manifest) {
		for _, at := range paths {
			at, dir := strings.CutSuffix(at, "/")
			n := unknown(dir)
			had, known := has[at]
			n.Seen = !known || had.Seen
			has[at] = n
		}
	})
	r.j.Settle(filesOf(id))
}

// owes returns what is to be deleted in a container as soon as it runs.
func (r *records) owes(id string) Manifest {
	c, _ := r.containers.Get(id)
	return c.Owes
}

// change lets f alter what is known of a container: what it has, and what it owes.
func (r *records) change(id string, f func(has, owes Manifest)) {
	r.containers.Update(id, func(old containerRecord) containerRecord {
		c := containerRecord{Has: Manifest{}, Owes: Manifest{}, Life: old.Life}
		maps.Copy(c.Has, old.Has)
		maps.Copy(c.Owes, old.Owes)
		f(c.Has, c.Owes)
		return c
	})
}

// Forget drops what is known of a container that is gone.
func (y *Syncer) Forget(id string) {
	y.records.containers.Delete(id)
	y.records.j.Settle(filesOf(id))
	y.records.mu.Lock()
	defer y.records.mu.Unlock()
	maps.DeleteFunc(y.records.owners, func(k ownerKey, _ owner) bool { return k.id == id })
}

// Owes says whether something is to be deleted in a container as soon as it runs.
func (y *Syncer) Owes(id string) bool { return len(y.records.owes(id)) > 0 }

// owner returns whom files belong to in the life of a container that began at
// started; ok is false when nobody asked in it.
func (r *records) owner(k ownerKey, started int64) (o owner, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok = r.owners[k]
	return o, ok && o.started == started
}

// setOwner records that, in the place of what was so in the life before: a rule
// that restarts makes a life with each save.
func (r *records) setOwner(k ownerKey, o owner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners[k] = o
}

// baseline returns what an image has of the files of a service's sync rules,
// whoever built it; ok is false when it was never seen before.
func (r *records) baseline(service, imageID string) (t Manifest, ok bool) {
	in, ok := r.images.Get(imageKey(service, imageID))
	return in.Files, ok
}

// setBaseline records what an image that somebody else built has, and drops the
// service's other ones.
func (r *records) setBaseline(service, imageID string, t Manifest) {
	r.images.DeleteFunc(func(key string, in BuildInputs) bool {
		return in.Foreign && strings.HasPrefix(key, imageKey(service, ""))
	})
	r.images.Set(imageKey(service, imageID), BuildInputs{Files: maps.Clone(t), Foreign: true})
}

// BuildInputs reads what an image of the service would be built from now;
// imageID is the one that it has until now.
func (y *Syncer) BuildInputs(conf *project.Service, imageID string) BuildInputs {
	files, _ := y.records.baseline(conf.Name, imageID)
	rebuild := rebuildFiles(conf)
	return BuildInputs{
		Context: contextFingerprint(conf), Rebuild: rebuild.fingerprint(nil),
		Files: scanSync(conf, files), files: rebuild,
	}
}

// RecordBuild records what a service's newest image was built from, and drops
// the one before.
func (y *Syncer) RecordBuild(service, imageID, before string, in BuildInputs) {
	if before != imageID {
		y.records.images.Delete(imageKey(service, before))
	}
	y.records.images.Set(imageKey(service, imageID), in)
	y.records.setCut(service, false)
	y.records.j.Settle(buildOf(service))
}

// IntendBuild notes that a service's image is about to be built from in.
func (y *Syncer) IntendBuild(service string, in BuildInputs) {
	y.records.j.Intend(buildOf(service), nil)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.building[service] = in.files
}

// AbandonBuild notes that nobody waited for the outcome of a build: whatever asked for it still does.
// What was intended stays so, in the journal too. A build that is canceled, or whose engine is lost,
// may have named its image just before, and then that image would pass for the one that is recorded,
// or for somebody else's. Until a build is recorded, this process and the next one have the image
// made again; where nothing was made, that costs a build from the cache.
func (y *Syncer) AbandonBuild(service string) {
	y.records.setCut(service, true)
	y.mu.Lock()
	defer y.mu.Unlock()
	delete(y.building, service)
}

// BuiltOf says whether changed paths are, as far as the service's rebuild rules name them, what its
// last build was made of, or the one in progress is, whatever came of it; in this process or, of an
// image, before.
func (y *Syncer) BuiltOf(conf *project.Service, imageID string, paths []string) bool {
	y.mu.Lock()
	of, ok := y.building[conf.Name]
	y.mu.Unlock()
	if !ok {
		in, known := y.records.images.Get(imageKey(conf.Name, imageID))
		return known && !in.Foreign && !y.records.halfBuilt(conf.Name) &&
			in.Rebuild == rebuildFiles(conf).fingerprint(nil)
	}
	return !anyWithin(changedFiles(of, rebuildFiles(conf)), paths)
}

// anyWithin says whether a file is one of some paths of the host, or lies below
// one: a folder that goes away stands for all in it. It takes one look for each
// folder that a file lies in, however many paths there are: a batch of thousands
// is answered before the next one is handed out.
func anyWithin(files, paths []string) bool {
	all := make(map[string]bool, len(paths))
	for _, path := range paths {
		all[filepath.Clean(path)] = true
	}
	return slices.ContainsFunc(files, func(file string) bool {
		for !all[file] {
			dir := filepath.Dir(file)
			if dir == file {
				return false
			}
			file = dir
		}
		return true
	})
}

// halfBuilt says whether a build was cut short, by a sudden end or because nobody
// waited for it: then its image may have a name already, and nobody knows what it
// was built from.
func (r *records) halfBuilt(service string) bool {
	_, ok := r.j.Unsettled(buildOf(service))
	r.mu.Lock()
	defer r.mu.Unlock()
	return ok || r.cut[service]
}

func (r *records) setCut(service string, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.cut, service); cut {
		r.cut[service] = true
	}
}

// ContextChanged says whether a file of the build context changed since an
// image was built. Of an image that somebody else built that is not known, and
// the answer is no; of one that may be in a state that was lost, it is yes.
func (y *Syncer) ContextChanged(conf *project.Service, imageID string) bool {
	in, known := y.records.images.Get(imageKey(conf.Name, imageID))
	if y.records.halfBuilt(conf.Name) {
		return imageID != ""
	}
	if !known {
		return y.records.lost && imageID != ""
	}
	return !in.Foreign && in.Context != contextFingerprint(conf)
}

// RebuildChanged is ContextChanged for the files that the service's rebuild
// rules name.
func (y *Syncer) RebuildChanged(conf *project.Service, imageID string) bool {
	in, known := y.records.images.Get(imageKey(conf.Name, imageID))
	if y.records.halfBuilt(conf.Name) {
		return imageID != ""
	}
	if !known {
		rebuilds := slices.ContainsFunc(conf.Rules, func(r project.Rule) bool {
			return r.Action == project.Rebuild
		})
		return y.records.lost && imageID != "" && rebuilds
	}
	return !in.Foreign && in.Rebuild != rebuildFiles(conf).fingerprint(nil)
}
