package engine

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
	kill := func(s float64, service string) Record {
		return Record{Time: at(s), Kind: "fault", Service: service, Action: "kill", Cause: "you pressed K"}
	}
	ended := func(s float64, service, cause string, code int) Record {
		return Record{Time: at(s), Kind: "service", Service: service, State: StateExited, Health: HealthNone, HasExit: true, ExitCode: code, Cause: cause, ID: service}
	}
	sick := func(s float64, service string) Record {
		return Record{Time: at(s), Kind: "service", Service: service, State: StateRunning, Health: Unhealthy, Cause: "healthcheck: healthy -> unhealthy", ID: service}
	}
	running := func(s float64, service, id string) Record {
		return Record{Time: at(s), Kind: "service", Service: service, State: StateRunning, Health: Healthy, ID: id}
	}
	well := running(20, "gateway", "gateway")
	well.Cause = "healthcheck: unhealthy -> healthy"
	for name, c := range map[string]struct {
		past []Record
		of   Record
		want string
	}{
		"killed":             {[]Record{kill(1, "orders"), ended(1.1, "orders", "you pressed K", 137)}, sick(3.3, "gateway"), "orders was killed, 2.3 s earlier (gateway needs orders)"},
		"through others":     {[]Record{ended(1, "db", EndedByItself, 1)}, ended(2.5, "gateway", EndedByItself, 2), "db died with code 1, 1.5 s earlier (gateway needs orders needs db)"},
		"stopped":            {[]Record{ended(1, "catalog", "you pressed s", 0)}, sick(2, "gateway"), "catalog was stopped, 1.0 s earlier (gateway needs catalog)"},
		"paused":             {[]Record{{Time: at(1), Kind: "fault", Service: "orders", Action: "pause"}}, sick(9, "gateway"), "orders was paused, 8.0 s earlier (gateway needs orders)"},
		"replaced":           {[]Record{running(1, "orders", "a"), running(2, "orders", "b")}, sick(3, "gateway"), "orders was replaced, 1.0 s earlier (gateway needs orders)"},
		"sick first":         {[]Record{sick(1, "orders")}, sick(4, "gateway"), "orders became unhealthy, 3.0 s earlier (gateway needs orders)"},
		"the latest":         {[]Record{ended(1, "catalog", EndedByItself, 1), ended(2, "orders", EndedByItself, 1)}, sick(4, "gateway"), "orders died with code 1, 2.0 s earlier (gateway needs orders)"},
		"back":               {[]Record{kill(1, "orders"), ended(1.1, "orders", "you pressed K", 137), running(15, "orders", "orders")}, well, "orders came back, 5.0 s earlier (gateway needs orders)"},
		"not needed":         {[]Record{kill(1, "gateway"), ended(1.1, "gateway", "you pressed K", 137)}, sick(2, "orders"), ""},
		"too long ago":       {[]Record{ended(1, "orders", EndedByItself, 1)}, sick(32, "gateway"), ""},
		"itself":             {[]Record{ended(1, "gateway", EndedByItself, 1)}, sick(2, "gateway"), ""},
		"on purpose":         {[]Record{ended(1, "orders", EndedByItself, 1)}, ended(2, "gateway", "you pressed s", 143), ""},
		"nothing happened":   {[]Record{running(1, "orders", "orders")}, sick(2, "gateway"), ""},
		"back, but not that": {[]Record{running(15, "orders", "orders"), ended(16, "orders", EndedByItself, 1)}, well, ""},
	} {
		if name == "not needed" {
			needs := func(s string) []string { return slices.DeleteFunc(needs(s), func(n string) bool { return n == "web" }) }
			if got := likely(&c.of, c.past, needs); got != nil {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		if got := likely(&c.of, c.past, needs); (got == nil) != (c.want == "") || got != nil && got.String() != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
}
