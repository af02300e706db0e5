package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// overlayer is something that lies over the panes and takes the keys until it is closed.
type overlayer interface {
	// Key handles a key press; closed tells the root to take it away.
	Key(m *Model, k tea.KeyPressMsg) (cmd tea.Cmd, closed bool)
	// Render draws it for a screen of w by h; the rows are all of one width.
	Render(m *Model, w, h int) []string
	// Cursor is where the terminal's cursor stands in what Render drew last, ok false for none.
	Cursor() (x, y int, ok bool)
}

// choice is one line of a menu.
type choice struct {
	key, label, hint string
	run              func(*Model) tea.Cmd // nil: nothing but close
}

// menu asks for one of a few things; each has a key, and the cursor works as well.
type menu struct {
	title   string
	lines   []string
	choices []choice
	at      int
}

func newMenu(title string, lines []string, choices []choice) *menu {
	return &menu{title: title, lines: lines, choices: choices}
}

// Key implements overlayer.
func (n *menu) Key(m *Model, k tea.KeyPressMsg) (tea.Cmd, bool) {
	s := k.String()
	for _, c := range n.choices {
		if c.key == s {
			return n.pick(m, c)
		}
	}
	switch s {
	case "up", "k", "shift+tab":
		n.at = (n.at + len(n.choices) - 1) % len(n.choices)
	case "down", "j", "tab":
		n.at = (n.at + 1) % len(n.choices)
	case "enter", "space":
		return n.pick(m, n.choices[n.at])
	case "esc", "q", "ctrl+c":
		return nil, true
	}
	return nil, false
}

func (n *menu) pick(m *Model, c choice) (tea.Cmd, bool) {
	m.over = nil // before run, which may open the next one
	if c.run == nil {
		return nil, true
	}
	cmd := c.run(m)
	return cmd, m.over == nil
}

// Cursor implements overlayer.
func (n *menu) Cursor() (int, int, bool) { return 0, 0, false }

// Render implements overlayer.
func (n *menu) Render(m *Model, w, h int) []string {
	keyW, labelW, hintW := 1, 0, 0
	for _, c := range n.choices {
		keyW, labelW, hintW = max(keyW, width(c.key)), max(labelW, width(c.label)), max(hintW, width(c.hint))
	}
	inner := keyW + labelW + 6
	if hintW > 0 {
		inner += hintW + 2
	}
	for _, l := range n.lines {
		inner = max(inner, width(l)+2)
	}
	inner = min(max(inner, width(n.title)+4), w-2)
	var rows []string
	for _, l := range n.lines {
		rows = append(rows, " "+l)
	}
	if len(n.lines) > 0 {
		rows = append(rows, "")
	}
	for i, c := range n.choices {
		row := fmt.Sprintf("   %s  %s", m.st.key.s(fit(c.key, keyW)), fit(c.label, labelW))
		if c.hint != "" {
			row += "  " + m.st.dim.s(c.hint)
		}
		if i == n.at {
			row = m.st.selected.over(fit(" > "+row[3:], inner))
		}
		rows = append(rows, row)
	}
	return box(m, n.title, rows, inner, h)
}

// box draws a frame around rows; it is at most h high.
func box(m *Model, title string, rows []string, inner, h int) []string {
	if inner < 1 || h < 3 {
		return nil
	}
	if len(rows) > h-2 {
		rows = rows[:h-2]
	}
	l := m.st.line
	top := cut(" "+title+" ", inner)
	out := []string{l.s("╭") + m.st.titleFocus.s(top) + l.s(strings.Repeat("─", inner-width(top))+"╮")}
	for _, r := range rows {
		out = append(out, l.s("│")+fit(r, inner)+l.s("│"))
	}
	return append(out, l.s("╰"+strings.Repeat("─", inner)+"╯"))
}

func askQuit(m *Model) tea.Cmd {
	m.over = newMenu("Quit", []string{fmt.Sprintf("%s has %s running.", m.snap.Project, plural(m.running(), "service"))}, []choice{
		{key: "l", label: "leave them running", hint: "bulkhead up comes back to them", run: func(m *Model) tea.Cmd { return m.leave(Leave) }},
		{key: "s", label: "stop them", hint: "in reverse dependency order", run: func(m *Model) tea.Cmd { return m.leave(Stop) }},
		{key: "c", label: "cancel"},
	})
	return nil
}

// running counts the services of which something runs.
func (m *Model) running() int {
	n := 0
	for i := range m.snap.Services {
		if alive(&m.snap.Services[i]) {
			n++
		}
	}
	return n
}

func askDown(m *Model) tea.Cmd {
	if m.opts.Config.Confirm == "none" {
		return m.leave(Down)
	}
	m.over = newMenu("Down", []string{"Stops " + m.snap.Project + ", removes its containers and networks, and quits."}, []choice{
		{key: "d", label: "down", hint: "volumes keep their data", run: func(m *Model) tea.Cmd { return m.leave(Down) }},
		{key: "v", label: "down, volumes too", hint: "their data is lost", run: func(m *Model) tea.Cmd {
			m.over = newMenu("Down with volumes", []string{"Everything in the named volumes of " + m.snap.Project + " is lost."}, []choice{
				{key: "c", label: "cancel"},
				{key: "y", label: "remove the volumes", run: func(m *Model) tea.Cmd { return m.leave(DownVolumes) }},
			})
			return nil
		}},
		{key: "c", label: "cancel"},
	})
	return nil
}

func askSignal(m *Model) tea.Cmd {
	names, replica := m.targets()
	send := func(sig string) func(*Model) tea.Cmd {
		return func(m *Model) tea.Cmd {
			return m.send(fmt.Sprintf("send %s to %s", sig, strings.Join(names, ", ")), m.keyOf("signal"),
				engine.Command{Verb: engine.VerbKill, Services: names, Replica: replica, Signal: sig})
		}
	}
	m.over = newMenu("Signal to "+strings.Join(names, ", "), nil, []choice{
		{key: "t", label: "SIGTERM", hint: "ask it to stop", run: send("SIGTERM")},
		{key: "i", label: "SIGINT", hint: "ctrl+c", run: send("SIGINT")},
		{key: "h", label: "SIGHUP", hint: "often: read the configuration again", run: send("SIGHUP")},
		{key: "1", label: "SIGUSR1", run: send("SIGUSR1")},
		{key: "2", label: "SIGUSR2", run: send("SIGUSR2")},
		{key: "q", label: "SIGQUIT", hint: "Go, JVM: print stacks", run: send("SIGQUIT")},
		{key: "s", label: "SIGSEGV", hint: "a crash: the restart policy acts", run: send("SIGSEGV")},
		{key: "a", label: "SIGABRT", hint: "a crash with a core dump", run: send("SIGABRT")},
		{key: "9", label: "SIGKILL", hint: "at once, like K", run: send("SIGKILL")},
	})
	return nil
}

func askFault(m *Model) tea.Cmd {
	names, replica := m.targets()
	who := strings.Join(names, ", ")
	act := func(v engine.Verb, sig string) func(*Model) tea.Cmd {
		return func(m *Model) tea.Cmd {
			return m.send(fmt.Sprintf("%s %s", v, who), m.keyOf("fault"), engine.Command{Verb: v, Services: names, Replica: replica, Signal: sig})
		}
	}
	choices := []choice{
		{key: "k", label: "kill", hint: "SIGKILL; stays down until u", run: act(engine.VerbKill, "SIGKILL")},
		{key: "c", label: "crash", hint: "SIGSEGV; the restart policy acts", run: act(engine.VerbKill, "SIGSEGV")},
		{key: "s", label: "stop", hint: "with its stop signal and grace", run: act(engine.VerbStop, "")},
	}
	if m.snap.Caps.Pause {
		choices = append(choices, choice{key: "p", label: "pause", hint: "it hangs: connections stay open, nothing answers", run: act(engine.VerbPause, "")})
	}
	if anyHurt(m) {
		choices = append(choices, choice{key: "h", label: "heal all", hint: "bring back all that is down by hand", run: doHeal})
	}
	m.over = newMenu("Fault on "+who, []string{"The ledger (5) shows who else suffers, and who does not."}, choices)
	return nil
}
