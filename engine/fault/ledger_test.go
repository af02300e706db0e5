package fault

import (
	"testing"
	"time"

	"bulkhead/engine/container"
)

func TestVerdictCountsTheUntouched(t *testing.T) {
	l := Ledger{Service: "orders", Fault: "SIGKILL", Rows: []Row{
		{Service: "cart", Replica: 1, Outcome: Untouched}, {Service: "gateway", Replica: 1,
			Outcome: Errors, Needs: true},
		{Service: "web", Replica: 2, Outcome: Died}, {Service: "json", Replica: 1, Outcome: Errors},
		{Service: "mail", Replica: 1, Outcome: Blind},
	}}
	want := "orders: SIGKILL; gateway errors, web/2 died?, json errors?; 1 untouched (same container id, start time, restart count); changed on purpose: mail"
	if got := l.Verdict(); got != want {
		t.Errorf("verdict %q\nwant    %q", got, want)
	}
}

func TestLedgerComparesEverybodyAndOnlyGetsWorse(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	stand := func(name string) Stand {
		return Stand{Service: name, Replica: 1, Live: true, Identity: container.Identity{ID: name,
			Started: start}}
	}
	shares := stand("sidecar")
	shares.Shares = "network"
	var b Ledgers
	was, is := []container.Identity{{ID: "db", Started: start}}, []container.Identity{{ID: "db", Started: start.Add(time.Second)}}
	b.Open(start, "db", 0, "SIGKILL", was, []Stand{stand("api"), stand("web"), shares, stand("moved"),
		stand("gone"), stand("again"), {Service: "crashing", Replica: 1}})
	if l := b.Current(); len(l.Rows) != 6 || l.Down != 1 {
		t.Errorf("%d others ran, and %d did not", len(l.Rows), l.Down)
	}
	b.Freeze(start.Add(time.Second), "moved")
	now := map[string]Stand{}
	for _, n := range []string{"api", "web", "sidecar", "moved", "gone", "again"} {
		now[n] = stand(n)
	}
	look := func(name string, _ int) Stand { return now[name] }
	change := func(name string, f func(*Stand)) {
		s := now[name]
		f(&s)
		now[name] = s
	}
	change("web", func(s *Stand) { s.Unhealthy = true })
	change("moved", func(s *Stand) { s.Identity.ID = "other" })
	change("gone", func(s *Stand) { *s = Stand{} })
	change("again", func(s *Stand) { s.Identity.Restarts = 1 })
	if l := b.Compare(start.Add(2*time.Second), look, Hit{HeldDown: true}); l != nil {
		t.Fatal("closed while the service is held down")
	}
	change("web", func(s *Stand) { s.Unhealthy = false })
	b.NoteErrors(b.Current(), "web", 1, start.Add(time.Second), Sign{Text: "a line"}) // less grave than what is known
	b.NoteErrors(b.Current(), "api", 1, start.Add(time.Second), Sign{Text: "a line"})
	if l := b.Compare(start.Add(3*time.Second), look, Hit{}); l != nil {
		t.Fatal("closed before the service is ready")
	}
	l := b.Compare(start.Add(5*time.Second), look, Hit{Ready: true, Hosting: true, Live: is})
	if l == nil || l.BackIn != 2*time.Second || b.Current() != nil {
		t.Fatalf("closed %v, back in %v", l, l.BackIn)
	}
	want := map[string]string{"api": "errors a line", "web": "unhealthy healthy -> unhealthy",
		"sidecar": "died shares the network of db, which is down",
		"moved":   "blind changed on purpose", "gone": "died not running", "again": "died restarted"}
	for _, r := range l.Rows {
		if got := r.Outcome.String() + " " + r.Sign.String(); got != want[r.Service] {
			t.Errorf("%s: %q, want %q", r.Service, got, want[r.Service])
		}
	}
}

// A service is not back before it was gone: a stop takes its time, and so does what is to take its place.
func TestServiceIsBackOnlyAfterItWasGone(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	old, fresh := []container.Identity{{ID: "a"}}, []container.Identity{{ID: "b"}}
	var at func(seconds int, hit Hit) *Ledger
	open := func(fault string) {
		var b Ledgers
		b.Open(start, "db", 0, fault, old, nil)
		at = func(seconds int, hit Hit) *Ledger {
			return b.Compare(start.Add(time.Duration(seconds)*time.Second), func(string, int) Stand { return Stand{} }, hit)
		}
	}
	for name, one := range map[string]struct {
		during Hit
		back   time.Duration
	}{
		"stopped": {Hit{}, 3 * time.Second}, "not ready yet": {Hit{Live: fresh}, 3 * time.Second},
		"held down": {Hit{HeldDown: true}, 2 * time.Second},
	} {
		open("stop")
		if l := at(5, Hit{Ready: true, Live: old}); l != nil {
			t.Errorf("%s: back before it was gone", name)
		}
		if l := at(6, one.during); l != nil {
			t.Errorf("%s: back while it is gone", name)
		}
		at(7, Hit{Live: fresh})
		if l := at(9, Hit{Ready: true, Live: fresh}); l == nil || !l.Gone || l.BackIn != one.back {
			t.Errorf("%s: closed %+v", name, l)
		}
	}
	open("latency=1s")
	if l := at(5, Hit{Ready: true, Live: old, Faulty: true}); l != nil {
		t.Error("closed while the fault is on")
	}
	if l := at(9, Hit{Ready: true, Live: old}); l == nil || l.Gone {
		t.Errorf("healed: %+v", l)
	}
	open("SIGHUP")
	if l := at(29, Hit{Ready: true, Live: old}); l != nil {
		t.Error("closed before it is known that nothing comes of it")
	}
	if l := at(31, Hit{Ready: true, Live: old}); l == nil || l.Gone || l.BackIn != 0 {
		t.Errorf("outlived: %+v", l)
	}
}

func TestMoveDoesNotCloseTheLedgerOfAFault(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	api := Stand{Service: "api", Replica: 1, Live: true, PID: 7, Health: container.Healthy,
		Identity: container.Identity{ID: "api", Started: now}}
	var b Ledgers
	if !b.OpenMove(now, "web", 0, "restart", nil, []Stand{api}) || !b.Current().Move ||
		b.Current().Rows[0].Before.PID != 7 {
		t.Errorf("%+v", b.Current())
	}
	b.Open(now, "db", 0, "SIGKILL", nil, []Stand{api})
	if b.OpenMove(now, "web", 0, "restart", nil, []Stand{api}) || b.Current().Service != "db" {
		t.Errorf("%+v", b.Current())
	}
	api.PID, api.Health = 9, container.Unhealthy
	b.Compare(now.Add(time.Minute), func(string, int) Stand { return api }, Hit{Ready: true, Hosting: true})
	if row := b.Copies()[1].Rows[0]; row.Before.PID != 7 || row.After.PID != 9 ||
		row.Before.Health != container.Healthy || row.After.Health != container.Unhealthy {
		t.Errorf("%+v", row)
	}
}

// Who shares the network that a fault is done to has it too: that is no bystander, and nothing about it is
// a claim.
func TestWhoHasTheFaultTooIsNamedWithIt(t *testing.T) {
	var all Ledgers
	now := time.Unix(100, 0)
	all.Open(now, "side", 0, "partition", nil, []Stand{{Service: "mid", Replica: 1, Live: true}, {Service: "web", Replica: 1, Live: true}})
	all.Include([]string{"mid"})
	all.Compare(now.Add(time.Second), func(string, int) Stand { return Stand{Live: true} }, Hit{HeldDown: true})
	l := all.Current()
	if l.Rows[0].Outcome != Blind || !l.Rows[0].Included || l.Rows[1].Outcome != Untouched {
		t.Errorf("rows %+v", l.Rows)
	}
	const want = "side with mid in its network: partition; no other service suffered; 1 untouched (same container id, start time, restart count)"
	if got := l.Verdict(); got != want {
		t.Errorf("verdict %q, want %q", got, want)
	}
}
