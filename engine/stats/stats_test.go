package stats

import (
	"slices"
	"testing"
	"time"

	"bulkhead/engine/state"
)

func TestReadingsAreTakenOfWhatIsSeen(t *testing.T) {
	s := New(nil, nil)
	running := []state.Running{{Service: "api", ID: "api"}, {Service: "db", ID: "db"}}
	now := time.Now()
	due := func(after time.Duration) []string {
		ids := s.due(running, now.Add(after))
		slices.Sort(ids)
		return ids
	}
	s.SetAttention(Attention{Services: []string{"api"}})
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{{0, []string{"api", "db"}}, {every, []string{"api"}}, {2 * every, []string{"api"}},
		{calm, []string{"api", "db"}}} {
		if got := due(step.after); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
	s.SetAttention(Attention{Away: true})
	if got := due(calm + every); got != nil {
		t.Errorf("while nobody looks: %v", got)
	}
	if got := due(2 * calm); len(got) != 2 {
		t.Errorf("after a while: %v", got)
	}
}
