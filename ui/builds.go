package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// buildsPane lists builds, pulls and prepare runs, the newest first, and shows the steps and the output of one.
type buildsPane struct {
	id     int // of the chosen build; 0: the newest
	top    int
	back   int // rows that the detail is scrolled up from its end
	listH  int
	listW  int
	sideBy bool
}

// refresh keeps the choice while its build exists.
func (p *buildsPane) refresh(snap *engine.Snapshot) {
	if p.id != 0 && !slices.ContainsFunc(snap.Builds, func(b engine.Build) bool { return b.ID == p.id }) {
		p.id = 0
	}
}

// chosen is the index of the chosen build in the snapshot, -1 when there is none. Without a choice it is the newest that
// runs or did not succeed, since that is what somebody comes to see; else the newest.
func (p *buildsPane) chosen(snap *engine.Snapshot) int {
	if p.id != 0 {
		return slices.IndexFunc(snap.Builds, func(b engine.Build) bool { return b.ID == p.id })
	}
	for i := len(snap.Builds) - 1; i >= 0; i-- {
		if b := &snap.Builds[i]; b.Ended.IsZero() || brokenBuild(snap, b) {
			return i
		}
	}
	return len(snap.Builds) - 1
}

// brokenBuild says whether a build did not succeed and no later one for its services did.
func brokenBuild(snap *engine.Snapshot, b *engine.Build) bool {
	if b.Err == "" || b.Canceled {
		return false
	}
	for i := len(snap.Builds) - 1; i >= 0 && snap.Builds[i].ID > b.ID; i-- {
		later := &snap.Builds[i]
		if later.Kind == b.Kind && slices.Equal(later.Services, b.Services) && !later.Ended.IsZero() && !later.Canceled {
			return false
		}
	}
	return true
}

func (p *buildsPane) move(snap *engine.Snapshot, n int) {
	i := p.chosen(snap)
	if i < 0 {
		return
	}
	i = min(max(i-n, 0), len(snap.Builds)-1) // the newest stands on top
	p.id, p.back = snap.Builds[i].ID, 0
}

func (p *buildsPane) scroll(n int) { p.back = max(p.back-n, 0) }

func (p *buildsPane) clickRow(snap *engine.Snapshot, x, y int) {
	if p.sideBy && x >= p.listW || !p.sideBy && y >= p.listH {
		return
	}
	if i := len(snap.Builds) - 1 - p.top - y; i >= 0 && i < len(snap.Builds) {
		p.id, p.back = snap.Builds[i].ID, 0
	}
}

// Render draws the pane into r: the list beside the detail, or above it.
func (p *buildsPane) Render(m *Model, r rect) []string {
	if r.empty() {
		return nil
	}
	if len(m.snap.Builds) == 0 {
		out := []string{m.st.dim.s(fit(" nothing was built or pulled yet; "+m.keyOf("rebuild")+" rebuilds the selected service", r.w))}
		return fill(out, r)
	}
	p.sideBy = r.w >= 110
	if p.sideBy {
		p.listW, p.listH = max(r.w*2/5, 44), r.h
		list := p.list(m, rect{w: p.listW, h: r.h})
		detail := p.detail(m, rect{w: r.w - p.listW - 2, h: r.h})
		for i := range list {
			list[i] += m.st.line.s("│") + " " + detail[i]
		}
		return list
	}
	p.listW, p.listH = r.w, min(len(m.snap.Builds), max(r.h/3, 1))
	list := p.list(m, rect{w: r.w, h: p.listH})
	return append(list, p.detail(m, rect{w: r.w, h: r.h - p.listH})...)
}

// fill adds blank rows up to r's height.
func fill(rows []string, r rect) []string {
	for len(rows) < r.h {
		rows = append(rows, spaces(r.w))
	}
	return rows[:max(r.h, 0)]
}

func (p *buildsPane) list(m *Model, r rect) []string {
	n := len(m.snap.Builds)
	row := n - 1 - p.chosen(m.snap)
	p.top = min(max(p.top, row-r.h+1), row)
	p.top = max(min(p.top, n-r.h), 0)
	out := make([]string, 0, r.h)
	for i := p.top; i < n && len(out) < r.h; i++ {
		out = append(out, p.line(m, &m.snap.Builds[n-1-i], i == row, r.w))
	}
	return fill(out, r)
}

func (p *buildsPane) line(m *Model, b *engine.Build, chosen bool, w int) string {
	sign, t := buildSign(m.snap, b)
	cursor := " "
	if chosen {
		cursor = ">"
	}
	text := fmt.Sprintf("%s%s %s  %s %-7s %5s  ", cursor, m.paintOf(t).s(sign), m.st.dim.s(b.Began.Local().Format("15:04:05")),
		fit(strings.Join(b.Services, ","), 12), b.Kind, took(ended(b.Ended, m.now).Sub(b.Began)))
	switch {
	case b.Canceled:
		text += m.st.dim.s("superseded")
	case b.Err != "":
		text += m.st.bad.s("failed") + "  " + shortErr(b)
	case b.Ended.IsZero():
		text += m.st.busy.s(progressText(b))
	default:
		text += progressText(b) + "  " + m.st.dim.s(b.Cause)
	}
	row := fit(text, w)
	if chosen && m.focus == paneBuilds {
		return m.st.selected.over(row)
	}
	return row
}

// shortErr is why a build failed, without the words that its row has said already.
func shortErr(b *engine.Build) string {
	text := oneLine(b.Err)
	if len(b.Services) == 1 {
		text = strings.TrimPrefix(text, b.Kind+" "+b.Services[0]+": ")
	}
	if rest, ok := strings.CutPrefix(text, "exit status "); ok {
		if _, why, more := strings.Cut(rest, ": "); more {
			text = why
		}
	}
	return text
}

func ended(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

func buildSign(snap *engine.Snapshot, b *engine.Build) (string, tone) {
	switch {
	case b.Canceled:
		return "○", toneOff
	case b.Err != "":
		return "✗", toneBad
	case b.Ended.IsZero():
		return "⟳", toneBusy
	}
	return "✓", toneGood
}

// progressText is how far a build is: "4/7, 2 cached", "34% of 88M".
func progressText(b *engine.Build) string {
	switch {
	case b.Kind == "pull" && b.Size > 0 && b.Ended.IsZero():
		return fmt.Sprintf("%s %d%% of %s", bar(float64(b.Current)/float64(b.Size), 10), b.Current*100/b.Size, bytesText(b.Size))
	case b.Kind == "pull" && b.Size > 0:
		return bytesText(b.Size)
	case b.Total == 0:
		return ""
	case b.Cached > 0:
		return fmt.Sprintf("%d/%d, %d cached", b.Done, b.Total, b.Cached)
	}
	return fmt.Sprintf("%d/%d", b.Done, b.Total)
}

// bar is a progress bar of w cells.
func bar(part float64, w int) string {
	n := min(max(int(part*float64(w)+0.5), 0), w)
	return strings.Repeat("█", n) + strings.Repeat("░", w-n)
}

// detail shows the steps of the chosen build and the end of its output.
func (p *buildsPane) detail(m *Model, r rect) []string {
	if r.empty() {
		return nil
	}
	i := p.chosen(m.snap)
	if i < 0 {
		return fill(nil, r)
	}
	b := &m.snap.Builds[i]
	title := strings.TrimSpace(fmt.Sprintf("%s %s", strings.Join(b.Services, ", "), b.Image))
	if b.Cause != "" {
		title += " · " + b.Cause
	}
	var rows []string
	for _, s := range b.Steps {
		rows = append(rows, m.stepLine(s, r.w))
	}
	if len(b.Lines) > 0 && len(b.Steps) > 0 {
		rows = append(rows, "")
	}
	for _, l := range b.Lines {
		rows = append(rows, " "+string(logs.Clean(nil, []byte(l))))
	}
	if b.Err != "" && !b.Canceled {
		rows = append(rows, "", " "+m.st.bad.s(oneLine(b.Err)))
		if strings.Contains(b.Kind, "build") || b.Kind == "prepare" {
			rows = append(rows, m.st.dim.s(" what ran before runs on; the next save tries again"))
		}
	}
	h := r.h - 1
	p.back = min(p.back, max(len(rows)-h, 0))
	from := max(len(rows)-h-p.back, 0)
	more := ""
	if from > 0 {
		more = fmt.Sprintf(" %d above", from)
	}
	if p.back > 0 {
		more += fmt.Sprintf(" %d below", p.back)
	}
	head := "─ " + title + " "
	if n := r.w - width(more) - 1; n > 0 {
		head = fit(cut(head, n)+strings.Repeat("─", max(n-width(cut(head, n)), 0)), n)
	}
	out := []string{fit(m.st.line.s(head+more+" "), r.w)}
	for _, row := range rows[from:min(from+max(h, 0), len(rows))] {
		out = append(out, fit(row, r.w))
	}
	return fill(out, r)
}

func (m *Model) stepLine(s engine.BuildStep, w int) string {
	sign, t, right := "○", toneOff, ""
	switch {
	case s.Err != "":
		sign, t, right = "✗", toneBad, "failed"
	case s.Cached:
		sign, t, right = "✓", toneOff, "cached"
	case !s.Ended.IsZero():
		sign, t, right = "✓", toneGood, took(s.Ended.Sub(s.Began))
	case !s.Began.IsZero():
		sign, t, right = "⟳", toneBusy, took(m.now.Sub(s.Began))
	}
	return ends(" "+m.paintOf(t).s(sign)+" "+oneLine(s.Name), m.paintOf(t).s(right)+" ", w)
}
