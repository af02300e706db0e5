package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/fault"
)

func TestCrashLoopIsNoRunningService(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [dies], restart: always}\n"}, func(s *scene) {
		long := make(chan struct{})
		s.rt.Program("dies", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			select {
			case <-long:
				p.Wait()
				return 0
			case <-time.After(time.Second):
				return 3
			}
		}})
		s.run(engine.Options{NoStats: true})
		n := s.until("a crashing", func(n *engine.Snapshot) bool {
			a := find(n, "a")
			return a.State == engine.StateCrashing && a.Replicas[0].Crashes == 3
		})
		a := find(n, "a")
		if r := a.Replicas[0]; r.RetryAt.Before(r.Finished) || a.ExitCode != 3 {
			s.t.Errorf("the next try is at %v, it ended at %v with %d; want a later one, and 3", r.RetryAt, r.Finished, a.ExitCode)
		}
		s.until("the next life to be no running one", func(n *engine.Snapshot) bool {
			r := find(n, "a").Replicas[0]
			if r.State == engine.StateRunning {
				s.t.Errorf("a life after %d crashes counts as running\n%s", r.Crashes, s.dump())
			}
			return r.Crashes == 4
		})
		readies := func() (n int) {
			recs, _ := s.Records(0)
			for _, r := range recs {
				if r.Notice == "ready" {
					n++
				}
			}
			return n
		}
		if n := readies(); n > 2 { // of the first life, and of the one after a single crash, which may be chance
			s.t.Errorf("ready was said %d times in the row of crashes\n%s", n, s.dump())
		}
		before := readies()
		close(long)
		s.until("a running", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
		if n := readies(); n != before+1 || !s.Snapshot().Ready {
			s.t.Errorf("ready was said %d times before a life lasted, and %d then", before, n-before)
		}
		recs, _ := s.Records(0)
		said := ""
		for _, r := range recs {
			said += r.Text + "\n"
		}
		for _, want := range []string{"a: crashed with code 3, 2 times in a row", "a: started again after 2 crashes", "a: running (runs for 10s, after "} {
			if !strings.Contains(said, want) {
				s.t.Errorf("no record says %q:\n%s", want, said)
			}
		}
	})
}

func TestUnhealthyComesWithItsReason(t *testing.T) {
	file := "services:\n  a: {image: app, healthcheck: {test: [CMD, look], interval: 2s, retries: 2}}\n"
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		s.rt.Program("look", memory.Program{Run: func(p *memory.Process) int {
			p.Print("looking\ncannot reach db:5432")
			return 7
		}})
		s.run(engine.Options{NoStats: true})
		n := s.until("a unhealthy", func(n *engine.Snapshot) bool { return find(n, "a").Health == engine.Unhealthy })
		c := find(n, "a").Replicas[0].Check
		if c == nil || c.Reason() != "exit 7: cannot reach db:5432" || c.Failing != 2 || c.Since.IsZero() {
			s.t.Fatalf("the check is %+v", c)
		}
		recs, _ := s.Records(0)
		for _, r := range recs {
			if r.Health == engine.Unhealthy && !strings.Contains(r.What, `its check says "cannot reach db:5432" (exit 7)`) {
				s.t.Errorf("the record says %q", r.What)
			}
		}
	})
}

func TestServiceThatComesBackWaitsForItsTurn(t *testing.T) {
	file := "services:\n  db: {image: app, healthcheck: {test: [CMD, look], interval: 1s}}\n  a: {image: app, depends_on: {db: {condition: service_healthy}}}\n"
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		s.rt.Program("look", memory.Program{Run: func(p *memory.Process) int { time.Sleep(20 * time.Second); return 0 }})
		s.up()
		s.do(engine.Command{Verb: engine.VerbStop})
		up := make(chan struct{})
		go func() {
			defer close(up)
			s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"db", "a"}})
		}()
		n := s.until("a to wait", func(n *engine.Snapshot) bool { return len(find(n, "a").WaitsFor) > 0 })
		if a := find(n, "a"); a.State != engine.StateWaiting || a.WaitsFor.String() != "db healthy" {
			s.t.Errorf("a is %v, waits for %v", a.State, a.WaitsFor)
		}
		s.ready()
		<-up
	})
}

func TestLedgerComparesErrorsWithTheUsualRate(t *testing.T) {
	file := "services:\n  fast: {image: app}\n  json: {image: app, command: [noisy]}\n  web: {image: app, command: [calls], depends_on: [fast]}\n"
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		broken := make(chan struct{})
		s.rt.Program("noisy", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			return grumble(p, "ERROR random failure", 3*time.Second)
		}})
		s.rt.Program("calls", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			<-broken
			return grumble(p, "ERROR fast does not answer", time.Second)
		}})
		s.up()
		time.Sleep(time.Minute)
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"fast"}})
		close(broken)
		time.Sleep(20 * time.Second)
		l := s.until("a ledger", func(n *engine.Snapshot) bool { return len(n.Ledgers) > 0 }).Ledgers[0]
		for _, r := range l.Rows {
			want := map[string]fault.Outcome{"json": fault.Untouched, "web": fault.Errors}[r.Service]
			if r.Outcome != want || r.Needs != (r.Service == "web") {
				s.t.Errorf("%s: %v, needs it: %v", r.Service, r.Outcome, r.Needs)
			}
		}
	})
}

func TestNextEngineKnowsTheLastMinutes(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n"}, func(s *scene) {
		s.up()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"})
		s.ready()
		s.must(s.stop())
		s.stop = nil
		time.Sleep(time.Minute)
		s.up()
		n := s.Snapshot()
		if len(n.Past) == 0 || n.Past[0].Service != "a" || time.Since(n.Past[0].Time) < time.Minute {
			s.t.Errorf("the past is %+v", n.Past)
		}
		for _, r := range n.Past {
			if r.Text != "" || r.What != "" || r.Err != "" {
				s.t.Errorf("what a program may have said is kept: %+v", r)
			}
		}
	})
}

// grumble says the same again and again, until the program is to end.
func grumble(p *memory.Process, text string, every time.Duration) int {
	for {
		p.Print("%s", text)
		select {
		case <-p.Signals:
			return 0
		case <-p.Killed:
			return 0
		case <-time.After(every):
		}
	}
}

// What a service wrote before anybody read its log is not taken for silence: noise that it writes all day is
// no sign of a fault a moment after this bulkhead came.
func TestNoiseFromBeforeTheLogWasReadIsNoSign(t *testing.T) {
	file := "services:\n  fast: {image: app}\n  web: {image: app, command: [noisy], depends_on: [fast]}\n"
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		s.rt.Program("noisy", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			return grumble(p, "ERROR random failure", 3*time.Second)
		}})
		s.up()
		time.Sleep(10 * time.Minute)
		s.must(s.stop())
		s.run(engine.Options{LogTail: -1})
		s.ready()
		time.Sleep(7 * time.Second)
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"fast"}})
		time.Sleep(14 * time.Second)
		for _, r := range s.Snapshot().Ledgers[0].Rows {
			if r.Outcome != fault.Untouched {
				s.t.Errorf("%s: %s, %s", r.Service, r.Outcome, r.Sign)
			}
		}
	})
}
