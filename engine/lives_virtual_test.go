package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// rebuilt is a service that shows the text that it was built with, and a bystander.
func rebuilt(more string) map[string]string {
	return map[string]string{
		"a/Dockerfile": "FROM app\nCOPY text /text\nCMD [\"show\"]\n", "a/.dockerignore": "*.md\n", "a/text": "version 1",
		"compose.yaml": "services:\n  a: {build: a" + more + "}\n  b: {image: app, depends_on: [a]}\n",
	}
}

// show is what a service of rebuilt does: it handles no signal.
func show(p *memory.Process) int {
	text, _ := p.ReadFile("/text")
	p.Print("%s", strings.TrimSpace(text))
	p.Wait()
	return 0
}

func showing(t *testing.T, files map[string]string) *scene {
	s := watched(t, files)
	s.rt.Program("show", memory.Program{Run: show})
	return s
}

func TestSeparatorOfAnOverlapSaysThatNobodyWasDown(t *testing.T) {
	s := showing(t, rebuilt(", x-bulkhead: {swap: overlap}"))
	s.up()
	s.write(map[string]string{"a/text": "version 2"})
	s.line("a", "run 1 ended")
	s.line("a", "gen2 stdout version 2")
	s.line("a", "gen2 system run 2 started: the one before still serves, a/text saved")
	if got := strings.Join(s.lines("a"), "\n"); strings.Contains(got, "was down") {
		t.Errorf("somebody was down:\n%s", got)
	}
}

func TestLogThatCannotBeReadIsAttachedToOverItsLives(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [greeter], logging: {driver: none}}\n"}, func(s *scene) {
		s.rt.Program("greeter", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			p.Sleep(time.Second)
			p.Print("hello")
			p.Wait()
			p.Print("bye")
			return 0
		}})
		s.up()
		s.line("a", "gen1 stdout hello")
		for g := 2; g <= 3; g++ {
			s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"})
			s.line("a", fmt.Sprintf("gen%d stdout hello", g))
			s.line("a", fmt.Sprintf("run %d started", g))
		}
		// What is not read from a log has the time at which it came in: a last word
		// may come after the engine's word of the end.
		system := func(l string) bool { return strings.Contains(l, " system ") }
		expect(s.t, "words by time", slices.DeleteFunc(s.lines("a"), system), []string{
			`a gen1 stdout hello`, `a gen1 stdout bye`, `a gen2 stdout hello`, `a gen2 stdout bye`, `a gen3 stdout hello`,
		})
		expect(s.t, "lives by time", slices.DeleteFunc(s.lines("a"), func(l string) bool { return !system(l) }), []string{
			`a gen1 system run 1 ended: exit code 0, you pressed r, .*`, `a gen2 system run 2 started: was down .*`,
			`a gen2 system run 2 ended: exit code 0, .*`, `a gen3 system run 3 started: was down .*`,
		})
		told := 0
		recs, _ := s.Records(0)
		for _, r := range recs {
			if strings.Contains(r.Text, "a: its logging driver none keeps nothing to read") {
				told++
			}
		}
		if told != 1 {
			s.t.Errorf("it was said %d times that its log cannot be read, want once\n%s", told, s.dump())
		}
	})
}

func TestOldGenerationThatComesBackIsReadOnce(t *testing.T) {
	s := watched(t, rebuilt(`, healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 5s}, x-bulkhead: {swap: overlap}`))
	s.rt.Program("show", memory.Program{Run: func(p *memory.Process) int {
		text, _ := p.ReadFile("/text")
		p.Print("%s", text)
		if text == "bad" {
			p.Sleep(300 * time.Millisecond)
			return 3
		}
		p.WriteFile("/tmp/ready", "")
		for n := 1; p.Sleep(20 * time.Millisecond); n++ {
			p.Print("line %d", n)
		}
		return 0
	}})
	s.up()
	s.line("a", "line 3")
	s.write(map[string]string{"a/text": "bad"})
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

func TestLivesAreSeparatedByEndCauseUptimeAndDowntime(t *testing.T) {
	s := showing(t, rebuilt(""))
	s.up()
	s.livesOfA()
}
