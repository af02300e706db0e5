package ui

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// savedMsg is the end of a save or of the file that goes with a copy.
type savedMsg struct {
	path   string
	lines  int
	copied bool
	err    error
}

// openedMsg is the end of an attempt to open a browser.
type openedMsg struct {
	url string
	err error
}

// copyLimit is what goes to the clipboard at most: many terminals drop a longer OSC 52.
const copyLimit = 74_000

// copyLines gives the lines that y copies: the range, else the marked ones, else the cursor's, else all that are seen.
func (p *logPane) copyLines() []logs.Line {
	switch {
	case p.ranged:
		lo, hi := p.rangeOf()
		return p.view.Lines(lo, int(min(hi-lo+1, 100_000)))
	case len(p.marks) > 0:
		var ords []int64
		for _, mk := range p.marks {
			if ord, ok := p.view.Locate(mk.line); ok {
				ords = append(ords, ord)
			}
		}
		slices.Sort(ords)
		var out []logs.Line
		for _, ord := range ords {
			if l, ok := p.view.Line(ord); ok {
				out = append(out, l)
			}
		}
		return out
	case !p.follow:
		if l, ok := p.view.Line(p.cur.ord); ok {
			return []logs.Line{l}
		}
		return nil
	}
	var out []logs.Line
	last := int64(-1)
	for _, s := range p.seen {
		if s.ord != last {
			out, last = append(out, s.line), s.ord
		}
	}
	return out
}

// doCopy puts lines on the clipboard through the terminal, and into a file for terminals that take no clipboard.
func doCopy(m *Model) tea.Cmd {
	lines := m.log.copyLines()
	if len(lines) == 0 {
		m.say("no line to copy")
		return nil
	}
	var b strings.Builder
	for _, l := range lines {
		if l.Seq == 0 {
			continue
		}
		b.Write(logs.Plain(nil, l.Text))
		b.WriteByte('\n')
	}
	text := b.String()
	m.log.ranged = false
	m.say("copied " + plural(len(lines), "line") + m.tmuxHint())
	path := filepath.Join(os.TempDir(), fmt.Sprintf("bulkhead-%s-copy.txt", m.snap.Project))
	toFile := m.jobs.do("write the copy", func(context.Context) tea.Msg {
		return savedMsg{path: path, lines: len(lines), copied: true, err: os.WriteFile(path, []byte(text), 0o600)}
	})
	if len(text) > copyLimit {
		return toFile
	}
	if len(lines) == 1 {
		text = strings.TrimSuffix(text, "\n")
	}
	return tea.Batch(tea.SetClipboard(text), toFile)
}

// tmuxHint tells people inside of tmux what it needs to pass a copy on.
func (m *Model) tmuxHint() string {
	if envOf(m.opts.Environ, "TMUX") == "" {
		return ""
	}
	return "; tmux passes it on with: set -g set-clipboard on"
}

func envOf(environ []string, name string) string {
	for _, e := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// doSave writes all that the pane shows, not just what is seen, to a file.
func doSave(m *Model) tea.Cmd {
	dir := m.opts.Config.SaveDir
	if dir == "" {
		dir = os.TempDir() // not the project's folder: a new file there would start rebuilds
	}
	who := "all"
	if m.log.want.Services != nil {
		who = strings.Join(m.log.want.Services, "+")
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%s-%s.log", m.snap.Project, cutName(who), m.opts.Now().Format("20060102-150405")))
	store, filter := m.log.store, m.log.want
	m.say("saving to " + path)
	return m.jobs.do("save the logs", func(context.Context) tea.Msg {
		v := store.View(filter)
		first, end := v.Bounds()
		return savedMsg{path: path, lines: int(end - first), err: export(v, path)}
	})
}

func cutName(s string) string { return s[:min(len(s), 60)] }

func export(v *logs.View, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := v.Export(f, logs.FormatText); err != nil {
		f.Close() // the export's error says more
		return err
	}
	return f.Close()
}

func (m *Model) saved(msg savedMsg) {
	switch {
	case msg.err != nil && msg.copied:
		m.fail("write the copy: " + msg.err.Error())
	case msg.err != nil:
		m.fail("save the logs: " + msg.err.Error())
	case msg.copied:
		m.say("copied " + plural(msg.lines, "line") + ", also in " + msg.path + m.tmuxHint())
	default:
		m.say("saved " + plural(msg.lines, "line") + " to " + msg.path)
	}
}

// portChoices are the ports that o and its digits choose from: the selected service's, else everybody's.
func (m *Model) portChoices() []portOf {
	if !m.f.wide {
		if s := m.selected(); s != nil {
			if own := m.allPorts([]*engine.Service{s}); len(own) > 0 {
				return own
			}
		}
	}
	return m.allPorts(m.everyService())
}

func anyPort(m *Model) bool { return len(m.portChoices()) > 0 }

func doOpen(m *Model) tea.Cmd {
	if s := m.selected(); s != nil {
		if own := m.allPorts([]*engine.Service{s}); len(own) == 1 {
			return m.open(own[0])
		}
	}
	all := m.portChoices()
	if len(all) == 1 {
		return m.open(all[0])
	}
	m.picking = true
	return nil
}

// portMenu lists the digits.
func (m *Model) portMenu() string {
	var parts []string
	for i, p := range m.portChoices() {
		if i == 9 {
			break
		}
		parts = append(parts, fmt.Sprintf("%d %s :%d", i+1, p.service, p.port.Published))
	}
	return strings.Join(parts, "   ")
}

func (m *Model) openPort(i int) tea.Cmd {
	if all := m.portChoices(); i < len(all) {
		return m.open(all[i])
	}
	m.say("no port by that digit")
	return nil
}

func (m *Model) open(p portOf) tea.Cmd {
	host := p.port.Host
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	scheme := "http"
	if p.port.Target == 443 || p.port.Target == 8443 {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(p.port.Published))
	m.say("opening " + url)
	open := m.opts.OpenURL
	return m.jobs.do("open a browser", func(context.Context) tea.Msg { return openedMsg{url: url, err: open(url)} })
}

// opened tells the address, and copies it when no browser could be started.
func (m *Model) opened(msg openedMsg) tea.Cmd {
	if msg.err == nil {
		m.say("opened " + msg.url)
		return nil
	}
	m.say("no browser here; copied " + msg.url + m.tmuxHint())
	return tea.SetClipboard(msg.url)
}

// openURL starts the system's browser and does not wait for it.
func openURL(url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("WSL_DISTRO_NAME") == "" {
			return fmt.Errorf("open %s: no display", url)
		}
	}
	c := exec.Command(name, args...)
	detach(c)
	if err := c.Start(); err != nil {
		return fmt.Errorf("open %s: %w", url, err)
	}
	return c.Process.Release()
}
