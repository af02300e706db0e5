package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// awaitJobs waits until nothing is left to do for an up without a screen: all of its services are jobs that have
// ended. The error names those that failed. ended is false where something else ended the wait.
func (s *session) awaitJobs(ctx context.Context, noWatch bool) (err error, ended bool) {
	var up *engine.UpError
	if err := s.e.WaitUp(ctx, engine.Wait{}); err != nil && !errors.As(err, &up) {
		return nil, false
	}
	changed, stop := s.e.Subscribe()
	defer stop()
	for ctx.Err() == nil {
		if n := s.e.Snapshot(); jobsOver(n, noWatch) {
			return s.failedJobs(n), true
		}
		awaitChange(ctx, changed, 300*time.Millisecond)
	}
	return nil, false
}

// jobsOver says whether all services have ended by themselves, and neither a saved file nor a policy brings one back.
func jobsOver(n *engine.Snapshot, noWatch bool) bool {
	jobs := 0
	for _, svc := range n.Services {
		switch {
		case svc.Config.Provided(), svc.ByHand, svc.Doing != "", svc.Config.Restarts(),
			len(svc.Rules) > 0 && !noWatch && svc.Mode != project.Off, len(svc.Replicas) < svc.Wanted:
			return false
		}
		for _, r := range svc.Replicas {
			if r.State != engine.StateExited {
				return false
			}
			jobs++
		}
	}
	return jobs > 0
}

// failedJobs is the error of those that ended with another code than 0; nil without any.
func (s *session) failedJobs(n *engine.Snapshot) error {
	var failed []string
	for _, svc := range n.Services {
		for _, r := range svc.Replicas {
			if r.ExitCode != 0 {
				failed = append(failed, fmt.Sprintf("%s exited with code %d", replicaName(svc.Name, r.Number), r.ExitCode))
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("up %s: %s", s.p.Name, strings.Join(failed, ", "))
}
