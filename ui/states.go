package ui

import (
	"fmt"
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
	case engine.StateBroken:
		return "✗", toneBad
	}
	return "○", toneOff
}

// stateText is the word for the STATE column.
func stateText(s *engine.Service) string {
	text := s.State.String()
	switch s.State {
	case engine.StateExited:
		text = fmt.Sprintf("exited %d", s.ExitCode)
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
		text = fmt.Sprintf("%s %d/%d", text, up, s.Wanted)
	}
	return text
}

func replicaText(r *engine.Replica) string {
	switch {
	case r.State == engine.StateExited && r.OOM:
		return "out of memory"
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
		return "healthy"
	case engine.Unhealthy:
		return st.warn.s("unhealthy")
	case engine.HealthStarting:
		return st.busy.s("starting")
	}
	return st.dim.s("-")
}

func upText(s engine.State, started, now time.Time) string {
	if started.IsZero() || s == engine.StateExited || s == engine.StateBroken || s == engine.StateWaiting || s == engine.StateCreated {
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

// ports lists the published ports in w cells, those that do not fit as a number.
func ports(all []engine.Port, w int) string {
	out, shown := "", map[int]bool{}
	for _, p := range all {
		if p.Published == 0 || shown[p.Published] {
			continue // the IPv6 twin of one that is listed
		}
		shown[p.Published] = true
		next := fmt.Sprintf(":%d", p.Published)
		if out != "" {
			next = out + " " + next
		}
		if width(next) > w {
			return cut(out, w-1) + "+"
		}
		out = next
	}
	if out == "" {
		return "-"
	}
	return out
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
		case s.State == engine.StateBroken && s.Err != "":
			return st.bad.s(cut(s.Err, w))
		case c != nil && c.Ended.IsZero() && !c.Began.IsZero():
			doing := c.Action
			if s.Doing != "" && s.Doing != c.Action {
				doing = s.Doing
			}
			return st.busy.s(fmt.Sprintf("%s %s..", doing, duration.Age(now.Sub(c.Began))))
		case s.Doing != "" && s.State != engine.StateBuilding:
			return st.busy.s(s.Doing)
		case len(s.WaitsFor) > 0 && s.State != engine.StateRunning:
			return st.busy.s("waits: " + strings.Join(s.WaitsFor, ", "))
		case c != nil && c.Err != "" && len(s.Stale) > 0:
			if w < 23 {
				return st.bad.s("failed") + ", " + st.warn.s("stale")
			}
			return st.bad.s("failed") + ", " + st.warn.s("stale "+plural(len(s.Stale), "file"))
		case len(s.Pending) > 0:
			return st.warn.s(plural(len(s.Pending), "file") + " pending")
		case len(s.Stale) > 0:
			return st.badge.s("STALE") + st.warn.s(" "+plural(len(s.Stale), "file"))
		case downByHand(s):
			return downText(s, now)
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
	case c.Err != "" && w < 24:
		return st.bad.s(cut(c.Action+" failed", w))
	case c.Err != "":
		return st.bad.s(c.Action+" failed") + st.dim.s("  "+duration.Age(now.Sub(c.Ended))+" ago")
	}
	action := c.Action
	if w < 20 { // sync+restart and sync+exec are the only long ones
		action = strings.NewReplacer("+restart", "+rst", "+exec", "+ex").Replace(action)
	}
	head := fmt.Sprintf("%-7s %5s", action, duration.Took(c.Ended.Sub(c.Began)))
	if len(c.Slow) > 0 {
		head += st.warn.s("!") // inspect says which stage
	}
	if w >= 40 {
		return head + st.dim.s("  "+c.Ended.Format("15:04:05")+"  "+c.Cause)
	}
	if w >= 23 {
		return head + st.dim.s("  "+c.Ended.Format("15:04:05"))
	}
	return head
}

// downText says how the user took a service down, and when.
func downText(s *engine.Service, now time.Time) string {
	verb := "stopped"
	switch {
	case s.State == engine.StatePaused:
		verb = "paused"
	case s.State != engine.StateExited:
		verb = s.State.String()
	case s.ExitCode > 128:
		verb = "killed"
	}
	return fmt.Sprintf("%s %s ago", verb, duration.Age(now.Sub(s.Since)))
}
