package journal

import (
	"fmt"
	"maps"
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

// Forget drops a container that is gone. The generation of its replica stays known.
func (j *Journal) Forget(id string) {
	j.completed.Delete(id)
	j.unhooked.Delete(id)
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
