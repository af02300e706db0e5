package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/fault"
)

// causeOf waits for a service's trouble, and returns what it most likely comes from.
func (s *scene) causeOf(service string, trouble func(*engine.Record) bool) *engine.Likely {
	s.t.Helper()
	var found *engine.Record
	s.until("trouble of "+service, func(n *engine.Snapshot) bool {
		for i := range n.Records {
			if r := &n.Records[i]; r.Service == service && trouble(r) {
				found = r
				return true
			}
		}
		return false
	})
	return found.Likely
}

func crashed(r *engine.Record) bool { return r.HasExit && r.ExitCode != 0 }

func unhealthy(r *engine.Record) bool { return r.Health == engine.Unhealthy }

// A new image that crashes is the likely cause of its crash, with its last words; the one that it needs is
// not, which logs errors all the time.
func TestCrashIsPutDownToTheNewImage(t *testing.T) {
	files := rebuilt(", depends_on: [noisy]")
	files["compose.yaml"] += "  noisy: {image: app, command: [noisy]}\n"
	virtually(t, files, func(s *scene) {
		s.rt.Program("noisy", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			return grumble(p, "ERROR random failure", 2*time.Second)
		}})
		s.rt.Program("show", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			if text, _ := p.ReadFile("/text"); !strings.Contains(text, "2") {
				p.Wait()
				return 0
			}
			p.Sleep(2 * time.Second)
			p.Complain("ERROR cannot read the settings")
			p.Sleep(time.Second)
			return 3
		}})
		s.up()
		time.Sleep(2 * time.Minute)
		s.write(map[string]string{"a/text": "version 2"})
		s.do(engine.Command{Verb: engine.VerbRebuild, Services: []string{"a"}, Cause: "you pressed b"})
		l := s.causeOf("a", crashed)
		if l == nil || l.Kind != fault.Rebuilt || !l.Own() || l.Cause != "you pressed b" ||
			l.Line != "ERROR cannot read the settings" {
			s.t.Errorf("the likely cause is %+v", l)
		}
	})
}

// A saved file that is copied into a container which runs on has a cause of its own, the file's name.
func TestIllnessIsPutDownToTheSavedFile(t *testing.T) {
	s := watched(t, map[string]string{"src/text": "good", "compose.yaml": `
services:
  a:
    image: app
    develop: {watch: [{path: src, action: sync, target: /src}]}
    healthcheck: {test: [CMD, look], interval: 100ms, timeout: 60s, retries: 1}
`})
	s.rt.Program("look", memory.Program{Run: func(p *memory.Process) int {
		if text, _ := p.ReadFile("/src/text"); text == "bad" {
			return 1
		}
		return 0
	}})
	s.up()
	s.until("a to be healthy", func(n *engine.Snapshot) bool { return find(n, "a").Health == engine.Healthy })
	s.write(map[string]string{"src/text": "bad"})
	l := s.causeOf("a", unhealthy)
	if l == nil || l.Kind != fault.Synced || !l.Own() || l.Cause != "src/text saved" {
		t.Errorf("the likely cause is %+v", l)
	}
}

// A container that is made again for what the Compose file says is the likely cause of its crash.
func TestCrashIsPutDownToTheChangedComposeFile(t *testing.T) {
	s := watched(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [good]}\n"})
	s.rt.Program("good", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int { p.Wait(); return 0 }})
	s.rt.Program("bad", memory.Program{Run: func(p *memory.Process) int { p.Sleep(100 * time.Millisecond); return 3 }})
	s.up()
	s.write(map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [bad]}\n"})
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) > 0 })
	s.do(engine.Command{Verb: engine.VerbUp})
	l := s.causeOf("a", func(r *engine.Record) bool { return r.HasExit && r.ExitCode == 3 })
	if l == nil || l.Kind != fault.Recreated || !l.Own() || l.Cause != "the Compose file changed" {
		t.Errorf("the likely cause is %+v", l)
	}
}

// Who becomes unhealthy has it from the first error of the one that it calls, though it does not depend on it.
// Whom nobody calls, and who logs errors all the time, is not named.
func TestTroubleIsPutDownToTheFirstErrorOfWhomItCalls(t *testing.T) {
	file := `
services:
  db: {image: app, command: [db]}
  mail: {image: app, command: [mail]}
  noisy: {image: app, command: [noisy]}
  web:
    image: app
    depends_on: [noisy]
    x-bulkhead: {calls: [db]}
    healthcheck: {test: [CMD, ask], interval: 5s, timeout: 60s, retries: 1}
`
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		full, ill := make(chan struct{}), make(chan struct{})
		says := func(text string) memory.Program {
			return memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
				<-full
				return grumble(p, text, 10*time.Second)
			}}
		}
		s.rt.Program("db", says("FATAL out of disk"))
		s.rt.Program("mail", says("FATAL no route"))
		s.rt.Program("noisy", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			return grumble(p, "ERROR random failure", 2*time.Second)
		}})
		s.rt.Program("ask", memory.Program{Run: func(*memory.Process) int {
			select {
			case <-ill:
				return 1
			default:
				return 0
			}
		}})
		s.up()
		time.Sleep(2 * time.Minute)
		close(full)
		time.Sleep(2 * time.Second) // virtual: a line of the same moment may be read too late
		close(ill)
		l := s.causeOf("web", unhealthy)
		if l == nil || l.Kind != fault.Complained || l.Service != "db" || l.Line != "FATAL out of disk" || len(l.Path) != 2 {
			s.t.Errorf("the likely cause is %+v", l)
		}
	})
}
