package state

import (
	"slices"
	"time"
)

// Medians returns, of a service's history, what the stages of an action take as a rule, and of how
// many that went well this was taken. It says nothing (nil) of fewer than three.
func Medians(history []Change, action string) (stages []Stage, of int) {
	var all []*Change
	for i := range history {
		all = append(all, &history[i])
	}
	return medians(all, action, nil)
}

// medians leaves one change out: the one that is compared with the others.
func medians(all []*Change, action string, but *Change) (stages []Stage, of int) {
	var names []string
	took := map[string][]time.Duration{}
	for _, c := range all {
		if c == but || c.Action != action || c.Err != "" {
			continue
		}
		of++
		for _, s := range c.Stages {
			if took[s.Name] == nil {
				names = append(names, s.Name)
			}
			took[s.Name] = append(took[s.Name], s.Took)
		}
	}
	for _, n := range names {
		if len(took[n]) >= 3 {
			slices.Sort(took[n])
			stages = append(stages, Stage{Name: n, Took: took[n][len(took[n])/2]})
		}
	}
	return stages, of
}

// slow names the stages of a change that took half as long again as their median over the earlier
// ones of its kind; at least three of those are needed, and 20 ms are noise.
func slow(all []*Change, c *Change) []string {
	usual, _ := medians(all, c.Action, c)
	var out []string
	for _, st := range c.Stages {
		for _, m := range usual {
			if m.Name == st.Name && st.Took > m.Took*3/2 && st.Took-m.Took > 20*time.Millisecond {
				out = append(out, st.Name)
			}
		}
	}
	return out
}
