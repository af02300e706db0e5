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

// figure writes three digits, as whole milliseconds or counts where there are more.
func figure(f float64) string {
	if f >= 100 || f == float64(int(f)) {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}

// table prints rows as they come, so that an interrupted run leaves what it found.
type table struct{ over int }

const rowForm = "%-46s %22s %22s %7s %8s\n"

func (t *table) head(b *bench) {
	load := "unknown"
	if out, err := exec.Command("cat", "/proc/loadavg").Output(); err == nil {
		load = strings.Fields(string(out))[0]
	}
	fmt.Printf("engine %s, load %s; medians of rounds with (min-max), milliseconds where nothing else is said\n\n", b.engine.version, load)
	fmt.Printf(rowForm, "case", "bulkhead", "docker compose", "ratio", "at most")
}

// row prints a case. ceiling is what the ratio of the medians may be, 0 when nothing is promised.
func (t *table) row(name string, ours, theirs samples, ceiling float64) {
	ratio, limit := "-", "-"
	if ceiling > 0 {
		limit = fmt.Sprintf("%.2f", ceiling)
	}
	if len(ours) > 0 && len(theirs) > 0 && theirs.median() > 0 {
		r := ours.median() / theirs.median()
		ratio = fmt.Sprintf("%.2f", r)
		if ceiling > 0 && r > ceiling {
			limit += " OVER"
			t.over++
		}
	}
	fmt.Printf(rowForm, name, ours, theirs, ratio, limit)
}

// bound prints a case whose figure itself has a ceiling.
func (t *table) bound(name string, ours, theirs samples, most float64) {
	limit := figure(most)
	if len(ours) > 0 && slices.Max(ours) > most {
		limit += " OVER"
		t.over++
	}
	fmt.Printf(rowForm, name, ours, theirs, "", limit)
}
