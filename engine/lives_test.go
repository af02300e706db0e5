package engine_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// arrivals collects the lines of all services in the order in which they come in, as --plain prints them.
func (s *stage) arrivals() func() []string {
	f := s.logs.Follow(logs.Filter{})
	var all []string
	return func() []string {
		now, cancel := context.WithCancel(s.t.Context())
		cancel() // what is there, and no waiting
		for buf, err := f.Next(now, nil); len(buf) > 0 || err == nil; buf, err = f.Next(now, nil) {
			for _, l := range buf {
				all = append(all, fmt.Sprintf("%s gen%d %s %s", l.Service, l.Generation, l.Stream, l.Text))
			}
		}
		return all
	}
}

// expect compares lines with patterns, one each.
func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = regexp.MustCompile("^" + want[i] + "$").MatchString(got[i])
	}
	if !ok {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// livesOfA kills, brings back, rebuilds and restarts service a, and wants each life's end and begin
// between its lines, with cause, uptime and downtime.
func (s *stage) livesOfA() {
	s.t.Helper()
	arrived := s.arrivals()
	s.line("a", "gen1 stdout version 1")
	s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Cause: "you pressed K"})
	s.line("a", "run 1 ended")
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
	s.line("a", "gen2 stdout version 1")
	s.write(map[string]string{"a/text": "version 2\n"})
	s.line("a", "gen3 stdout version 2")
	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"})
	s.line("a", "gen4 stdout version 2")
	s.line("a", "run 4 started") // it may come in after the first line
	want := []string{
		`a gen1 stdout version 1`,
		`a gen1 system run 1 ended: exit code 137 \(signal SIGKILL\), you pressed K, was up [\dms.]+`,
		`a gen2 system run 2 started: was down [\dms.]+, you pressed u`,
		`a gen2 stdout version 1`,
		`a gen2 system run 2 ended: exit code \d+.*, a/text saved, was up [\dms.]+`,
		`a gen3 system run 3 started: was down [\dms.]+, a/text saved`,
		`a gen3 stdout version 2`,
		`a gen3 system run 3 ended: exit code \d+.*, you pressed r, was up [\dms.]+`,
		`a gen4 system run 4 started: was down [\dms.]+, you pressed r`,
		`a gen4 stdout version 2`,
	}
	expect(s.t, "by time", s.lines("a"), want)
	// A quick life's first line may come in before the engine tells that it began.
	began := func(l string) bool { return strings.Contains(l, " started: ") }
	expect(s.t, "as they came in", slices.DeleteFunc(arrived(), func(l string) bool { return began(l) || strings.HasPrefix(l, "b ") }), slices.DeleteFunc(slices.Clone(want), began))
}

func TestSeparatorsTellEndCauseUptimeAndDowntime(t *testing.T) {
	files := built()
	files["compose.yaml"] = "services:\n  a: {build: a}\n"
	s := open(t, files)
	s.up()
	s.livesOfA()
}
