package fault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/fault"
)

// What the kernel cannot do is refused with the reason that the list of faults gives, before anything is done.
func TestFaultThatTheKernelLacksIsRefusedBeforeItBegins(t *testing.T) {
	y := openYard(t)
	y.inject("partition", "callee", "caller")
	opened := len(y.Snapshot().Ledgers)
	f, err := fault.Parse("delay=100ms", "caller") // whose agent has the partition
	if err != nil {
		t.Fatal(err)
	}
	f.For = time.Hour
	err = y.Do(t.Context(), engine.Command{Verb: engine.VerbFault, Fault: &f})
	why := y.lacking("delay")
	if why == "" {
		t.Skip("this kernel has what it takes")
	}
	if !errors.Is(err, container.ErrUnsupported) || !strings.HasSuffix(err.Error(), ": "+why) ||
		strings.Count(err.Error(), why) != 1 {
		t.Errorf("it answers %v, the list says %s", err, why)
	}
	n := y.Snapshot()
	if len(n.Ledgers) != opened {
		t.Errorf("a ledger is open: %+v", n.Ledgers)
	}
	if len(n.Faults) != 1 || n.Faults[0].Trouble != "" {
		t.Errorf("in force: %+v", n.Faults)
	}
	if strings.Contains(y.latest(), "caller: delay") {
		t.Errorf("it is told of as if it had begun:\n%s", y.latest())
	}
	y.sees("timeout", "caller", "get", "callee")
	y.heal()
	y.clean("refused")
}
