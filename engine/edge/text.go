package edge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/fault"
)

// Heads are the heads of Cells.
var Heads = []string{"CALLS", "DECLARED", "REQ/S", "ERRORS", "P50", "P95", "REQUESTS", "CONNS",
	"SENT", "RECEIVED", "NOTE"}

// Cells are an edge as a row of a table.
func (e *Edge) Cells() []string {
	declared, rate, errors, p50, p95, requests := strings.Join(e.Declared, ","), "-", "-", "-", "-", "-"
	switch {
	case e.Machine:
		declared = "-"
	case declared == "":
		declared = "no"
	}
	if e.Requests > 0 {
		requests = fmt.Sprint(e.Requests)
		rate = fmt.Sprintf("%.1f", e.PerSecond)
	}
	if e.PerSecond > 0 {
		errors = fmt.Sprintf("%.1f%%", e.Errors*100)
		p50, p95 = brief(e.P50), brief(e.P95)
	}
	return []string{e.From + " → " + e.To, declared, rate, errors, p50, p95, requests,
		fmt.Sprint(e.Conns), size(e.Sent), size(e.Received), e.Note()}
}

// Note says what a reader should know of an edge beside its numbers, "" for nothing.
func (e *Edge) Note() string {
	var out []string
	switch e.Finding {
	case Undeclared:
		out = append(out, "used, not declared")
	case Unused:
		out = append(out, "declared, never used")
	}
	if e.Machine {
		out = append(out, "this machine and published ports, never faulted")
	}
	if e.Refused > 0 {
		out = append(out, fmt.Sprintf("%d refused", e.Refused))
	}
	if e.Kept > 0 {
		out = append(out, fmt.Sprintf("%d connections from before, not seen", e.Kept))
	}
	if e.Requests == 0 && e.Conns > e.Refused && e.Sent+e.Received > 0 {
		out = append(out, "no HTTP")
	}
	return strings.Join(out, "; ")
}

// Text is a route in one line: "GET /orders/{}  1200 requests, 1.0 % failed, p50 4ms, p95 21ms, 200: 1188, 500: 12".
func (r *Route) Text() string {
	share := 0.0
	if r.Requests > 0 {
		share = float64(r.Failed) / float64(r.Requests) * 100
	}
	out := fmt.Sprintf("%s %s  %d requests, %.1f %% failed, p50 %s, p95 %s", r.Method, r.Path,
		r.Requests, share, brief(r.P50), brief(r.P95))
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		if status != 0 {
			out += fmt.Sprintf(", %d: %d", status, r.Statuses[status])
		}
	}
	if n := r.Statuses[0]; n > 0 {
		out += fmt.Sprintf(", no answer: %d", n)
	}
	return out
}

// brief is a duration with as much detail as a quantile has.
func brief(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0fms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%.0fK", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1fG", float64(n)/1e9)
}

// Calls lists edges for people, as the calls that go over them.
func Calls(edges []fault.Edge) string {
	var names []string
	for _, e := range edges {
		switch {
		case e.From == "" && e.To == "":
			names = append(names, "all calls")
		case e.From == "":
			names = append(names, "calls to "+e.To)
		case e.To == "":
			names = append(names, "calls of "+e.From)
		default:
			names = append(names, fmt.Sprintf("calls %s → %s", e.From, e.To))
		}
	}
	return strings.Join(names, ", ")
}
