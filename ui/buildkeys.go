package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// What keys do in the builds: the output of one is read like a log.

// buildReason says why a build failed in a few words: where in the Dockerfile, and the first thing
// that its output says is wrong.
func buildReason(snap snapshot, b *engine.Build) string {
	text := b.Why
	if text == "" {
		text = b.Err
	}
	if i := firstError(b.Lines); i >= 0 {
		text = string(logs.Plain(nil, []byte(b.Lines[i])))
		if b.File != "" && b.Line > 0 {
			text = fmt.Sprintf("%s:%d: %s", snap.relative(b.File), b.Line, text)
		}
	}
	return strings.ReplaceAll(oneLine(snap.local(text)), "./", "")
}

// local has paths below the project's folder begin there.
func (s snapshot) local(text string) string {
	if s.Dir == "" {
		return text
	}
	return strings.ReplaceAll(text, s.Dir+"/", "./")
}

// failedBuild is the last build for a service if it did not succeed, else nil.
func (s snapshot) failedBuild(service string) *engine.Build {
	for i := len(s.Builds) - 1; i >= 0; i-- {
		b := &s.Builds[i]
		for _, name := range b.Services {
			if name == service && s.brokenBuild(b) {
				return b
			}
		}
	}
	return nil
}

func (p *buildsPane) toggleWrap() tea.Cmd {
	p.wrap, p.xoff = !p.wrap, 0
	return nil
}

// sideways is the action that scrolls the output by n steps to the right.
func (p *buildsPane) sideways(n int) func() tea.Cmd {
	return func() tea.Cmd {
		if !p.wrap {
			p.xoff = min(max(p.xoff+n*16, 0), 1<<12)
		}
		return nil
	}
}

// copy copies the output of the chosen build.
func (p *buildsPane) copy() tea.Cmd {
	i := p.chosen()
	if i < 0 {
		return nil
	}
	b := &p.e.snap.Builds[i]
	var out []string
	if b.File != "" {
		out = append(out, fmt.Sprintf("%s:%d", b.File, b.Line))
	}
	for _, l := range b.Around {
		out = append(out, l.String())
	}
	for _, l := range b.Lines {
		out = append(out, string(logs.Plain(nil, []byte(l))))
	}
	if b.Err != "" {
		out = append(out, b.Err)
	}
	return p.clip.text("the output of " + b.Kind + " " + strings.Join(b.Services,
		", "))(strings.Join(out, "\n") + "\n")
}

// search opens the box in which it is typed what to look for.
func (p *buildsPane) search() tea.Cmd {
	p.find.open = true
	return nil
}

// match is the action that goes to the next line that contains it, or the one before, all around.
func (p *buildsPane) match(by int) func() tea.Cmd {
	return func() tea.Cmd {
		if len(p.found) == 0 {
			p.e.status.set("no match for " + p.find.query() + " in this output")
			return nil
		}
		at := p.at
		if at < 0 {
			at = p.seenAt
		}
		next := -1
		for i, row := range p.found {
			if by > 0 && row > at && next < 0 {
				next = i
			}
			if by < 0 && row < at {
				next = i
			}
		}
		if next < 0 && by < 0 {
			next = len(p.found) - 1
		}
		p.at = p.found[max(next, 0)]
		return nil
	}
}

// findRow says which of the lines that were found is the first that is seen.
func (p *buildsPane) findRow(*engine.Build) int {
	for i, row := range p.found {
		if row >= p.seenAt {
			return i + 1
		}
	}
	return len(p.found)
}

func (p *buildsPane) searching() bool { return p.find.on() }

// buildsTyper is the pane while a search is typed.
type buildsTyper struct{ p *buildsPane }

// typer implements writable.
func (p *buildsPane) typer() typer {
	if p.find.open {
		return buildsTyper{p}
	}
	return nil
}

// key implements typer.
func (t buildsTyper) key(k tea.KeyPressMsg) tea.Cmd {
	f := &t.p.find
	switch k.String() {
	case "esc":
		f.clear()
	case "enter":
		f.open = false
		if f.on() {
			return t.p.match(1)()
		}
	default:
		f.input.key(k)
	}
	return nil
}

// paste implements typer.
func (t buildsTyper) paste(text string) tea.Cmd {
	t.p.find.input.insert(oneLine(text))
	return nil
}

func (t buildsTyper) cancel() { t.p.find.open = false }

func (t buildsTyper) cursor(r rect) (x, y int, ok bool) {
	x, y = t.p.find.x, t.p.listH
	if t.p.sideBy {
		x, y = x+t.p.listW+2, 0
	}
	return r.x + min(x, max(r.w-1, 0)), r.y + min(y, max(r.h-1, 0)), !r.empty()
}
