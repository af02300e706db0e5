package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// verbs are what can be done to the selected services, and whether it can be done now.
type verbs struct {
	e    *env
	sel  *selection
	echo *echo
}

// doneMsg is the end of a command that was sent to the engine.
type doneMsg struct {
	services []string
	what     string
	err      error
}

// send has the engine carry out a command; what names it in the status line, key is what was pressed for it.
func (v *verbs) send(what, key string, c engine.Command) tea.Cmd {
	if c.Cause == "" {
		c.Cause = "you chose " + string(c.Verb)
		if key != "" {
			c.Cause = "you pressed " + key
		}
	}
	if v.sel.marking() && len(c.Services) > 1 {
		v.e.status.set(what)
	}
	v.echo.note(c)
	backend := v.e.backend
	return v.e.jobs.do(what, func(ctx context.Context) tea.Msg {
		return doneMsg{services: c.Services, what: what, err: backend.Do(ctx, c)}
	})
}

// receive shows how a command ended. Only what went wrong is worth a line: success is seen on the screen.
func (v *verbs) receive(msg tea.Msg) (tea.Cmd, bool) {
	if l, ok := msg.(unavailableMsg); ok {
		v.e.unavailable = l
		return nil, true
	}
	done, ok := msg.(doneMsg)
	if !ok || done.err == nil || errors.Is(done.err, context.Canceled) {
		return nil, ok
	}
	text := oneLine(done.err.Error())
	if container.What(done.err) == "" { // it does not say what was being done
		text = done.what + ": " + text
	}
	switch len(done.services) {
	case 0:
		v.e.status.failCommand("", text)
	case 1:
		v.e.status.failCommand(done.services[0], text)
	default:
		v.e.status.fail(text)
	}
	return nil, true
}

// act sends a command for the selected services, after asking where the config wants that.
func (v *verbs) act(verb engine.Verb, action string, change func(*engine.Command)) tea.Cmd {
	names, replica := v.sel.targets()
	if len(names) == 0 {
		return nil
	}
	c := engine.Command{Verb: verb, Services: names, Replica: replica}
	if change != nil {
		change(&c)
	}
	what := fmt.Sprintf("%s %s", verb, strings.Join(names, ", "))
	send := func() tea.Cmd { return v.send(what, v.e.keyOf(action), c) }
	if v.e.opts.Config.Confirm == "all" && (verb == engine.VerbKill || verb == engine.VerbStop ||
		verb == engine.VerbRestart) {
		v.e.over = newMenu(v.e, "Sure?", []string{"This will " + what + "."}, []choice{
			{key: "y", label: string(verb), run: send},
			{key: "n", label: "cancel"},
		})
		return nil
	}
	return send()
}

// anySelected is an action's condition: one of the services that it would act on is so.
func (v *verbs) anySelected(is func(*engine.Service) bool) func() bool {
	return func() bool { return slices.ContainsFunc(v.sel.services(), is) }
}

// anyService is an action's condition: one of all services is so.
func (v *verbs) anyService(is func(*engine.Service) bool) func() bool {
	return func() bool { return v.e.snap.any(is) }
}

// underCursor is an action's condition: the service under the cursor is so.
func (v *verbs) underCursor(is func(*engine.Service) bool) func() bool {
	return func() bool { s := v.sel.one(); return s != nil && is(s) }
}

// The conditions of services.

func exists(*engine.Service) bool        { return true }
func isBuilt(s *engine.Service) bool     { return s.Config.Built }
func isWatched(s *engine.Service) bool   { return len(s.Rules) > 0 || s.Config.Extra.Prepare != nil }
func canShrink(s *engine.Service) bool   { return s.Wanted > 0 }
func hasReplicas(s *engine.Service) bool { return max(s.Wanted, len(s.Replicas)) > 1 }
func hasProcesses(s *engine.Service) bool {
	return s.State == engine.StateRunning || s.State == engine.StateStarting
}

func (v *verbs) isAlive() bool  { return v.anySelected(alive)() }
func (v *verbs) canPause() bool { return v.e.snap.Caps.Pause && v.isAlive() }

func (v *verbs) restart() tea.Cmd { return v.act(engine.VerbRestart, "restart", nil) }
func (v *verbs) restartDependents() tea.Cmd {
	return v.act(engine.VerbRestart, "restart-dependents", func(c *engine.Command) { c.Dependents = true })
}
func (v *verbs) kill() tea.Cmd    { return v.act(engine.VerbKill, "kill", nil) }
func (v *verbs) rebuild() tea.Cmd { return v.act(engine.VerbRebuild, "rebuild", nil) }

func (v *verbs) stopLabel() string {
	if v.isAlive() {
		return "stop"
	}
	return "start"
}

func (v *verbs) stopStart() tea.Cmd {
	if v.isAlive() {
		return v.act(engine.VerbStop, "stop-start", nil)
	}
	return v.act(engine.VerbStart, "stop-start", nil)
}

func (v *verbs) allPaused() bool {
	all := v.sel.services()
	return len(all) > 0 && !slices.ContainsFunc(all, func(s *engine.Service) bool {
		return s.State != engine.StatePaused
	})
}

func (v *verbs) pauseLabel() string {
	if v.allPaused() {
		return "resume"
	}
	return "pause"
}

func (v *verbs) pause() tea.Cmd {
	if v.allPaused() {
		return v.act(engine.VerbUnpause, "pause", nil)
	}
	return v.act(engine.VerbPause, "pause", nil)
}

// upKind is what u does.
type upKind uint8

const (
	upNothing   upKind = iota
	upBringBack        // services that the user took down
	upUnpause          // services that the user paused
	upApply            // files that wait, or with no services a changed Compose file
	upStart            // services that are down for another reason
)

// upPlan is what u would do now.
type upPlan struct {
	kind     upKind
	services []string
	replica  int
	files    int // of upApply
}

// label is the plan's name in the footer.
func (p *upPlan) label() string {
	switch p.kind {
	case upBringBack, upUnpause:
		return "bring back"
	case upApply:
		return "apply"
	case upStart:
		return "start"
	}
	return ""
}

// String names what the plan does: "bring back worker", "apply 2 files to api".
func (p *upPlan) String() string {
	names := strings.Join(p.services, ", ")
	if p.kind != upApply {
		return p.label() + " " + names
	}
	if len(p.services) == 0 {
		return "apply the changed Compose file"
	}
	if p.files == 0 {
		return "apply the Compose file to " + names
	}
	return fmt.Sprintf("apply %s to %s", plural(p.files, "file"), names)
}

// brings says whether the plan brings a service back.
func (p *upPlan) brings(service string) bool {
	return (p.kind == upBringBack || p.kind == upUnpause) && slices.Contains(p.services, service)
}

// upPlan decides what u does: the selected service first if the user took it down or something waits for it, be it a
// changed Compose file, then the service of the open ledger, then a changed Compose file, then a service that is down
// for another reason.
func (v *verbs) upPlan() upPlan {
	names, replica := v.sel.targets()
	var back, pending []string
	files, paused, changed := 0, true, false
	r := v.e.snap.Reload
	for _, s := range v.sel.services() {
		switch {
		case downByHand(s):
			back = append(back, s.Name)
			paused = paused && s.State == engine.StatePaused
		case outOfDate(s):
			pending = append(pending, s.Name)
			files += max(len(s.Stale), len(s.Pending))
		}
		changed = changed || r != nil && slices.ContainsFunc(r.Changes,
			func(c project.Change) bool { return c.Service == s.Name })
	}
	bring := func(paused bool) upKind {
		if paused {
			return upUnpause
		}
		return upBringBack
	}
	switch {
	case len(back) > 0:
		return upPlan{kind: bring(paused), services: back, replica: replica}
	case len(pending) > 0:
		return upPlan{kind: upApply, services: pending, files: files}
	case changed:
		return upPlan{kind: upApply}
	}
	if l := v.e.snap.openLedger(); l != nil {
		if s := v.e.snap.service(l.Service); s != nil && downByHand(s) {
			return upPlan{kind: bring(s.State == engine.StatePaused), services: []string{l.Service},
				replica: l.Replica}
		}
	}
	if r != nil && r.Err == "" {
		return upPlan{kind: upApply}
	}
	for _, s := range v.sel.services() {
		if s.State == engine.StateExited || s.State == engine.StateBroken ||
			s.State == engine.StateCreated || outside(s) != engine.OutsideNothing {
			return upPlan{kind: upStart, services: names, replica: replica}
		}
	}
	return upPlan{}
}

func (v *verbs) canUp() bool { return v.upPlan().kind != upNothing }

func (v *verbs) upLabel() string { p := v.upPlan(); return p.label() }

func (v *verbs) up() tea.Cmd {
	p := v.upPlan()
	if p.kind == upNothing {
		return nil
	}
	verb := engine.VerbUp
	switch {
	case p.kind == upUnpause:
		verb = engine.VerbUnpause
	case p.kind == upApply && len(p.services) == 0:
		verb = engine.VerbApply
	}
	return v.send(p.String(), v.e.keyOf("up"), engine.Command{Verb: verb, Services: p.services,
		Replica: p.replica})
}

func (v *verbs) rebuildStale() tea.Cmd {
	var names []string
	for _, s := range v.e.snap.Services {
		if outOfDate(&s) {
			names = append(names, s.Name)
		}
	}
	return v.send("update "+strings.Join(names, ", "), v.e.keyOf("rebuild-stale"),
		engine.Command{Verb: engine.VerbUp, Services: names})
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

func (v *verbs) watch() tea.Cmd {
	s := v.sel.one()
	if s == nil {
		return nil
	}
	mode := nextMode(s.Mode)
	v.e.status.set(fmt.Sprintf("watch %s: %s", s.Name, v.modeText(mode)))
	return v.act(engine.VerbWatch, "watch", func(c *engine.Command) { c.Mode, c.Replica = mode, 0 })
}

func (v *verbs) watchAll() tea.Cmd {
	mode := nextMode(v.e.snap.Watch.Mode)
	v.e.status.set("watch for all: " + v.modeText(mode))
	return v.send("set watch for all", v.e.keyOf("watch-all"), engine.Command{Verb: engine.VerbWatch,
		Mode: mode})
}

// modeText explains a watch mode in a few words.
func (v *verbs) modeText(mode project.WatchMode) string {
	switch mode {
	case project.Auto:
		return "auto, changes are carried out"
	case project.Manual:
		return "manual, changes wait for " + v.e.keyOf("up")
	case project.Off:
		return "off, changes are ignored"
	}
	return mode.String()
}

// scale is the action that adds by replicas.
func (v *verbs) scale(by int) func() tea.Cmd {
	return func() tea.Cmd {
		s := v.sel.one()
		if s == nil || s.Wanted+by < 0 {
			return nil
		}
		n := s.Wanted + by
		return v.send(fmt.Sprintf("scale %s to %d", s.Name, n), "",
			engine.Command{Verb: engine.VerbScale, Services: []string{s.Name}, Scale: n,
				Cause: fmt.Sprintf("you scaled it to %d", n)})
	}
}

func (v *verbs) askSignal() tea.Cmd {
	names, replica := v.sel.targets()
	send := func(sig string) func() tea.Cmd {
		return func() tea.Cmd {
			return v.send(fmt.Sprintf("send %s to %s", sig, strings.Join(names, ", ")), v.e.keyOf("signal"),
				engine.Command{Verb: engine.VerbKill, Services: names, Replica: replica, Signal: sig})
		}
	}
	v.e.over = newMenu(v.e, "Signal to "+strings.Join(names, ", "), nil, []choice{
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
