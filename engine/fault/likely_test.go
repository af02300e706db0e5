package fault

import (
	"slices"
	"testing"
	"time"
)

func TestTroubleIsPutDownToWhatIsNeeded(t *testing.T) {
	needs := func(s string) []string {
		return map[string][]string{"web": {"gateway"}, "gateway": {"catalog", "orders"},
			"orders": {"db"}, "db": {"web"}}[s]
	}
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	kill := func(s float64, service string) Event { return Event{Time: at(s), Kind: Killed, Service: service} }
	ended := func(s float64, service string, kind EventKind, code int) Event {
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
		"killed": {[]Event{kill(1, "orders"), ended(1.1, "orders", Stopped, 137)},
			sick(3.3, "gateway"), "orders was killed, 2.3 s earlier (gateway needs orders)"},
		"through others": {[]Event{ended(1, "db", Crashed, 1)}, ended(2.5, "gateway", Crashed, 2),
			"db died with code 1, 1.5 s earlier (gateway needs orders needs db)"},
		"stopped": {[]Event{ended(1, "catalog", Stopped, 0)}, sick(2, "gateway"),
			"catalog was stopped, 1.0 s earlier (gateway needs catalog)"},
		"paused": {[]Event{{Time: at(1), Kind: Paused, Service: "orders"}},
			sick(9, "gateway"), "orders was paused, 8.0 s earlier (gateway needs orders)"},
		"its own pause": {[]Event{ended(1, "catalog", Stopped, 0), {Time: at(3), Kind: Paused,
			Service: "gateway"}}, sick(4, "gateway"), "gateway was paused, 1.0 s earlier"},
		"replaced": {[]Event{running(1, "orders", "a"), running(2, "orders", "b")},
			sick(3, "gateway"), "orders was replaced, 1.0 s earlier (gateway needs orders)"},
		"sick first": {[]Event{sick(1, "orders")}, sick(4, "gateway"),
			"orders became unhealthy, 3.0 s earlier (gateway needs orders)"},
		"the latest": {[]Event{ended(1, "catalog", Crashed, 1), ended(2, "orders", Crashed,
			1)}, sick(4, "gateway"), "orders died with code 1, 2.0 s earlier (gateway needs orders)"},
		"back": {[]Event{kill(1, "orders"), ended(1.1, "orders", Stopped, 137),
			running(15, "orders", "orders")}, well, "orders came back, 5.0 s earlier (gateway needs orders)"},
		"not needed": {[]Event{kill(1, "gateway"), ended(1.1, "gateway", Stopped, 137)},
			sick(2, "orders"), ""},
		"too long ago":     {[]Event{ended(1, "orders", Crashed, 1)}, sick(32, "gateway"), ""},
		"itself":           {[]Event{ended(1, "gateway", Crashed, 1)}, sick(2, "gateway"), ""},
		"on purpose":       {[]Event{ended(1, "orders", Crashed, 1)}, ended(2, "gateway", Stopped, 143), ""},
		"nothing happened": {[]Event{running(1, "orders", "orders")}, sick(2, "gateway"), ""},
		"back, but not that": {[]Event{running(15, "orders", "orders"), ended(16, "orders", Crashed,
			1)}, well, ""},
	} {
		if name == "not needed" {
			needs := func(s string) []string {
				return slices.DeleteFunc(needs(s), func(n string) bool { return n == "web" })
			}
			if got := LikelyCause(c.of, c.past, needs); got != nil {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		if got := LikelyCause(c.of, c.past, needs); (got == nil) != (c.want == "") || got != nil &&
			got.String() != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
}

func TestErrorsAreUnusualOnlyBeyondTheirOwnRate(t *testing.T) {
	for _, tt := range []struct {
		before int
		after  int
		since  time.Duration
		want   bool
	}{
		{0, 0, 3 * time.Second, false}, {0, 1, 3 * time.Second, true},
		{20, 1, 3 * time.Second, false}, {20, 2, time.Second, false},
		{20, 8, 3 * time.Second, true}, {20, 12, 30 * time.Second, false}, {20, 40, 30 * time.Second,
			true}, {1, 1, 3 * time.Second, false},
	} {
		if got := Unusual(tt.before, time.Minute, tt.after, tt.since); got != tt.want {
			t.Errorf("%d in the minute before, %d in the %v since: unusual is %v", tt.before,
				tt.after, tt.since, got)
		}
	}
}

// A check that did not answer in time while the machine had no CPU left is not put down to who was killed before.
func TestBusyMachineIsBlamedBeforeAnybody(t *testing.T) {
	needs := func(s string) []string { return map[string][]string{"web": {"orders"}}[s] }
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	past := []Event{{Time: start, Kind: Killed, Service: "orders"}, {Time: start, Kind: Crashed,
		Service: "orders", Container: "orders", ExitCode: 137}}
	sick := Event{Time: start.Add(3 * time.Second), Kind: Sick, Service: "web"}
	if l := LikelyCause(sick, past, needs); l == nil || l.Service != "orders" {
		t.Errorf("%v", l)
	}
	sick.Machine = "this machine had no CPU left"
	if l := LikelyCause(sick, past, needs); l == nil || l.String() != "this machine had no CPU left" {
		t.Errorf("%v", l)
	}
}

func TestChangesAndFirstErrorsAreLikelyCauses(t *testing.T) {
	needs := func(s string) []string { return map[string][]string{"web": {"db"}, "db": {"disk"}}[s] }
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	event := func(s float64, kind EventKind, service string) Event {
		return Event{Time: start.Add(time.Duration(s * float64(time.Second))), Kind: kind,
			Service: service, ExitCode: 1}
	}
	change := func(s float64, kind EventKind, service string) Event {
		e := event(s, kind, service)
		e.Replica, e.Container, e.Cause = 1, service+"2", "main.go saved"
		return e
	}
	says := func(s float64, service, line string) Event {
		e := event(s, Complained, service)
		e.Line = line
		return e
	}
	up := func(s float64, service, id string) Event {
		return Event{Time: event(s, Up, service).Time, Kind: Up, Service: service, Replica: 1,
			Container: id, Ready: true}
	}
	crash, sick, well := event(10, Crashed, "web"), event(10, Sick, "web"), event(10, Recovered, "web")
	second := crash
	second.Replica = 2
	for name, c := range map[string]struct {
		past []Event
		of   Event
		want string
	}{
		"its own build": {[]Event{change(7, Rebuilt, "web"), up(7, "web", "web2")}, crash,
			"web was rebuilt (main.go saved), 3.0 s earlier"},
		"its own sync": {[]Event{change(7, Synced, "web")}, sick,
			"web was synced (main.go saved), 3.0 s earlier"},
		"its own restart": {[]Event{change(7, Restarted, "web")}, crash,
			"web was restarted (main.go saved), 3.0 s earlier"},
		"its recreation": {[]Event{up(1, "web", "web1"), change(7, Recreated, "web"),
			up(7, "web", "web2")}, crash, "web was recreated (main.go saved), 3.0 s earlier"},
		"its words": {[]Event{change(7, Rebuilt, "web"),
			says(9, "web", "panic: nil map")}, crash,
			`web was rebuilt (main.go saved), 3.0 s earlier; logged "panic: nil map"`},
		"its words alone": {[]Event{says(9, "web", "panic: nil map")}, crash,
			`web logged "panic: nil map", 1.0 s earlier`},
		"a needed one's build": {[]Event{up(1, "db", "db1"), change(7, Rebuilt, "db"),
			up(7, "db", "db2")}, sick, "db was rebuilt (main.go saved), 3.0 s earlier (web needs db)"},
		"a needed one's line": {[]Event{says(8, "db", "FATAL out of disk"),
			says(9, "db", "ERROR gone")}, crash, `db logged "FATAL out of disk", 2.0 s earlier (web needs db)`},
		"through others": {[]Event{says(8, "disk", "full"), says(9, "db", "no disk")}, sick,
			`disk logged "full", 2.0 s earlier (web needs db needs disk)`},
		"theirs before its own": {[]Event{says(8, "db", "FATAL"), says(9, "web", "no db")}, crash,
			`db logged "FATAL", 2.0 s earlier (web needs db)`},
		"last words of another": {[]Event{says(8, "db", "FATAL out of disk"),
			event(8.5, Crashed, "db")}, sick,
			`db died with code 1, 1.5 s earlier (web needs db); logged "FATAL out of disk"`},
		"a kill needs no words": {[]Event{says(8, "db", "ERROR"), event(8.4, Killed, "db"),
			event(8.5, Crashed, "db")}, sick, "db was killed, 1.6 s earlier (web needs db)"},
		"new code, then errors": {[]Event{change(7, Rebuilt, "web"),
			says(9, "db", "ERROR bad query")}, sick, "web was rebuilt (main.go saved), 3.0 s earlier"},
		"the latest": {[]Event{change(7, Rebuilt, "web"), event(9, Crashed, "db")}, sick,
			"db died with code 1, 1.0 s earlier (web needs db)"},
		"mended": {[]Event{change(7, Synced, "web")}, well, "web was synced (main.go saved), 3.0 s earlier"},

		"not its callers' build":  {[]Event{change(7, Rebuilt, "web")}, event(10, Crashed, "db"), ""},
		"not a stranger's line":   {[]Event{says(9, "mail", "FATAL")}, crash, ""},
		"not a stranger's build":  {[]Event{change(9, Rebuilt, "mail")}, crash, ""},
		"another replica's build": {[]Event{change(7, Rebuilt, "web")}, second, ""},
		"a line of long ago":      {[]Event{says(-21, "db", "FATAL")}, crash, ""},
		"a build of long ago":     {[]Event{change(-21, Rebuilt, "web")}, crash, ""},
		"a line that came after":  {[]Event{says(11, "db", "ERROR client is gone")}, crash, ""},
		"its own errors, ill":     {[]Event{says(9, "web", "ERROR")}, sick, ""},
		"errors heal nobody":      {[]Event{says(9, "db", "ERROR")}, well, ""},
	} {
		if got := LikelyCause(c.of, c.past, needs); (got == nil) != (c.want == "") || got != nil &&
			got.String() != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
	if l := LikelyCause(sick, []Event{event(8, Killed, "db"), event(8.1, Stopped, "db")},
		needs); l.Kind != Killed {
		t.Errorf("%+v", l)
	}
	l := LikelyCause(crash, []Event{change(7, Rebuilt, "web"), says(9, "web", "panic")}, needs)
	if l.Kind != Rebuilt || l.Cause != "main.go saved" || l.Line != "panic" || !l.Own() {
		t.Errorf("%+v", l)
	}
}
