package state

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// Check is what the healthcheck of a replica last found.
type Check struct {
	Output   string `text:"lines"` // what it printed
	ExitCode int
	Failing  int       // checks in a row that did not pass
	Since    time.Time // when the replica was seen to be unhealthy; zero while it is not
}

// Reason is why a check did not pass, in one line: "exit 7: connection refused".
func (c *Check) Reason() string {
	text := fmt.Sprintf("exit %d", c.ExitCode)
	if c.ExitCode < 0 {
		text = "no answer in time"
	}
	if out := lastOf(c.Output); out != "" {
		text += ": " + out
	}
	return text
}

// lastOf is the last line with something on it, clean.
func lastOf(output string) string {
	out := strings.TrimSpace(output)
	return strings.TrimSpace(logs.CleanLine(out[strings.LastIndexByte(out, '\n')+1:]))
}

// noteHealth counts the lives of a replica that its restart policy followed with another soon, and
// notes since when it is unhealthy. prev is the container as it was seen before.
func (r *replica) noteHealth(prev container.Instance) {
	in := r.Instance
	switch {
	case prev.ID == "" && in.State == container.StateRestarting:
		r.Crashes = in.Restarts // taken over in the middle of it
	case prev.ID == "" && in.Restarts > 0 && time.Since(in.Started) < condition.SteadyAfter:
		r.Crashes = in.Restarts
	case in.ID != prev.ID || in.Restarts < prev.Restarts:
		r.Crashes = 0
	case in.Restarts > prev.Restarts:
		if in.Finished.Sub(prev.Started) >= condition.SteadyAfter {
			r.Crashes = 0
		}
		r.Crashes += in.Restarts - prev.Restarts
	}
	if in.Health == container.Unhealthy && (prev.Health != container.Unhealthy || prev.ID != in.ID ||
		r.unhealthySince.IsZero()) {
		r.unhealthySince = time.Now()
	}
}

// Steady looks at a crashing replica again once its life is no short one any more.
func (s *Member) Steady(life container.Identity) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	r := s.reps.byID(life.ID)
	if r == nil || !r.Live() || !r.Instance.Started.Equal(life.Started) {
		return
	}
	was := r.State
	s.update()
	if r.State != was {
		s.recordReplica(r, fmt.Sprintf("runs for %s, after %s", condition.SteadyAfter,
			Times(r.Crashes, "crash")))
	}
}

// Times writes how often something happened: "1 crash", "3 crashes".
func Times(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "sh"):
		return fmt.Sprintf("%d %ses", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// exitCode is how the last life of a replica ended.
func (r *replica) exitCode() int {
	if r.Crashing() && r.Live() {
		return r.lastExit
	}
	return r.Instance.ExitCode
}

// check is what the last check of a replica found, nil when there was none.
func (r *replica) check() *Check {
	in := r.Instance
	if in.HealthOutput == "" && in.HealthFailing == 0 || !r.Live() {
		return nil
	}
	c := &Check{Output: in.HealthOutput, ExitCode: in.HealthExit, Failing: in.HealthFailing}
	if in.Health == container.Unhealthy {
		c.Since = r.unhealthySince
	}
	return c
}

// crashRow is how many crashes in a row a replica is at, 0 when it is in none.
func (r *replica) crashRow() int {
	if !r.Crashing() {
		return 0
	}
	return r.Crashes
}
