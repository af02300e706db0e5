package engine

import (
	"slices"
	"testing"
	"time"
)

func TestReadingsAreTakenOfWhatIsSeen(t *testing.T) {
	e := &Engine{svcs: map[string]*service{}}
	for _, name := range []string{"api", "db", "down"} {
		r := newReplica(1)
		r.inst.ID, r.inst.State = name, StateRunning
		if name == "down" {
			r.inst.State = StateExited
		}
		e.svcs[name] = &service{name: name, reps: map[int]*replica{1: r}}
	}
	now := time.Now()
	due := func(after time.Duration) (ids []string) {
		for _, d := range e.dueStats(now.Add(after)) {
			ids = append(ids, d.id)
		}
		slices.Sort(ids)
		return ids
	}
	e.attention = Attention{Services: []string{"api"}}
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{{0, []string{"api", "db"}}, {statsEvery, []string{"api"}}, {2 * statsEvery, []string{"api"}}, {statsCalm, []string{"api", "db"}}} {
		if got := due(step.after); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
	e.attention = Attention{Away: true}
	if got := due(statsCalm + statsEvery); got != nil {
		t.Errorf("while nobody looks: %v", got)
	}
	if got := due(2 * statsCalm); len(got) != 2 {
		t.Errorf("after a while: %v", got)
	}
}
