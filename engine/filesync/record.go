package filesync

import (
	"maps"
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
}

// BuildInputs is what a service's image was built from.
type BuildInputs struct {
	Context string   `json:"context"` // fingerprint of the whole build context
	Rebuild string   `json:"rebuild"` // fingerprint of the files that its rebuild rules name
	Files   Manifest `json:"has"`     // what its sync rules name as it was then, by path in the container
	// Foreign says that somebody else built the image: Files is what it had
	// when it was first seen, and the rest is not known.
	Foreign bool `json:"foreign,omitempty"`
}

// records are the tables that outlive the process, and the owners, which do not.
type records struct {
	lost       bool                            // there was a state that could not be used: see journal.Journal.Lost
	containers *journal.Table[containerRecord] // by id
	images     *journal.Table[BuildInputs]     // by imageKey
	prepared   *journal.Table[string]          // fingerprint of what prepare last ran with, by service

	mu     sync.Mutex
	owners map[ownerKey][2]int
}

// ownerKey is what a file's owner depends on: one life of a container, and
// where a rule puts files.
type ownerKey struct {
	id      string
	started int64 // nanoseconds
	top     string
}

func openRecords(j *journal.Journal) *records {
	r := &records{
		containers: journal.TableOf[containerRecord](j, "containers"), images: journal.TableOf[BuildInputs](j, "images"),
		prepared: journal.TableOf[string](j, "prepare_fingerprints"), owners: map[ownerKey][2]int{},
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

// owes returns what is to be deleted in a container as soon as it runs.
func (r *records) owes(id string) Manifest {
	c, _ := r.containers.Get(id)
	return c.Owes
}

// change lets f alter what is known of a container: what it has, and what it owes.
func (r *records) change(id string, f func(has, owes Manifest)) {
	r.containers.Update(id, func(old containerRecord) containerRecord {
		c := containerRecord{Has: Manifest{}, Owes: Manifest{}}
		maps.Copy(c.Has, old.Has)
		maps.Copy(c.Owes, old.Owes)
		f(c.Has, c.Owes)
		return c
	})
}

// Forget drops what is known of a container that is gone.
func (y *Syncer) Forget(id string) {
	y.records.containers.Delete(id)
	y.records.mu.Lock()
	defer y.records.mu.Unlock()
	maps.DeleteFunc(y.records.owners, func(k ownerKey, _ [2]int) bool { return k.id == id })
}

// Owes says whether something is to be deleted in a container as soon as it runs.
func (y *Syncer) Owes(id string) bool { return len(y.records.owes(id)) > 0 }

func (r *records) owner(k ownerKey) (ids [2]int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, ok = r.owners[k]
	return ids, ok
}

func (r *records) setOwner(k ownerKey, ids [2]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners[k] = ids
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
	return BuildInputs{Context: contextFingerprint(conf), Rebuild: rebuildFingerprint(conf), Files: scanSync(conf, files)}
}

// RecordBuild records what a service's newest image was built from, and drops
// the one before.
func (y *Syncer) RecordBuild(service, imageID, before string, in BuildInputs) {
	if before != imageID {
		y.records.images.Delete(imageKey(service, before))
	}
	y.records.images.Set(imageKey(service, imageID), in)
}

// ContextChanged says whether a file of the build context changed since an
// image was built. Of an image that somebody else built that is not known, and
// the answer is no; of one that may be in a state that was lost, it is yes.
func (y *Syncer) ContextChanged(conf *project.Service, imageID string) bool {
	in, known := y.records.images.Get(imageKey(conf.Name, imageID))
	if !known {
		return y.records.lost && imageID != ""
	}
	return !in.Foreign && in.Context != contextFingerprint(conf)
}

// RebuildChanged is ContextChanged for the files that the service's rebuild
// rules name.
func (y *Syncer) RebuildChanged(conf *project.Service, imageID string) bool {
	in, known := y.records.images.Get(imageKey(conf.Name, imageID))
	if !known {
		rebuilds := slices.ContainsFunc(conf.Rules, func(r project.Rule) bool { return r.Action == project.Rebuild })
		return y.records.lost && imageID != "" && rebuilds
	}
	return !in.Foreign && in.Rebuild != rebuildFingerprint(conf)
}

// Prepared returns the fingerprint of what a service's prepare command last ran
// with; "" when that is not known.
func (y *Syncer) Prepared(service string) string {
	fingerprint, _ := y.records.prepared.Get(service)
	return fingerprint
}

// RecordPrepared records the fingerprint with which a service's prepare command
// succeeded.
func (y *Syncer) RecordPrepared(service, fingerprint string) {
	if y.Prepared(service) != fingerprint {
		y.records.prepared.Set(service, fingerprint)
	}
}
