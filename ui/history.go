package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/ui/duration"
)

// What a service used and what was done to it, over time: sparklines, and changes against their medians.

func (d *detail) sideCharts(s *engine.Service, add func(key, value string), gap func()) {
	const w = 20
	if len(s.CPUHistory) > 1 {
		gap()
		add("cpu", d.e.st.good.s(spark(s.CPUHistory, w, 0.25))+" "+percent(s.CPU))
	}
	if len(s.MemHistory) > 1 {
		mem := make([]float64, len(s.MemHistory))
		for i, v := range s.MemHistory {
			mem[i] = float64(v)
		}
		text := bytesText(s.Mem)
		if s.MemLimit > 0 {
			text += "/" + bytesText(s.MemLimit)
			if s.Mem > s.MemLimit*9/10 {
				text = d.e.st.warn.s(text + " !")
			}
		}
		add("mem", d.e.st.good.s(spark(mem, w, max(32<<20, float64(s.MemLimit))))+" "+text)
	}
	if len(s.NetHistory) > 1 {
		add("net", d.e.st.good.s(spark(s.NetHistory, w, 4<<10))+" "+perSecond(s.NetRx+s.NetTx))
	}
	_, errs := d.e.backend.Logs().Rates(s.Name, d.e.now, 15*time.Second, w)
	values, sum := make([]float64, len(errs)), 0
	for i, n := range errs {
		values[i] = float64(n)
		sum += n
	}
	if sum > 0 {
		add("err", d.e.st.fail.s(spark(values, w, 4))+fmt.Sprintf(" %d in 5 min", sum))
	}
}

// sideFiles lists the files that the running code does not have.
func (d *detail) sideFiles(s *engine.Service, section func(title, hint string), add func(string)) {
	for _, list := range []struct {
		name, key string
		paths     []string
	}{{"STALE", "rebuild", s.Stale}, {"PENDING", "up", s.Pending}} {
		if len(list.paths) == 0 {
			continue
		}
		section(list.name+"  "+plural(len(list.paths), "file"), "["+d.e.keyOf(list.key)+"] applies ")
		const most = 4
		for i, p := range list.paths {
			if i == most-1 && len(list.paths) > most {
				add(d.e.st.dim.s(fmt.Sprintf("   and %d more", len(list.paths)-i)))
				break
			}
			add("   " + d.e.st.warn.s(d.e.snap.relative(p)))
		}
	}
}

func (d *detail) sideHistory(s *engine.Service, section func(title, hint string), add func(string), w int) {
	if len(s.Changes) == 0 {
		return
	}
	section("LAST CHANGES", "vs median ")
	for i := len(s.Changes) - 1; i >= 0 && i >= len(s.Changes)-6; i-- {
		c := &s.Changes[i]
		head := fmt.Sprintf("   %s %-12s %6s ", d.e.st.dim.s(c.Began.Local().Format("15:04")),
			c.Action, duration.Took(endOrNow(c.Ended, d.e.now).Sub(c.Began)))
		switch {
		case !c.Recovered.IsZero():
			add(head + d.e.st.good.s("late") + d.e.st.dim.s(fit(" "+oneLine(c.Err), w-width(head)-4)))
		case c.Err != "":
			add(head + d.e.st.bad.s("FAIL"))
			add(d.e.st.dim.s(fit("         "+oneLine(c.Err), w)))
		case c.Ended.IsZero():
			add(head + d.e.st.busy.s(".."))
		default:
			add(head + d.e.st.good.s("ok") + " " + d.versus(s, c))
		}
	}
}

// versus compares how long a change took with the median of its kind, in seconds: "+0.3", "" while
// that is not known. A change that has a slow stage names it.
func (d *detail) versus(s *engine.Service, c *engine.Change) string {
	out := ""
	usual, _ := engine.Medians(s.Changes, c.Action)
	for _, u := range usual {
		if u.Name == "total" {
			more := (c.Ended.Sub(c.Began) - u.Took).Seconds()
			switch {
			case math.Abs(more) < 0.005:
				out = "=" // the median itself
			case u.Took < 10*time.Second:
				out = fmt.Sprintf("%+.2f", more)
			default:
				out = fmt.Sprintf("%+.1f", more)
			}
		}
	}
	if len(c.Slow) > 0 {
		slow := slices.DeleteFunc(slices.Clone(c.Slow), func(n string) bool {
			return n == "total" && len(c.Slow) > 1
		})
		out = strings.TrimSpace(out + " " + d.e.st.warn.s("slow "+strings.Join(slow, ", ")))
	}
	return out
}

// ruleText names the rule that led from a change's files to its action: "sync ./api/src ->
// /app/src"; "" where none did.
func (d *detail) ruleText(s *engine.Service, c *engine.Change) string {
	for _, p := range c.Paths {
		for _, r := range s.Rules {
			if r.Action.String() != c.Action || p != r.Path &&
				!strings.HasPrefix(p, strings.TrimSuffix(r.Path, "/")+"/") {
				continue
			}
			text := r.Action.String() + " " + d.e.snap.relative(r.Path)
			if r.Target != "" {
				text += " -> " + r.Target
			}
			if r.Default {
				text += " (default)"
			}
			return text
		}
	}
	return ""
}

func (d *detail) inspectChanges(s *engine.Service, head func(string), add func(string)) {
	if len(s.Changes) == 0 {
		return
	}
	head("CHANGES  newest first; + and - against the median")
	for _, c := range slices.Backward(s.Changes) {
		result := strings.TrimSpace(d.e.st.good.s("ok") + " " + d.versus(s, &c))
		if !c.Recovered.IsZero() {
			result = d.e.st.good.s("ready after all") +
				d.e.st.dim.s(", "+duration.Took(c.Recovered.Sub(c.Began))+
					" after it started; before: "+oneLine(c.Err))
		} else if c.Err != "" {
			result = d.e.st.bad.s("failed: " + oneLine(c.Err))
		} else if c.Ended.IsZero() {
			result = d.e.st.busy.s("running")
		}
		add(fmt.Sprintf("  %s %-12s %6s  %s  %s", d.e.st.dim.s(c.Began.Local().Format("15:04:05")),
			c.Action, duration.Took(endOrNow(c.Ended, d.e.now).Sub(c.Began)), result, d.e.st.dim.s(c.Cause)))
		if rule := d.ruleText(s, &c); rule != "" {
			add("           " + d.e.st.dim.s("rule "+rule))
		}
		if st := stagesText(&c); st != "" {
			add("           " + d.e.st.dim.s(st))
		}
		if c.Note != "" {
			add("           " + c.Note)
		}
	}
	var done []string
	for _, c := range slices.Backward(s.Changes) {
		if slices.Contains(done, c.Action) {
			continue
		}
		done = append(done, c.Action)
		if usual, n := engine.Medians(s.Changes, c.Action); usual != nil {
			total := ""
			for _, u := range usual {
				if u.Name == "total" {
					total = duration.Took(u.Took)
				}
			}
			add(fmt.Sprintf("  %s %-12s %6s  %s", d.e.st.dim.s("median  "), c.Action, total,
				d.e.st.dim.s(fmt.Sprintf("%s, of %d", stagesText(&engine.Change{Stages: usual}), n))))
		}
	}
}
