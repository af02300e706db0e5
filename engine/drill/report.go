package drill

import (
	"slices"
	"time"
)

// Schema names the form of the JSON: docs/drill.schema.json describes it.
const Schema = "bulkhead.drill/1"

// Phase is how far a drill or a row is.
type Phase string

// The phases of a drill are PhaseBaseline, PhaseRunning, PhaseHeld, PhaseDone and PhaseAborted;
// those of a row the others, and PhaseDone.
const (
	PhaseQueued   Phase = "queued"
	PhaseQuieting Phase = "waiting until rates are back"
	PhaseBaseline Phase = "baseline"
	PhaseInject   Phase = "injecting"
	PhaseHold     Phase = "hold"
	PhaseSettle   Phase = "settling"
	PhaseAlone    Phase = "looking who crashes anyway"
	PhaseRunning  Phase = "running"
	PhaseHeld     Phase = "held" // by the user, between two rows
	PhaseDone     Phase = "done"
	PhaseAborted  Phase = "aborted"
)

// Report is a drill as far as it is. Nobody writes to one that was handed out.
type Report struct {
	Schema   string     `json:"schema"`
	Project  string     `json:"project"`
	Fault    string     `json:"fault"` // as `bulkhead fault` takes it: "kill", "latency=500ms"
	Began    time.Time  `json:"began"`
	TookMS   int64      `json:"took_ms"`
	HoldMS   int64      `json:"hold_ms"`
	SettleMS int64      `json:"settle_ms"`
	Repeat   int        `json:"repeat"`
	Load     string     `json:"load"` // what makes requests, "" for nothing
	Phase    Phase      `json:"phase"`
	Why      string     `json:"why,omitempty"` // it was aborted or stopped
	Notes    []string   `json:"notes,omitempty"`
	Services []string   `json:"services"` // the columns, in order
	Edges    []Edge     `json:"edges"`
	Baseline []Baseline `json:"baseline"`
	Rows     []Row      `json:"rows"`
}

// Edge says that one service calls another, and who says so.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	By   string `json:"by"` // "depends_on", "links", "calls"
}

// Baseline is how a service is while nothing is done to anybody.
type Baseline struct {
	Service      string  `json:"service"`
	ContainerID  string  `json:"container_id"`
	StartedAt    string  `json:"started_at"`
	Restarts     int     `json:"restarts"`
	PID          int     `json:"pid"`
	Health       string  `json:"health"`
	ErrorsPerSec float64 `json:"errors_per_second"` // log lines of ERROR and worse
	Asked        int     `json:"asked"`             // probes and requests
	Failed       int     `json:"failed"`
	P95MS        int64   `json:"p95_ms"`
	Calls        int     `json:"calls,omitempty"` // of other services, where they are tapped
	CallsFailed  int     `json:"calls_failed,omitempty"`
}

// Row is what happened to everybody while one service had the fault.
type Row struct {
	Killed  string   `json:"killed"`
	With    []string `json:"with,omitempty"` // share its network and have the fault too
	Verdict Verdict  `json:"verdict"`
	Why     string   `json:"why,omitempty"` // of a verdict that is not good
	// from heal to ready; null: it did not come back, or the fault was not injected
	BackInMS *int64   `json:"back_in_ms"`
	BackBy   string   `json:"back_by,omitempty"`
	Repeat   int      `json:"repeat"` // how often it was run
	Runs     []Run    `json:"runs,omitempty"`
	Cells    []Cell   `json:"cells"`
	Events   []Event  `json:"events,omitempty"` // the timeline of the last run
	Notes    []string `json:"notes,omitempty"`
	Phase    Phase    `json:"phase"`
	Until    string   `json:"until,omitempty"` // RFC 3339: when Phase ends
	Before   []Ledger `json:"before,omitempty"`
	After    []Ledger `json:"after,omitempty"`

	seen *seen
}

// Run is one of the repeats of a row.
type Run struct {
	Verdict  Verdict `json:"verdict"`
	BackInMS *int64  `json:"back_in_ms"`
}

// Cell is what a fault did to one bystander.
type Cell struct {
	Service  string     `json:"service"`
	Outcome  Outcome    `json:"outcome"`
	AfterMS  int64      `json:"after_ms"` // to the first sign; 0 for who is untouched or could not be seen
	Declared bool       `json:"declared"` // the file allows it
	Why      string     `json:"why,omitempty"`
	Evidence []Evidence `json:"evidence"`
}

// Evidence is one thing that was seen of a bystander.
type Evidence struct {
	AfterMS int64  `json:"after_ms"` // since the fault
	Kind    string `json:"kind"`     // "log", "health", "identity", "probe", "request", "machine"
	Level   string `json:"level,omitempty"`
	Count   int    `json:"count,omitempty"` // of the same kind
	Text    string `json:"text"`
}

// Event is one point of a row's timeline.
type Event struct {
	AfterMS int64  `json:"after_ms"`
	Service string `json:"service"`
	Kind    string `json:"kind"` // "fault", "heal", "ready", "died", "health", "log"
	Text    string `json:"text"`
}

// Ledger is how one replica stood before or after a row.
type Ledger struct {
	Service     string `json:"service"`
	Replica     int    `json:"replica"`
	ContainerID string `json:"container_id"`
	StartedAt   string `json:"started_at"`
	Restarts    int    `json:"restarts"`
	PID         int    `json:"pid"`
	Health      string `json:"health"`
	State       string `json:"state"`
}

// Cell is the cell of a bystander, nil for the one that was hit.
func (r *Row) Cell(service string) *Cell {
	for i := range r.Cells {
		if r.Cells[i].Service == service {
			return &r.Cells[i]
		}
	}
	return nil
}

// Over says whether the drill has come to its end.
func (r *Report) Over() bool { return r.Phase == PhaseDone || r.Phase == PhaseAborted }

// Done counts the rows that are through.
func (r *Report) Done() (n int) {
	for i := range r.Rows {
		if r.Rows[i].Phase == PhaseDone {
			n++
		}
	}
	return n
}

// Find returns the services whose rows came, in any repeat, to one of some verdicts.
func (r *Report) Find(verdicts []Verdict) (services []string) {
	for i := range r.Rows {
		row := &r.Rows[i]
		hit := slices.Contains(verdicts, row.Verdict)
		for _, run := range row.Runs {
			hit = hit || slices.Contains(verdicts, run.Verdict)
		}
		if hit {
			services = append(services, row.Killed)
		}
	}
	return services
}

// clone is a copy that shares nothing which is written to again.
func (r *Report) clone() *Report {
	c := *r
	c.Notes, c.Services, c.Edges, c.Baseline = slices.Clone(r.Notes), slices.Clone(r.Services),
		slices.Clone(r.Edges), slices.Clone(r.Baseline)
	c.Rows = slices.Clone(r.Rows)
	for i := range c.Rows {
		row := &c.Rows[i]
		row.Cells, row.Events, row.Notes, row.Runs = slices.Clone(row.Cells),
			slices.Clone(row.Events), slices.Clone(row.Notes), slices.Clone(row.Runs)
	}
	return &c
}
