package fault

import (
	"slices"
	"testing"
	"time"
)

func TestTroubleIsPutDownToWhatIsNeeded(t *testing.T) {
	needs := func(s string) []string {
		return map[string][]string{"web": {"gateway"}, "gateway": {"catalog", "orders"}, "orders": {"db"}, "db": {"web"}}[s]
	}
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	kill := func(s float64, service string) Event { return Event{Time: at(s), Kind: Killed, Service: service} }
	ended := func(s float64, service string, kind Kind, code int) Event {
		return Event{Time: at(s), Kind: kind, Service: service, Container: service, ExitCode: code}
	}
	sick := func(s float64, service string) Event {
		return Event{Time: at(s), Kind: Sick, Service: service, Container: service}
	}
	running := func(s float64, service, id string) Event {
		return Event{Time: at(s), Kind: Up, Service: service, Container: id, Ready: true}
	}
	well := Event{Time: at(20), Kind: Recovered, Service: "gateway", Container: "gateway", Ready: true}
	for name, c := range map[string]struct {
		past []Event
		of   Event
		want string
	}{
		"killed":             {[]Event{kill(1, "orders"), ended(1.1, "orders", Stopped, 137)}, sick(3.3, "gateway"), "orders was killed, 2.3 s earlier (gateway needs orders)"},
		"through others":     {[]Event{ended(1, "db", Crashed, 1)}, ended(2.5, "gateway", Crashed, 2), "db died with code 1, 1.5 s earlier (gateway needs orders needs db)"},
		"stopped":            {[]Event{ended(1, "catalog", Stopped, 0)}, sick(2, "gateway"), "catalog was stopped, 1.0 s earlier (gateway needs catalog)"},
		"paused":             {[]Event{{Time: at(1), Kind: Paused, Service: "orders"}}, sick(9, "gateway"), "orders was paused, 8.0 s earlier (gateway needs orders)"},
		"replaced":           {[]Event{running(1, "orders", "a"), running(2, "orders", "b")}, sick(3, "gateway"), "orders was replaced, 1.0 s earlier (gateway needs orders)"},
		"sick first":         {[]Event{sick(1, "orders")}, sick(4, "gateway"), "orders became unhealthy, 3.0 s earlier (gateway needs orders)"},
		"the latest":         {[]Event{ended(1, "catalog", Crashed, 1), ended(2, "orders", Crashed, 1)}, sick(4, "gateway"), "orders died with code 1, 2.0 s earlier (gateway needs orders)"},
		"back":               {[]Event{kill(1, "orders"), ended(1.1, "orders", Stopped, 137), running(15, "orders", "orders")}, well, "orders came back, 5.0 s earlier (gateway needs orders)"},
		"not needed":         {[]Event{kill(1, "gateway"), ended(1.1, "gateway", Stopped, 137)}, sick(2, "orders"), ""},
		"too long ago":       {[]Event{ended(1, "orders", Crashed, 1)}, sick(32, "gateway"), ""},
		"itself":             {[]Event{ended(1, "gateway", Crashed, 1)}, sick(2, "gateway"), ""},
		"on purpose":         {[]Event{ended(1, "orders", Crashed, 1)}, ended(2, "gateway", Stopped, 143), ""},
		"nothing happened":   {[]Event{running(1, "orders", "orders")}, sick(2, "gateway"), ""},
		"back, but not that": {[]Event{running(15, "orders", "orders"), ended(16, "orders", Crashed, 1)}, well, ""},
	} {
		if name == "not needed" {
			needs := func(s string) []string { return slices.DeleteFunc(needs(s), func(n string) bool { return n == "web" }) }
			if got := LikelyCause(c.of, c.past, needs); got != nil {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		if got := LikelyCause(c.of, c.past, needs); (got == nil) != (c.want == "") || got != nil && got.String() != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
}
