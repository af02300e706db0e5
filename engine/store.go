package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// store is what outlives the process, one JSON file a project: generations, which containers completed by themselves, what
// containers and images hold of the files that rules copy, and fingerprints of what images were built from. Without a folder
// it keeps all this in memory only. Its methods may be called from any goroutine.
type store struct {
	file string

	mu     sync.Mutex
	dirty  bool
	data   stored
	owners map[ownerKey][2]int // in memory only
}

// ownerKey is what a file's owner depends on: one life of a container, and where a rule puts files.
type ownerKey struct {
	id      string
	started int64
	top     string
}

type stored struct {
	Generations map[string]life      `json:"generations"` // by "service/number"
	Completed   map[string]bool      `json:"completed"`   // container ids
	Holds       map[string]table     `json:"holds"`       // what sync rules put in or found in, by container id
	Owes        map[string]table     `json:"owes"`        // what is still to be deleted at the next start, by container id
	Images      map[string]imageNote `json:"images"`      // by "service image-id"
	Prepared    map[string]string    `json:"prepared"`    // fingerprint of what prepare was last run with, by service
	Unhooked    map[string]bool      `json:"unhooked"`    // ids of containers whose post_start hooks have not succeeded since the last start
}

// life is the last known life of a replica.
type life struct {
	Generation int       `json:"generation"`
	ID         string    `json:"id"`
	Started    time.Time `json:"started"`
}

// imageNote is what a service's image was built from.
type imageNote struct {
	Context string `json:"context"` // fingerprint of the whole build context
	Rebuild string `json:"rebuild"` // fingerprint of the files that its rebuild rules name
	Files   table  `json:"has"`     // what its sync rules name as it was then, by path in the container
	Foreign bool   `json:"foreign"` // somebody else built it: Files is what it had when we first saw it, and the rest is not known
}

// openStore reads the state of a project on one engine. A file that cannot be read is begun anew: it only saves work.
func openStore(base, engine, project string) *store {
	s := &store{data: stored{
		Generations: map[string]life{}, Completed: map[string]bool{}, Holds: map[string]table{}, Owes: map[string]table{},
		Images: map[string]imageNote{}, Prepared: map[string]string{},
	}, owners: map[ownerKey][2]int{}}
	if base == "" {
		return s
	}
	s.file = StateFile(base, engine, project)
	if b, err := os.ReadFile(s.file); err == nil {
		var d stored
		if json.Unmarshal(b, &d) == nil && d.Generations != nil && d.Completed != nil && d.Holds != nil && d.Owes != nil && d.Images != nil && d.Prepared != nil {
			s.data = d
		}
	}
	if s.data.Unhooked == nil { // a file of an earlier version has none
		s.data.Unhooked = map[string]bool{}
	}
	return s
}

// StateFile names the file that holds a project's generations and sync records: base is $XDG_STATE_HOME/bulkhead.
func StateFile(base, engine, project string) string {
	name := ""
	for _, c := range engine {
		if c == '/' || c == '\\' || c == ':' {
			c = '_'
		}
		name += string(c)
	}
	return filepath.Join(base, name, project, "state.json")
}

// Generations reads the last known generation of each replica ("service/number"), by container id, for a project that no engine runs.
// It is empty when nothing is known.
func Generations(base, engine, project string) map[string]int {
	s := openStore(base, engine, project)
	out := map[string]int{}
	for _, l := range s.data.Generations {
		out[l.ID] = l.Generation
	}
	return out
}

// flush writes the state out when it changed. The file is replaced whole.
func (s *store) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == "" || !s.dirty {
		return nil
	}
	b, err := json.Marshal(s.data)
	if err != nil {
		return fmt.Errorf("write %s: %w", s.file, err)
	}
	if err := os.MkdirAll(filepath.Dir(s.file), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", s.file, err)
	}
	temp := s.file + ".new"
	if err := os.WriteFile(temp, b, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", s.file, err)
	}
	if err := os.Rename(temp, s.file); err != nil {
		return fmt.Errorf("write %s: %w", s.file, err)
	}
	s.dirty = false
	return nil
}

// generation numbers a life: the number of the one we know, else the next.
func (s *store) generation(service string, n int, id Identity) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprintf("%s/%d", service, n)
	l := s.data.Generations[key]
	if l.ID != id.ID || !l.Started.Equal(id.Started) {
		l = life{Generation: l.Generation + 1, ID: id.ID, Started: id.Started}
		s.data.Generations[key] = l
		delete(s.data.Completed, id.ID)
		s.dirty = true
	}
	return l.Generation
}

func (s *store) complete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data.Completed[id] = true
	s.dirty = true
}

func (s *store) completed() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.data.Completed)
}

// drop forgets a container that is gone. Its replica's generation stays known.
func (s *store) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.data.Completed, id)
	delete(s.data.Holds, id)
	delete(s.data.Owes, id)
	delete(s.data.Unhooked, id)
	maps.DeleteFunc(s.owners, func(k ownerKey, _ [2]int) bool { return k.id == id })
	s.dirty = true
}

// unhooked says whether post_start hooks of a container have not succeeded since its last start.
func (s *store) unhooked(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Unhooked[id]
}

func (s *store) setUnhooked(id string, unhooked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if unhooked {
		s.data.Unhooked[id] = true
	} else {
		delete(s.data.Unhooked, id)
	}
	s.dirty = true
}

// files is what a container holds of the files of its sync rules; nil when unknown.
func (s *store) files(id string) table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.data.Holds[id])
}

// owes is what is to be deleted in a container as soon as it runs.
func (s *store) owes(id string) table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.data.Owes[id])
}

// change lets f alter what is known of a container: what it holds, and what it owes.
func (s *store) change(id string, f func(have, owes table)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, owes := s.data.Holds[id], s.data.Owes[id]
	if have == nil {
		have = table{}
	}
	if owes == nil {
		owes = table{}
	}
	f(have, owes)
	s.data.Holds[id], s.data.Owes[id] = have, owes
	if len(owes) == 0 {
		delete(s.data.Owes, id)
	}
	s.dirty = true
}

func (s *store) owner(k ownerKey) (ids [2]int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, ok = s.owners[k]
	return ids, ok
}

func (s *store) setOwner(k ownerKey, ids [2]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners[k] = ids
}

// image is what a service's image was built from; ok is false when somebody else built it.
func (s *store) image(service, id string) (imageNote, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.data.Images[service+" "+id]
	return n, ok && !n.Foreign
}

// baseline is what an image has of the files of a service's sync rules, whoever built it; ok is false when it was never seen before.
func (s *store) baseline(service, id string) (t table, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.data.Images[service+" "+id]
	return maps.Clone(n.Files), ok
}

// setBaseline notes what an image that somebody else built has, and forgets the service's other ones.
func (s *store) setBaseline(service, id string, t table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.data.Images, func(key string, n imageNote) bool { return n.Foreign && strings.HasPrefix(key, service+" ") })
	s.data.Images[service+" "+id] = imageNote{Files: maps.Clone(t), Foreign: true}
	s.dirty = true
}

// setImage notes what a service's newest image was built from, and forgets the one before.
func (s *store) setImage(service, id, before string, n imageNote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before != id {
		delete(s.data.Images, service+" "+before)
	}
	s.data.Images[service+" "+id] = n
	s.dirty = true
}

func (s *store) prepared(service string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Prepared[service]
}

func (s *store) setPrepared(service, print string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data.Prepared[service] != print {
		s.data.Prepared[service] = print
		s.dirty = true
	}
}
