package ui

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine"
	"bulkhead/engine/hostfile"
)

// notifier shows the project outside of the screen: a bell or a desktop notification, the window's title, the task bar.
type notifier struct{ e *env }

// alarm rings when something broke since the snapshot before while the terminal has no focus.
func (n *notifier) alarm(before *engine.Snapshot, blurred bool) tea.Cmd {
	if n.e.opts.Config.Notify == "none" || !blurred || len(before.Records) == 0 {
		return nil
	}
	last := before.Records[len(before.Records)-1].Seq
	for i := range n.e.snap.Records {
		if r := &n.e.snap.Records[i]; r.Seq > last && alarming(r) {
			return tea.Raw(notification(n.e.opts.Config.Notify, strings.TrimSpace(r.Service+" "+
				recordText(*r)), envOf(n.e.opts.Environ, "TMUX") != ""))
		}
	}
	return nil
}

// alarming says whether a record tells of a crash, or of work that did not succeed.
func alarming(r *engine.Record) bool {
	return r.Err != "" || r.State == engine.StateBroken || r.HasExit && r.ExitCode != 0 &&
		r.Cause == engine.EndedByItself
}

// notification is what is written to the terminal; how is a word of the config file. tmux hands on
// what it does not know only when asked to.
func notification(how, text string, tmux bool) string {
	text = strings.ReplaceAll(commandText(text), ";", ",")
	out := "\x07"
	switch how {
	case "osc9":
		out = "\x1b]9;bulkhead: " + text + "\x1b\\"
	case "osc777":
		out = "\x1b]777;notify;bulkhead;" + text + "\x1b\\"
	default:
		return out
	}
	if tmux {
		out = ansi.TmuxPassthrough(out)
	}
	return out
}

// commandText makes text safe within an operating system command: without control characters, and
// without those whose UTF-8 holds the byte 9c, at which terminals that look at single bytes end the
// command and print the rest. ✗ and ✓ are among them.
func commandText(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c < ' ' || c >= 0x7f && c < 0xa0:
			return -1
		case strings.IndexByte(string(c), 0x9c) >= 0:
			return '?'
		}
		return c
	}, oneLine(ansi.Strip(text)))
}

// title is the window's: the worst state first, since a tab shows little of it.
func (n *notifier) title() string {
	if n.e.opts.Config.Title == "off" {
		return ""
	}
	parts := []string{}
	var worst *engine.Service
	for i := range n.e.snap.Services {
		s := &n.e.snap.Services[i]
		if severity(s) >= severity(&engine.Service{State: engine.StatePaused}) &&
			(worst == nil || severity(s) > severity(worst)) {
			worst = s
		}
	}
	if worst != nil {
		word := stateText(worst)
		if worst.State == engine.StateRunning {
			word = worst.Health.String()
		}
		parts = append(parts, "! "+worst.Name+" "+word)
	}
	if n.e.snap.Project != "" {
		parts = append(parts, n.e.snap.Project)
	}
	return commandText(strings.Join(append(parts, "bulkhead"), " · "))
}

// shownFailure is how long the task bar shows that a build did not succeed.
const shownFailure = 5 * time.Second

// progress is what the task bar shows: how far the builds that run are.
func (n *notifier) progress() *tea.ProgressBar {
	if !n.showsProgress() {
		return nil
	}
	done, total, running, failed := 0, 0, false, false
	for i := range n.e.snap.Builds {
		b := &n.e.snap.Builds[i]
		switch {
		case b.Ended.IsZero():
			running = true
			if b.Total > 0 && total >= 0 {
				done, total = done+b.Done, total+b.Total
			} else {
				total = -1 // of one it is not known yet
			}
		case b.Err != "" && !b.Canceled && n.e.now.Sub(b.Ended) < shownFailure:
			failed = true
		}
	}
	switch {
	case running && total > 0:
		return tea.NewProgressBar(tea.ProgressBarDefault, 100*done/total)
	case running:
		return tea.NewProgressBar(tea.ProgressBarIndeterminate, 0)
	case failed:
		return tea.NewProgressBar(tea.ProgressBarError, 100)
	}
	return nil
}

// showsProgress says whether the terminal shows progress. Some that do not know the sequence take
// it for a notification.
func (n *notifier) showsProgress() bool {
	switch n.e.opts.Config.Progress {
	case "on":
		return true
	case "off":
		return false
	}
	env := n.e.opts.Environ
	return envOf(env, "TMUX") == "" && (envOf(env, "WT_SESSION") != "" || envOf(env, "ConEmuANSI") == "ON" ||
		slices.Contains([]string{"ghostty", "WezTerm", "iTerm.app"}, envOf(env, "TERM_PROGRAM")) ||
		strings.Contains(envOf(env, "TERM"), "ghostty"))
}

// firstRun says whether the screen is shown for the first time on this machine, and notes that it was.
func firstRun(dir string) bool {
	if dir == "" || hostfile.PrivateDir(dir) != nil {
		return false // where nothing can be kept the hint would come every time
	}
	f, err := os.OpenFile(filepath.Join(dir, "screen-seen"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// hint shows newcomers the few keys that lead to all others; it stays until the next key.
func (e *env) hint() {
	var parts []string
	for _, h := range [][2]string{{"line-down", "selects"}, {"search", "searches logs"},
		{"kill", "kills"}, {"up", "brings back"}, {"help", "shows all keys"}} {
		if k := e.keyOf(h[0]); k != "" {
			if h[0] == "line-down" && e.keyOf("line-up") != "" {
				k += "/" + e.keyOf("line-up")
			}
			parts = append(parts, k+" "+h[1])
		}
	}
	e.status.set("new here?  " + strings.Join(parts, "   "))
}
