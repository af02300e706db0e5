package step

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// deleteOwed deletes in a container that was started what could not be deleted while it did not run, and
// returns the rules that had put there what was really deleted.
func (r *Runner) deleteOwed(
	ctx context.Context, s Service, in container.Instance,
) (rules []*project.Rule, err error) {
	gone, err := r.sync.DeleteOwed(ctx, Target(s.Conf, in))
	for i := range gone {
		rules = append(rules, &s.Conf.Rules[i])
	}
	return rules, err
}

// afterDeletions runs the post_start hooks of a container that was started, and does what its rules want done
// when files are deleted: its program was started before they were. One of sync+restart has it restarted, once.
func (r *Runner) afterDeletions(
	ctx context.Context, s Service, spec container.CreateSpec, in container.Instance, rules []*project.Rule,
) error {
	restarts := func(rule *project.Rule) bool { return rule.Action == project.SyncRestart }
	if in.State == container.StateRunning && slices.ContainsFunc(rules, restarts) {
		if err := r.again(ctx, s, spec, in, "files were deleted while it was stopped"); err != nil {
			return err
		}
	} else if err := r.PostStart(ctx, s, in.ID); err != nil {
		return err
	}
	for _, rule := range rules {
		if err := r.RuleExec(ctx, s, in.ID, rule); err != nil {
			return err
		}
	}
	return nil
}

// again restarts the program of a container, or the container where its program cannot be restarted alone.
func (r *Runner) again(
	ctx context.Context, s Service, spec container.CreateSpec, in container.Instance, cause string,
) error {
	m := Mode{Loop: true}
	_, _, ok, err := r.RestartProgram(ctx, s, spec.Replica, in, m, cause, nil)
	if ok || err != nil {
		return err
	}
	_, _, err = r.Restart(ctx, s, spec, in, m, cause, nil)
	return err
}

// RuleExec runs the command of a sync+exec rule in a container; its output stands in the service's log. Other
// rules have none.
func (r *Runner) RuleExec(ctx context.Context, s Service, id string, rule *project.Rule) error {
	h := rule.Exec
	if h == nil {
		return nil
	}
	out := logs.NewLineWriter(r.host.Output(s.name(), id))
	code, err := r.rt.Exec(ctx, id, container.ExecOptions{Cmd: h.Command, User: h.User, Dir: h.WorkingDir,
		Privileged: h.Privileged, Env: Environ(h.Environment), Stdout: out, Stderr: out})
	out.Flush()
	if err != nil {
		return container.WrapErr(err, "sync+exec in %s", s.name())
	}
	if code != 0 {
		err := fmt.Errorf("sync+exec in %s: %q exited with %d", s.name(), strings.Join(h.Command, " "), code)
		return container.WithRemedy(container.Naming(s.name(), err), "its output stands in the log")
	}
	return nil
}
