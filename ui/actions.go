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
	alias []string // other words for it in the palette
	short string   // in the footer; "" keeps it out of there
	help  string
	group string
	where []paneID       // panes in which the keys mean this while they have the focus; nil: all
	rank  int            // footer: lower comes first, and stays longer when room is short; 0 is never shown
	shows paneID         // the pane that it shows; "" for none
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

// in is where for actions that not all panes have.
func in(panes ...paneID) []paneID { return panes }

// everywhere says whether the action's keys are no pane's own.
func (a *action) everywhere() bool { return len(a.where) == 0 }

// worksIn says whether the action's keys mean it in a pane.
func (a *action) worksIn(p paneID) bool { return a.everywhere() || slices.Contains(a.where, p) }

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
	own, show := m.paneActions()
	return slices.Concat(m.serviceActions(), m.logActions(), own, m.moveActions(), show, m.screenActions())
}

func (m *Model) serviceActions() []action {
	const g = "services"
	v, svc, filter, mutes := m.verbs, m.svc, m.log.filter, m.log.mutes
	hasTarget, isAlive := v.underCursor(exists), v.anySelected(alive)
	return []action{
		{name: "restart", keys: []string{"r"}, short: "restart", help: "stop it and start it again", group: g, rank: 10, each: true, ok: hasTarget, run: v.restart},
		{name: "restart-dependents", keys: []string{"R"}, short: "+dependents", help: "restart with all that depend on it", group: g, rank: 40, each: true, ok: hasTarget, run: v.restartDependents},
		{name: "stop-start", keys: []string{"s"}, short: "stop", help: "stop, or start what is stopped", group: g, rank: 11, each: true, ok: hasTarget, label: v.stopLabel, run: v.stopStart},
		{name: "up", keys: []string{"u"}, short: "apply", help: "bring back what you killed or stopped; else apply what is pending", group: g, rank: 8, each: true, ok: v.canUp, label: v.upLabel, run: v.up},
		{name: "kill", keys: []string{"K"}, short: "kill", help: "kill now (SIGKILL)", group: g, rank: 12, each: true, ok: isAlive, run: v.kill},
		{name: "signal", keys: []string{"X"}, short: "signal", help: "pick a signal to send", group: g, rank: 41, ok: isAlive, run: v.askSignal},
		{name: "pause", keys: []string{"p"}, short: "pause", help: "pause / resume", group: g, rank: 18, each: true, ok: v.canPause, label: v.pauseLabel, run: v.pause},
		{name: "rebuild", keys: []string{"b"}, short: "rebuild", help: "rebuild and swap", group: g, rank: 13, each: true, ok: v.anySelected(isBuilt), run: v.rebuild},
		{name: "rebuild-stale", keys: []string{"B"}, short: "all stale", help: "bring all that is stale up to date", group: g, rank: 42, ok: v.anyService(outOfDate), run: v.rebuildStale},
		{name: "watch", keys: []string{"w"}, short: "watch", help: "watch mode of a service with rules: auto, manual, off", group: g, rank: 14, each: true, ok: v.anySelected(isWatched), run: v.watch},
		{name: "watch-all", keys: []string{"W"}, short: "watch all", help: "watch mode for all", group: g, rank: 43, run: v.watchAll},
		{name: "shell", keys: []string{"e"}, short: "shell", help: "open a shell in it", group: g, rank: 15, each: true, ok: v.underCursor(hasProcesses), run: m.shell.open},
		{name: "open", keys: []string{"o"}, short: "open", help: "open a port in the browser; a digit picks where there are several", group: g, rank: 19, ok: m.ports.any, run: m.ports.open},
		{name: "inspect", keys: []string{"i", "d"}, alias: []string{"describe"}, short: "inspect", help: "all that is known about it", group: g, rank: 20, each: true, ok: hasTarget, run: m.detail.inspect},
		{name: "graph", keys: []string{"c"}, alias: []string{"deps", "dependencies"}, short: "deps", help: "dependency graph, and who calls whom", group: g, rank: 44, run: m.graph.open},
		{name: "tap", short: "tap", help: "tap the calls between services, or end the tap", group: g, run: m.graph.tap},
		{name: "fault", keys: []string{"F"}, short: "faults", help: "break it on purpose: kill, latency, loss, CPU, …", group: g, rank: 45, ok: isAlive, run: v.askFault},
		{name: "heal", keys: []string{"H"}, short: "heal all", help: "end all faults, and bring back what was killed and what died of it", group: g, rank: 17, ok: v.canHeal, run: v.heal},
		{name: "scale-up", help: "add a replica", group: g, each: true, ok: hasTarget, run: v.scale(1)},
		{name: "scale-down", help: "remove a replica", group: g, each: true, ok: v.underCursor(canShrink), run: v.scale(-1)},
		{name: "mark", keys: []string{"space"}, short: "mark", help: "mark several: verbs and logs then go by the marks", group: g, where: in(paneServices), rank: 30, ok: hasTarget, run: svc.mark},
		{name: "only", keys: []string{"enter"}, short: "only its logs", help: "logs of this service or replica only, or of all again", group: g, where: in(paneServices), rank: 16, ok: hasTarget, label: filter.onlyLabel, run: filter.toggleOnly},
		{name: "its-logs", keys: []string{"l"}, short: "logs", help: "its logs, in the logs pane", group: g, where: in(paneServices), rank: 21, each: true, ok: hasTarget, run: m.goToLogs},
		{name: "filter", keys: []string{"/"}, short: "filter", help: "list only services whose names contain what is typed", group: g, where: in(paneServices), rank: 9, run: svc.askFilter},
		{name: "actions", keys: []string{"x"}, alias: []string{"menu"}, short: "menu", help: "menu of what can be done to it", group: g, rank: 22, ok: hasTarget, run: m.askAction},
		{name: "mute", keys: []string{"-"}, short: "mute", help: "mute it in the logs of all, or unmute it", group: g, where: in(paneServices, paneLogs), rank: 47, ok: mutes.can, label: mutes.label, run: mutes.toggle},
		{name: "unmute-all", keys: []string{"="}, short: "unmute", help: "unmute all services", group: g, where: in(paneServices, paneLogs), rank: 29, ok: mutes.any, run: mutes.clear},
		{name: "replicas", keys: []string{"right", "left"}, short: "replicas", help: "show or hide the replicas", group: g, where: in(paneServices), rank: 31, ok: v.underCursor(hasReplicas), run: svc.toggleExpanded},
		{name: "sort", keys: []string{"S"}, short: "sort", help: "sort by name, state, CPU, memory", group: g, where: in(paneServices), rank: 46, run: svc.sort},
		{name: "down", keys: []string{"D"}, short: "down", help: "remove containers and networks; asks", group: g, rank: 50, run: m.end.askDown},
	}
}

func (m *Model) logActions() []action {
	const g = "logs"
	win, filter, format, search, marks, line := m.log.win, m.log.filter, m.log.format, m.log.search, m.log.marks, m.line
	return []action{
		{name: "follow", keys: []string{"f"}, short: "follow", help: "follow the newest line", group: g, where: in(paneLogs), rank: 1, ok: win.stopped, run: win.toEnd},
		{name: "search", keys: []string{"/"}, short: "search", help: "search (a regular expression)", group: g, rank: 8, run: search.open},
		{name: "next-match", keys: []string{"n"}, short: "next", help: "next match", group: g, where: in(paneLogs), rank: 2, ok: search.on, run: search.match(true)},
		{name: "previous-match", keys: []string{"N"}, short: "previous", help: "previous match", group: g, where: in(paneLogs), rank: 2, ok: search.on, run: search.match(false)},
		{name: "only-matches", keys: []string{"x"}, short: "only matches", help: "show only lines that match, then with the lines around them, then all", group: g, where: in(paneLogs), rank: 3, ok: search.on, run: filter.onlyMatching},
		{name: "invert", keys: []string{"!"}, short: "invert", help: "show only lines that do not match", group: g, where: in(paneLogs), rank: 4, ok: search.on, run: filter.exceptMatching},
		{name: "next-error", keys: []string{"E"}, short: "error", help: "next error line", group: g, where: in(paneLogs), rank: 7, run: search.error(true)},
		{name: "previous-error", keys: []string{"P"}, help: "previous error line", group: g, where: in(paneLogs), run: search.error(false)},
		{name: "level", keys: []string{"l"}, short: "level", help: "minimum level: all, info, warn, error", group: g, where: in(paneLogs), rank: 7, run: filter.nextLevel},
		{name: "stream", keys: []string{"c"}, short: "stderr", help: "both streams, stderr (its lines have a ┊), stdout", group: g, where: in(paneLogs), rank: 36, label: filter.streamLabel, run: filter.nextStream},
		{name: "since", keys: []string{"T"}, short: "since", help: "lines since, until: a time, event or mark", group: g, where: in(paneLogs), rank: 36, run: m.askTimeRange},
		{name: "open-line", keys: []string{"space"}, short: "open", help: "expand this line in place, or fold it", group: g, where: in(paneLogs), rank: 8, label: format.openLabel, run: format.openLine},
		{name: "wrap", keys: []string{"w"}, short: "wrap", help: "wrap long lines", group: g, where: in(paneLogs), rank: 6, run: format.toggleWrap},
		{name: "timestamps", keys: []string{"t"}, short: "times", help: "timestamps: absolute, relative, delta, none", group: g, where: in(paneLogs), rank: 6, run: format.nextTimes},
		{name: "pretty", keys: []string{"p"}, short: "pretty", help: "JSON and logfmt lines: short, expanded, raw", group: g, where: in(paneLogs), rank: 9, run: format.nextForm},
		{name: "mark-line", keys: []string{"m"}, short: "mark", help: "mark the line, or this moment while following", group: g, where: in(paneLogs), rank: 9, run: marks.mark},
		{name: "next-mark", keys: []string{"M"}, help: "next mark", group: g, where: in(paneLogs), ok: marks.any, run: marks.next},
		{name: "select", keys: []string{"v"}, short: "select", help: "select a range of lines", group: g, where: in(paneLogs), rank: 9, run: win.toggleRange},
		{name: "copy", keys: []string{"y"}, short: "copy", help: "copy what is selected, else the marked lines, else this one", group: g, where: in(paneLogs), rank: 5, run: m.log.copy},
		{name: "save", keys: []string{"ctrl+s"}, short: "save", help: "save what is shown, or all: text, JSON lines", group: g, where: in(paneLogs), rank: 9, run: m.log.export.askSave},
		{name: "open-source", keys: []string{"enter"}, short: "open source", help: "open the file that the line names in $EDITOR, or mark the line", group: "logs", where: in(paneLogs), rank: 5, label: m.sources.label, run: m.sources.openOrMark},
		{name: "copy-source", keys: []string{"Y"}, help: "copy the path of the file that the line names", group: "logs", where: in(paneLogs, paneBuilds), ok: m.sources.any, run: m.sources.copy},
		{name: "build-source", keys: []string{"e"}, short: "edit", help: "open the file that the error names, in $EDITOR", group: "builds", where: in(paneBuilds), rank: 1, ok: m.sources.any, run: m.sources.open},
		{name: "build-wrap", keys: []string{"w"}, short: "wrap", help: "wrap long lines of the output", group: "builds", where: in(paneBuilds), rank: 5, run: m.built.toggleWrap},
		{name: "build-zoom", keys: []string{"enter"}, short: "zoom", help: "this pane alone, or all again", group: "builds", where: in(paneBuilds), rank: 2, label: m.e.zoomLabel, run: func() tea.Cmd { m.e.zoom = !m.e.zoom; return nil }},
		{name: "build-search", keys: []string{"/"}, short: "search", help: "look for something in the output", group: "builds", where: in(paneBuilds), rank: 3, run: m.built.search},
		{name: "build-next", keys: []string{"n"}, short: "next", help: "next line that contains it", group: "builds", where: in(paneBuilds), rank: 2, ok: m.built.searching, run: m.built.match(1)},
		{name: "build-previous", keys: []string{"N"}, help: "previous line that contains it", group: "builds", where: in(paneBuilds), ok: m.built.searching, run: m.built.match(-1)},
		{name: "build-copy", keys: []string{"y"}, short: "copy", help: "copy the output", group: "builds", where: in(paneBuilds), rank: 4, run: m.built.copy},
		{name: "build-left", keys: []string{"left"}, help: "scroll the output to the left", group: "builds", where: in(paneBuilds), run: m.built.sideways(-1)},
		{name: "build-right", keys: []string{"right"}, help: "scroll the output to the right", group: "builds", where: in(paneBuilds), run: m.built.sideways(1)},
		{name: "jump", keys: []string{"enter"}, short: "logs then", help: "show the logs of that moment", group: "events", where: in(paneEvents), rank: 1, run: m.ev.jump},
		{name: "timeline-left", keys: []string{"left"}, short: "earlier", help: "timeline cursor: moves the logs to that moment", group: "events", where: in(paneEvents), rank: 2, ok: line.seen, run: line.step(-1)},
		{name: "timeline-right", keys: []string{"right"}, short: "later", help: "timeline cursor: to a later moment", group: "events", where: in(paneEvents), rank: 2, ok: line.seen, run: line.step(1)},
		{name: "timeline-far-left", keys: []string{"shift+left", "<"}, help: "timeline cursor: ten cells back", group: "events", where: in(paneEvents), ok: line.seen, run: line.step(-10)},
		{name: "timeline-far-right", keys: []string{"shift+right", ">"}, help: "timeline cursor: ten cells on", group: "events", where: in(paneEvents), ok: line.seen, run: line.step(10)},
	}
}

// moving is the group of the keys that move; the palette leaves most of them out.
const moving = "moving"

func (m *Model) moveActions() []action {
	const g = moving
	by := func(n int) func() tea.Cmd { return func() tea.Cmd { m.focused().move(n); return nil } }
	page := func(halves int) func() tea.Cmd {
		return func() tea.Cmd {
			n := m.e.f.page(m.e.focus) / 2 * halves
			if p, ok := m.focused().(pager); ok {
				p.pageBy(n)
			} else {
				m.focused().move(n)
			}
			return nil
		}
	}
	zoom := func(on func() bool) func() tea.Cmd { return func() tea.Cmd { m.e.zoom = on(); return nil } }
	return []action{
		{name: "line-up", keys: []string{"k", "up"}, help: "up", group: g, run: by(-1)},
		{name: "line-down", keys: []string{"j", "down"}, help: "down", group: g, run: by(1)},
		{name: "half-page-up", keys: []string{"ctrl+u"}, help: "half a page up", group: g, run: page(-1)},
		{name: "half-page-down", keys: []string{"ctrl+d"}, help: "half a page down", group: g, run: page(1)},
		{name: "page-up", keys: []string{"pgup"}, help: "a page up", group: g, run: page(-2)},
		{name: "page-down", keys: []string{"pgdown"}, help: "a page down", group: g, run: page(2)},
		{name: "top", keys: []string{"g", "home"}, help: "to the top", group: g, run: by(-farAway)},
		{name: "bottom", keys: []string{"G", "end"}, help: "to the end", group: g, run: by(farAway)},
		{name: "scroll-left", keys: []string{"left"}, help: "scroll to the left", group: g, where: in(paneLogs), run: m.log.format.sideways(-1)},
		{name: "scroll-right", keys: []string{"right"}, help: "scroll to the right", group: g, where: in(paneLogs), run: m.log.format.sideways(1)},
		{name: "next-pane", keys: []string{"tab"}, short: "pane", help: "next pane", group: g, rank: 32, run: m.cyclePane(1)},
		{name: "previous-pane", keys: []string{"shift+tab"}, help: "previous pane", group: g, run: m.cyclePane(-1)},
		{name: "next-tab", keys: []string{"]"}, help: "logs of the next service; elsewhere the next tab", group: g, run: m.cycleTab(1)},
		{name: "previous-tab", keys: []string{"["}, help: "logs of the previous service; elsewhere the previous tab", group: g, run: m.cycleTab(-1)},
		{name: "zoom", keys: []string{"z", "+"}, short: "zoom", help: "this pane alone, or all again", group: g, rank: 33, label: m.e.zoomLabel, run: zoom(func() bool { return !m.e.zoom })},
		{name: "unzoom", keys: []string{"_"}, help: "all panes", group: g, ok: func() bool { return m.e.zoom }, run: zoom(func() bool { return false })},
	}
}

func (m *Model) screenActions() []action {
	const g = "screen"
	return []action{
		{name: "allow", keys: []string{"A"}, short: "allow", help: "programs that the project wants to run on this machine", group: g, rank: 5, ok: m.trust.any, run: m.trust.ask},
		{name: "tour-next", keys: []string{"."}, short: "tour on", help: "the next step of the tour", group: g, rank: 50, ok: m.tour.running, run: m.tour.next},
		{name: "tour-end", help: "end the tour", group: g, ok: m.tour.running, run: m.tour.end},
		{name: "palette", keys: []string{":", "ctrl+p"}, short: "cmd", help: "find any command by its name", group: g, rank: 9, run: m.openPalette},
		{name: "theme", help: "the next theme: auto, dark, light, contrast, ansi, none", group: g, alias: []string{"colors", "colours"}, run: m.nextTheme},
		{name: "mouse", help: "leave the mouse to the terminal, or take it back", group: g, run: m.toggleMouse},
		{name: "echo", keys: []string{"ctrl+e"}, alias: []string{"docker", "commands"}, help: "the docker commands that do the same as the keys", group: g, run: m.echo.open},
		{name: "help", keys: []string{"?"}, short: "help", help: "all keys", group: g, rank: 1, run: m.e.openHelp},
		{name: "suspend", keys: []string{"ctrl+z"}, help: "leave the terminal for a moment; fg comes back", group: g, run: suspend},
		{name: "quit", keys: []string{"q"}, short: "quit", help: "quit; asks whether to leave all running or to stop it (ctrl+c twice stops)", group: g, rank: 6, run: m.end.askQuit},
		{name: "back", keys: []string{"esc"}, help: "close; then clear range, search, time, stream, level, marks, one after the other", group: g, run: m.back},
	}
}

// farAway is further than any list goes.
const farAway = 1 << 30
