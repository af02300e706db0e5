package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
	"bulkhead/ui/duration"
)

// tone is how a state is meant: names for paints that exist once the background is known.
type tone uint8

const (
	tonePlain tone = iota
	toneGood
	toneBusy
	toneWarn
	toneBad
	toneOff
)

// tone is the paint of a tone.
func (st *styles) tone(t tone) paint {
	return [...]paint{st.plain, st.good, st.busy, st.warn, st.bad, st.off}[t]
}

// stateSign is the one-cell sign of a state.
func stateSign(s engine.State, h engine.Health, exit int, byHand bool) (string, tone) {
	switch s {
	case engine.StateRunning:
		switch h {
		case engine.Unhealthy:
			return "◐", toneWarn
		case engine.HealthStarting:
			return "◌", toneBusy
		}
		return "●", toneGood
	case engine.StateStarting, engine.StateCreated:
		return "◌", toneBusy
	case engine.StateBuilding, engine.StateRestarting, engine.StateStopping:
		return "⟳", toneBusy
	case engine.StatePaused:
		return "‖", toneWarn
	case engine.StateExited:
		if exit == 0 && !byHand {
			return "✓", toneOff
		}
		return "✗", toneBad
	case engine.StateBroken, engine.StateCrashing:
		return "✗", toneBad
	}
	return "○", toneOff
}

// signOf is the sign of a service.
func signOf(s *engine.Service) (string, tone) {
	what := outside(s)
	if what == engine.OutsideRemoved {
		return "✗", toneBad
	}
	return stateSign(s.State, s.Health, s.ExitCode, s.ByHand || what != engine.OutsideNothing)
}

// outside is what another program did to a service that does not run.
func outside(s *engine.Service) (worst engine.Outside) {
	if s.State == engine.StateExited || s.State == engine.StatePaused || s.State == engine.StateWaiting {
		for i := range s.Replicas {
			worst = max(worst, s.Replicas[i].Outside)
		}
	}
	return worst
}

// outsideText says what another program did to a service, and when.
func outsideText(s *engine.Service, now time.Time, w int) string {
	what := outside(s).String()
	if long := what + " " + duration.Age(now.Sub(s.Since)) + " ago by another program"; width(long) <= w {
		return long
	}
	return what + " outside"
}

// stateText is the word for the STATE column.
func stateText(s *engine.Service) string {
	text := s.State.String()
	switch s.State {
	case engine.StateExited:
		text = fmt.Sprintf("exited %d", s.ExitCode)
		if outOfMemory(s) {
			text = "out of memory"
		}
	case engine.StateWaiting:
		if outside(s) == engine.OutsideRemoved {
			text = "removed"
		}
	case engine.StateCrashing:
		text = fmt.Sprintf("crashing ×%d", worstReplica(s).Crashes)
	case engine.StateBuilding:
		if s.Doing != "" {
			text = s.Doing
		}
	}
	if n := max(s.Wanted, len(s.Replicas)); n > 1 {
		up := 0
		for _, r := range s.Replicas {
			if r.State == engine.StateRunning {
				up++
			}
		}
		if s.State != engine.StateRunning && up > 0 {
			return fmt.Sprintf("%d/%d running", up, s.Wanted) // the rows below say how the others are
		}
		text = fmt.Sprintf("%s %d/%d", text, up, s.Wanted)
	}
	return text
}

func replicaText(r *engine.Replica) string {
	switch {
	case r.State == engine.StateExited && r.OOM:
		return "out of memory"
	case r.State == engine.StateCrashing:
		return fmt.Sprintf("crashing ×%d", r.Crashes)
	case r.State == engine.StateExited:
		return fmt.Sprintf("exited %d", r.ExitCode)
	}
	return r.State.String()
}

// healthText is the word for the HEALTH column; what does not run has no health, whatever its last one was.
func healthText(st *styles, s engine.State, h engine.Health) string {
	switch s {
	case engine.StateExited, engine.StateBroken, engine.StateCreated, engine.StateWaiting:
		return st.dim.s("-")
	}
	switch h {
	case engine.Healthy:
		return st.good.s("healthy")
	case engine.Unhealthy:
		return st.warn.s("unhealthy")
	case engine.HealthStarting:
		return st.busy.s("starting")
	}
	return st.dim.s("-")
}

func upText(s engine.State, started, now time.Time) string {
	if started.IsZero() || s == engine.StateExited || s == engine.StateBroken ||
		s == engine.StateWaiting || s == engine.StateCreated {
		return "-"
	}
	return duration.Age(now.Sub(started))
}

func restarts(n int, s engine.State) string {
	if s == engine.StateWaiting {
		return "-"
	}
	return fmt.Sprint(n)
}

// ports lists the published ports in w cells, those that do not fit as a number: ":8080 +1".
func ports(all []engine.Port, w int) string {
	text, _ := fitPorts(all, w)
	return cut(text, w)
}

// fitPorts is ports before it is cut; fits is false where it has to be.
func fitPorts(all []engine.Port, w int) (text string, fits bool) {
	var list []string
	for _, p := range all {
		text := fmt.Sprintf(":%d", p.Published)
		if p.Published != 0 && !slices.Contains(list, text) { // else it is the IPv6 twin of one that is listed
			list = append(list, text)
		}
	}
	if len(list) == 0 {
		return "-", true
	}
	text = strings.Join(list, " ")
	for n := len(list) - 1; n > 0 && width(text) > w; n-- {
		text = fmt.Sprintf("%s +%d", strings.Join(list[:n], " "), len(list)-n)
	}
	return text, width(text) <= w
}

// portsWidth is how wide the column of ports is: what the first of each takes, and how many more there are.
func portsWidth(services []engine.Service) int {
	n := 6
	for i := range services {
		for w := 6; w <= 9; w++ {
			if text, fits := fitPorts(services[i].Ports, w); fits {
				n = max(n, width(text))
				break
			}
		}
	}
	return n
}

// lastChange says what a service is doing, waits for, lacks, or did last, whichever matters most.
func lastChange(st *styles, s *engine.Service, now time.Time, w int) string {
	mode := ""
	if s.Mode == project.Manual || s.Mode == project.Off {
		mode = "[" + s.Mode.String() + "] "
	}
	text := func() string {
		c := s.Last
		switch {
		case stoppingReplica(s) != nil:
			how := stopText(stoppingReplica(s), now)
			if w >= 20 {
				how = "stopping " + how
			}
			return st.busy.s(how)
		case s.State == engine.StateBroken && s.Err != "" && len(s.WaitsFor) == 0:
			return st.bad.s(brokenText(s, w))
		case len(s.WaitsFor) > 0 && s.State != engine.StateRunning:
			return st.busy.s(waitText(s, w))
		case c != nil && c.Ended.IsZero() && !c.Began.IsZero():
			doing := c.Action
			if s.Doing != "" && s.Doing != c.Action {
				doing = s.Doing
			}
			return st.busy.s(fmt.Sprintf("%s %s..", doing, duration.Age(now.Sub(c.Began))))
		case s.Doing != "" && s.State != engine.StateBuilding:
			return st.busy.s(s.Doing)
		case s.State == engine.StateCrashing:
			return st.bad.s(crashText(s, now))
		case s.State == engine.StateRunning && s.Health == engine.Unhealthy && checkText(s) != "" &&
			len(s.Stale)+len(s.Pending) == 0:
			return st.warn.s(checkText(s))
		case c != nil && c.Failed() && len(s.Stale) > 0:
			if w < 23 {
				return st.bad.s("failed") + ", " + st.warn.s("stale")
			}
			return st.bad.s("failed") + ", " + st.warn.s("stale "+plural(len(s.Stale), "file"))
		case len(s.Pending) > 0:
			return st.warn.s(plural(len(s.Pending), "file") + " pending")
		case len(s.Stale) > 0:
			return st.badge.s("STALE") + st.warn.s(" "+plural(len(s.Stale), "file"))
		case downByHand(s):
			return downText(s, now, w)
		case outside(s) != engine.OutsideNothing:
			return st.warn.s(outsideText(s, now, w))
		case s.State == engine.StateExited && len(s.Replicas) > 0:
			return endText(st, s, now)
		case c == nil:
			return st.dim.s("-")
		}
		return endedChange(st, c, now, w)
	}()
	return mode + text
}

// endedChange says what a service did last, how long it took and when, or that it failed.
func endedChange(st *styles, c *engine.Change, now time.Time, w int) string {
	switch {
	case c.Failed() && w < 24:
		return st.bad.s(cut(c.Action+" failed", w))
	case c.Failed():
		return st.bad.s(c.Action+" failed") + st.dim.s("  "+duration.Age(now.Sub(c.Ended))+" ago")
	}
	action := c.Action
	if w < 20 { // sync+restart and sync+exec are the only long ones
		action = strings.NewReplacer("+restart", "+rst", "+exec", "+ex").Replace(action)
	}
	ended := c.Ended
	if c.Recovered.After(ended) {
		ended = c.Recovered
	}
	head := fmt.Sprintf("%-7s %5s", action, duration.Took(ended.Sub(c.Began)))
	if len(c.Slow) > 0 {
		head += st.warn.s("!") // inspect says which stage
	}
	if w >= 40 {
		return head + st.dim.s("  "+ended.Format("15:04:05")+"  "+c.Cause)
	}
	if w >= 23 {
		return head + st.dim.s("  "+ended.Format("15:04:05"))
	}
	return head
}

// downText says how the user took a service down, and when. That a signal ended it says nothing by
// itself: a stop begins with one, and ends with SIGKILL where the grace was not enough.
func downText(s *engine.Service, now time.Time, w int) string {
	last := &engine.Change{}
	if s.Last != nil && (s.Last.Action == "stop" || s.Last.Action == "kill") {
		last = s.Last
	}
	verb := "stopped"
	switch {
	case s.State == engine.StatePaused:
		verb = "paused"
	case s.State != engine.StateExited:
		verb = s.State.String()
	case last.Action == "kill", last.Action == "" && s.ExitCode == exitKilled:
		verb = "killed"
	}
	text := fmt.Sprintf("%s %s ago", verb, duration.Age(now.Sub(s.Since)))
	if long := text + ", killed after its grace"; verb == "stopped" && last.Stop == engine.StopLate &&
		width(long) <= w {
		return long
	}
	return text
}

// exitKilled is the exit code of what SIGKILL ended: 128 and the signal's number.
const exitKilled = 128 + 9

// worstReplica is the replica of a service that says most about its state: one that crashes, is
// unhealthy, or ended badly, before others. It is never nil.
func worstReplica(s *engine.Service) *engine.Replica {
	worst := &engine.Replica{}
	rank := func(r *engine.Replica) int {
		switch {
		case r.State == engine.StateCrashing:
			return 4
		case r.State == engine.StateExited && (r.ExitCode != 0 || r.OOM):
			return 3
		case r.Health == engine.Unhealthy:
			return 2
		}
		return 1
	}
	for i := range s.Replicas {
		if r := &s.Replicas[i]; worst.Number == 0 || rank(r) > rank(worst) {
			worst = r
		}
	}
	return worst
}

// outOfMemory says whether the kernel ended a service because it had no more memory.
func outOfMemory(s *engine.Service) bool {
	r := worstReplica(s)
	return r.OOM && (r.State == engine.StateExited || r.State == engine.StateCrashing)
}

// waitText says whom a service waits for, and for what where there is room: "waiting for json (healthy)".
func waitText(s *engine.Service, w int) string {
	var names, full []string
	for _, wait := range s.WaitsFor {
		names = append(names, wait.Service)
		full = append(full, fmt.Sprintf("%s (%s)", wait.Service, wait.Goal))
	}
	if text := "waiting for " + strings.Join(full, ", "); width(text) <= w {
		return text
	}
	return "waiting for " + strings.Join(names, ", ")
}

// crashText says how a crash loop goes on: "exit 3, next try in 4s".
func crashText(s *engine.Service, now time.Time) string {
	r := worstReplica(s)
	how := fmt.Sprintf("exit %d", r.ExitCode)
	if r.OOM {
		how = "out of memory"
	}
	switch {
	case r.RetryAt.IsZero() || r.Identity.Started.After(r.Finished):
		return how + ", tries again"
	case r.RetryAt.Sub(now) < time.Second:
		return how + ", next try now"
	}
	return how + ", next try in " + duration.Age(r.RetryAt.Sub(now))
}

// endText says how and when a service ended by itself: "crashed 12s ago (exit 3)".
func endText(st *styles, s *engine.Service, now time.Time) string {
	r := worstReplica(s)
	at := r.Finished
	if at.IsZero() {
		at = s.Since
	}
	ago := duration.Age(now.Sub(at)) + " ago"
	switch {
	case r.OOM:
		return st.bad.s(fmt.Sprintf("killed %s (exit %d)", ago, r.ExitCode))
	case s.ExitCode != 0:
		return st.bad.s(fmt.Sprintf("crashed %s (exit %d)", ago, s.ExitCode))
	}
	return st.dim.s("done " + ago)
}

// checkText says why a service is unhealthy: "exit 7: connection refused"; "" where that is not known.
func checkText(s *engine.Service) string {
	if c := worstReplica(s).Check; c != nil {
		return c.Reason()
	}
	return ""
}

// reason is why a service does not do what it should, "" while it does: it may take the place of
// columns that say nothing then.
func reason(st *styles, snap snapshot, s *engine.Service, now time.Time) string {
	switch b := snap.failedBuild(s.Name); {
	case s.State == engine.StateBroken && b != nil && len(s.WaitsFor) == 0:
		return st.bad.s(buildReason(snap, b))
	case s.State == engine.StateBroken, s.State == engine.StateCrashing, s.State == engine.StateExited,
		len(s.WaitsFor) > 0 && s.State != engine.StateRunning, outside(s) != engine.OutsideNothing,
		s.State == engine.StateRunning && s.Health == engine.Unhealthy && checkText(s) != "":
		return lastChange(st, s, now, farAway)
	}
	return ""
}

// brokenText is why a service is broken, without what the STATE column and the name say already.
func brokenText(s *engine.Service, w int) string {
	return cut(oneLine(s.ErrShort), w)
}
