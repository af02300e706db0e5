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

func TestSeparatorsTellEndCauseUptimeAndDowntime(t *testing.T) {
	files := built()
	files["compose.yaml"] = "services:\n  a: {build: a}\n"
	s := open(t, files)
	s.up()
	arrived := s.arrivals()
	s.line("a", "gen1 stdout version 1")
	s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Cause: "you pressed K"})
	s.line("a", "gen 1 ended")
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
	s.line("a", "gen2 stdout version 1")
	s.write(map[string]string{"a/text": "version 2\n"})
	s.line("a", "gen3 stdout version 2")
	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"})
	s.line("a", "gen4 stdout version 2")
	want := []string{
		`a gen1 stdout version 1`,
		`a gen1 system gen 1 ended: exit code 137 \(signal SIGKILL\), you pressed K, was up [\dms.]+`,
		`a gen2 system gen 2 began: was down [\dms.]+, you pressed u`,
		`a gen2 stdout version 1`,
		`a gen2 system gen 2 ended: exit code \d+.*, a/text saved, was up [\dms.]+`,
		`a gen3 system gen 3 began: was down [\dms.]+, a/text saved`,
		`a gen3 stdout version 2`,
		`a gen3 system gen 3 ended: exit code \d+.*, you pressed r, was up [\dms.]+`,
		`a gen4 system gen 4 began: was down [\dms.]+, you pressed r`,
		`a gen4 stdout version 2`,
	}
	expect(t, "by time", s.lines("a"), want)
	// A quick life's first line may come in before the engine tells that it began.
	began := func(l string) bool { return strings.Contains(l, " began: ") }
	expect(t, "as they came in", slices.DeleteFunc(arrived(), began), slices.DeleteFunc(slices.Clone(want), began))
}

func TestSeparatorOfAnOverlapSaysThatNobodyWasDown(t *testing.T) {
	files := built()
	files["compose.yaml"] = "services:\n  a: {build: a, x-bulkhead: {swap: overlap}}\n"
	s := open(t, files)
	s.up()
	s.write(map[string]string{"a/text": "version 2\n"})
	s.line("a", "gen 1 ended")
	s.line("a", "gen2 stdout version 2")
	s.line("a", "gen2 system gen 2 began: the one before still serves, a/text saved")
	if got := strings.Join(s.lines("a"), "\n"); strings.Contains(got, "was down") {
		t.Errorf("somebody was down:\n%s", got)
	}
}

func TestLogThatCannotBeReadIsHeardOverItsLives(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  a:
    image: ` + baseImage + `
    logging: {driver: none}
    command: ["sh", "-c", "trap 'echo bye; exit 0' TERM; sleep 0.3; echo hello; while :; do sleep 0.05; done"]
`})
	s.up()
	s.line("a", "gen1 stdout hello")
	for g := 2; g <= 3; g++ {
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"})
		s.line("a", fmt.Sprintf("gen%d stdout hello", g))
		s.line("a", fmt.Sprintf("gen %d began", g))
	}
	// What is not read from a log has the time at which it came in: a last word may come after the engine's word of the end.
	system := func(l string) bool { return strings.Contains(l, " system ") }
	expect(t, "words by time", slices.DeleteFunc(s.lines("a"), system), []string{
		`a gen1 stdout hello`, `a gen1 stdout bye`, `a gen2 stdout hello`, `a gen2 stdout bye`, `a gen3 stdout hello`,
	})
	expect(t, "lives by time", slices.DeleteFunc(s.lines("a"), func(l string) bool { return !system(l) }), []string{
		`a gen1 system gen 1 ended: exit code 0, you pressed r, .*`, `a gen2 system gen 2 began: was down .*`,
		`a gen2 system gen 2 ended: exit code 0, .*`, `a gen3 system gen 3 began: was down .*`,
	})
	told := 0
	recs, _ := s.Records(0)
	for _, r := range recs {
		if strings.Contains(r.Text, "a: its logging driver none keeps nothing to read") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it was said %d times that its log cannot be read, want once\n%s", told, s.dump())
	}
}

func TestOldGenerationThatComesBackIsHeardOnce(t *testing.T) {
	files := built()
	files["compose.yaml"] = `
services:
  a:
    build: a
    healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 5s}
    x-bulkhead: {swap: overlap}
`
	files["a/run.sh"] = "cat /text; if grep -q bad /text; then sleep 0.3; exit 3; fi; touch /tmp/ready; n=0; while :; do n=$((n+1)); echo line $n; sleep 0.1; done\n"
	files["a/Dockerfile"] = "FROM " + baseImage + "\nCOPY text run.sh /\nCMD [\"sh\", \"/run.sh\"]\n"
	s := open(t, files)
	s.up()
	s.line("a", "line 3")
	s.write(map[string]string{"a/text": "bad\n"})
	s.line("a", "stdout bad")
	s.until("the failed rebuild", func(n *engine.Snapshot) bool {
		l := find(n, "a").Last
		return l != nil && l.Err != "" && !l.Ended.IsZero()
	})
	count := len(s.lines("a"))
	s.until("more lines", func(*engine.Snapshot) bool { return len(s.lines("a")) > count+5 })
	seen := map[string]int{}
	for _, l := range s.lines("a") {
		if strings.Contains(l, "stdout line") {
			seen[l]++
		}
	}
	for l, n := range seen {
		if n != 1 {
			t.Errorf("%q is there %d times", l, n)
		}
	}
	if !slices.ContainsFunc(s.lines("a"), func(l string) bool { return strings.HasPrefix(l, "a gen1 stdout line") }) {
		t.Errorf("no line of the generation that came back:\n%s", s.dump())
	}
}
