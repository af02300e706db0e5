package edge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/agent"
	"bulkhead/engine/fault"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// calls has one edge used for some seconds: ten requests in each, of which some fail.
func calls(t *Table, from, to string, seconds, failed int) {
	for i := range seconds {
		t.Add(fault.Tapped{Edge: fault.Edge{From: from, To: to},
			At: noon.Add(time.Duration(i+1) * time.Second), Seen: agent.Seen{Conns: 1,
				Slices: []agent.Slice{{Age: 500 * time.Millisecond, Asked: 10, Failed: failed,
					Took: agent.Spread(nil).Add(20 * time.Millisecond).Merge(agent.Spread{0: 9})}},
				Routes: []agent.Route{{Method: "GET", Path: "/a", Asked: 10, Failed: failed,
					Statuses: map[int]int{200: 10 - failed, 500: failed}}}}})
	}
}

// Calls to the machine are no finding: a file cannot declare them. A service of that name is a service.
func TestCallsToTheMachineAreNoFinding(t *testing.T) {
	var table Table
	for _, machine := range []bool{true, false} {
		from := map[bool]string{true: "web", false: "api"}[machine]
		table.Add(fault.Tapped{Edge: fault.Edge{From: from, To: fault.Machine}, Machine: machine,
			At: noon, Seen: agent.Seen{Conns: 1}})
	}
	var out []string
	for _, e := range table.Edges(noon.Add(time.Second), nil) {
		out = append(out, fmt.Sprintf("%s %q %s", e.From, e.Finding, e.Note()))
	}
	want := `api "undeclared" used, not declared; web "" this machine and published ports, never faulted`
	if got := strings.Join(out, "; "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if web, api := table.Called("web"), table.Called("api"); len(web) != 0 || len(api) != 1 {
		t.Errorf("web calls the services %v, api %v", web, api)
	}
}

func TestEdgesAreWhatIsDeclaredAndWhatIsUsed(t *testing.T) {
	var table Table
	table.Tap([]fault.Edge{{}})
	calls(&table, "web", "api", 120, 1)
	calls(&table, "api", "db", 120, 0)
	for i := range 120 {
		at := noon.Add(time.Duration(i+1) * time.Second)
		table.Add(fault.Tapped{Edge: fault.Edge{From: "api", To: "mail"}, At: at})
		table.Add(fault.Tapped{Edge: fault.Edge{From: "api", To: "cache"}, At: at, Kept: 2})
		table.Add(fault.Tapped{Edge: fault.Edge{From: "db", To: "web"}, At: at})
	}
	declared := []Declared{{fault.Edge{From: "web", To: "api"}, "depends_on"},
		{fault.Edge{From: "web", To: "api"}, "calls"},
		{fault.Edge{From: "api", To: "mail"}, "calls"}, {fault.Edge{From: "api", To: "cache"}, "links"}}
	text := func(now time.Time) string {
		var out []string
		for _, e := range table.Edges(now, declared) {
			out = append(out, fmt.Sprintf("%s>%s %s %v %.1f/s %.0f%% kept %d", e.From, e.To,
				e.Declared, e.Finding, e.PerSecond, e.Errors*100, e.Kept))
		}
		return strings.Join(out, "; ")
	}
	want := "api>cache [links]  0.0/s 0% kept 2; api>db [] undeclared 10.0/s 0% kept 0; api>mail [calls] unused 0.0/s 0% kept 0; web>api [depends_on calls]  10.0/s 10% kept 0"
	if got := text(noon.Add(120 * time.Second)); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, e := range table.Edges(noon.Add(120*time.Second), declared) {
		if e.To == "api" && (e.Requests != 1200 || e.Failed != 120 || e.P50 > time.Millisecond ||
			e.P95 < 18*time.Millisecond || e.Routes[0].Statuses[500] != 120) {
			t.Errorf("%+v", e)
		}
	}
	// An hour later nothing of it is of the last half minute, and the sums stay.
	for _, e := range table.Edges(noon.Add(time.Hour), declared) {
		if e.PerSecond != 0 || e.To == "api" && e.Requests != 1200 {
			t.Errorf("%+v", e)
		}
	}
}

func TestDeclaredEdgeIsNotUnusedBeforeItWasLookedAtForLong(t *testing.T) {
	var table Table
	declared := []Declared{{fault.Edge{From: "a", To: "b"}, "depends_on"}}
	finding := func(after time.Duration) Finding { return table.Edges(noon.Add(after), declared)[0].Finding }
	if f := finding(time.Hour); f != FindingNone {
		t.Errorf("never tapped: %s", f)
	}
	table.Tap([]fault.Edge{{From: "a"}})
	table.Add(fault.Tapped{Edge: fault.Edge{From: "a", To: "b"}, At: noon})
	if f := finding(Proves - time.Second); f != FindingNone {
		t.Errorf("before its time: %s", f)
	}
	if f := finding(Proves); f != Unused {
		t.Errorf("after it: %q", f)
	}
	table.Tap(nil)
	if f := finding(time.Hour); f != FindingNone {
		t.Errorf("not tapped any more: %s", f)
	}
}
