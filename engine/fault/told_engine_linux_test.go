package fault_test

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/fault"
)

// hold has a service hold a connection to another one until the test ends or somebody cuts it, and
// returns once it is open. ended is closed when its program has ended.
func (y *yard) hold(service, to string) (ended <-chan struct{}) {
	y.t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, err := y.Exec(ctx, service, 0, engine.ExecOptions{Cmd: []string{"/peer", "hold", to, "1000000"}, Stdout: w})
		w.CloseWithError(err)
	}()
	y.t.Cleanup(func() {
		cancel()
		<-over
	})
	lines := bufio.NewReader(r)
	if line, err := lines.ReadString('\n'); err != nil || line != "open\n" {
		y.t.Fatalf("a connection from %s to %s: %q %v", service, to, line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return over
}

// told is what the engine told of a fault that it injected last.
func (y *yard) told() string {
	recs, _ := y.Records(0)
	for i := len(recs) - 1; i >= 0; i-- {
		if recs[i].Kind == "fault" && recs[i].Action == "inject" {
			return recs[i].Text
		}
	}
	return ""
}

// Whoever injects a fault is told at once who has it too, and what it leaves alone.
func TestFaultTellsWhoHasItTooAndWhatItLeavesAlone(t *testing.T) {
	y := openYard(t)
	const shared = "joined has it too, in the network of other"
	held := y.hold("other", "callee")
	for _, c := range []struct{ words, service, from, want string }{
		{"latency=300ms", "callee", "other", shared + "; 1 connection from before is not delayed; --cut cuts it"},
		{"reset", "callee", "other", shared + "; 1 connection from before is not reset; --cut cuts it"},
		{"latency=300ms", "callee", "caller", ""},
		{"partition", "callee", "other", shared}, // of all packets, whenever the connection began
		{"dns=nxdomain", "other", "", shared},
	} {
		y.inject(c.words, c.service, c.from)
		told := y.told()
		if _, more, _ := strings.Cut(told, "; "); more != c.want {
			t.Errorf("%s is told, want %s behind it", told, c.want)
		}
		if a := y.Snapshot().Faults; len(a) != 1 || a[0].Remarks() != c.want {
			t.Errorf("in force: %+v, want %s", a, c.want)
		}
		if strings.HasPrefix(c.words, "latency") && c.from == "other" {
			if n := y.number("joined", "rtt", "callee", "5"); n < 300_000 {
				t.Errorf("the fastest of 5 requests of joined took %d µs", n)
			}
		}
		y.heal()
	}
	select {
	case <-held:
		t.Error("the connection that was left alone has ended")
	default:
	}
	f, err := fault.Parse("latency=300ms", "callee")
	if err != nil {
		t.Fatal(err)
	}
	f.From, f.Cut = "other", true
	if err := y.Do(t.Context(), engine.Command{Verb: engine.VerbFault, Fault: &f}); err != nil {
		t.Fatal(err)
	}
	if _, more, _ := strings.Cut(y.told(), "; "); more != shared {
		t.Errorf("with the connections cut: %s", y.told())
	}
	y.eventually("the end of the connection", func() bool {
		select {
		case <-held:
			return true
		default:
			return false
		}
	})
	y.heal()
	y.clean("told")
}
