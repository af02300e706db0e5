package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// target is what is selected: a service, or one replica of it (0: all of them).
type target struct {
	service string
	replica int
}

func (t target) String() string {
	if t.replica > 0 {
		return fmt.Sprintf("%s/%d", t.service, t.replica)
	}
	return t.service
}

// doneMsg is the end of a command that was sent to the engine.
type doneMsg struct {
	services []string
	what     string
	err      error
}

// targets are what a verb acts on: the marked services, else the selected one.
func (m *Model) targets() ([]string, int) {
	if m.svc.marking() {
		return m.svc.markedNames(m.snap), 0
	}
	if m.selected() == nil {
		return nil, 0
	}
	return []string{m.svc.sel.service}, m.svc.sel.replica
}

// selected is the selected service, nil when there is none.
func (m *Model) selected() *engine.Service { return m.service(m.svc.sel.service) }

// service finds a service by its name.
func (m *Model) service(name string) *engine.Service {
	all := m.snap.Services
	i, ok := sort.Find(len(all), func(i int) int { return strings.Compare(name, all[i].Name) })
	if !ok {
		return nil
	}
	return &all[i]
}

// eachTarget are the services that a verb acts on.
func (m *Model) eachTarget() []*engine.Service {
	names, _ := m.targets()
	var out []*engine.Service
	for _, n := range names {
		if s := m.service(n); s != nil {
			out = append(out, s)
		}
	}
	return out
}

// send gives the engine a command; what names it in the status line.
func (m *Model) send(what, key string, c engine.Command) tea.Cmd {
	if c.Cause == "" {
		c.Cause = "you chose " + string(c.Verb)
		if key != "" {
			c.Cause = "you pressed " + key
		}
	}
	if m.svc.marking() && len(c.Services) > 1 {
		m.say(what)
	}
	return m.jobs.do(what, func(ctx context.Context) tea.Msg {
		return doneMsg{services: c.Services, what: what, err: m.backend.Do(ctx, c)}
	})
}

// verb sends a command for the targets.
func (m *Model) verb(v engine.Verb, action string, change func(*engine.Command)) tea.Cmd {
	names, replica := m.targets()
	if len(names) == 0 {
		return nil
	}
	c := engine.Command{Verb: v, Services: names, Replica: replica}
	if change != nil {
		change(&c)
	}
	what := fmt.Sprintf("%s %s", v, strings.Join(names, ", "))
	send := func() tea.Cmd { return m.send(what, m.keyOf(action), c) }
	if m.opts.Config.Confirm == "all" && (v == engine.VerbKill || v == engine.VerbStop || v == engine.VerbRestart) {
		m.over = newMenu("Sure?", []string{"This will " + what + "."}, []choice{
			{key: "y", label: string(v), run: func(*Model) tea.Cmd { return send() }},
			{key: "n", label: "cancel"},
		})
		return nil
	}
	return send()
}

// keyOf is the key that an action goes by, for causes and hints.
func (m *Model) keyOf(action string) string {
	for i := range m.keys.actions {
		if m.keys.actions[i].name == action {
			return m.keys.actions[i].firstKey()
		}
	}
	return ""
}

// alive says whether something of a service runs that a signal can reach.
func alive(s *engine.Service) bool {
	switch s.State {
	case engine.StateRunning, engine.StateStarting, engine.StateStopping, engine.StatePaused, engine.StateRestarting:
		return true
	}
	return slices.ContainsFunc(s.Replicas, func(r engine.Replica) bool {
		return r.State == engine.StateRunning || r.State == engine.StateStarting || r.State == engine.StatePaused
	})
}

func hasTarget(m *Model) bool { return m.selected() != nil }
func isAlive(m *Model) bool   { return slices.ContainsFunc(m.eachTarget(), alive) }
func canPause(m *Model) bool  { return m.snap.Caps.Pause && isAlive(m) }
func canShell(m *Model) bool {
	s := m.selected()
	return s != nil && (s.State == engine.StateRunning || s.State == engine.StateStarting)
}
func canBuild(m *Model) bool {
	return slices.ContainsFunc(m.eachTarget(), func(s *engine.Service) bool { return s.Config.Built })
}
func canWatch(m *Model) bool {
	return slices.ContainsFunc(m.eachTarget(), func(s *engine.Service) bool { return len(s.Rules) > 0 || s.Config.Extra.Prepare != nil })
}
func canShrink(m *Model) bool { s := m.selected(); return s != nil && s.Wanted > 0 }
func anyStale(m *Model) bool {
	return slices.ContainsFunc(m.snap.Services, func(s engine.Service) bool { return len(s.Stale) > 0 || len(s.Pending) > 0 })
}
func hasReplicas(m *Model) bool {
	s := m.selected()
	return s != nil && max(s.Wanted, len(s.Replicas)) > 1
}

// hurt says whether a service is down or paused because the user wanted it so.
func hurt(s *engine.Service) bool { return s.ByHand && s.State != engine.StateRunning }

func anyHurt(m *Model) bool {
	return slices.ContainsFunc(m.snap.Services, func(s engine.Service) bool { return hurt(&s) })
}

func doRestart(m *Model) tea.Cmd { return m.verb(engine.VerbRestart, "restart", nil) }
func doRestartAll(m *Model) tea.Cmd {
	return m.verb(engine.VerbRestart, "restart-dependents", func(c *engine.Command) { c.Dependents = true })
}
func doKill(m *Model) tea.Cmd    { return m.verb(engine.VerbKill, "kill", nil) }
func doRebuild(m *Model) tea.Cmd { return m.verb(engine.VerbRebuild, "rebuild", nil) }

func stopLabel(m *Model) string {
	if isAlive(m) {
		return "stop"
	}
	return "start"
}

func doStopStart(m *Model) tea.Cmd {
	if isAlive(m) {
		return m.verb(engine.VerbStop, "stop-start", nil)
	}
	return m.verb(engine.VerbStart, "stop-start", nil)
}

func allPaused(m *Model) bool {
	all := m.eachTarget()
	return len(all) > 0 && !slices.ContainsFunc(all, func(s *engine.Service) bool { return s.State != engine.StatePaused })
}

func pauseLabel(m *Model) string {
	if allPaused(m) {
		return "go on"
	}
	return "pause"
}

func doPause(m *Model) tea.Cmd {
	if allPaused(m) {
		return m.verb(engine.VerbUnpause, "pause", nil)
	}
	return m.verb(engine.VerbPause, "pause", nil)
}

// upWish is what u would do now.
type upWish struct {
	services []string
	replica  int
	label    string // "bring back worker", "apply 2 files to api", "apply compose.yaml"
	unpause  bool
}

// up decides what u does: the selected service first if the user took it down or something waits for it, then the
// service of the open ledger, then a changed Compose file, then a service that is down for another reason.
func (m *Model) up() (upWish, bool) {
	names, replica := m.targets()
	var back, pending []string
	files, paused := 0, true
	for _, s := range m.eachTarget() {
		switch {
		case hurt(s):
			back = append(back, s.Name)
			paused = paused && s.State == engine.StatePaused
		case len(s.Stale)+len(s.Pending) > 0:
			pending = append(pending, s.Name)
			files += max(len(s.Stale), len(s.Pending))
		}
	}
	switch {
	case len(back) > 0:
		return upWish{services: back, replica: replica, label: "bring back " + strings.Join(back, ", "), unpause: paused}, true
	case len(pending) > 0:
		return upWish{services: pending, label: fmt.Sprintf("apply %s to %s", plural(files, "file"), strings.Join(pending, ", "))}, true
	}
	if l := m.openLedger(); l != nil {
		if s := m.service(l.Service); s != nil && hurt(s) {
			return upWish{services: []string{l.Service}, replica: l.Replica, label: "bring back " + l.Service, unpause: s.State == engine.StatePaused}, true
		}
	}
	if r := m.snap.Reload; r != nil && r.Err == "" {
		return upWish{label: "apply the changed Compose file"}, true
	}
	for _, s := range m.eachTarget() {
		if s.State == engine.StateExited || s.State == engine.StateBroken || s.State == engine.StateCreated {
			return upWish{services: names, replica: replica, label: "start " + strings.Join(names, ", ")}, true
		}
	}
	return upWish{}, false
}

func canUp(m *Model) bool { _, ok := m.up(); return ok }

func upLabel(m *Model) string {
	w, _ := m.up()
	verb, rest, _ := strings.Cut(w.label, " ")
	if verb == "bring" && strings.HasPrefix(rest, "back") {
		return "bring back"
	}
	return verb
}

func doUp(m *Model) tea.Cmd {
	w, ok := m.up()
	if !ok {
		return nil
	}
	v := engine.VerbUp
	if w.unpause {
		v = engine.VerbUnpause
	}
	return m.send(w.label, m.keyOf("up"), engine.Command{Verb: v, Services: w.services, Replica: w.replica})
}

func doHeal(m *Model) tea.Cmd {
	var paused, down []string
	for i := range m.snap.Services {
		switch s := &m.snap.Services[i]; {
		case hurt(s) && s.State == engine.StatePaused:
			paused = append(paused, s.Name)
		case hurt(s):
			down = append(down, s.Name)
		}
	}
	var cmds []tea.Cmd
	if len(paused) > 0 {
		cmds = append(cmds, m.send("unpause "+strings.Join(paused, ", "), m.keyOf("heal"), engine.Command{Verb: engine.VerbUnpause, Services: paused}))
	}
	if len(down) > 0 {
		cmds = append(cmds, m.send("bring back "+strings.Join(down, ", "), m.keyOf("heal"), engine.Command{Verb: engine.VerbUp, Services: down}))
	}
	return tea.Batch(cmds...)
}

func doRebuildStale(m *Model) tea.Cmd {
	var names []string
	for _, s := range m.snap.Services {
		if len(s.Stale)+len(s.Pending) > 0 {
			names = append(names, s.Name)
		}
	}
	return m.send("update "+strings.Join(names, ", "), m.keyOf("rebuild-stale"), engine.Command{Verb: engine.VerbUp, Services: names})
}

// nextMode is the mode that w goes to.
func nextMode(mode project.WatchMode) project.WatchMode {
	switch mode {
	case project.Auto:
		return project.Manual
	case project.Manual:
		return project.Off
	}
	return project.Auto
}

func doWatch(m *Model) tea.Cmd {
	s := m.selected()
	if s == nil {
		return nil
	}
	mode := nextMode(s.Mode)
	m.say(fmt.Sprintf("watch %s: %s", s.Name, modeText(mode)))
	return m.verb(engine.VerbWatch, "watch", func(c *engine.Command) { c.Mode, c.Replica = mode, 0 })
}

func doWatchAll(m *Model) tea.Cmd {
	mode := nextMode(m.snap.Watch.Mode)
	m.say("watch for all: " + modeText(mode))
	return m.send("set watch for all", m.keyOf("watch-all"), engine.Command{Verb: engine.VerbWatch, Mode: mode})
}

// modeText explains a watch mode in a few words.
func modeText(mode project.WatchMode) string {
	switch mode {
	case project.Auto:
		return "auto, changes are carried out"
	case project.Manual:
		return "manual, changes wait for u"
	case project.Off:
		return "off, changes are ignored"
	}
	return mode.String()
}

func doScale(m *Model, by int) tea.Cmd {
	s := m.selected()
	if s == nil || s.Wanted+by < 0 {
		return nil
	}
	n := s.Wanted + by
	return m.send(fmt.Sprintf("scale %s to %d", s.Name, n), "", engine.Command{Verb: engine.VerbScale, Services: []string{s.Name}, Scale: n,
		Cause: fmt.Sprintf("you scaled it to %d", n)})
}

func doMark(m *Model) tea.Cmd {
	m.svc.toggleMark()
	m.svc.move(1)
	m.rescope()
	return nil
}

func onlyLabel(m *Model) string {
	if m.log.solo {
		return "all logs"
	}
	return "only its logs"
}

func doOnly(m *Model) tea.Cmd {
	m.log.solo = !m.log.solo
	m.svc.clearMarks()
	m.rescope()
	return nil
}

func doExpand(m *Model) tea.Cmd { m.svc.toggleExpanded(m.snap); return nil }
func doSort(m *Model) tea.Cmd {
	m.svc.nextOrder()
	m.svc.refresh(m.snap)
	m.say("services sorted by " + m.svc.order.String())
	return nil
}

// done shows how a command ended. Only what went wrong is worth a line: success is seen on the screen.
func (m *Model) done(msg doneMsg) {
	if msg.err == nil || errors.Is(msg.err, context.Canceled) {
		return
	}
	text := oneLine(msg.err.Error())
	if !strings.Contains(text, strings.Fields(msg.what + " x")[0]) {
		text = msg.what + ": " + text
	}
	m.fail(text)
	if len(msg.services) == 1 {
		m.status.service, m.status.at = msg.services[0], m.opts.Now()
	}
}

// mended says whether what the status line complains of was done since.
func (m *Model) mended() bool {
	s := m.service(m.status.service)
	return s != nil && s.Last != nil && s.Last.Err == "" && s.Last.Ended.After(m.status.at)
}

// note is something that the screen itself has to tell in the events pane.
type note struct {
	at   time.Time
	text string
}
