package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/ui/duration"
)

// buildsPane lists builds, pulls and prepare runs, the newest first, and shows the steps and the output of one.
type buildsPane struct {
	e        *env
	chosenID int // of the chosen build; 0: the newest
	top      int
	up       int // rows that the detail is scrolled up from its end
	listH    int
	listW    int
	sideBy   bool
}

func (p *buildsPane) id() paneID           { return paneBuilds }
func (p *buildsPane) restyle()             {}
func (p *buildsPane) title(int) string     { return "" }
func (p *buildsPane) scroll(n int) tea.Cmd { p.up = max(p.up-n, 0); return nil }

func (p *buildsPane) back() bool { return false }

// refresh keeps the choice while its build exists.
func (p *buildsPane) refresh() {
	if p.chosenID != 0 && !slices.ContainsFunc(p.e.snap.Builds, func(b engine.Build) bool { return b.ID == p.chosenID }) {
		p.chosenID = 0
	}
}

// chosen is the index of the chosen build in the snapshot, -1 when there is none. Without a choice
// it is the newest that runs or did not succeed, since that is what somebody comes to see; else the
// newest.
func (p *buildsPane) chosen() int {
	snap := p.e.snap
	if p.chosenID != 0 {
		return slices.IndexFunc(snap.Builds, func(b engine.Build) bool { return b.ID == p.chosenID })
	}
	for i := len(snap.Builds) - 1; i >= 0; i-- {
		if b := &snap.Builds[i]; b.Ended.IsZero() || snap.brokenBuild(b) {
			return i
		}
	}
	return len(snap.Builds) - 1
}

func (p *buildsPane) move(n int) {
	builds := p.e.snap.Builds
	i := p.chosen()
	if i < 0 {
		return
	}
	i = min(max(i-n, 0), len(builds)-1) // the newest is on top
	p.chosenID, p.up = builds[i].ID, 0
}

func (p *buildsPane) click(x, y int) {
	snap := p.e.snap
	if p.sideBy && x >= p.listW || !p.sideBy && y >= p.listH {
		return
	}
	if i := len(snap.Builds) - 1 - p.top - y; i >= 0 && i < len(snap.Builds) {
		p.chosenID, p.up = snap.Builds[i].ID, 0
	}
}

// render draws the pane into r: the list beside the detail, or above it.
func (p *buildsPane) render(r rect) []string {
	if r.empty() {
		return nil
	}
	if len(p.e.snap.Builds) == 0 {
		out := []string{p.e.st.dim.s(fit(" nothing was built or pulled yet; "+p.e.keyOf("rebuild")+" rebuilds the selected service", r.w))}
		return fill(out, r)
	}
	p.sideBy = r.w >= 110
	if p.sideBy {
		p.listW, p.listH = max(r.w*2/5, 44), r.h
		list := p.list(rect{w: p.listW, h: r.h})
		detail := p.detail(rect{w: r.w - p.listW - 2, h: r.h})
		for i := range list {
			list[i] += p.e.st.line.s("│") + " " + detail[i]
		}
		return list
	}
	p.listW, p.listH = r.w, min(len(p.e.snap.Builds), max(r.h/3, 1))
	list := p.list(rect{w: r.w, h: p.listH})
	return append(list, p.detail(rect{w: r.w, h: r.h - p.listH})...)
}

func (p *buildsPane) list(r rect) []string {
	n := len(p.e.snap.Builds)
	row := n - 1 - p.chosen()
	p.top = min(max(p.top, row-r.h+1), row)
	p.top = max(min(p.top, n-r.h), 0)
	out := make([]string, 0, r.h)
	for i := p.top; i < n && len(out) < r.h; i++ {
		out = append(out, p.line(&p.e.snap.Builds[n-1-i], i == row, r.w))
	}
	return fill(out, r)
}

func (p *buildsPane) line(b *engine.Build, chosen bool, w int) string {
	sign, t := buildSign(b)
	cursor := " "
	if chosen {
		cursor = ">"
	}
	text := fmt.Sprintf("%s%s %s  %s %-7s %5s  ", cursor, p.e.st.tone(t).s(sign), p.e.st.dim.s(b.Began.Local().Format("15:04:05")),
		fit(strings.Join(b.Services, ","), 12), b.Kind, duration.Took(endOrNow(b.Ended, p.e.now).Sub(b.Began)))
	switch {
	case b.Canceled:
		text += p.e.st.dim.s("superseded")
	case b.Err != "":
		text += p.e.st.bad.s("failed") + "  " + oneLine(cmp.Or(b.Why, b.Err))
	case b.Ended.IsZero():
		text += p.e.st.busy.s(progressText(b))
	default:
		text += progressText(b) + "  " + p.e.st.dim.s(b.Cause)
	}
	row := fit(text, w)
	if chosen && p.e.focus == paneBuilds {
		return p.e.st.selected.over(row)
	}
	return row
}

func endOrNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

func buildSign(b *engine.Build) (string, tone) {
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
func (p *buildsPane) detail(r rect) []string {
	if r.empty() {
		return nil
	}
	i := p.chosen()
	if i < 0 {
		return fill(nil, r)
	}
	b := &p.e.snap.Builds[i]
	title := strings.TrimSpace(fmt.Sprintf("%s %s", strings.Join(b.Services, ", "), b.Image))
	if b.Cause != "" {
		title += " · " + b.Cause
	}
	var rows []string
	for _, s := range b.Steps {
		rows = append(rows, p.stepLine(s, r.w))
	}
	if len(b.Lines) > 0 && len(b.Steps) > 0 {
		rows = append(rows, "")
	}
	for _, l := range b.Lines {
		rows = append(rows, " "+string(logs.Clean(nil, []byte(l))))
	}
	if b.Err != "" && !b.Canceled {
		rows = append(rows, "", " "+p.e.st.bad.s(oneLine(b.Err)))
		if strings.Contains(b.Kind, "build") || b.Kind == "prepare" {
			rows = append(rows, p.e.st.dim.s(" what ran before runs on; the next save tries again"))
		}
	}
	h := r.h - 1
	p.up = min(p.up, max(len(rows)-h, 0))
	from := max(len(rows)-h-p.up, 0)
	more := ""
	if from > 0 {
		more = fmt.Sprintf(" %d above", from)
	}
	if p.up > 0 {
		more += fmt.Sprintf(" %d below", p.up)
	}
	head := "─ " + title + " "
	if n := r.w - width(more) - 1; n > 0 {
		head = fit(cut(head, n)+strings.Repeat("─", max(n-width(cut(head, n)), 0)), n)
	}
	out := []string{fit(p.e.st.line.s(head+more+" "), r.w)}
	for _, row := range rows[from:min(from+max(h, 0), len(rows))] {
		out = append(out, fit(row, r.w))
	}
	return fill(out, r)
}

func (p *buildsPane) stepLine(s engine.BuildStep, w int) string {
	sign, t, right := "○", toneOff, ""
	switch {
	case s.Err != "":
		sign, t, right = "✗", toneBad, "failed"
	case s.Cached:
		sign, t, right = "✓", toneOff, "cached"
	case !s.Ended.IsZero():
		sign, t, right = "✓", toneGood, duration.Took(s.Ended.Sub(s.Began))
	case !s.Began.IsZero():
		sign, t, right = "⟳", toneBusy, duration.Took(p.e.now.Sub(s.Began))
	}
	return justify(" "+p.e.st.tone(t).s(sign)+" "+oneLine(s.Name), p.e.st.tone(t).s(right)+" ", w)
}
