package drill

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// Title names a drill: "shop · kill · hold 10s · settle 60s".
func (r *Report) Title() string {
	text := fmt.Sprintf("%s · %s · hold %s · settle %s", r.Project, r.Fault, seconds(r.HoldMS),
		seconds(r.SettleMS))
	if r.Repeat > 1 {
		text += fmt.Sprintf(" · %d times", r.Repeat)
	}
	return text
}

func seconds(ms int64) string {
	if ms%1000 == 0 {
		return fmt.Sprintf("%ds", ms/1000)
	}
	return container.Brief(time.Duration(ms) * time.Millisecond)
}

// BaselineText says how everybody was before: "0.2 err/s, p95 31ms, all healthy".
func (r *Report) BaselineText() string {
	if len(r.Baseline) == 0 {
		return ""
	}
	errors, p95, sick := 0.0, int64(0), 0
	for _, b := range r.Baseline {
		errors += b.ErrorsPerSec
		p95 = max(p95, b.P95MS)
		if b.Health == container.Unhealthy.String() || b.Health == container.StateCrashing.String() {
			sick++
		}
	}
	text := fmt.Sprintf("%.1f err/s, slowest p95 %dms, ", errors, p95)
	if sick > 0 {
		return text + fmt.Sprintf("%d unhealthy", sick)
	}
	return text + "nobody unhealthy"
}

// Summary is a drill in one line: "drill kill: 5 isolated, 1 leak (worker: gw unhealthy)".
func (r *Report) Summary() string {
	counts := map[Verdict]int{}
	var bad []string
	for i := range r.Rows {
		row := &r.Rows[i]
		counts[row.Verdict]++
		if row.Verdict >= Flaky {
			bad = append(bad, row.Killed+": "+row.Why)
		}
	}
	var parts []string
	for v := Isolated; v <= Failed; v++ {
		if counts[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[v], v))
		}
	}
	text := fmt.Sprintf("drill %s: %s", r.Fault, strings.Join(parts, ", "))
	if len(bad) > 0 {
		text += " (" + strings.Join(bad, "; ") + ")"
	}
	return text
}

// Mark is what a matrix shows of one service in a row: "■", "·", "~0.3".
func (row *Row) Mark(service string) string {
	if service == row.Killed {
		return "■"
	}
	for _, w := range row.With {
		if w == service {
			return "■"
		}
	}
	c := row.Cell(service)
	if c == nil {
		return ""
	}
	text := Mark(c.Outcome)
	if c.Outcome > Blind {
		text += fmt.Sprintf("%.1f", float64(c.AfterMS)/1000)
	}
	return text
}

// Back is when the service that was hit was ready again: "1.2s", with * where nothing but its
// running could show it.
func (row *Row) Back() string {
	switch {
	case row.BackInMS == nil && row.Phase == PhaseDone:
		return "-"
	case row.BackInMS == nil:
		return ""
	}
	text := fmt.Sprintf("%.1fs", float64(*row.BackInMS)/1000)
	if row.BackBy == "running" {
		text += "*"
	}
	return text
}

// VerdictText is the verdict as a matrix shows it: what is bad in capitals, with an arrow.
func (row *Row) VerdictText() string {
	if row.Verdict >= Flaky {
		return strings.ToUpper(row.Verdict.String()) + " <-"
	}
	return row.Verdict.String()
}

// Now says what a row that is not through yet is at: "hold 6 s".
func (row *Row) Now(now time.Time) string {
	if row.Phase == PhaseDone || row.Phase == PhaseQueued {
		return string(row.Phase)
	}
	text := string(row.Phase)
	if until, err := time.Parse(time.RFC3339Nano, row.Until); err == nil && until.After(now) {
		text += fmt.Sprintf(" %d s", int((until.Sub(now)+time.Second-1)/time.Second))
	}
	return text
}

// RowNotes are the notes of all rows, each with the rows that have it.
func (r *Report) RowNotes() []string {
	var order []string
	rows := map[string][]string{}
	for i := range r.Rows {
		for _, n := range r.Rows[i].Notes {
			if rows[n] == nil {
				order = append(order, n)
			}
			rows[n] = append(rows[n], r.Rows[i].Killed)
		}
	}
	for i, n := range order {
		if len(rows[n]) == len(r.Rows) && len(r.Rows) > 1 {
			order[i] = "in every row: " + n
		} else {
			order[i] = strings.Join(rows[n], ", ") + ": " + n
		}
	}
	return order
}

// Legend explains the marks and what they stand on.
func Legend() []string {
	return []string{
		"■ has the fault  · untouched  ~ errors  ! unhealthy  X died or restarted  ? not seen",
		"The number is seconds to the first sign. * back means running: there is no healthcheck.",
		"untouched = same container id, start time and restart count, health as before, error",
		"rate within the baseline, and at least five answers. LEAK = more than may_degrade allows.",
	}
}

// fitName makes a name at most w characters; it is cut in the middle, where names differ least.
func fitName(name string, w int) string {
	r := []rune(name)
	if len(r) <= w || w < 3 {
		return name
	}
	tail := (w - 1) / 2
	return string(r[:w-1-tail]) + "…" + string(r[len(r)-tail:])
}

// Column widths of a matrix as text.
const (
	nameWidth = 12
	cellWidth = 7
)

// Head is the first line of a matrix as text.
func (r *Report) Head() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s", nameWidth, "FAULT ON")
	for _, s := range r.Services {
		fmt.Fprintf(&b, " %-*s", cellWidth, fitName(s, cellWidth))
	}
	return b.String() + " BACK IN  VERDICT"
}

// Line is a row of a matrix as text.
func (r *Report) Line(i int) string {
	row := &r.Rows[i]
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s", nameWidth, fitName(row.Killed, nameWidth))
	for _, s := range r.Services {
		fmt.Fprintf(&b, " %-*s", cellWidth, row.Mark(s))
	}
	fmt.Fprintf(&b, " %-8s %s", row.Back(), row.VerdictText())
	if row.Why != "" {
		b.WriteString(": " + row.Why)
	}
	return b.String()
}
