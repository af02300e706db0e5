package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/ui/duration"
)

// overview is the part of a wide screen below the services.
type overview struct {
	e     *env
	svc   *servicesPane
	ports *portOpener
	graph *graph
}

// render draws what the last changes took, ports, dependencies, the host.
func (o *overview) render(r rect) []string {
	var rows []string
	section := func(title, hint string, lines []string) {
		if len(lines) == 0 || len(rows)+3 > r.h {
			return
		}
		rows = append(rows, "", o.e.st.title.s(justify(" "+title, hint, r.w)))
		rows = append(rows, lines...)
	}
	title := "LAST CHANGES"
	if o.e.snap.any(func(s *engine.Service) bool { return s.Last != nil && len(s.Last.Paths) > 0 }) {
		title = "LAST SAVE -> READY"
	}
	section(title, "", o.lastChanges(r.w))
	section("PORTS ("+o.e.keyOf("open")+", then a digit)", "", o.ports.lines(r.w))
	var deps []string
	for _, l := range o.graph.lines() {
		deps = append(deps, "   "+l)
	}
	section("DEPENDENCIES", "["+o.e.fromHere("graph")+"] ", deps)
	s := o.e.snap
	host := fmt.Sprintf("   %s %s · context %s", s.Runtime.Name, s.Runtime.Version, s.Runtime.Context)
	if len(s.Files) > 0 {
		host += " · " + baseName(s.Files[0])
	}
	if s.Runtime.Name != "" {
		section("HOST", "", []string{host})
	}
	for i := range rows {
		rows[i] = fit(rows[i], r.w)
	}
	if len(rows) > r.h && r.h > 0 {
		rows = rows[:r.h]
		rows[r.h-1] = o.e.st.dim.s(fit("   … "+o.e.fromHere("graph")+" shows the rest", r.w))
	}
	return fill(rows, r)
}

// lastChanges lists per service the last piece of work with its stages.
func (o *overview) lastChanges(w int) []string {
	var out []string
	names := o.e.snap.nameWidth(7, 12)
	for _, t := range o.svc.rows {
		s := o.e.snap.service(t.service)
		if s == nil || t.replica > 0 {
			continue
		}
		head := "   " + fit(s.Name, names) + " "
		switch c := s.Last; {
		case len(s.Stale) > 0 && (c == nil || !c.Ended.IsZero()):
			out = append(out, head+o.e.st.badge.s("STALE")+" "+
				o.e.st.warn.s(plural(len(s.Stale), "file")+" newer than what runs"))
		case c == nil:
		default:
			text := fmt.Sprintf("%-12s %6s  ", c.Action, duration.Took(endOrNow(c.Ended, o.e.now).Sub(c.Began)))
			if c.Failed() {
				text = o.e.st.bad.s(fmt.Sprintf("%-12s failed  ", c.Action))
			} else if c.Ended.IsZero() {
				text = o.e.st.busy.s(fmt.Sprintf("%-12s %5s.. ", c.Action, duration.Age(o.e.now.Sub(c.Began))))
			}
			out = append(out, head+text+o.e.st.dim.s(stagesIn(c, w-width(head)-width(text))))
		}
	}
	return out
}

// stagesIn lists the stages that fit into w cells: the shortest leave first, but never a slow one.
func stagesIn(c *engine.Change, w int) string {
	short := *c
	short.Stages = slices.DeleteFunc(slices.Clone(c.Stages), func(s engine.Stage) bool {
		return s.Name == "total"
	})
	for text := stagesText(&short); ; text = stagesText(&short) {
		least := -1
		for i, s := range short.Stages {
			if !slices.Contains(c.Slow, s.Name) && (least < 0 || s.Took < short.Stages[least].Took) {
				least = i
			}
		}
		if width(text) <= w || least < 0 {
			return text
		}
		short.Stages = slices.Delete(short.Stages, least, least+1)
	}
}

// stagesText lists the stages of a change: "detect .05 copy .11 restart .7".
func stagesText(c *engine.Change) string {
	var parts []string
	for _, s := range c.Stages {
		if s.Name == "total" {
			continue
		}
		text := fmt.Sprintf("%.2f", s.Took.Seconds())
		if s.Took >= 10*time.Second {
			text = fmt.Sprintf("%.0f", s.Took.Seconds())
		} else if s.Took >= time.Second {
			text = fmt.Sprintf("%.1f", s.Took.Seconds())
		}
		if slices.Contains(c.Slow, s.Name) {
			text += "!"
		}
		parts = append(parts, s.Name+" "+strings.TrimPrefix(text, "0"))
	}
	return strings.Join(parts, " ")
}
