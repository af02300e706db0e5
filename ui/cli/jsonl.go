package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"bulkhead/engine"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
)

// stamp is RFC 3339 with all nine digits, so that lines sort as text.
const stamp = "2006-01-02T15:04:05.000000000Z07:00"

// jsonLine is one line of `up --json` and `logs --json`. Scripts rely on its names.
type jsonLine struct {
	Time        string           `json:"time"`
	Kind        string           `json:"kind"`
	Seq         uint64           `json:"seq,omitempty"` // of a record: what ?since= of the control socket takes
	Service     string           `json:"service,omitempty"`
	Replica     int              `json:"replica,omitempty"`
	Generation  int              `json:"generation,omitempty"`
	ContainerID string           `json:"container_id,omitempty"`
	State       string           `json:"state,omitempty"`
	Health      string           `json:"health,omitempty"`
	ExitCode    *int             `json:"exit_code,omitempty"`
	Cause       string           `json:"cause,omitempty"`
	Likely      string           `json:"likely_cause,omitempty"` // what another service has to do with it
	Action      string           `json:"action,omitempty"`
	Paths       []string         `json:"paths,omitempty"`
	MS          map[string]int64 `json:"ms,omitempty"`
	Stop        string           `json:"stop,omitempty"` // how a change stopped what ran: signal, killed, grace
	Notice      string           `json:"notice,omitempty"`
	Text        string           `json:"text,omitempty"`
	Error       string           `json:"error,omitempty"`
	Output      []string         `json:"output,omitempty"` // the last lines of a build that did not succeed
	Ledger      *jsonLedger      `json:"ledger,omitempty"`
	Stream      string           `json:"stream,omitempty"`
	Level       string           `json:"level,omitempty"` // of a log line, where it says one
	Line        *string          `json:"line,omitempty"`
}

// jsonLedger is a ledger as scripts see it.
type jsonLedger struct {
	Service  string      `json:"service"`
	Replica  int         `json:"replica,omitempty"` // left out: all
	Fault    string      `json:"fault"`
	At       string      `json:"at"`
	BackInMS int64       `json:"back_in_ms,omitempty"`
	Rows     []ledgerRow `json:"rows"`
}

type ledgerRow struct {
	Service string `json:"service"`
	Replica int    `json:"replica"`
	Outcome string `json:"outcome"`
	AfterMS int64  `json:"after_ms,omitempty"`
	Sign    string `json:"sign,omitempty"`
	Needs   bool   `json:"needs"` // it depends on the one that was hit
	// Included: it has the fault too, since it shares the network that this is done to.
	Included bool         `json:"included,omitempty"`
	Before   jsonIdentity `json:"before"`
	After    jsonIdentity `json:"after"`
}

type jsonIdentity struct {
	ContainerID string  `json:"container_id"`
	StartedAt   *string `json:"started_at"` // null: it never ran
	Restarts    int     `json:"restarts"`
	PID         int     `json:"pid"`
	Health      string  `json:"health"`
}

func recordLine(r engine.Record, output []string) jsonLine {
	l := jsonLine{
		Time: r.Time.UTC().Format(stamp), Kind: r.Kind, Seq: r.Seq, Service: r.Service,
		Replica: r.Replica, Generation: r.Generation,
		ContainerID: r.ID, Cause: r.Cause, Action: r.Action, Paths: r.Paths,
		MS: milliseconds(r.Stages), Stop: r.Stop.String(),
		Notice: r.Notice, Text: cleanLines(r.Text), Error: r.Err,
	}
	for _, o := range output {
		l.Output = append(l.Output, clean(o))
	}
	if r.State != engine.StateUnknown {
		l.State = r.State.String()
	}
	if r.Health != engine.HealthUnknown {
		l.Health = r.Health.String()
	}
	if r.HasExit {
		l.ExitCode = &r.ExitCode
	}
	if r.Likely != nil {
		l.Likely = r.Likely.String()
	}
	if r.Ledger != nil {
		l.Ledger = ledgerLine(r.Ledger)
	}
	return l
}

func ledgerLine(l *engine.Ledger) *jsonLedger {
	out := &jsonLedger{Service: l.Service, Replica: l.Replica, Fault: l.Fault,
		At: l.At.UTC().Format(stamp), BackInMS: l.BackIn.Milliseconds(), Rows: []ledgerRow{}}
	for _, r := range l.Rows {
		out.Rows = append(out.Rows, ledgerRow{Service: r.Service, Replica: r.Replica,
			Outcome: r.Outcome.String(),
			AfterMS: r.Delay.Milliseconds(), Needs: r.Needs, Included: r.Included, Sign: clean(r.Sign.String()),
			Before: identityLine(r.Before), After: identityLine(r.After)})
	}
	return out
}

func identityLine(i fault.Proof) jsonIdentity {
	return jsonIdentity{ContainerID: i.ID, StartedAt: timeOrNull(i.Started), Restarts: i.Restarts,
		PID: i.PID, Health: i.Health.String()}
}

func logLine(l logs.Line) jsonLine {
	text := string(logs.Plain(nil, l.Text))
	out := jsonLine{Time: l.Time.UTC().Format(stamp), Kind: "log", Service: l.Service,
		Replica: l.Replica, Generation: l.Generation,
		Stream: l.Stream.String(), Line: &text}
	if l.Level != logs.LevelUnknown {
		out.Level = l.Level.String()
	}
	return out
}

// milliseconds adds stages of the same name up.
func milliseconds(stages []engine.Stage) map[string]int64 {
	if len(stages) == 0 {
		return nil
	}
	ms := map[string]int64{}
	for _, s := range stages {
		ms[s.Name] += s.Took.Round(time.Millisecond).Milliseconds()
	}
	return ms
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(stamp)
	return &s
}

// encode makes one line of a value that is ours, without its line end.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // "db -> healthy" stays readable
	if err := e.Encode(v); err != nil {
		panic(err) // the types hold strings, numbers and maps of them
	}
	return escaped(bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
}

// escaped writes what could command a terminal as \uXXXX, which is the same JSON: encoding/json
// escapes C0 only, and leaves C1, DEL and the characters that turn the direction of writing as they
// are.
func escaped(doc []byte) []byte {
	kept := 0 // from here on doc is not in out yet
	var out []byte
	for i := 0; i < len(doc); {
		if doc[i] < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(doc[i:])
		if logs.Hostile(r) {
			out = fmt.Appendf(append(out, doc[kept:i]...), "\\u%04x", r)
			kept = i + n
		}
		i += n
	}
	if kept == 0 {
		return doc
	}
	return append(out, doc[kept:]...)
}
