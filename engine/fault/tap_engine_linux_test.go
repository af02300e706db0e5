package fault_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/edge"
	"bulkhead/engine/fault"
)

// edge is what is known of the calls of one service to another.
func (y *yard) edge(from, to string) edge.Edge {
	y.t.Helper()
	for _, e := range y.Snapshot().Edges {
		if e.From == from && e.To == to {
			return e
		}
	}
	return edge.Edge{From: from, To: to}
}

// tap has calls looked at from now on; verb may be that which ends it.
func (y *yard) tap(verb engine.Verb, services ...string) {
	y.t.Helper()
	if err := y.Do(y.t.Context(), engine.Command{Verb: verb, Services: services}); err != nil {
		y.t.Fatal(err)
	}
}

// BULKHEAD_TAP_REQUESTS asks for more requests than a test needs, and for what a tap costs.
func TestTapCountsAsTheServerDoes(t *testing.T) {
	n := 1000
	if text := os.Getenv("BULKHEAD_TAP_REQUESTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	y := openYard(t)
	if why := y.lacking("latency"); why != "" {
		t.Skipf("not possible here: %s", why)
	}
	if os.Getenv("BULKHEAD_TAP_REQUESTS") != "" {
		for range 3 {
			t.Log("untapped ", y.ask("caller", "pace", "callee", "2000"))
			y.tap(engine.VerbTap, "callee")
			t.Log("tapped   ", y.ask("caller", "pace", "callee", "2000"))
			y.tap(engine.VerbUntap)
		}
		y.eventually("the connections that are left", func() bool {
			return y.ask("other", "served", "callee") == "0"
		})
	}
	from := y.edge("caller", "callee")
	y.number("other", "received", "callee") // what it counted before is not of this test
	y.ask("other", "served", "callee")
	y.tap(engine.VerbTap, "callee")
	done := y.number("caller", "load", "callee", fmt.Sprint(n))
	served := y.number("other", "served", "callee")
	if done != n || served != n {
		t.Fatalf("%d requests: %d were answered, and the server counted %d", n, done, served)
	}
	y.eventually("the count of all requests", func() bool {
		return y.edge("caller", "callee").Requests >= from.Requests+n
	})
	e := y.edge("caller", "callee")
	if e.Requests != from.Requests+served || e.Failed != 0 || e.Refused != 0 || e.Finding != edge.Undeclared {
		t.Errorf("the server counted %d, the tap %+v", served, e)
	}
	all := slices.IndexFunc(e.Routes, func(r edge.Route) bool {
		return r.Method == "GET" && r.Path == "/orders/{}"
	})
	if all < 0 || e.Routes[all].Requests != n || e.Routes[all].Statuses[200] != n {
		t.Fatalf("routes %+v", e.Routes)
	}
	// Half of the callers open a connection a request, the others keep one each.
	// the edge's own is of its last seconds
	if least := n/2 + 4; e.Conns < least || e.Received < int64(n)*1024 || e.Sent == 0 ||
		e.Routes[all].P50 <= 0 {
		t.Errorf("at least %d connections were opened: %+v", least, e)
	}
	y.sees("ok", "caller", "get", "other")
	if e := y.edge("caller", "other"); e.Conns != 0 {
		t.Errorf("an edge that nobody taps: %+v", e)
	}
	y.tap(engine.VerbUntap)
	y.sees("ok", "caller", "get", "callee")
	if again := y.edge("caller", "callee"); again.Conns != e.Conns {
		t.Errorf("after the tap %d connections, %d before its end", again.Conns, e.Conns)
	}
	y.clean("tap")
}

func TestTapSeesWhatFailsAndChangesNothing(t *testing.T) {
	y := openYard(t)
	if why := y.lacking("latency"); why != "" {
		t.Skipf("not possible here: %s", why)
	}
	y.tap(engine.VerbTap)
	y.ask("caller", "fail", "callee", "7")
	y.eventually("the failed requests", func() bool { return y.edge("caller", "callee").Failed == 7 })
	// Nothing listens there: the caller is refused, and so it is told.
	y.ask("caller", "port", "callee", "9999")
	y.eventually("the refused connection", func() bool { return y.edge("caller", "callee").Refused == 1 })
	// HTTP/2 without TLS, as gRPC speaks it between services.
	if n := y.number("caller", "two", "callee", "25"); n != 25 {
		t.Errorf("%d of 25 requests over HTTP/2 were answered", n)
	}
	y.eventually("the requests over HTTP/2", func() bool {
		for _, r := range y.edge("caller", "callee").Routes {
			if r.Path == "/two/{}" && r.Requests == 25 && r.Statuses[200] == 25 {
				return true
			}
		}
		return false
	})
	// What runs on the machine, and ports that are published there, are called by the gateway.
	where, err := y.rt.Network(t.Context(), y.name, y.container("caller"))
	if err != nil || len(where.Machine) == 0 {
		t.Fatalf("the addresses of the machine: %v %v", where.Machine, err)
	}
	y.ask("caller", "port", where.Machine[0].String(), "1")
	y.eventually("the connection that the machine refused", func() bool {
		e := y.edge("caller", fault.Machine)
		return e.Refused == 1 && e.Machine && e.Finding == edge.FindingNone
	})
	// A hang is seen once the caller gives up.
	y.inject("pause", "callee", "")
	y.sees("timeout", "caller", "get", "callee")
	y.eventually("the request without an answer", func() bool {
		for _, r := range y.edge("caller", "callee").Routes {
			if r.Path == "/" && r.Statuses[0] == 1 {
				return true
			}
		}
		return false
	})
	y.heal()
	y.back("callee")
	// A tap and a fault share the agent of a network, and a new life of the callee is tapped, too.
	y.inject("latency=300ms", "callee", "caller")
	if n := y.number("caller", "rtt", "callee", "5"); n < 300_000 {
		t.Errorf("tapped, the fastest of 5 delayed requests took %d µs", n)
	}
	y.heal()
	if err := y.Do(t.Context(), engine.Command{Verb: engine.VerbRestart,
		Services: []string{"callee"}}); err != nil {
		t.Fatal(err)
	}
	y.back("callee")
	before := y.edge("caller", "callee").Requests
	y.eventually("a request to the new life", func() bool {
		return y.ask("caller", "get", "callee") == "ok" && y.edge("caller", "callee").Requests > before
	})
	// What goes over a connection while its tap ends is answered.
	held := make(chan string, 1)
	go func() { held <- y.ask("caller", "hold", "callee", "30") }()
	conns := y.edge("caller", "callee").Conns
	y.eventually("the connection that is held", func() bool { return y.edge("caller", "callee").Conns > conns })
	y.tap(engine.VerbUntap)
	if got := <-held; got != "ok" && got != "eof" { // eof: it was closed while nobody waited for anything
		t.Errorf("a connection whose tap ended: %s", got)
	}
	y.clean("tap")
}

// One agent works in a network at a time: a second one would take away what the first one did.
func TestSecondBulkheadIsRefusedWhereOneTaps(t *testing.T) {
	y := openYard(t)
	if why := y.lacking("latency"); why != "" {
		t.Skipf("not possible here: %s", why)
	}
	y.tap(engine.VerbTap, "callee")
	second, err := engine.DirectFaults(t.Context(), y.rt, y.name, nil, filepath.Join(y.dir, "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := fault.Parse("latency=100ms", "callee")
	if _, err := second.Inject(t.Context(), f); err == nil || !strings.Contains(err.Error(),
		"another bulkhead") {
		t.Errorf("a second agent: %v", err)
	}
	y.sees("ok", "caller", "get", "callee")
	y.eventually("the request", func() bool { return y.edge("caller", "callee").Requests >= 1 })
	y.tap(engine.VerbUntap)
	// By force it ends what the first one keeps in force, which does not do it again.
	y.inject("latency=100ms", "callee", "caller")
	if held, err := second.Recover(t.Context(), true); err != nil || len(held) > 0 {
		t.Errorf("heal by force: %v %v", held, err)
	}
	y.eventually("the end of the fault", func() bool { return len(y.Snapshot().Faults) == 0 })
	y.clean("heal by force")
	// The network is free for it then.
	a, err := second.Inject(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Heal(t.Context(), a.Fault.ID); err != nil {
		t.Error(err)
	}
	y.clean("the second one")
}
