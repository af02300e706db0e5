package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// samples are the rounds of one case with one tool.
type samples []float64

func (s *samples) add(d time.Duration) { *s = append(*s, float64(d)/float64(time.Millisecond)) }

func (s samples) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func (s samples) String() string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return figure(s[0])
	}
	return fmt.Sprintf("%s (%s-%s)", figure(s.median()), figure(slices.Min(s)), figure(slices.Max(s)))
}

// over returns the median of the ratios of the rounds: a round and its partner ran one after the
// other, so what the machine did besides weighs on both. 0 where there is nothing to compare.
func (s samples) over(other samples) float64 {
	var ratios samples
	for i := range min(len(s), len(other)) {
		if other[i] > 0 {
			ratios = append(ratios, s[i]/other[i])
		}
	}
	if len(ratios) == 0 {
		return 0
	}
	return ratios.median()
}

// figure writes three digits, as whole milliseconds or counts where there are more.
func figure(f float64) string {
	if f >= 100 || f == float64(int(f)) {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}

// result is what one case came to.
type result struct {
	name                string
	ours, theirs, floor samples
	// mostOfTheirs and mostOfFloor are what the ratios may be; 0: nothing is promised.
	mostOfTheirs, mostOfFloor float64
}

// table prints rows as they come, so that an interrupted run leaves what it found.
type table struct{ over int }

const rowForm = "%-46s %22s %22s %22s %14s %14s\n"

func (t *table) head(b *bench) {
	load := "unknown"
	if out, err := exec.Command("cat", "/proc/loadavg").Output(); err == nil {
		load = strings.Fields(string(out))[0]
	}
	fmt.Printf("engine %s, load %s; medians of rounds with (min-max), milliseconds where nothing else is said;\n", b.engine.version, load)
	fmt.Printf("ratios are medians of the rounds' ratios, with what they may be; the floor is bare calls of the engine\n\n")
	fmt.Printf(rowForm, "case", "bulkhead", "docker compose", "floor", "of compose", "of the floor")
}

// row prints a case without a floor. most is what the ratio may be, 0 when nothing is promised.
func (t *table) row(name string, ours, theirs samples, most float64) {
	t.print(result{name: name, ours: ours, theirs: theirs, mostOfTheirs: most})
}

// print prints a case, and every one of its rounds.
func (t *table) print(r result) {
	fmt.Printf(rowForm, r.name, r.ours, r.theirs, r.floor,
		t.judge(r.ours.over(r.theirs), r.mostOfTheirs), t.judge(r.ours.over(r.floor), r.mostOfFloor))
	for _, runs := range []struct {
		who string
		s   samples
	}{{"bulkhead", r.ours}, {"docker compose", r.theirs}, {"floor", r.floor}} {
		if len(runs.s) < 2 {
			continue
		}
		words := make([]string, len(runs.s))
		for i, f := range runs.s {
			words[i] = figure(f)
		}
		fmt.Printf("    %-14s %s\n", runs.who, strings.Join(words, " "))
	}
}

// judge writes a ratio and what it may be, and counts those that are over.
func (t *table) judge(ratio, most float64) string {
	switch {
	case ratio == 0:
		return "-"
	case most == 0:
		return fmt.Sprintf("%.2f", ratio)
	case ratio > most:
		t.over++
		return fmt.Sprintf("%.2f/%.2f OVER", ratio, most)
	}
	return fmt.Sprintf("%.2f/%.2f", ratio, most)
}

// bound prints a case whose figure itself has a ceiling.
func (t *table) bound(name string, ours, theirs samples, most float64) {
	limit := figure(most)
	if len(ours) > 0 && slices.Max(ours) > most {
		limit += " OVER"
		t.over++
	}
	fmt.Printf(rowForm, name, ours, theirs, "", limit, "")
}
