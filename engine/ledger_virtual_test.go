package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// Who is replaced on purpose at the same time as somebody else did not die of that, and is not
// untouched either.
func TestLedgerAccusesNobodyOfWhatWasDoneOnPurpose(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [slow]}\n  b: {image: app, command: [slow]}\n  c: {image: app}\n"}, func(s *scene) {
		s.rt.Program("slow", program("", 3*time.Second, "", 0))
		s.up()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a", "b"}, Cause: "you pressed R"})
		n := s.until("the ledger to be closed", func(n *engine.Snapshot) bool {
			return len(n.Ledgers) > 0 && !n.Ledgers[0].Closed.IsZero()
		})
		for _, l := range n.Ledgers {
			for _, row := range l.Rows {
				switch {
				case row.Service == "c" && row.Outcome != engine.Untouched:
					t.Errorf("c is %s, %s", row.Outcome, row.Sign)
				case row.Service != "c" && row.Outcome != engine.Blind:
					t.Errorf("%s is %s (%s), which was restarted on purpose", row.Service, row.Outcome, row.Sign)
				}
			}
			if text := l.Verdict(); !strings.Contains(text, "no other service suffered; 1 untouched") {
				t.Error(text)
			}
		}
	})
}

// Who crashes while it waits for its own turn to be moved has died of the fault.
func TestLedgerCountsACrashBeforeAMoveOnPurpose(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app, command: [weak]}\n"}, func(s *scene) {
		gone := make(chan struct{})
		s.rt.Program("weak", memory.Program{Run: func(p *memory.Process) int { <-gone; return 1 }})
		s.up()
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Cause: "you pressed K"})
		close(gone)
		s.until("b to have died", func(n *engine.Snapshot) bool {
			return len(n.Ledgers) == 1 && n.Ledgers[0].Rows[0].Outcome == engine.Died
		})
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"b"}, Cause: "you pressed u"})
		if row := s.Snapshot().Ledgers[0].Rows[0]; row.Outcome != engine.Died {
			t.Errorf("b is %s after it was started again, want died", row.Outcome)
		}
	})
}
