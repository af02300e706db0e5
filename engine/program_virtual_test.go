package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/fault"
)

const inPlace = `services:
  a: {image: app, command: [server], x-bulkhead: {restart: process}}
  b: {image: app, network_mode: "service:a"}
  c: {image: app, depends_on: {a: {condition: service_started, restart: true}}}
`

// A restart of a program is a new generation in the same container: its end and its beginning stand
// in the log, nobody who shares its namespaces comes along, and what counts restarts of containers
// counts none.
func TestRestartOfAProgramKeepsItsContainer(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": inPlace}, func(s *scene) {
		s.rt.Program("server", program("ready", time.Second, "bye", 7))
		s.up()
		before := s.instances()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"})
		s.ready()
		s.line("a", "gen1 stdout bye")
		s.line("a", "gen1 system run 1 ended: exit code 7, you pressed r")
		s.line("a", "gen2 system run 2 started")
		s.line("a", "gen2 stdout ready")
		now := s.instances()
		a := now["a/1"]
		if a.ID != before["a/1"].ID || a.Restarts != 0 || !a.Booted.Equal(before["a/1"].Started) || !a.Started.After(a.Booted) {
			t.Errorf("a is %+v, was %+v", a, before["a/1"])
		}
		if now["b/1"].Identity != before["b/1"].Identity {
			t.Errorf("b came along: %+v, was %+v", now["b/1"].Identity, before["b/1"].Identity)
		}
		for _, l := range s.Snapshot().Ledgers {
			for _, row := range l.Rows {
				if row.Service == "b" && row.Outcome != fault.Untouched {
					t.Errorf("the ledger says of b: %s, %s", row.Outcome, row.Sign)
				}
			}
		}
		s.until("c is restarted, as it asked for", func(*engine.Snapshot) bool {
			return s.instances()["c/1"].Started.After(before["c/1"].Started)
		})
		if r := s.idle("a").Replicas[0]; r.Generation != 2 || !r.Identity.Started.Equal(a.Started) || r.Restarts != 0 {
			t.Errorf("shown is %+v", r)
		}
		// What it did by itself ends the container, with its code.
		s.must(s.rt.Kill(t.Context(), a.ID, "TERM"))
		s.until("its end", func(*engine.Snapshot) bool { return s.instances()["a/1"].State == container.StateExited })
		if in := s.instances()["a/1"]; in.ExitCode != 7 {
			t.Errorf("it ended with %+v", in)
		}
	})
}

// The next up finds the container as it was made, whatever docker compose's hash says of it, and
// makes it again once restart: is another.
func TestContainerIsMadeAgainWhenRestartIsAnother(t *testing.T) {
	files := map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [server], x-bulkhead: {restart: process}}\n"}
	virtually(t, files, func(s *scene) {
		s.rt.Program("server", program("ready", 0, "", 0))
		s.up()
		first := s.instances()["a/1"]
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
		for range 2 {
			s.must(s.stop())
			s.up()
			if now := s.instances()["a/1"]; now.ID != first.ID || now.Hash != first.Hash {
				t.Errorf("the container is %s with hash %s, was %s with %s", now.ID, now.Hash, first.ID, first.Hash)
			}
		}
		if g := s.idle("a").Replicas[0].Generation; g != 2 {
			t.Errorf("generation %d after another up; want 2", g)
		}
		s.must(s.stop())
		s.write(map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [server]}\n"})
		s.up()
		if now := s.instances()["a/1"]; now.ID == first.ID || now.Hash != first.Hash || now.Program {
			t.Errorf("without restart: process it is %+v", now)
		}
	})
}

// A program that does not end by its stop signal is killed after the grace, and hooks run as with a
// restart of the container.
func TestRestartOfAProgramHasGraceAndHooks(t *testing.T) {
	files := map[string]string{"compose.yaml": `services:
  a:
    image: app
    command: [server]
    stop_grace_period: 3s
    pre_stop: [{command: [hook, before]}]
    post_start: [{command: [hook, after]}]
    x-bulkhead: {restart: process}
`}
	virtually(t, files, func(s *scene) {
		s.rt.Program("server", program("ready", time.Hour, "", 0))
		s.rt.Program("hook", memory.Program{Run: func(p *memory.Process) int { p.Print("hook %s", p.Args[1]); return 0 }})
		s.up()
		began := time.Now()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		s.line("a", "run 1 ended: exit code 137 (signal SIGKILL)")
		text := strings.Join(s.lines("a"), "\n")
		if strings.Count(text, "hook before") != 1 || strings.Count(text, "hook after") != 2 {
			t.Errorf("the log is\n%s", text)
		}
		if c := s.idle("a").Last; c == nil || c.Note != "killed after its grace of 3.0s" {
			t.Errorf("the change is %+v", c)
		}
	})
}
