package ui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

func TestUntouchedIsSaidInASentence(t *testing.T) {
	row := func(name string) engine.LedgerRow {
		return engine.LedgerRow{Service: name, Replica: 1, Outcome: engine.Untouched}
	}
	for want, rows := range map[string][]engine.LedgerRow{
		"db died: no other service runs":  nil,
		"db died: the 1 other untouched":  {row("a")},
		"db died: all 2 others untouched": {row("a"), row("b")},
		"db died: c died too; 1 untouched": {row("a"), {Service: "c", Replica: 1,
			Outcome: engine.Died, Needs: true}},
		"db died: c? died too; 1 untouched": {row("a"), {Service: "c", Replica: 1,
			Outcome: engine.Died}},
		"db died: c degraded; 1 untouched": {row("a"), {Service: "c", Replica: 1,
			Outcome: engine.Errors, Needs: true}},
		"db died: c? degraded; 1 untouched": {row("a"), {Service: "c", Replica: 1,
			Outcome: engine.Errors}},
		"db with c died: the 1 other untouched": {row("a"), {Service: "c", Replica: 1,
			Outcome: engine.Blind, Included: true}},
		"db died: c changed on purpose; 1 untouched": {row("a"), {Service: "c", Replica: 1,
			Outcome: engine.Blind}},
	} {
		if got := ledgerLine(&engine.Ledger{Service: "db", Fault: "SIGKILL", Gone: true, Rows: rows}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// One that crashes at that moment is no proof, and not one of all.
	l := &engine.Ledger{Service: "db", Fault: "SIGKILL", Gone: true, Rows: []engine.LedgerRow{row("a"), row("b")}, Down: 1}
	if got, want := ledgerLine(l), "db died: all 2 others that ran untouched"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// "stopped" is said when it is so: while a service still stops, its own line says how long it may.
func TestStoppedIsSaidWhenItIsSo(t *testing.T) {
	f := shop()
	f.change(func(n *engine.Snapshot) {
		l := fakeLedger(n, "db", f.now.Add(-2*time.Second))
		l.Fault, l.Rows = "stop", nil
		n.Ledgers = []engine.Ledger{l}
	})
	f.stopping(2*time.Second, "db", 10*time.Second)
	s := openScreen(t, f, 80, 24)
	s.wait("stopping db 2s of 10s")
	if text := s.text(); strings.Contains(text, "db stopped") {
		t.Errorf("db is said to have stopped:\n%s", text)
	}
	f.change(func(n *engine.Snapshot) {
		i := slices.IndexFunc(n.Services, func(svc engine.Service) bool { return svc.Name == "db" })
		n.Services[i].State, n.Services[i].Replicas[0].State = engine.StateExited, engine.StateExited
	})
	s.wait("db stopped: no other service runs")
}
