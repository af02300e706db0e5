package memory

import (
	"fmt"
	"testing"
	"testing/synctest"

	"bulkhead/engine/container/conformance"
)

// The suite runs in virtual time: what waits for hours is over at once, and a
// goroutine that is left behind fails the case.
func TestMemoryConforms(t *testing.T) { conforms(t, func(*Runtime, *conformance.Harness) {}) }

// What the suite asks of a runtime is what the port says, and no more.
func TestCoreConforms(t *testing.T) {
	conforms(t, func(rt *Runtime, h *conformance.Harness) { h.Runtime = Core(rt) })
}

func TestOrchestratorConforms(t *testing.T) {
	conforms(t, func(rt *Runtime, h *conformance.Harness) { h.Runtime, h.NoSignals = Orchestrated(rt), true })
}

// conforms runs the suite on runtimes that change makes of ones in memory.
func conforms(t *testing.T, change func(*Runtime, *conformance.Harness)) {
	for _, c := range conformance.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := New()
				t.Cleanup(func() { rt.Close() })
				h := harness(rt)
				change(rt, &h)
				c.Run(t, h)
			})
		})
	}
}

func harness(rt *Runtime) conformance.Harness {
	rt.Put("tools", Image{Command: []string{"loop"},
		Files: map[string]string{"/etc/passwd": "root:x:0:0::/:/bin/sh\nadam:x:1234:5678::/:/bin/sh\n"}})
	programs, builds := 0, 0
	return conformance.Harness{
		Runtime: rt, Project: "conform", Image: "tools",
		Command: func(p conformance.Program) []string {
			programs++
			name := fmt.Sprint("program-", programs)
			rt.Program(name, play(p))
			return []string{name}
		},
		TakeOff: func(_ *testing.T, id, network string) { rt.TakeOff(id, network) },
		Build: func(_ *testing.T, name string) string {
			builds++
			return rt.Put(name, Image{Command: []string{"loop"}, Project: "conform",
				Files: map[string]string{"/build": fmt.Sprint(builds)}})
		},
	}
}

// play is a program of the suite.
func play(p conformance.Program) Program {
	prog := Program{Run: func(x *Process) int {
		for _, l := range p.Out {
			x.Print("%s", l)
		}
		for _, l := range p.Err {
			x.Complain("%s", l)
		}
		x.Write(p.Open)
		if p.Exits {
			return p.Code
		}
		x.Wait()
		if p.Last != "" {
			x.Print("%s", p.Last)
		}
		return p.Code
	}}
	if p.OnStop != "" {
		prog.Handles = []string{p.OnStop}
	}
	return prog
}
