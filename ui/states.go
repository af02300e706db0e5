package ui

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
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

func (m *Model) paintOf(t tone) paint {
	return [...]paint{m.st.plain, m.st.good, m.st.busy, m.st.warn, m.st.bad, m.st.off}[t]
}

// namePaint is the colour of a service's name before log lines: neighbours in the list have different ones.
func (m *Model) namePaint(service string) paint {
	name, _, _ := strings.Cut(service, "/")
	i, _ := sort.Find(len(m.snap.Services), func(i int) int { return strings.Compare(name, m.snap.Services[i].Name) })
	return m.st.names[i%len(m.st.names)]
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
			text = strings.TrimSuffix(s.Doing, " 0/0") // no step is known yet
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
func (m *Model) healthText(s engine.State, h engine.Health) string {
	switch s {
	case engine.StateExited, engine.StateBroken, engine.StateCreated, engine.StateWaiting:
		return m.st.dim.s("-")
	}
	switch h {
	case engine.Healthy:
		return "healthy"
	case engine.Unhealthy:
		return m.st.warn.s("unhealthy")
	case engine.HealthStarting:
		return m.st.busy.s("starting")
	}
	return m.st.dim.s("-")
}

func upText(s engine.State, started, now time.Time) string {
	if started.IsZero() || s == engine.StateExited || s == engine.StateBroken || s == engine.StateWaiting || s == engine.StateCreated {
		return "-"
	}
	return age(now.Sub(started))
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
func (m *Model) lastChange(s *engine.Service, w int) string {
	mode := ""
	if s.Mode == project.Manual || s.Mode == project.Off {
		mode = "[" + s.Mode.String() + "] "
	}
	text := func() string {
		c := s.Last
		switch {
		case stoppingReplica(s) != nil:
			how := stopText(stoppingReplica(s), m.now)
			if w >= 20 {
				how = "stopping " + how
			}
			return m.st.busy.s(how)
		case s.State == engine.StateBroken && s.Err != "":
			return m.st.bad.s(cut(s.Err, w))
		case c != nil && c.Ended.IsZero() && !c.Began.IsZero():
			doing := c.Action
			if s.Doing != "" && s.Doing != c.Action {
				doing = s.Doing
			}
			return m.st.busy.s(fmt.Sprintf("%s %s..", doing, age(m.now.Sub(c.Began))))
		case s.Doing != "" && s.State != engine.StateBuilding:
			return m.st.busy.s(s.Doing)
		case len(s.WaitsFor) > 0 && s.State != engine.StateRunning:
			return m.st.busy.s("waits: " + strings.Join(s.WaitsFor, ", "))
		case c != nil && c.Err != "" && len(s.Stale) > 0:
			if w < 23 {
				return m.st.bad.s("failed") + ", " + m.st.warn.s("stale")
			}
			return m.st.bad.s("failed") + ", " + m.st.warn.s("stale "+plural(len(s.Stale), "file"))
		case len(s.Pending) > 0:
			return m.st.warn.s(plural(len(s.Pending), "file") + " pending")
		case len(s.Stale) > 0:
			return m.st.badge.s("STALE") + m.st.warn.s(" "+plural(len(s.Stale), "file"))
		case hurt(s):
			return down(s, m.now)
		case c == nil:
			return m.st.dim.s("-")
		case c.Err != "":
			if w < 24 {
				return m.st.bad.s(cut(c.Action+" failed", w))
			}
			return m.st.bad.s(c.Action+" failed") + m.st.dim.s("  "+age(m.now.Sub(c.Ended))+" ago")
		}
		action := c.Action
		if w < 20 { // sync+restart and sync+exec are the only long ones
			action = strings.NewReplacer("+restart", "+rst", "+exec", "+ex").Replace(action)
		}
		head := fmt.Sprintf("%-7s %5s", action, took(c.Ended.Sub(c.Began)))
		if len(c.Slow) > 0 {
			head += m.st.warn.s("!") // inspect says which stage
		}
		if w >= 40 {
			return head + m.st.dim.s("  "+c.Ended.Format("15:04:05")+"  "+c.Cause)
		}
		if w >= 23 {
			return head + m.st.dim.s("  "+c.Ended.Format("15:04:05"))
		}
		return head
	}()
	return mode + text
}

// down says how the user took a service down, and when.
func down(s *engine.Service, now time.Time) string {
	did := "stopped"
	switch {
	case s.State == engine.StatePaused:
		did = "paused"
	case s.State != engine.StateExited:
		did = s.State.String()
	case s.ExitCode > 128:
		did = "killed"
	}
	return fmt.Sprintf("%s %s ago", did, age(now.Sub(s.Since)))
}
