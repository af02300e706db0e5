package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/drill"
	"bulkhead/engine/machine"
)

// answering serves HTTP on port 80 until it is stopped. status is asked for each request.
func answering(up *atomic.Bool, status func() int) memory.Program {
	return memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
		if up != nil {
			up.Store(true)
			defer up.Store(false)
		}
		calls := p.Listen(80)
		for {
			select {
			case <-p.Signals:
				return 0
			case <-p.Killed:
				return 0
			case c := <-calls:
				go serveOnce(c, status())
			}
		}
	}}
}

func serveOnce(c net.Conn, status int) {
	defer c.Close()
	if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		io.WriteString(c, fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status)))
	}
}

func fine() int { return http.StatusOK }

const drilledShop = `services:
  db: {image: app, command: [db], x-bulkhead: {probe: "http://localhost/", may_degrade: [api]}}
  api: {image: app, command: [api], depends_on: [db], x-bulkhead: {probe: "http://localhost/"}}
  web: {image: app, command: [web], depends_on: [api], x-bulkhead: {probe: "http://localhost/"}}
`

// drills runs a drill of a project in which api needs db, and web, where leaks says so, too.
func drills(t *testing.T, compose string, leaks bool, play func(s *scene)) {
	virtually(t, map[string]string{"compose.yaml": compose}, func(s *scene) {
		var db, api atomic.Bool
		needs := func(other *atomic.Bool) func() int {
			return func() int {
				if other.Load() {
					return http.StatusOK
				}
				return http.StatusServiceUnavailable
			}
		}
		s.rt.Program("db", answering(&db, fine))
		s.rt.Program("api", answering(&api, needs(&db)))
		web := fine
		if leaks {
			web = needs(&db)
		}
		s.rt.Program("web", answering(nil, web))
		s.run(engine.Options{NoStats: true})
		s.ready()
		play(s)
	})
}

func (s *scene) drill(o drill.Options) *drill.Report {
	s.t.Helper()
	r, err := s.Drill(s.t.Context(), o)
	if err != nil {
		s.t.Fatalf("drill: %v\n%s", err, s.dump())
	}
	return r
}

// verdicts are a report's, one word a row.
func verdicts(r *drill.Report) string {
	var out []string
	for i := range r.Rows {
		marks := ""
		for _, c := range r.Rows[i].Cells {
			marks += drill.Mark(c.Outcome)
		}
		out = append(out, r.Rows[i].Killed+" "+marks+" "+r.Rows[i].Verdict.String())
	}
	return strings.Join(out, ", ")
}

func TestDrillTellsWhoMaySufferFromALeak(t *testing.T) {
	for name, c := range map[string]struct {
		leaks bool
		fault string
		want  string
	}{
		"as the file says": {want: "web ·· isolated, api ·· isolated, db ·~ expected"},
		"a leak":           {leaks: true, want: "web ·· isolated, api ·· isolated, db ~~ leak"},
		"stopped":          {fault: "stop", want: "web ·· isolated, api ·· isolated, db ·~ expected"},
	} {
		t.Run(name, func(t *testing.T) {
			drills(t, drilledShop, c.leaks, func(s *scene) {
				before := s.identities()["web/1"]
				r := s.drill(drill.Options{Fault: c.fault})
				if got := verdicts(r); got != c.want {
					s.t.Errorf("%s, want %s\n%+v", got, c.want, r.Rows)
				}
				for _, row := range r.Rows {
					if row.BackInMS == nil || row.BackBy != "running" {
						s.t.Errorf("%s is back in %v by %s", row.Killed, row.BackInMS, row.BackBy)
					}
				}
				if len(r.Baseline) != 3 || r.Baseline[0].Asked < 40 || r.Phase != drill.PhaseDone {
					s.t.Errorf("baseline %+v, %s", r.Baseline, r.Phase)
				}
				if s.identities()["web/1"].ID != before.ID {
					s.t.Error("web has another container")
				}
			})
		})
	}
}

func TestDrillNeverCallsIsolatedWhatItCannotSee(t *testing.T) {
	compose := strings.Replace(drilledShop, `depends_on: [api], x-bulkhead: {probe: "http://localhost/"}`, `depends_on: [api]`, 1)
	drills(t, compose, false, func(s *scene) {
		r := s.drill(drill.Options{Services: []string{"db"}})
		if got := verdicts(r); got != "db ?~ unproven" {
			s.t.Errorf("%s", got)
		}
	})
}

func TestDrillOfWhoDoesNotRecoverIsStuck(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [web], x-bulkhead: {probe: 'http://localhost/'}}\n  b: {image: app, command: [b]}\n"}, func(s *scene) {
		var lives atomic.Int32
		s.rt.Program("web", answering(nil, fine))
		s.rt.Program("b", memory.Program{Run: func(p *memory.Process) int {
			if lives.Add(1) > 1 {
				return 1 // it does not come up a second time
			}
			p.Wait()
			return 0
		}})
		s.run(engine.Options{NoStats: true})
		s.ready()
		r := s.drill(drill.Options{Services: []string{"b"}})
		if got := verdicts(r); got != "b · stuck" || r.Rows[0].BackInMS != nil || !strings.Contains(r.Rows[0].Why, "b is exited") {
			s.t.Errorf("%s, back %v, %s", got, r.Rows[0].BackInMS, r.Rows[0].Why)
		}
	})
}

// A service that runs, is ready and answers errors for ever once the one it needs had failed is stuck, though it
// may suffer while that one is down.
func TestDrillOfWhoGoesOnFailingIsStuck(t *testing.T) {
	for name, c := range map[string]struct {
		sticky bool
		want   string
	}{
		"sticky":       {true, "db ·~ stuck"},
		"well at last": {false, "db ·~ expected"},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, map[string]string{"compose.yaml": drilledShop}, func(s *scene) {
				var db atomic.Bool
				var failed atomic.Int32
				s.rt.Program("db", answering(&db, fine))
				s.rt.Program("web", answering(nil, fine))
				s.rt.Program("api", answering(nil, func() int {
					if !db.Load() {
						failed.Store(20) // and so many more
					}
					if failed.Load() > 0 {
						if !c.sticky {
							failed.Add(-1)
						}
						return http.StatusInternalServerError
					}
					return http.StatusOK
				}))
				s.run(engine.Options{NoStats: true})
				s.ready()
				r := s.drill(drill.Options{Services: []string{"db"}})
				if got := verdicts(r); got != c.want {
					s.t.Errorf("%s, want %s: %s", got, c.want, r.Rows[0].Why)
				}
				if c.sticky && (!strings.Contains(r.Rows[0].Why, "api still fails") || r.Rows[0].BackInMS == nil) {
					s.t.Errorf("%q, back %v", r.Rows[0].Why, r.Rows[0].BackInMS)
				}
			})
		})
	}
}

// Who crashes all day has not suffered from a fault of somebody whom it does not need; who crashed before, and now
// because of the fault, has.
func TestDrillDoesNotAccuseWhoCrashesAnyway(t *testing.T) {
	compose := drilledShop + "  loner: {image: app, command: [loner], restart: always, x-bulkhead: {probe: 'http://localhost/'}}\n"
	for name, c := range map[string]struct {
		leaks bool
		want  string
	}{
		"every 25 seconds":       {false, "db ·~· expected"},
		"once, and of the fault": {true, "db ·~X leak"},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, map[string]string{"compose.yaml": compose}, func(s *scene) {
				var db atomic.Bool
				var lives atomic.Int32
				s.rt.Program("db", answering(&db, fine))
				s.rt.Program("web", answering(nil, fine))
				s.rt.Program("api", answering(nil, func() int {
					if !db.Load() {
						return http.StatusServiceUnavailable
					}
					return http.StatusOK
				}))
				s.rt.Program("loner", memory.Program{Run: func(p *memory.Process) int {
					life := lives.Add(1)
					calls := p.Listen(80)
					end, look := time.After(25*time.Second), time.NewTicker(time.Second)
					defer look.Stop()
					for {
						select {
						case <-p.Killed:
							return 137
						case call := <-calls:
							go serveOnce(call, http.StatusOK)
						case <-end:
							if life == 1 || !c.leaks {
								return 1
							}
						case <-look.C:
							if c.leaks && !db.Load() {
								return 1
							}
						}
					}
				}})
				s.run(engine.Options{NoStats: true})
				s.ready()
				time.Sleep(33 * time.Second) // its second life ends during the hold
				r := s.drill(drill.Options{Services: []string{"db"}, Settle: 10 * time.Second})
				if got := verdicts(r); got != c.want {
					s.t.Errorf("%s, want %s: %+v", got, c.want, r.Rows[0].Cells)
				}
			})
		})
	}
}

func TestRowThatAnotherHandDisturbedIsRunAgain(t *testing.T) {
	for times, want := range map[int]string{1: "db ·~ expected", 2: "db  failed"} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			drills(t, drilledShop, false, func(s *scene) {
				disturbed := make(chan struct{})
				go func() {
					defer close(disturbed)
					for range times {
						s.until("the hold", func(n *engine.Snapshot) bool {
							return n.Drill != nil && len(n.Drill.Rows) > 0 && n.Drill.Rows[0].Phase == drill.PhaseHold
						})
						s.must(s.rt.Kill(context.Background(), s.identities()["web/1"].ID, "USR1"))
						time.Sleep(20 * time.Second) // until after the hold
					}
				}()
				r := s.drill(drill.Options{Services: []string{"db"}})
				<-disturbed
				if got := verdicts(r); got != want {
					s.t.Errorf("%s, want %s", got, want)
				}
				if !slices.ContainsFunc(r.Rows[0].Notes, func(n string) bool { return strings.Contains(n, "sent by another program") }) {
					s.t.Errorf("notes %q", r.Rows[0].Notes)
				}
			})
		})
	}
}

func TestDrillThatIsAbortedHealsFirst(t *testing.T) {
	for name, abort := range map[string]func(s *scene, cancel context.CancelFunc){
		"its context ends":   func(_ *scene, cancel context.CancelFunc) { cancel() },
		"a person aborts":    func(s *scene, _ context.CancelFunc) { s.must(s.DrillAct(drill.ActAbort, "")) },
		"a person heals all": func(s *scene, _ context.CancelFunc) { s.do(engine.Command{Verb: engine.VerbHeal}) },
	} {
		t.Run(name, func(t *testing.T) {
			drills(t, drilledShop, false, func(s *scene) {
				ctx, cancel := context.WithCancel(s.t.Context())
				defer cancel()
				go func() {
					s.until("db is down", func(n *engine.Snapshot) bool { return find(n, "db").State == engine.StateExited })
					abort(s, cancel)
				}()
				r, err := s.Drill(ctx, drill.Options{Services: []string{"db"}})
				if err == nil || r == nil || r.Phase != drill.PhaseAborted || r.Rows[0].Verdict != drill.Failed {
					s.t.Fatalf("%v, %+v", err, r)
				}
				n := s.until("db is back", func(n *engine.Snapshot) bool { return find(n, "db").State == engine.StateRunning })
				if len(n.Faults) > 0 || n.Drilling {
					s.t.Errorf("faults %v, drilling %v", n.Faults, n.Drilling)
				}
			})
		})
	}
}

func TestDrillStopsWhereSomebodyIsUnhealthyBefore(t *testing.T) {
	compose := strings.Replace(drilledShop, "command: [web]", `command: [web], healthcheck: {test: [CMD, "false"], interval: 1s, retries: 1}`, 1)
	virtually(t, map[string]string{"compose.yaml": compose}, func(s *scene) {
		for _, name := range []string{"db", "api", "web"} {
			s.rt.Program(name, answering(nil, fine))
		}
		s.run(engine.Options{NoStats: true})
		s.until("web is unhealthy", func(n *engine.Snapshot) bool { return find(n, "web").Health == engine.Unhealthy })
		_, err := s.Drill(s.t.Context(), drill.Options{})
		if !errors.Is(err, drill.ErrUnhealthy) || !strings.Contains(err.Error(), "web is unhealthy") {
			s.t.Errorf("%v", err)
		}
		r := s.drill(drill.Options{Services: []string{"db"}, AllowUnhealthy: true})
		if got := verdicts(r); got != "db ?· unproven" {
			s.t.Errorf("%s", got)
		}
	})
}

// A check that timed out while the machine had no CPU left says nothing: the drill waits until it passes.
func TestDrillWaitsForChecksThatTimedOutWithoutCPU(t *testing.T) {
	compose := strings.Replace(drilledShop, "command: [web]", `command: [web], healthcheck: {test: [CMD, slow], interval: 1s, timeout: 2s, retries: 1}`, 1)
	for name, waited := range map[string]float64{"starved": 1, "at rest": 0} {
		t.Run(name, func(t *testing.T) {
			virtually(t, map[string]string{"compose.yaml": compose}, func(s *scene) {
				for _, name := range []string{"db", "api", "web"} {
					s.rt.Program(name, answering(nil, fine))
				}
				var slow atomic.Bool
				s.rt.Program("slow", memory.Program{Run: func(p *memory.Process) int {
					if slow.Load() {
						<-p.Killed
					}
					return 0
				}})
				s.run(engine.Options{NoStats: true, Machine: func() machine.Load { return machine.Load{Known: true, Waited: waited} }})
				s.ready()
				slow.Store(true)
				s.until("web is unhealthy", func(n *engine.Snapshot) bool { return find(n, "web").Health == engine.Unhealthy })
				time.AfterFunc(15*time.Second, func() { slow.Store(false) })
				r, err := s.Drill(s.t.Context(), drill.Options{Services: []string{"api"}})
				if waited == 1 && (err != nil || verdicts(r) != "api ·· isolated") || waited == 0 && !errors.Is(err, drill.ErrUnhealthy) {
					s.t.Errorf("%v %+v", err, r)
				}
			})
		})
	}
}
