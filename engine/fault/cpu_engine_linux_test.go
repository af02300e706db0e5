package fault_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// throttled is how often the kernel kept the group of a service's container from the processor, and
// the limit that the group has; "" where this machine does not show them.
func (y *yard) throttled(service string) (count int, limit string) {
	y.t.Helper()
	for _, s := range y.Snapshot().Services {
		if s.Name != service {
			continue
		}
		in, err := y.rt.Inspect(y.t.Context(), s.Replicas[0].Identity.ID)
		if err != nil {
			y.t.Fatal(err)
		}
		groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", in.Pid))
		if err != nil {
			return 0, ""
		}
		for line := range strings.Lines(string(groups)) {
			// "4:cpu,cpuacct:/docker/ID", or "0::/system.slice/docker-ID.scope"
			_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
			controllers, path, _ := strings.Cut(rest, ":")
			for _, dir := range []string{filepath.Join("/sys/fs/cgroup", controllers, path),
				filepath.Join("/sys/fs/cgroup/cpu", path)} {
				stat, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
				if err != nil || !strings.Contains(string(stat), "nr_throttled") {
					continue
				}
				_, after, _ := strings.Cut(string(stat), "nr_throttled ")
				fmt.Sscan(after, &count)
				for _, file := range []string{"cpu.cfs_quota_us", "cpu.max"} {
					if text, err := os.ReadFile(filepath.Join(dir, file)); err == nil {
						limit = strings.TrimSpace(string(text))
					}
				}
				return count, limit
			}
		}
	}
	return 0, ""
}

func TestFaultCPUIsSeenInTheGroupOfTheContainer(t *testing.T) {
	y := openYard(t)
	if why := y.lacking("cpu"); why != "" {
		t.Skipf("not possible here: %s", why)
	}
	before, was := y.throttled("callee")
	if was == "" {
		t.Skip("this machine does not show the groups of containers")
	}
	y.inject("cpu=0.1", "callee", "")
	if _, limit := y.throttled("callee"); !strings.HasPrefix(limit, "10000") {
		t.Errorf("the group's limit is %s, was %s", limit, was)
	}
	y.ask("other", "burn", "callee")
	y.eventually("a processor that is kept from it", func() bool {
		now, _ := y.throttled("callee")
		return now > before
	})
	y.heal()
	if _, limit := y.throttled("callee"); limit != was {
		t.Errorf("healed, the group's limit is %s, was %s", limit, was)
	}
	y.clean("cpu")
}

// Of two faults of a kind each ends for itself: the group keeps the limit that is left, and has its own back in the end.
func TestLimitsOfTwoFaultsAreSeenInTheGroupOfTheContainer(t *testing.T) {
	y := openYard(t)
	if _, was := y.throttled("callee"); was == "" || y.lacking("cpu") != "" || y.lacking("memory") != "" {
		t.Skip("not possible here, or this machine does not show the groups of containers")
	}
	_, was := y.throttled("callee")
	limits := func() container.Limits {
		l, err := y.rt.Limits(t.Context(), y.container("callee"))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	had := limits()
	healOldest := func() {
		t.Helper()
		if err := y.Do(t.Context(), engine.Command{Verb: engine.VerbHeal, Faults: []string{y.Snapshot().Faults[0].Fault.ID}}); err != nil {
			t.Error(err)
		}
	}
	for _, words := range []string{"cpu=0.5", "cpu=0.2"} {
		y.inject(words, "callee", "")
	}
	healOldest()
	if _, limit := y.throttled("callee"); !strings.HasPrefix(limit, "20000") {
		t.Errorf("with the second fault the group's limit is %s", limit)
	}
	healOldest()
	if _, limit := y.throttled("callee"); limit != was {
		t.Errorf("healed, the group's limit is %s, was %s", limit, was)
	}
	for _, words := range []string{"memory=64m", "memory=128m"} {
		y.inject(words, "callee", "")
		if l := limits(); l.Memory != 64<<20 {
			t.Errorf("with %s the limits are %+v", words, l)
		}
	}
	healOldest()
	if l := limits(); l.Memory != 128<<20 {
		t.Errorf("with the second fault the limits are %+v", l)
	}
	healOldest()
	if l := limits(); l.Memory != had.Memory || l.CPUs != had.CPUs {
		t.Errorf("healed, the limits are %+v, were %+v", l, had)
	}
	y.clean("limits")
}
