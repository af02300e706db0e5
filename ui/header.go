package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"bulkhead/engine"
	"bulkhead/engine/project"
	"bulkhead/ui/duration"
)

// header is the top line.
type header struct {
	e    *env
	end  *shutdown
	rest *rest
}

// render draws the top line: the project, counts of states, watching, sums.
func (h *header) render(w int) string {
	s := h.e.snap
	var parts []string
	name := s.Project
	if name == "" {
		name = "bulkhead"
	}
	if w >= wideW {
		name = "bulkhead  " + name
	}
	parts = append(parts, " "+h.e.st.bold.s(name))
	parts = append(parts, h.counts(true))
	phase := s.Phase
	if h.end.stopping && phase != engine.PhaseLost {
		phase = engine.PhaseStopping
	}
	switch phase {
	case engine.PhaseStarting:
		parts = append(parts, h.e.st.busy.s("starting"))
	case engine.PhaseStopping:
		parts = append(parts, h.e.st.busy.s("stopping"))
	case engine.PhaseLost:
		parts = append(parts, h.e.st.badge.s(" engine lost, trying again "))
	}
	extras := h.extras(w)
	if watch, usual := h.watchText(); usual {
		extras = slices.Insert(extras, 0, watch)
	} else {
		parts = append(parts, watch)
	}
	clock := h.e.st.dim.s(h.rest.clockText()) + " "
	return justify(h.fitting(parts, extras, w-1-width(clock)), clock, w)
}

// fitting joins what has room in w cells: the extras leave first, then the words of the counts, then whole parts.
func (h *header) fitting(parts, extras []string, w int) string {
	for _, words := range []bool{true, false} {
		parts[1] = h.counts(words)
		for n := len(extras); n >= 0; n-- {
			if line := strings.Join(slices.Concat(parts, extras[:n]), "   "); width(line) <= w {
				return line
			}
		}
	}
	for len(parts) > 2 && width(strings.Join(parts, "   ")) > w {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, "   ")
}

// extras is what other places of the screen say as well, the most useful first, beside the usual way of watching.
func (h *header) extras(w int) (extras []string) {
	s := h.e.snap
	if len(s.Profiles) > 0 && w >= 100 {
		extras = append(extras, h.e.st.dim.s("profile: "+strings.Join(s.Profiles, ",")))
	}
	cpu, mem, known := 0.0, int64(0), false
	for i := range s.Services {
		if c := s.Services[i].CPU; !math.IsNaN(c) {
			cpu, known = cpu+c, true
		}
		mem += max(s.Services[i].Mem, 0)
	}
	if known {
		extras = append(extras, h.e.st.dim.s("cpu ")+percent(cpu)+h.e.st.dim.s("  mem ")+bytesText(mem))
	}
	if s.ReadyIn > 0 && w >= 100 {
		extras = append(extras, h.e.st.dim.s("ready in "+duration.Took(s.ReadyIn)))
	}
	return extras
}

// stateGroup is a kind of state with how many services are in it.
type stateGroup struct {
	sign, word string
	tone       tone
	n          int
}

// counts says how many services are in which kind of state: with words, or in short with signs only.
func (h *header) counts(words bool) string {
	groups := []stateGroup{{"●", "up", toneGood, 0}, {"◐", "unhealthy", toneWarn, 0},
		{"✗", "down", toneBad, 0}, {"‖", "paused", toneWarn, 0},
		{"⟳", "busy", toneBusy, 0}, {"○", "waiting", toneOff, 0}, {"✓", "done", toneOff, 0}}
	for i := range h.e.snap.Services {
		s := &h.e.snap.Services[i]
		sign, _ := signOf(s)
		if sign == "◌" {
			sign = "⟳"
		}
		for j := range groups {
			if groups[j].sign == sign {
				groups[j].n++
			}
		}
	}
	var out []string
	for i, g := range groups {
		if g.n == 0 && i > 0 {
			continue
		}
		text := fmt.Sprintf("%s %d", h.e.st.tone(g.tone).s(g.sign), g.n)
		if words || i == 0 {
			text += " " + g.word
		}
		out = append(out, text)
	}
	return strings.Join(out, "  ")
}

// watchText says how files are watched now, and whether that is how they are watched unless somebody or something
// asks for another way.
func (h *header) watchText() (text string, usual bool) {
	ws := h.e.snap.Watch
	switch {
	case ws.Mode == project.Off:
		return h.e.st.warn.s("watch off"), false
	case ws.Mode == project.Manual:
		return h.e.st.warn.s("watch manual"), false
	case !ws.On:
		return h.e.st.dim.s("watch -"), false
	case ws.Held != "":
		return h.e.st.busy.s("watch held: " + ws.Held), false
	}
	return "watch auto", true
}
