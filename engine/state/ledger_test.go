package state

import (
	"testing"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// A service that was seen to call the one that is hit needs it, whatever the file says; so does who needs that one.
func TestLedgerKnowsWhomATapSawCalling(t *testing.T) {
	p := &project.Project{Name: "shop"}
	for _, name := range []string{"db", "front", "mail", "web"} {
		p.Services = append(p.Services, &project.Service{Name: name, Replicas: 1})
	}
	calls := map[string][]string{"web": {"db"}, "front": {"web"}}
	st := New(p, Options{Lives: unnumbered{}, Called: func(name string) []string { return calls[name] }})
	for _, conf := range p.Services {
		st.Member(conf.Name).Adopt(1, container.Instance{
			Identity: container.Identity{ID: conf.Name, Started: time.Now()},
			Service:  conf.Name, Replica: 1, State: container.StateRunning,
		}, "")
	}
	st.Ledgers.Open("db", 0, "SIGKILL")
	rows := st.Snapshot().Ledgers[0].Rows
	if len(rows) != 3 {
		t.Fatalf("rows: %+v", rows)
	}
	for _, r := range rows {
		if r.Needs != (r.Service != "mail") {
			t.Errorf("%s needs db: %v", r.Service, r.Needs)
		}
	}
}

// What bulkhead itself writes into a service's log, a note or the output of a hook, is no error of the service.
func TestNotesInTheLogAreNoSignOfAFault(t *testing.T) {
	store := logs.New(logs.Options{})
	b := Bystanders{Logs: store, State: &State{}}
	at := time.Now()
	row := fault.Row{Service: "web", Replica: 1}
	store.Append("web", 1, 1, logs.System, at.Add(time.Second), []byte("a note"))
	if _, line, ok := b.trouble(row, at, nil); ok {
		t.Errorf("%q is taken for a sign", line)
	}
	store.Append("web", 1, 1, logs.Stderr, at.Add(2*time.Second), []byte("ERROR db does not answer"))
	if _, line, ok := b.trouble(row, at, nil); !ok || line.String() != "ERROR db does not answer" {
		t.Errorf("the sign is %q, %v", line, ok)
	}
}
