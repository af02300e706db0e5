package cli

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/project"
)

// An answer of the engine may be old when it comes: what has ended by then is waited for no more.
func TestStopVerbDoesNotWaitForWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := engine.Instance{Service: "web", Replica: 1, State: engine.StateRunning,
			Identity: engine.Identity{ID: "1", Started: time.Now()}}
		a, errs := newTestApp(&silentRuntime{answers: true, instances: []engine.Instance{web}})
		rt := memory.New()
		defer rt.Close()
		x := &action{app: a, name: "shop", cmds: []engine.Command{{Verb: engine.VerbStop}}}
		x.session.Store(&session{e: engine.New(engine.Options{Project: project.Unfiled("shop"), Runtime: rt})})
		_, explain := a.conn.supervise(t.Context(), "shop", x.stopNotices())
		time.Sleep(time.Minute)
		if err := explain(nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := errs.String(); got != "" {
			t.Errorf("stderr: %s", got)
		}
	})
}

func TestKillLeavesOutWhatHasEnded(t *testing.T) {
	rows := []psRow{{Service: "web", State: "running"}, {Service: "job", State: "exited"},
		{Service: "db", State: "paused"}}
	for _, c := range []struct {
		named, left []string
		any         bool
	}{
		{any: true},
		{named: []string{"job", "db"}, left: []string{"db"}, any: true},
		{named: []string{"job"}},
	} {
		x := &action{cmds: []engine.Command{{Verb: engine.VerbKill, Services: c.named}}}
		if any := x.aimed(rows); any != c.any || !slices.Equal(x.services(), c.left) {
			t.Errorf("kill %q: %v, %q; want %v, %q", c.named, any, x.services(), c.any, c.left)
		}
	}
	if (&action{cmds: []engine.Command{{Verb: engine.VerbKill}}}).aimed(rows[1:2]) {
		t.Error("kill of what has ended finds something")
	}
}
