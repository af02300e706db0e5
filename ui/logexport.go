package ui

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// logExport copies and saves lines.
type logExport struct {
	e      *env
	clip   *clipboard
	win    *logWindow
	marks  *logMarks
	filter *logFilter
}

// savedMsg is the end of a save.
type savedMsg struct {
	path  string
	lines int
	err   error
}

// mostCopied is how many lines one copy takes.
const mostCopied = 100_000

// copyOrds returns the lines that y copies: the range, else the marked ones, else the cursor's, else all that are seen.
func (x *logExport) copyOrds() []int64 {
	var out []int64
	switch {
	case x.win.ranged:
		lo, hi := x.win.rangeOf()
		for ord := lo; ord <= hi && len(out) < mostCopied; ord++ {
			out = append(out, ord)
		}
	case x.marks.any():
		for _, mk := range x.marks.byLine {
			if ord, ok := x.win.view.Locate(mk.line); ok {
				out = append(out, ord)
			}
		}
		slices.Sort(out)
	case !x.win.follow:
		out = []int64{x.win.cur.ord}
	default:
		for _, s := range x.win.seen {
			out = append(out, s.ord)
		}
		out = slices.Compact(out)
	}
	return out
}

// copy puts lines on the clipboard, and into a file for terminals that take none.
func (x *logExport) copy() tea.Cmd {
	ords, v := x.copyOrds(), x.win.view.Fork()
	x.win.ranged = false
	x.e.status.set("copying " + plural(len(ords), "line"))
	file := "" // never in a folder that others write to, where a name that they can guess may be theirs
	if dir := x.e.opts.StateDir; dir != "" {
		file = filepath.Join(dir, "copied", x.e.snap.Project+".txt")
	}
	return x.clip.copy(func() (string, string) {
		text, n := textOf(v, ords)
		done := "copied " + plural(n, "line")
		if n == mostCopied {
			done += " (the most that one copy takes)"
		}
		return text, done
	}, file)
}

// textOf returns the plain text of lines, and how many of them are still there. The last line of several has its end.
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
func (x *logExport) askSave() tea.Cmd {
	shown := x.filter.want
	narrowed := narrows(&shown) || shown.Services != nil || len(shown.Mute) > 0
	choose := func(key, label, who string, f logs.Filter, format logs.Format) choice {
		path := x.savePath(who, format)
		return choice{key: key, label: label, hint: filepath.Base(path), run: func() tea.Cmd {
			return x.save(path, f, format)
		}}
	}
	what := "all lines"
	if narrowed {
		what = "what is shown"
	}
	choices := []choice{
		choose("t", what+", as text", x.filter.fileName(), shown, logs.FormatText),
		choose("j", what+", as JSON lines", x.filter.fileName(), shown, logs.FormatJSON),
	}
	if narrowed {
		choices = append(choices,
			choose("a", "all lines, as text", "all", logs.Filter{}, logs.FormatText),
			choose("l", "all lines, as JSON lines", "all", logs.Filter{}, logs.FormatJSON))
	}
	x.e.over = newMenu(x.e, "Save the logs", []string{"to " + x.saveDir()}, choices)
	return nil
}

func (x *logExport) saveDir() string {
	if dir := x.e.opts.Config.SaveDir; dir != "" {
		return dir
	}
	return os.TempDir() // not the project's folder: a new file there would start rebuilds
}

func (x *logExport) savePath(who string, format logs.Format) string {
	ext := "log"
	if format == logs.FormatJSON {
		ext = "jsonl"
	}
	return filepath.Join(x.saveDir(), fmt.Sprintf("%s-%s-%s.%s", x.e.snap.Project, who,
		x.e.opts.Now().Format("20060102-150405"), ext))
}

// save writes all lines that pass a filter, not just those that are seen.
func (x *logExport) save(path string, f logs.Filter, format logs.Format) tea.Cmd {
	store := x.filter.store
	x.e.status.set("saving to " + path)
	return x.e.jobs.do("save the logs", func(context.Context) tea.Msg {
		v := store.View(f)
		first, end := v.Bounds()
		return savedMsg{path: path, lines: int(end - first), err: export(v, path, format)}
	})
}

func export(v *logs.View, path string, format logs.Format) error {
	f, err := newFile(path)
	if err != nil {
		return err
	}
	if err := v.Export(f, format); err != nil {
		f.Close() // the export's error says more
		return err
	}
	return f.Close()
}

// newFile makes a file of ours: what is there already, also a link that somebody put there, stays as it is.
func newFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// saved shows how a save ended.
func (x *logExport) saved(msg savedMsg) {
	if msg.err != nil {
		x.e.status.fail("save the logs: " + msg.err.Error())
		return
	}
	x.e.status.set("saved " + plural(msg.lines, "line") + " to " + msg.path)
}
