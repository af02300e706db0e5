package cli

import "testing"

func TestWhoLivesInANamespaceIsNotUntouched(t *testing.T) {
	at, code := "10", 137
	row := func(service, id string, joins ...string) psRow {
		return psRow{Service: service, Replica: 1, ContainerID: id, StartedAt: &at, joins: joins}
	}
	before := []psRow{row("parent", "1"), row("side", "2", "1"), row("other", "3", "9")}
	after := []psRow{row("parent", "1"), row("side", "2", "1"), row("other", "3", "9")}
	after[0].ExitCode = &code
	want := "parent: SIGKILL; side shares a namespace with parent, which is down; 1 untouched (same container id, start time, restart count)"
	if got := compareRows(before, after, []string{"parent"}, "SIGKILL"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	after[0].ExitCode = nil // a signal that did not end it
	want = "parent: HUP; no other service changed; 2 untouched (same container id, start time, restart count)"
	if got := compareRows(before, after, []string{"parent"}, "HUP"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
