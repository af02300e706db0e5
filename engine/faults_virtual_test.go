package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/fault"
)

// faultsOf says which faults are in force.
func faultsOf(n *engine.Snapshot) string {
	var out []string
	for _, f := range n.Faults {
		out = append(out, f.Fault.String())
	}
	return strings.Join(out, ", ")
}

func TestFaultIsHealedWhenItsTimeIsOver(t *testing.T) {
	for words, hit := range map[string]engine.State{"pause": engine.StatePaused, "kill": engine.StateExited, "stop": engine.StateExited, "signal=TERM": engine.StateExited} {
		t.Run(words, func(t *testing.T) {
			counters(t, func(s *scene) {
				before := s.identities()["b/1"]
				f, err := fault.Parse(words, "a")
				s.must(err)
				f.For = 30 * time.Second
				s.do(engine.Command{Verb: engine.VerbFault, Fault: &f})
				n := s.Snapshot()
				if a := find(n, "a"); a.State != hit || faultsOf(n) != words+" a" {
					s.t.Errorf("a is %s, with %s", a.State, faultsOf(n))
				}
				time.Sleep(20 * time.Second)
				if a := find(s.Snapshot(), "a"); a.State != hit {
					s.t.Errorf("before its time is over a is %s", a.State)
				}
				time.Sleep(20 * time.Second)
				n = s.until("a is back", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
				if faultsOf(n) != "" {
					s.t.Errorf("still in force: %s", faultsOf(n))
				}
				if s.identities()["b/1"] != before {
					s.t.Error("b was touched")
				}
			})
		})
	}
}

func TestFaultThatAPersonUndoesIsOver(t *testing.T) {
	counters(t, func(s *scene) {
		f, _ := fault.Parse("kill", "a")
		s.do(engine.Command{Verb: engine.VerbFault, Fault: &f})
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
		s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		if got := faultsOf(s.Snapshot()); got != "" {
			s.t.Errorf("in force: %s", got)
		}
		time.Sleep(2 * time.Minute)
		if a := find(s.Snapshot(), "a"); a.State != engine.StateExited {
			s.t.Errorf("what a person stopped is %s", a.State)
		}
	})
}

func TestLimitsAreAsBeforeOnceHealed(t *testing.T) {
	counters(t, func(s *scene) {
		id := s.identities()["a/1"].ID
		was := container.Limits{CPUs: 1.5}
		s.must(s.rt.SetLimits(s.t.Context(), id, was))
		for _, words := range []string{"cpu=0.1", "memory=64m"} {
			f, _ := fault.Parse(words, "a")
			s.do(engine.Command{Verb: engine.VerbFault, Fault: &f})
		}
		if got, _ := s.rt.Limits(s.t.Context(), id); got != (container.Limits{CPUs: 0.1, Memory: 64 << 20}) {
			s.t.Errorf("limits %+v", got)
		}
		s.do(engine.Command{Verb: engine.VerbHeal})
		if got, _ := s.rt.Limits(s.t.Context(), id); got != was {
			s.t.Errorf("healed, the limits are %+v, were %+v", got, was)
		}
	})
}

// Of several faults of a kind on one container the strictest counts, and the last one that is healed brings
// back what there was, whichever process keeps which, and also after one of them died.
func TestLimitsOfSeveralFaultsEndOneByOne(t *testing.T) {
	was := container.Limits{CPUs: 1.5, Memory: 512 << 20}
	limits := func(cpu float64, memory int64) container.Limits {
		return container.Limits{CPUs: cpu, Memory: memory << 20}
	}
	for _, c := range []struct {
		name         string
		words        [2]string
		both, second container.Limits // with both in force, and once the first is healed
	}{
		{"the second is stricter", [2]string{"cpu=0.5", "cpu=0.2"}, limits(0.2, 512), limits(0.2, 512)},
		{"the first is stricter", [2]string{"cpu=0.2", "cpu=0.5"}, limits(0.2, 512), limits(0.5, 512)},
		{"more than there was", [2]string{"cpu=0.2", "cpu=3"}, limits(0.2, 512), limits(1.5, 512)},
		{"memory", [2]string{"memory=64m", "memory=32m"}, limits(1.5, 32), limits(1.5, 32)},
		{"of two kinds", [2]string{"memory=64m", "cpu=0.2"}, limits(0.2, 64), limits(0.2, 512)},
	} {
		for _, owners := range []string{"one process", "without a disk", "two processes", "the first dies", "the second dies"} {
			t.Run(c.name+", "+owners, func(t *testing.T) {
				counters(t, func(s *scene) {
					id, state := s.identities()["a/1"].ID, s.t.TempDir()
					if owners == "without a disk" {
						state = ""
					}
					s.must(s.rt.SetLimits(s.t.Context(), id, was))
					direct := func() *fault.Injector {
						i, err := engine.DirectFaults(s.t.Context(), s.rt, s.Snapshot().Project, nil, state, nil)
						s.must(err)
						return i
					}
					see := func(when string, want container.Limits) {
						s.t.Helper()
						if got, _ := s.rt.Limits(s.t.Context(), id); got != want {
							s.t.Errorf("%s the limits are %+v, want %+v", when, got, want)
						}
					}
					first, second := direct(), direct()
					if owners == "one process" || state == "" {
						second = first
					}
					var ids []string
					for n, i := range []*fault.Injector{first, second} {
						f, _ := fault.Parse(c.words[n], "a")
						a, err := i.Inject(s.t.Context(), f)
						s.must(err)
						ids = append(ids, a.Fault.ID)
					}
					see("with both", c.both)
					end := func(n int, i *fault.Injector) {
						if dies := [2]string{"the first dies", "the second dies"}; owners != dies[n] {
							s.must(i.Heal(s.t.Context(), ids[n]))
							return
						}
						orphan(s, state, ids[n])
						_, err := direct().Recover(s.t.Context(), false)
						s.must(err)
					}
					end(0, first)
					see("with the second", c.second)
					end(1, second)
					see("healed,", was)
					if state != "" && fault.Left(state, s.Snapshot().Project) {
						s.t.Error("a fault is left on disk")
					}
				})
			})
		}
	}
}

// orphan has a fault on disk be that of a process that is gone.
func orphan(s *scene, state, id string) {
	s.t.Helper()
	files, _ := filepath.Glob(filepath.Join(state, "*", "*", "faults", id+".json"))
	if len(files) != 1 {
		s.t.Fatalf("on disk: %v", files)
	}
	b, err := os.ReadFile(files[0])
	s.must(err)
	s.must(os.WriteFile(files[0], []byte(strings.Replace(string(b), `"pid": `, `"pid": 99999`, 1)), 0o600))
}

// A process that died leaves its faults on disk, where the next one finds them.
func TestFaultOfADeadProcessIsHealedByTheNext(t *testing.T) {
	counters(t, func(s *scene) {
		state := s.t.TempDir()
		id := s.identities()["a/1"].ID
		first, err := engine.DirectFaults(s.t.Context(), s.rt, s.Snapshot().Project, nil, state, nil)
		s.must(err)
		f, _ := fault.Parse("cpu=0.1", "a")
		if _, err := first.Inject(s.t.Context(), f); err != nil {
			s.t.Fatal(err)
		}
		next, err := engine.DirectFaults(s.t.Context(), s.rt, s.Snapshot().Project, nil, state, nil)
		s.must(err)
		held, err := next.Recover(s.t.Context(), false)
		if err != nil || len(held) != 1 {
			s.t.Fatalf("while the process runs: %v %v", held, err)
		}
		files, _ := filepath.Glob(filepath.Join(state, "*", "*", "faults", "*.json"))
		if len(files) != 1 {
			s.t.Fatalf("on disk: %v", files)
		}
		b, _ := os.ReadFile(files[0])
		s.must(os.WriteFile(files[0], []byte(strings.Replace(string(b), `"pid": `, `"pid": 99999`, 1)), 0o600))
		if held, err = next.Recover(context.Background(), false); err != nil || len(held) != 0 {
			s.t.Fatalf("after its end: %v %v", held, err)
		}
		if got, _ := s.rt.Limits(s.t.Context(), id); got != (container.Limits{}) || fault.Left(state, s.Snapshot().Project) {
			s.t.Errorf("limits %+v, or it is still on disk", got)
		}
	})
}

// A fault that is refused undoes nothing that a person or another fault has done.
func TestFaultThatIsRefusedLeavesAllAsItIs(t *testing.T) {
	parsed := func(s *scene, words string) *fault.Fault {
		s.t.Helper()
		f, err := fault.Parse(words, "a")
		s.must(err)
		return &f
	}
	for _, words := range []string{"pause", "kill", "stop", "signal=TERM"} {
		t.Run(words+" of what a person paused", func(t *testing.T) {
			counters(t, func(s *scene) {
				s.do(engine.Command{Verb: engine.VerbPause, Services: []string{"a"}})
				opened := len(s.Snapshot().Ledgers)
				err := s.Do(s.t.Context(), engine.Command{Verb: engine.VerbFault, Fault: parsed(s, words)})
				if err == nil || !strings.Contains(err.Error(), "is paused; `bulkhead unpause a`") {
					s.t.Errorf("it answers %v", err)
				}
				n := s.Snapshot()
				if a := find(n, "a"); a.State != engine.StatePaused || faultsOf(n) != "" || len(n.Ledgers) != opened {
					s.t.Errorf("a is %s, in force: %s, ledgers: %v", a.State, faultsOf(n), n.Ledgers)
				}
			})
		})
	}
	for _, words := range [][2]string{{"pause", "pause"}, {"pause", "kill"}, {"stop", "stop"}} {
		t.Run(words[1]+" beside "+words[0]+" of another process", func(t *testing.T) {
			counters(t, func(s *scene) {
				state, errs := s.t.TempDir(), make(chan error, 2)
				var injectors []*fault.Injector
				for _, w := range words { // both at the same moment
					i, err := engine.DirectFaults(s.t.Context(), s.rt, s.Snapshot().Project, nil, state, nil)
					s.must(err)
					injectors = append(injectors, i)
					f := parsed(s, w)
					go func() { _, err := i.Inject(s.t.Context(), *f); errs <- err }()
				}
				if one, other := <-errs, <-errs; (one == nil) == (other == nil) {
					s.t.Errorf("they answer %v, %v", one, other)
				}
				in := append(injectors[0].Active(), injectors[1].Active()...)
				if a := s.instances()["a/1"]; len(in) != 1 || a.State == engine.StateRunning {
					s.t.Errorf("a is %s, in force: %v", a.State, in)
				}
				for _, i := range injectors {
					s.must(i.Heal(s.t.Context()))
				}
				s.until("a is back", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
			})
		})
	}
}

// The end of a fault on one replica leaves the other one as another fault has put it.
func TestFaultOnOneReplicaEndsForItself(t *testing.T) {
	files := map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [count], scale: 2}\n  b: {image: app}\n"}
	for _, words := range []string{"kill", "stop", "pause"} {
		t.Run(words, func(t *testing.T) {
			virtually(t, files, func(s *scene) {
				s.rt.Program("count", memory.Program{Handles: []string{"TERM"}, Run: counting})
				s.run(engine.Options{NoStats: true})
				s.ready()
				f, err := fault.Parse(words, "a")
				s.must(err)
				for n := range 2 {
					f.Replica, f.For = n+1, time.Duration(n+1)*time.Minute
					s.do(engine.Command{Verb: engine.VerbFault, Fault: &f})
				}
				s.until("the first is over", func(n *engine.Snapshot) bool { return len(n.Faults) == 1 })
				time.Sleep(10 * time.Second)
				one, two := s.instances()["a/1"].State, s.instances()["a/2"].State
				if got := faultsOf(s.Snapshot()); one != engine.StateRunning || two == engine.StateRunning || got != words+" a/2" {
					s.t.Errorf("a/1 is %s, a/2 %s, in force: %q", one, two, got)
				}
				s.until("the second is over", func(n *engine.Snapshot) bool { return len(n.Faults) == 0 })
				s.ready()
			})
		})
	}
}
