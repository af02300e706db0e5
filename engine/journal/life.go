package journal

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// life is the last known life of a replica.
type life struct {
	Generation int       `json:"generation"`
	ID         string    `json:"id"`
	Started    time.Time `json:"started"`
}

// Generation returns the number of a replica's life: that of the known one, or
// the next.
func (j *Journal) Generation(service string, replica int, id string, started time.Time) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := fmt.Sprintf("%s/%d", service, replica)
	l := j.generations.all[key]
	if l.ID != id || !l.Started.Equal(started) {
		l = life{Generation: l.Generation + 1, ID: id, Started: started}
		j.generations.all[key] = l
		delete(j.completed.all, id)
		j.changes++
	}
	return l.Generation
}

// Generations reads the last known generation of each replica by container id,
// of a project that no engine runs. It is empty when nothing is known.
func Generations(base, engine, project string) map[string]int {
	j := Open(Options{Base: base, Engine: engine, Project: project})
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]int{}
	for _, l := range j.generations.all {
		out[l.ID] = l.Generation
	}
	return out
}

// Complete notes that a container ended by itself, with 0.
func (j *Journal) Complete(id string) { j.completed.Set(id, true) }

// Completed returns the ids of the containers that ended by themselves, with 0,
// in their present life.
func (j *Journal) Completed() map[string]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.completed.all)
}

// stopOf is the key of a stop that was begun.
const stopOf = "stop "

// BeginStop notes that a container is about to be stopped.
func (j *Journal) BeginStop(id string) { j.Intend(stopOf+id, nil) }

// EndStop notes that no stop of a container is under way any more.
func (j *Journal) EndStop(id string) {
	if j.intents.open(stopOf + id) {
		j.Settle(stopOf + id)
	}
}

// StopsBegun returns the ids of the containers that a process which ended suddenly had begun to stop:
// the engine may still carry that out.
func (j *Journal) StopsBegun() map[string]bool {
	n := j.intents
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := map[string]bool{}
	for key := range n.left {
		if id, ok := strings.CutPrefix(key, stopOf); ok {
			ids[id] = true
		}
	}
	return ids
}

// Forget drops a container that is gone. The generation of its replica stays known.
func (j *Journal) Forget(id string) {
	j.completed.Delete(id)
	j.unhooked.Delete(id)
	j.EndStop(id)
}

// Unhooked says whether post_start hooks of a container have not succeeded since its last start.
func (j *Journal) Unhooked(id string) bool {
	unhooked, _ := j.unhooked.Get(id)
	return unhooked
}

// SetUnhooked notes whether they have not.
func (j *Journal) SetUnhooked(id string, unhooked bool) {
	if unhooked {
		j.unhooked.Set(id, true)
	} else {
		j.unhooked.Delete(id)
	}
}
