// Package machine says how busy this machine is, so that trouble which comes of that is not put
// down to anybody else. It reads what the kernel keeps anyway, when it is asked; it watches nothing
// and keeps nothing. The engine asks it when a health check did not answer in time, and drills do.
package machine

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// starved is the share of the last ten seconds in which somebody had to wait for a processor, from
// which on a check that did not answer in time says nothing: on an idle machine it is below one
// percent, and a build on all processors comes to about half.
const starved = 0.8

// Load is how busy the machine was in the last ten seconds.
type Load struct {
	Waited float64 // share of the time in which somebody waited for a processor, 0 to 1
	Known  bool
}

// Starved says whether there was no CPU left.
func (l Load) Starved() bool { return l.Known && l.Waited >= starved }

// String says it for people.
func (l Load) String() string {
	return fmt.Sprintf("this machine had no CPU left (programs waited for it %.0f %% of the time)",
		l.Waited*100)
}

// Read reads the load now. Only Linux keeps it.
func Read() Load { return read("/proc/pressure/cpu", "/proc/loadavg", runtime.NumCPU()) }

// read goes by the kernel's pressure stall information; where the kernel has none, by the length of
// the run queue, which is of the last minute.
func read(pressure, loadavg string, cpus int) Load {
	if f, err := os.Open(pressure); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			rest, ok := strings.CutPrefix(s.Text(), "some avg10=")
			if !ok {
				continue
			}
			text, _, _ := strings.Cut(rest, " ")
			if share, err := strconv.ParseFloat(text, 64); err == nil {
				return Load{Waited: share / 100, Known: true}
			}
		}
	}
	text, err := os.ReadFile(loadavg)
	if err != nil {
		return Load{}
	}
	first, _, _ := strings.Cut(string(text), " ")
	queue, err := strconv.ParseFloat(first, 64)
	if err != nil || cpus < 1 {
		return Load{}
	}
	// With as many more that want to run as there are processors, each waits half of the time and more.
	return Load{Waited: min(max(queue/float64(cpus)-1, 0), 1), Known: true}
}
