package ui

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// savedMsg is the end of a save.
type savedMsg struct {
	path  string
	lines int
	err   error
}

// mostCopied is how many lines one copy takes.
const mostCopied = 100_000

// copyOrds gives the lines that y copies: the range, else the marked ones, else the cursor's, else all that are seen.
func (p *logPane) copyOrds() []int64 {
	var out []int64
	switch {
	case p.ranged:
		lo, hi := p.rangeOf()
		for ord := lo; ord <= hi && len(out) < mostCopied; ord++ {
			out = append(out, ord)
		}
	case len(p.marks) > 0:
		for _, mk := range p.marks {
			if ord, ok := p.view.Locate(mk.line); ok {
				out = append(out, ord)
			}
		}
		slices.Sort(out)
	case !p.follow:
		out = []int64{p.cur.ord}
	default:
		for _, s := range p.seen {
			out = append(out, s.ord)
		}
		out = slices.Compact(out)
	}
	return out
}

// doCopy puts lines on the clipboard, and into a file for terminals that take none.
func doCopy(m *Model) tea.Cmd {
	ords, v := m.log.copyOrds(), m.log.view.Fork()
	m.log.ranged = false
	m.say("copying " + plural(len(ords), "line"))
	file := filepath.Join(os.TempDir(), fmt.Sprintf("bulkhead-%s-copy.txt", m.snap.Project))
	return m.copyText(func() (string, string) {
		text, n := textOf(v, ords)
		done := "copied " + plural(n, "line")
		if n == mostCopied {
			done += " (the most that one copy takes)"
		}
		return text, done
	}, file)
}

// textOf gives the plain text of lines, and how many of them are still there. The last line of several has its end.
func textOf(v *logs.View, ords []int64) (text string, n int) {
	var b strings.Builder
	for i := 0; i < len(ords); { // stretches are read at once
		j := i + 1
		for j < len(ords) && ords[j] == ords[j-1]+1 {
			j++
		}
		for _, l := range v.Lines(ords[i], j-i) {
			if l.Seq != 0 {
				b.Write(logs.Plain(nil, l.Text))
				b.WriteByte('\n')
				n++
			}
		}
		i = j
	}
	if n == 1 {
		return strings.TrimSuffix(b.String(), "\n"), n
	}
	return b.String(), n
}

// askSave asks what to save and how; the first choice is the usual one.
func askSave(m *Model) tea.Cmd {
	p := &m.log
	narrowed := p.narrowed() || p.want.Services != nil || len(p.want.Mute) > 0
	choose := func(key, label, who string, f logs.Filter, format logs.Format) choice {
		path := m.savePath(who, format)
		return choice{key: key, label: label, hint: filepath.Base(path), run: func(m *Model) tea.Cmd { return m.save(path, f, format) }}
	}
	shown := p.want
	what := "all lines"
	if narrowed {
		what = "what is shown"
	}
	choices := []choice{
		choose("t", what+", as text", p.scopeName(), shown, logs.FormatText),
		choose("j", what+", as JSON lines", p.scopeName(), shown, logs.FormatJSON),
	}
	if narrowed {
		choices = append(choices,
			choose("a", "all lines, as text", "all", logs.Filter{}, logs.FormatText),
			choose("l", "all lines, as JSON lines", "all", logs.Filter{}, logs.FormatJSON))
	}
	m.over = newMenu("Save the logs", []string{"to " + m.saveDir()}, choices)
	return nil
}

// scopeName says in a file's name whose lines it holds, and whether some were left out.
func (p *logPane) scopeName() string {
	w := &p.want
	who := "all"
	switch {
	case w.Services != nil && w.Replica > 0:
		who = fmt.Sprintf("%s-%d", strings.Join(w.Services, "+"), w.Replica)
	case w.Services != nil:
		who = strings.Join(w.Services, "+")
	case len(w.Mute) > 0:
		who = "all-but-" + strings.Join(slices.Sorted(maps.Keys(w.Mute)), "+")
	}
	who = who[:min(len(who), 60)]
	if p.narrowed() {
		who += "-filtered"
	}
	return who
}

func (m *Model) saveDir() string {
	if dir := m.opts.Config.SaveDir; dir != "" {
		return dir
	}
	return os.TempDir() // not the project's folder: a new file there would start rebuilds
}

func (m *Model) savePath(who string, format logs.Format) string {
	ext := "log"
	if format == logs.FormatJSON {
		ext = "jsonl"
	}
	return filepath.Join(m.saveDir(), fmt.Sprintf("%s-%s-%s.%s", m.snap.Project, who, m.opts.Now().Format("20060102-150405"), ext))
}

// save writes all lines that pass a filter, not just those that are seen.
func (m *Model) save(path string, f logs.Filter, format logs.Format) tea.Cmd {
	store := m.log.store
	m.say("saving to " + path)
	return m.jobs.do("save the logs", func(context.Context) tea.Msg {
		v := store.View(f)
		first, end := v.Bounds()
		return savedMsg{path: path, lines: int(end - first), err: export(v, path, format)}
	})
}

func export(v *logs.View, path string, format logs.Format) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := v.Export(f, format); err != nil {
		f.Close() // the export's error says more
		return err
	}
	return f.Close()
}

func (m *Model) saved(msg savedMsg) {
	if msg.err != nil {
		m.fail("save the logs: " + msg.err.Error())
		return
	}
	m.say("saved " + plural(msg.lines, "line") + " to " + msg.path)
}
