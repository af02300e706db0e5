package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/journal"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
	"bulkhead/ui/duration"
)

// psRow is one replica in `ps --json` and on the control socket. Scripts rely on its names.
type psRow struct {
	Service     string   `json:"service"`
	Replica     int      `json:"replica"`
	Generation  *int     `json:"generation"`   // null where it is not known
	ContainerID string   `json:"container_id"` // "" while there is no container
	Name        string   `json:"name"`
	State       string   `json:"state"`
	Health      string   `json:"health"`
	ExitCode    *int     `json:"exit_code"`  // null while it has not ended
	StartedAt   *string  `json:"started_at"` // null: it never ran
	Restarts    int      `json:"restarts"`
	Image       string   `json:"image"`
	Ports       []psPort `json:"ports"`
	Stale       *bool    `json:"stale"` // null where it is not known

	joins []string // ids of the containers whose network, ipc or pid namespace it shares
}

type psPort struct {
	Host      string `json:"host"` // "" is every address
	Published int    `json:"published"`
	Target    int    `json:"target"`
	Protocol  string `json:"protocol"`
}

// listing asks for the replicas of a project.
type listing struct {
	conn *connection
	env  *environment
	name string
	p    *project.Project // nil where there is only a name
	all  bool             // services without a container too
}

// rows lists the project's replicas: from a running `up` where there is one, else from the engine.
// Labels and names of containers are anybody's: the rows are clean.
func (q *listing) rows(ctx context.Context) ([]psRow, error) {
	rows, err := q.fetch(ctx)
	return logs.CleanAll(rows), err
}

func (q *listing) fetch(ctx context.Context) ([]psRow, error) {
	if err := q.conn.connect(ctx); err != nil {
		return nil, err
	}
	soon, cancel := context.WithTimeout(ctx, 2*time.Second) // the engine knows most of it too
	defer cancel()
	c, err := q.conn.dial(soon, q.name)
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", q.name, err)
	}
	if c != nil {
		rows, err := c.snapshot(ctx)
		if !q.all {
			rows = slices.DeleteFunc(rows, func(r psRow) bool { return r.ContainerID == "" })
		}
		return rows, err
	}
	return q.direct(ctx)
}

// direct asks the engine. What only bulkhead knows comes from its state folder.
func (q *listing) direct(ctx context.Context) ([]psRow, error) {
	instances, err := q.conn.rt.Instances(ctx, q.name)
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", q.name, err)
	}
	generations := journal.Generations(q.env.stateDir(), q.conn.info.ID, q.name)
	rows := []psRow{}
	for _, in := range instances {
		if in.State == engine.StateExited || in.State == engine.StateCreated {
			// the engine keeps the last check result of a container that no longer runs
			in.Health = engine.HealthNone
		}
		r := psRow{Service: in.Service, Replica: in.Replica, ContainerID: in.ID, Name: in.Name,
			State: in.State.String(), Health: in.Health.String(),
			StartedAt: timeOrNull(in.Started), Restarts: in.Restarts, Image: in.ImageRef,
			Ports: psPorts(in.Ports), joins: in.Joins}
		if g, ok := generations[in.ID]; ok {
			r.Generation = &g
		}
		if ended(in.State, in.Started) {
			r.ExitCode = &in.ExitCode
		}
		rows = append(rows, r)
	}
	if q.all && q.p != nil {
		for _, s := range q.p.Services {
			if !slices.ContainsFunc(rows, func(r psRow) bool { return r.Service == s.Name }) {
				rows = append(rows, psRow{Service: s.Name, Replica: 1,
					State: engine.StateWaiting.String(), Health: engine.HealthNone.String(),
					Image: s.Image, Ports: []psPort{}})
			}
		}
	}
	sortRows(rows)
	return rows, nil
}

// snapshotRows makes rows of what a running engine knows.
func snapshotRows(s *engine.Snapshot) []psRow {
	rows := []psRow{}
	for _, svc := range s.Services {
		stale := len(svc.Stale) > 0 || len(svc.Pending) > 0
		if len(svc.Replicas) == 0 {
			rows = append(rows, psRow{Service: svc.Name, Replica: 1, State: svc.State.String(),
				Health: engine.HealthNone.String(), Image: svc.Image,
				Ports: []psPort{}, Stale: &stale})
		}
		for _, rep := range svc.Replicas {
			r := psRow{Service: svc.Name, Replica: rep.Number, ContainerID: rep.Identity.ID,
				Name: rep.Name, State: rep.State.String(),
				Health: rep.Health.String(), StartedAt: timeOrNull(rep.Identity.Started),
				Restarts: rep.Restarts, Image: svc.Image,
				Ports: psPorts(rep.Ports), Stale: &stale}
			if rep.Generation > 0 {
				r.Generation = &rep.Generation
			}
			if rep.Identity.ID != "" && ended(rep.State, rep.Identity.Started) {
				r.ExitCode = &rep.ExitCode
			}
			rows = append(rows, r)
		}
	}
	sortRows(rows)
	return rows
}

func ended(s engine.State, started time.Time) bool {
	return (s == engine.StateExited || s == engine.StateRestarting || s == engine.StateCrashing) &&
		!started.IsZero()
}

func sortRows(rows []psRow) {
	slices.SortFunc(rows, func(x, y psRow) int {
		if x.Service != y.Service {
			return strings.Compare(x.Service, y.Service)
		}
		return x.Replica - y.Replica
	})
}

func psPorts(ports []engine.Port) []psPort {
	out := []psPort{}
	for _, p := range ports {
		out = append(out, psPort{Host: p.Host, Published: p.Published, Target: p.Target, Protocol: p.Protocol})
	}
	return out
}

// printTable prints rows for people.
func printTable(w io.Writer, rows []psRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	// a tabwriter keeps its error until Flush
	fmt.Fprintln(t, "SERVICE\tNAME\tSTATE\tHEALTH\tUP\tRST\tRUN\tPORTS")
	for _, r := range logs.CleanAll(rows) {
		state, up, gen, health := r.State, "-", "-", r.Health
		if r.ExitCode != nil {
			state = fmt.Sprintf("%s %d", r.State, *r.ExitCode)
			if r.State == engine.StateCrashing.String() {
				state = fmt.Sprintf("%s, exit %d", r.State, *r.ExitCode)
			}
		}
		if r.StartedAt != nil && r.ExitCode == nil {
			if started, err := time.Parse(stamp, *r.StartedAt); err == nil {
				up = duration.Age(time.Since(started))
			}
		}
		if r.Generation != nil {
			gen = fmt.Sprint(*r.Generation)
		}
		if health == engine.HealthNone.String() || health == engine.HealthUnknown.String() {
			health = "-"
		}
		if r.Stale != nil && *r.Stale {
			state += " stale"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.Service, orDash(r.Name), state, health,
			up, r.Restarts, gen, orDash(portsText(r.Ports)))
	}
	return t.Flush()
}

func portsText(ports []psPort) string {
	var out []string
	for _, p := range ports {
		text := fmt.Sprintf("%d->%d/%s", p.Published, p.Target, p.Protocol)
		if p.Published == 0 {
			continue
		}
		if p.Host != "" && p.Host != "0.0.0.0" && p.Host != "::" {
			text = p.Host + ":" + text
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
