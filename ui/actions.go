package ui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// action is one thing a person can do. The footer, the help, the palette and the config file are all made from these.
type action struct {
	name  string   // in the config file
	keys  []string // as tea.KeyPressMsg spells them
	short string   // in the footer; "" keeps it out of there
	help  string
	group string
	where paneID         // panes in which the keys mean this while they have the focus
	rank  int            // footer: lower comes first, and stays longer when room is short; 0 is never shown
	each  bool           // acts on a service: the palette offers it for every one
	ok    func() bool    // whether it can do something now; nil: always
	label func() string  // footer text that depends on the state; nil: short
	run   func() tea.Cmd // nil only for keys that the root handles itself
	key   key.Binding    // made by bind
}

// bind makes the binding of keys and help.
func (a *action) bind() {
	shown := ""
	for i, k := range a.keys {
		if i > 0 {
			shown += " "
		}
		shown += keyName(k)
	}
	a.key = key.NewBinding(key.WithKeys(a.keys...), key.WithHelp(shown, a.help))
}

// firstKey is how the footer and banners call it.
func (a *action) firstKey() string {
	if len(a.keys) == 0 {
		return ""
	}
	return keyName(a.keys[0])
}

// keyName shortens a key for showing.
func keyName(k string) string {
	switch k {
	case "up":
		return "↑"
	case "down":
		return "↓"
	case "left":
		return "←"
	case "right":
		return "→"
	}
	return k
}

// can says whether the action can do something now.
func (a *action) can() bool { return a.ok == nil || a.ok() }

// words are its name for people.
func (a *action) words() string { return strings.ReplaceAll(a.name, "-", " ") }

// defaultActions is the table of a screen that is not shown, for those who read names and keys.
func defaultActions() []action {
	m := &Model{e: &env{}}
	m.makeParts(logs.New(logs.Options{}))
	return m.actions()
}

// actions is the key map as it is without a config file.
func (m *Model) actions() []action {
	return slices.Concat(m.serviceActions(), m.logActions(), m.moveActions(), m.screenActions())
}

func (m *Model) serviceActions() []action {
	const g = "services"
	v, svc, filter, mutes := m.verbs, m.svc, m.log.filter, m.log.mutes
	hasTarget, isAlive := v.underCursor(exists), v.anySelected(alive)
	return []action{
		{name: "restart", keys: []string{"r"}, short: "restart", help: "restart", group: g, where: paneAny, rank: 10, each: true, ok: hasTarget, run: v.restart},
		{name: "restart-dependents", keys: []string{"R"}, short: "+dependents", help: "restart with all that depend on it", group: g, where: paneAny, rank: 40, each: true, ok: hasTarget, run: v.restartDependents},
		{name: "stop-start", keys: []string{"s"}, short: "stop", help: "stop, or start what is stopped", group: g, where: paneAny, rank: 11, each: true, ok: hasTarget, label: v.stopLabel, run: v.stopStart},
		{name: "up", keys: []string{"u"}, short: "apply", help: "bring back what you killed or stopped; else apply what is pending", group: g, where: paneAny, rank: 8, each: true, ok: v.canUp, label: v.upLabel, run: v.up},
		{name: "kill", keys: []string{"K"}, short: "kill", help: "kill now (SIGKILL)", group: g, where: paneAny, rank: 12, each: true, ok: isAlive, run: v.kill},
		{name: "signal", keys: []string{"X"}, short: "signal", help: "pick a signal to send", group: g, where: paneAny, rank: 41, ok: isAlive, run: v.askSignal},
		{name: "pause", keys: []string{"p"}, short: "pause", help: "pause, or go on", group: g, where: paneAny, rank: 18, each: true, ok: v.canPause, label: v.pauseLabel, run: v.pause},
		{name: "rebuild", keys: []string{"b"}, short: "rebuild", help: "rebuild and swap", group: g, where: paneAny, rank: 13, each: true, ok: v.anySelected(isBuilt), run: v.rebuild},
		{name: "rebuild-stale", keys: []string{"B"}, short: "all stale", help: "bring all that is stale up to date", group: g, where: paneAny, rank: 42, ok: v.anyService(outOfDate), run: v.rebuildStale},
		{name: "watch", keys: []string{"w"}, short: "watch", help: "watch mode: auto, manual, off", group: g, where: paneAny, rank: 14, each: true, ok: v.anySelected(isWatched), run: v.watch},
		{name: "watch-all", keys: []string{"W"}, short: "watch all", help: "watch mode for all", group: g, where: paneAny, rank: 43, run: v.watchAll},
		{name: "shell", keys: []string{"e"}, short: "shell", help: "open a shell in it", group: g, where: paneAny, rank: 15, each: true, ok: v.underCursor(hasProcesses), run: m.shell.open},
		{name: "open", keys: []string{"o"}, short: "open", help: "open a port in the browser; a digit picks where there are several", group: g, where: paneAny, rank: 19, ok: m.ports.any, run: m.ports.open},
		{name: "inspect", keys: []string{"i"}, short: "inspect", help: "everything about it", group: g, where: paneAny, rank: 20, each: true, ok: hasTarget, run: m.detail.inspect},
		{name: "graph", keys: []string{"d"}, short: "deps", help: "dependency graph", group: g, where: paneAny, rank: 44, run: m.graph.open},
		{name: "fault", keys: []string{"F"}, short: "faults", help: "fault menu", group: g, where: paneAny, rank: 45, ok: isAlive, run: v.askFault},
		{name: "heal", keys: []string{"H"}, short: "heal all", help: "bring back all that was killed, stopped or paused by hand", group: g, where: paneAny, rank: 17, ok: v.anyService(downByHand), run: v.heal},
		{name: "scale-up", help: "one replica more", group: g, where: paneAny, each: true, ok: hasTarget, run: v.scale(1)},
		{name: "scale-down", help: "one replica fewer", group: g, where: paneAny, each: true, ok: v.underCursor(canShrink), run: v.scale(-1)},
		{name: "mark", keys: []string{"space"}, short: "mark", help: "mark several: verbs and logs then go by the marks", group: g, where: paneServices, rank: 30, ok: hasTarget, run: svc.mark},
		{name: "only", keys: []string{"enter"}, short: "only its logs", help: "logs of this service or replica only, or of all again", group: g, where: paneServices, rank: 16, ok: hasTarget, label: filter.onlyLabel, run: filter.toggleOnly},
		{name: "mute", keys: []string{"-"}, short: "mute", help: "mute it in the logs of all, or unmute it", group: g, where: paneServices | paneLogs, rank: 47, ok: mutes.can, label: mutes.label, run: mutes.toggle},
		{name: "unmute-all", keys: []string{"="}, short: "unmute", help: "unmute all services", group: g, where: paneServices | paneLogs, rank: 29, ok: mutes.any, run: mutes.clear},
		{name: "replicas", keys: []string{"right", "left"}, short: "replicas", help: "show or hide the replicas", group: g, where: paneServices, rank: 31, ok: v.underCursor(hasReplicas), run: svc.toggleExpanded},
		{name: "sort", keys: []string{"S"}, short: "sort", help: "sort by name, state, CPU, memory", group: g, where: paneServices, rank: 46, run: svc.sort},
		{name: "down", keys: []string{"D"}, short: "down", help: "remove containers and networks; asks", group: g, where: paneAny, rank: 50, run: m.end.askDown},
	}
}

func (m *Model) logActions() []action {
	const g = "logs"
	win, filter, format, search, marks, line := m.log.win, m.log.filter, m.log.format, m.log.search, m.log.marks, m.line
	return []action{
		{name: "follow", keys: []string{"f"}, short: "follow", help: "follow the newest line", group: g, where: paneLogs, rank: 1, ok: win.stopped, run: win.toEnd},
		{name: "search", keys: []string{"/"}, short: "search", help: "search (a regular expression)", group: g, where: paneAny, rank: 8, run: search.open},
		{name: "next-match", keys: []string{"n"}, short: "next", help: "next match", group: g, where: paneLogs, rank: 2, ok: search.on, run: search.match(true)},
		{name: "previous-match", keys: []string{"N"}, short: "previous", help: "previous match", group: g, where: paneLogs, rank: 2, ok: search.on, run: search.match(false)},
		{name: "only-matches", keys: []string{"x"}, short: "only matches", help: "show only lines that match", group: g, where: paneLogs, rank: 3, ok: search.on, run: filter.onlyMatching},
		{name: "invert", keys: []string{"!"}, short: "invert", help: "show only lines that do not match", group: g, where: paneLogs, rank: 4, ok: search.on, run: filter.exceptMatching},
		{name: "next-error", keys: []string{"E"}, short: "error", help: "next error line", group: g, where: paneLogs, rank: 7, run: search.error(true)},
		{name: "previous-error", keys: []string{"P", "ctrl+e"}, help: "previous error line", group: g, where: paneLogs, run: search.error(false)},
		{name: "level", keys: []string{"l"}, short: "level", help: "least level: all, info, warn, error", group: g, where: paneLogs, rank: 7, run: filter.nextLevel},
		{name: "stream", keys: []string{"c"}, short: "stderr", help: "both streams, stderr (its lines have a ┊), stdout", group: g, where: paneLogs, rank: 36, label: filter.streamLabel, run: filter.nextStream},
		{name: "since", keys: []string{"T"}, short: "since", help: "lines since, until: a time, event or mark", group: g, where: paneLogs, rank: 36, run: m.askTimeRange},
		{name: "open-line", keys: []string{"space"}, short: "open", help: "open this line in place, or close it", group: g, where: paneLogs, rank: 8, label: format.openLabel, run: format.openLine},
		{name: "wrap", keys: []string{"w"}, short: "wrap", help: "wrap long lines", group: g, where: paneLogs, rank: 6, run: format.toggleWrap},
		{name: "timestamps", keys: []string{"t"}, short: "times", help: "timestamps: absolute, relative, delta, none", group: g, where: paneLogs, rank: 6, run: format.nextTimes},
		{name: "pretty", keys: []string{"p"}, short: "pretty", help: "JSON and logfmt lines: short, laid out, as written", group: g, where: paneLogs, rank: 9, run: format.nextForm},
		{name: "mark-line", keys: []string{"m", "enter"}, short: "mark", help: "mark the line, or this moment while following", group: g, where: paneLogs, rank: 9, run: marks.mark},
		{name: "next-mark", keys: []string{"M"}, help: "next mark", group: g, where: paneLogs, ok: marks.any, run: marks.next},
		{name: "select", keys: []string{"v"}, short: "select", help: "select a range of lines", group: g, where: paneLogs, rank: 9, run: win.toggleRange},
		{name: "copy", keys: []string{"y"}, short: "copy", help: "copy the selected lines, else the marked ones, else this one", group: g, where: paneLogs, rank: 5, run: m.log.export.copy},
		{name: "save", keys: []string{"ctrl+s"}, short: "save", help: "save what is shown, or all: text, JSON lines", group: g, where: paneLogs, rank: 9, run: m.log.export.askSave},
		{name: "jump", keys: []string{"enter"}, short: "logs then", help: "show the logs of that moment", group: "events", where: paneEvents, rank: 1, run: m.ev.jump},
		{name: "timeline-left", keys: []string{"left"}, short: "earlier", help: "timeline cursor: moves the logs to that moment", group: "events", where: paneEvents, rank: 2, ok: line.seen, run: line.step(-1)},
		{name: "timeline-right", keys: []string{"right"}, short: "later", help: "timeline cursor: to a later moment", group: "events", where: paneEvents, rank: 2, ok: line.seen, run: line.step(1)},
		{name: "timeline-far-left", keys: []string{"shift+left", "<"}, help: "timeline cursor: ten cells back", group: "events", where: paneEvents, ok: line.seen, run: line.step(-10)},
		{name: "timeline-far-right", keys: []string{"shift+right", ">"}, help: "timeline cursor: ten cells on", group: "events", where: paneEvents, ok: line.seen, run: line.step(10)},
	}
}

func (m *Model) moveActions() []action {
	const g = "moving"
	by := func(n int) func() tea.Cmd { return func() tea.Cmd { m.focused().move(n); return nil } }
	page := func(halves int) func() tea.Cmd {
		return func() tea.Cmd { m.focused().move(m.e.f.page(m.e.focus) / 2 * halves); return nil }
	}
	goTo := func(p paneID) func() tea.Cmd { return func() tea.Cmd { m.e.focusPane(p); return nil } }
	zoom := func(on func() bool) func() tea.Cmd { return func() tea.Cmd { m.e.zoom = on(); return nil } }
	return []action{
		{name: "line-up", keys: []string{"k", "up"}, help: "up", group: g, where: paneAny, run: by(-1)},
		{name: "line-down", keys: []string{"j", "down"}, help: "down", group: g, where: paneAny, run: by(1)},
		{name: "half-page-up", keys: []string{"ctrl+u"}, help: "half a page up", group: g, where: paneAny, run: page(-1)},
		{name: "half-page-down", keys: []string{"ctrl+d"}, help: "half a page down", group: g, where: paneAny, run: page(1)},
		{name: "page-up", keys: []string{"pgup"}, help: "a page up", group: g, where: paneAny, run: page(-2)},
		{name: "page-down", keys: []string{"pgdown"}, help: "a page down", group: g, where: paneAny, run: page(2)},
		{name: "top", keys: []string{"g", "home"}, help: "to the top", group: g, where: paneAny, run: by(-farAway)},
		{name: "bottom", keys: []string{"G", "end"}, help: "to the end", group: g, where: paneAny, run: by(farAway)},
		{name: "scroll-left", keys: []string{"left"}, help: "scroll to the left", group: g, where: paneLogs, run: m.log.format.sideways(-1)},
		{name: "scroll-right", keys: []string{"right"}, help: "scroll to the right", group: g, where: paneLogs, run: m.log.format.sideways(1)},
		{name: "next-pane", keys: []string{"tab"}, short: "pane", help: "next pane", group: g, where: paneAny, rank: 32, run: m.cyclePane(1)},
		{name: "previous-pane", keys: []string{"shift+tab"}, help: "previous pane", group: g, where: paneAny, run: m.cyclePane(-1)},
		{name: "next-tab", keys: []string{"]"}, help: "logs of the next service; elsewhere the next tab", group: g, where: paneAny, run: m.cycleTab(1)},
		{name: "previous-tab", keys: []string{"["}, help: "logs of the previous service; elsewhere the previous tab", group: g, where: paneAny, run: m.cycleTab(-1)},
		{name: "services", keys: []string{"1"}, help: "services", group: g, where: paneAny, run: goTo(paneServices)},
		{name: "logs", keys: []string{"2"}, help: "logs", group: g, where: paneAny, run: goTo(paneLogs)},
		{name: "events", keys: []string{"3"}, help: "events", group: g, where: paneAny, run: goTo(paneEvents)},
		{name: "builds", keys: []string{"4"}, help: "builds", group: g, where: paneAny, run: goTo(paneBuilds)},
		{name: "ledger", keys: []string{"5"}, help: "ledger", group: g, where: paneAny, run: goTo(paneLedger)},
		{name: "zoom", keys: []string{"z", "+"}, short: "zoom", help: "this pane alone, or all again", group: g, where: paneAny, rank: 33, run: zoom(func() bool { return !m.e.zoom })},
		{name: "unzoom", keys: []string{"_"}, help: "all panes", group: g, where: paneAny, ok: func() bool { return m.e.zoom }, run: zoom(func() bool { return false })},
	}
}

func (m *Model) screenActions() []action {
	const g = "screen"
	return []action{
		{name: "palette", keys: []string{":", "ctrl+p"}, short: "cmd", help: "find any command by its name", group: g, where: paneAny, rank: 9, run: m.openPalette},
		{name: "help", keys: []string{"?"}, short: "help", help: "all keys", group: g, where: paneAny, rank: 1, run: m.e.openHelp},
		{name: "quit", keys: []string{"q"}, short: "quit", help: "quit; asks whether to leave all running or to stop it (ctrl+c twice stops)", group: g, where: paneAny, rank: 6, run: m.end.askQuit},
		{name: "back", keys: []string{"esc"}, help: "close; then clear range, search, time, stream, level, marks, one after the other", group: g, where: paneAny, run: m.back},
	}
}

// farAway is further than any list goes.
const farAway = 1 << 30
