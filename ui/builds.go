package ui

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/ui/duration"
)

// buildsPane lists builds, pulls and prepare runs, the newest first, and shows the steps and the output of one.
type buildsPane struct {
	e        *env
	chosenID int // of the chosen build; 0: the newest
	top      int
	at       int // first row of the detail that is seen; -1: where it fails, else its end
	rows     int // of the detail
	// the whole text of each of its rows, which may hold a part of it; "" where it names no file
	texts     []string
	seenTexts []string // of the rows that are seen
	seenAt    int      // at, as it was drawn last
	detailH   int      // rows of it that are seen
	xoff      int      // cells that are scrolled out to the left
	wrap      bool
	clip      *clipboard
	find      nameFilter
	found     []int // rows of the detail that hold what is looked for
	listH     int
	listW     int
	sideBy    bool
}

const paneBuilds paneID = "builds"

func (p *buildsPane) id() paneID           { return paneBuilds }
func (p *buildsPane) restyle()             {}
func (p *buildsPane) title(int) string     { return "" }
func (p *buildsPane) scroll(n int) tea.Cmd { p.pageBy(n); return nil }

// tabName has a mark while something cannot be built.
func (p *buildsPane) tabName(int) string {
	if slices.ContainsFunc(p.e.snap.Builds, func(b engine.Build) bool { return p.e.snap.brokenBuild(&b) }) {
		return string(paneBuilds) + "!"
	}
	return string(paneBuilds)
}

func newBuildsPane(e *env, clip *clipboard) *buildsPane {
	return &buildsPane{e: e, clip: clip, at: -1, wrap: false, find: nameFilter{input: newInput()}}
}

// pageBy implements pager: pages are of the detail.
func (p *buildsPane) pageBy(n int) {
	at := p.at
	if at < 0 {
		at = p.seenAt
	}
	p.at = min(max(at+n, 0), max(p.rows-p.detailH, 0))
}

// back ends the search, then goes back to where the build failed, or to its end.
func (p *buildsPane) back() bool {
	switch {
	case p.find.on():
		p.find.clear()
	case p.at >= 0 || p.xoff > 0:
		p.at, p.xoff = -1, 0
	default:
		return false
	}
	return true
}

// refresh keeps the choice while its build exists.
func (p *buildsPane) refresh() {
	if p.chosenID != 0 && !slices.ContainsFunc(p.e.snap.Builds, func(b engine.Build) bool {
		return b.ID == p.chosenID
	}) {
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
	p.chosenID, p.at = builds[i].ID, -1
}

func (p *buildsPane) click(x, y int) {
	snap := p.e.snap
	if p.sideBy && x >= p.listW || !p.sideBy && y >= p.listH {
		return
	}
	if i := len(snap.Builds) - 1 - p.top - y; i >= 0 && i < len(snap.Builds) {
		p.chosenID, p.at = snap.Builds[i].ID, -1
	}
}

// render draws the pane into r: the list beside the detail, or above it.
func (p *buildsPane) render(r rect) []string {
	if r.empty() {
		return nil
	}
	if len(p.e.snap.Builds) == 0 {
		out := []string{p.e.st.dim.s(fit(" nothing was built or pulled yet; "+p.e.keyOf("rebuild")+
			" rebuilds the selected service", r.w))}
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
	text := fmt.Sprintf("%s%s %s  %s %-7s %5s  ", cursor, p.e.st.tone(t).s(sign),
		p.e.st.dim.s(b.Began.Local().Format("15:04:05")),
		fit(strings.Join(b.Services, ","), 12), b.Kind, duration.Took(endOrNow(b.Ended, p.e.now).Sub(b.Began)))
	switch {
	case b.Canceled:
		text += p.e.st.dim.s("superseded")
	case b.Err != "":
		text += p.e.st.bad.s("failed") + "  " + buildReason(p.e.snap, b)
	case b.Ended.IsZero():
		text += p.e.st.busy.s(progressText(b))
	default:
		text += progressText(b) + "  " + p.e.st.dim.s(b.Cause)
	}
	row := fit(text, w)
	if chosen && p.e.focus == paneBuilds {
		return p.e.st.bar(row)
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
		return fmt.Sprintf("%s %d%% of %s", bar(float64(b.Current)/float64(b.Size), 10),
			b.Current*100/b.Size, bytesText(b.Size))
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

// detail shows the chosen build: its steps, of a failed one where it failed, and its output.
func (p *buildsPane) detail(r rect) []string {
	if r.empty() {
		return nil
	}
	i := p.chosen()
	if i < 0 {
		return fill(nil, r)
	}
	b := &p.e.snap.Builds[i]
	rows, failed := p.detailRows(b, r.w)
	h := max(r.h-1, 0)
	last := max(len(rows)-h, 0)
	switch {
	case p.at >= 0:
		p.at = min(p.at, last)
	case failed >= 0:
		p.at = min(failed, last) // what somebody comes to see
		defer func() { p.at = -1 }()
	default:
		p.at = last
		defer func() { p.at = -1 }() // goes on with the output
	}
	p.detailH, p.rows, p.seenAt = h, len(rows), p.at
	more := ""
	if p.at > 0 {
		more = fmt.Sprintf(" ↑ %d", p.at)
	}
	if below := len(rows) - p.at - h; below > 0 {
		more += fmt.Sprintf(" ↓ %d", below)
	}
	out := []string{p.detailHead(b, more, r.w)}
	p.seenTexts = p.texts[p.at:min(p.at+h, len(rows))]
	for _, row := range rows[p.at:min(p.at+h, len(rows))] {
		if p.xoff > 0 {
			row = ansi.Cut(row, p.xoff, p.xoff+r.w)
		}
		out = append(out, fit(row, r.w))
	}
	return fill(out, r)
}

// detailHead is the rule above the detail.
func (p *buildsPane) detailHead(b *engine.Build, more string, w int) string {
	title := strings.TrimSpace(fmt.Sprintf("%s %s", strings.Join(b.Services, ", "), b.Image))
	if b.Cause != "" {
		title += " · " + b.Cause
	}
	if q := p.find.query(); q != "" || p.find.open {
		title = fmt.Sprintf("/%s  %d of %s", q, p.findRow(b), plural(len(p.found), "line"))
		p.find.x = 2 + 1 + width(q)
	}
	head := "─ " + title + " "
	if n := w - width(more) - 1; n > 0 {
		head = fit(cut(head, n)+strings.Repeat("─", max(n-width(cut(head, n)), 0)), n)
	}
	return fit(p.e.st.line.s(head+more+" "), w)
}

// detailRows are all rows of a build, and the one that a failed build opens at, -1 for none.
func (p *buildsPane) detailRows(b *engine.Build, w int) (rows []string, failed int) {
	failed = -1
	p.found, p.texts = p.found[:0], p.texts[:0]
	add := func(paint paint, text string) {
		text = p.local(text)
		p.keepText("", len(rows))
		defer func() { p.keepText(text, len(rows)) }()
		if p.find.on() && p.find.matches(ansi.Strip(text)) {
			p.found = append(p.found, len(rows))
			paint = p.e.st.badge
		}
		if paint != "" {
			text = paint.s(ansi.Strip(text))
		}
		if p.wrap {
			rows = append(rows, folded(text, w)...)
			return
		}
		rows = append(rows, text)
	}
	for _, s := range b.Steps {
		if s.Err != "" && failed < 0 {
			failed = len(rows)
		}
		rows = append(rows, p.stepLine(s, w))
	}
	broken := b.Err != "" && !b.Canceled
	if broken {
		rows = append(rows, "")
		if failed < 0 {
			failed = len(rows)
		}
		head := cmp.Or(b.Why, b.Err)
		if b.File != "" && b.Line > 0 {
			head = fmt.Sprintf("%s:%d", p.e.snap.relative(b.File), b.Line)
		}
		add(p.e.st.bad, " ✗ "+oneLine(head))
		p.aroundRows(b, add)
	}
	if len(b.Lines) > 0 && len(rows) > 0 {
		rows = append(rows, "")
	}
	first := firstError(b.Lines)
	for i, l := range b.Lines {
		var paint paint
		if broken && (i == first || errorLine.MatchString(l)) {
			paint = p.e.st.fail
		}
		add(paint, " "+string(logs.Clean(nil, []byte(l))))
	}
	if broken {
		rows = append(rows, "")
		add(p.e.st.bad, " "+oneLine(cmp.Or(b.Why, b.Err)))
		if b.Kind == "build" || b.Kind == "prepare" {
			rows = append(rows, p.e.st.dim.s(" what ran before runs on; the next save tries again"))
		}
	}
	p.keepText("", len(rows))
	return rows, failed
}

// keepText keeps the text that the rows up to n are of.
func (p *buildsPane) keepText(text string, n int) {
	for len(p.texts) < n {
		p.texts = append(p.texts, text)
	}
}

// aroundRows are the lines of the Dockerfile around the one that failed.
func (p *buildsPane) aroundRows(b *engine.Build, add func(paint, string)) {
	for _, l := range b.Around {
		paint := p.e.st.dim
		if l.Failed {
			paint = p.e.st.plain
		}
		add(paint, " "+logs.CleanLine(l.String()))
	}
}

// local has paths below the project's folder begin there.
func (p *buildsPane) local(text string) string { return p.e.snap.local(text) }

// errorLine is what compilers write where something is wrong.
var errorLine = regexp.MustCompile(
	`(?i)(^|[^a-z])(error|fatal|undefined|panic|cannot|failed)([^a-z]|$)|^\S+:\d+:\d+: `)

// placed is a line that says where something is wrong: "main.go:12:2: undefined: x".
var placed = regexp.MustCompile(`^\s*\S+\.\w+:\d+(:\d+)?:? `)

// firstError is the index of the first line of an output that says what is wrong, -1 for none.
func firstError(lines []string) int {
	if i := slices.IndexFunc(lines, placed.MatchString); i >= 0 {
		return i
	}
	return slices.IndexFunc(lines, errorLine.MatchString)
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
