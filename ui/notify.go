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
)

// What the terminal tells of the project outside of the screen: a bell or a note, the window's title, the task bar. And what is told to
// somebody who sees the screen for the first time.

// alarm rings when something broke since before and nobody looks.
func (m *Model) alarm(before *engine.Snapshot) tea.Cmd {
	if m.opts.Config.Notify == "none" || !m.blurred || len(before.Records) == 0 {
		return nil
	}
	last := before.Records[len(before.Records)-1].Seq
	for i := range m.snap.Records {
		if r := &m.snap.Records[i]; r.Seq > last && alarming(r) {
			return tea.Raw(notification(m.opts.Config.Notify, strings.TrimSpace(r.Service+" "+recordText(*r)), envOf(m.opts.Environ, "TMUX") != ""))
		}
	}
	return nil
}

// alarming says whether a record tells of a crash, or of work that did not succeed.
func alarming(r *engine.Record) bool {
	return r.Err != "" || r.State == engine.StateBroken || r.HasExit && r.ExitCode != 0 && r.Cause == engine.EndedByItself
}

// notification is what is written to the terminal; how is a word of the config file. tmux hands on what it does not know only when
// asked to.
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

// commandText makes text safe within an operating system command: without control characters, and without those whose UTF-8 holds the
// byte 9c, at which terminals that look at single bytes end the command and print the rest. ✗ and ✓ are among them.
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
func (m *Model) title() string {
	if m.opts.Config.Title == "off" {
		return ""
	}
	parts := []string{}
	var worst *engine.Service
	for i := range m.snap.Services {
		s := &m.snap.Services[i]
		if severity(s) >= severity(&engine.Service{State: engine.StatePaused}) && (worst == nil || severity(s) > severity(worst)) {
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
	if m.snap.Project != "" {
		parts = append(parts, m.snap.Project)
	}
	return commandText(strings.Join(append(parts, "bulkhead"), " · "))
}

// shownFailure is how long the task bar shows that a build did not succeed.
const shownFailure = 5 * time.Second

// progress is what the task bar shows: how far the builds that run are.
func (m *Model) progress() *tea.ProgressBar {
	if !m.showsProgress() {
		return nil
	}
	done, total, running, failed := 0, 0, false, false
	for i := range m.snap.Builds {
		b := &m.snap.Builds[i]
		switch {
		case b.Ended.IsZero():
			running = true
			if b.Total > 0 && total >= 0 {
				done, total = done+b.Done, total+b.Total
			} else {
				total = -1 // of one it is not known yet
			}
		case b.Err != "" && !b.Canceled && m.now.Sub(b.Ended) < shownFailure:
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

// showsProgress says whether the terminal may be told. Some that do not know the sequence take it for a notification.
func (m *Model) showsProgress() bool {
	switch m.opts.Config.Progress {
	case "on":
		return true
	case "off":
		return false
	}
	env := m.opts.Environ
	return envOf(env, "TMUX") == "" && (envOf(env, "WT_SESSION") != "" || envOf(env, "ConEmuANSI") == "ON" ||
		slices.Contains([]string{"ghostty", "WezTerm", "iTerm.app"}, envOf(env, "TERM_PROGRAM")) || strings.Contains(envOf(env, "TERM"), "ghostty"))
}

// firstRun says whether nobody has seen the screen on this machine yet, and notes that somebody has now.
func firstRun(dir string) bool {
	if dir == "" || os.MkdirAll(dir, 0o700) != nil {
		return false // where nothing can be kept the hint would come every time
	}
	f, err := os.OpenFile(filepath.Join(dir, "screen-seen"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// hint tells newcomers the few keys that lead to all others; it stays until the next key.
func (m *Model) hint() {
	var parts []string
	for _, h := range [][2]string{{"line-down", "selects"}, {"search", "searches logs"}, {"kill", "kills"}, {"up", "brings back"}, {"help", "shows all keys"}} {
		if k := m.keyOf(h[0]); k != "" {
			if h[0] == "line-down" && m.keyOf("line-up") != "" {
				k += "/" + m.keyOf("line-up")
			}
			parts = append(parts, k+" "+h[1])
		}
	}
	m.say("new here?  " + strings.Join(parts, "   "))
}
