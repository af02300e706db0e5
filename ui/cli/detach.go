package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// seconds is a flag of a duration; a number without a unit is seconds, as docker compose has it.
type seconds time.Duration

// Set reads the flag.
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, nerr := strconv.Atoi(text); nerr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 {
		return errors.New("write seconds as 60, or a duration as 90s or 5m")
	}
	*s = seconds(d)
	return nil
}

// String writes the flag as it is read.
func (s *seconds) String() string { return time.Duration(*s).String() }

// Type is the word for the flag's value in the help.
func (s *seconds) Type() string { return "long" }

// detach brings the project up and leaves it running. What it does goes to stderr, so that stdout
// has nothing but the list of --json.
func (s *session) detach(ctx context.Context, f *upFlags) error {
	rest := s.progress()
	err := s.e.WaitUp(ctx, engine.Wait{Ready: f.ready, Limit: time.Duration(f.wait)})
	rest()
	if ctx.Err() != nil { // the cause of ctx says what is to happen
		why := context.Cause(ctx)
		if errors.Is(why, errSignal) {
			why = errors.New("interrupted before all was ready; what was started is stopped again")
		}
		return fmt.Errorf("up %s: %w", s.p.Name, why)
	}
	snap := s.e.Snapshot()
	var list error
	if f.json {
		list = s.a.console.printJSON(snapshotRows(snap))
	}
	var up *engine.UpError
	if errors.As(err, &up) {
		for _, failure := range up.Failures {
			s.a.console.printLines(failureTail(ctx, s.a.conn.rt, snap, failure))
		}
	}
	if err == nil {
		err = calledOff(s.p, snap)
	}
	if err != nil {
		return fmt.Errorf("up %s: %w", s.p.Name, err)
	}
	s.warnOfExits(ctx, snap)
	return list
}

// calledOff is the error of services that somebody stopped or removed while they were brought up; nil without any.
func calledOff(p *project.Project, n *engine.Snapshot) error {
	var off []string
	for _, s := range p.Services {
		i := slices.IndexFunc(n.Services, func(o engine.Service) bool { return o.Name == s.Name })
		if i < 0 || n.Services[i].CalledOff {
			off = append(off, s.Name)
		}
	}
	if len(off) == 0 {
		return nil
	}
	return fmt.Errorf("%s: stopped or removed from another terminal meanwhile", strings.Join(off, ", "))
}

// warnOfExits names what was started by this session and has ended already, with its last lines. A
// job that others wait for and that has done its work is nothing to warn of.
func (s *session) warnOfExits(ctx context.Context, n *engine.Snapshot) {
	for _, svc := range n.Services {
		if len(svc.Changes) == 0 {
			continue // nothing was done to it
		}
		for _, r := range svc.Replicas {
			over := (r.State == engine.StateExited || r.State == engine.StateRestarting ||
				r.State == engine.StateCrashing) && !r.Identity.Started.IsZero()
			if !over || svc.ByHand || r.ExitCode == 0 && isJob(s.p, svc.Name) {
				continue
			}
			s.a.warnOfExit(ctx, replicaName(svc.Name, r.Number), r.Identity.ID, r.ExitCode)
		}
	}
}

// warnOfExit prints the last lines of a replica that was started and has ended already, and its exit code.
func (a *app) warnOfExit(ctx context.Context, name, id string, code int) {
	a.console.printLines(containerTail(ctx, a.conn.rt, name, id))
	a.console.printWarning(fmt.Sprintf("%s has exited already, with code %d", name, code))
}

// isJob says whether another service waits for one to complete.
func isJob(p *project.Project, name string) bool {
	return slices.ContainsFunc(p.Services, func(o *project.Service) bool {
		d, ok := o.DependsOn[name]
		return ok && d.Condition == "service_completed_successfully"
	})
}

// remoteUp is `up -d` of a project that another `up` runs already: that one
// does the work.
type remoteUp struct {
	*upRun
	client *client
}

func (u *remoteUp) run(ctx context.Context) error {
	name := u.client.hello.Project
	if u.flags.orphans {
		u.app.console.printWarning(
			"--remove-orphans: the running bulkhead decides about orphans; they are left alone")
	}
	before, err := u.client.snapshot(ctx)
	if err != nil {
		return err
	}
	if err := u.allow(ctx); err != nil {
		return fmt.Errorf("up %s: %w", name, err)
	}
	rest := u.client.follow(ctx, u.app.console)
	err = u.apply(ctx)
	rest()
	if err != nil && ctx.Err() != nil {
		return err
	}
	after, list := u.client.snapshot(ctx)
	if list == nil && u.flags.json {
		list = u.app.console.printJSON(after)
	}
	if err != nil {
		return fmt.Errorf("up %s: %w", name, err)
	}
	for _, row := range after {
		fresh := !slices.ContainsFunc(before, func(b psRow) bool {
			return b.ContainerID == row.ContainerID && b.StartedAt != nil && row.StartedAt != nil &&
				*b.StartedAt == *row.StartedAt
		})
		if fresh && row.ExitCode != nil && (*row.ExitCode != 0 || !isJob(u.p, row.Service)) {
			u.app.warnOfExit(ctx, replicaName(row.Service, row.Replica), row.ContainerID, *row.ExitCode)
		}
	}
	return list
}

// commands are what the flags ask a running `up` for.
func (f *upFlags) commands(p *project.Project, services []string) (commands []engine.Command) {
	up := engine.Command{Verb: engine.VerbUp, Services: services, Limit: time.Duration(f.wait),
		Renew: f.renewVolumes, NoStart: f.noStart, Pull: f.pull}
	switch {
	case f.recreate:
		up.Recreate = engine.RecreateAlways
	case f.noRecreate:
		up.Recreate = engine.RecreateNever
	}
	if f.recreateDeps && len(services) > 0 {
		var deps []string
		for _, s := range p.Services {
			if !slices.Contains(services, s.Name) {
				deps = append(deps, s.Name)
			}
		}
		if len(deps) > 0 {
			first := up
			first.Services, first.Recreate = deps, engine.RecreateAlways
			commands = append(commands, first)
		}
	}
	return append(commands, up)
}

// allow hands what --trust allows to the running `up`.
func (u *remoteUp) allow(ctx context.Context) error {
	commands := engine.HostCommands(u.p)
	if !u.app.trusting() || len(commands) == 0 {
		return nil
	}
	cmd := engine.Command{Verb: engine.VerbTrust, Once: true, Cause: "allowed from another terminal"}
	for _, c := range commands {
		cmd.Allow = append(cmd.Allow, c.ID())
	}
	_, err := u.client.do(ctx, cmd)
	return err
}

// apply has the running `up` do what the flags ask for.
func (u *remoteUp) apply(ctx context.Context) error {
	const cause = "up -d from another terminal"
	commands := u.flags.commands(u.p, u.services)
	if u.flags.build {
		var built []string
		for _, s := range u.p.Services {
			if s.Built {
				built = append(built, s.Name)
			}
		}
		if len(built) > 0 {
			commands = append(commands, engine.Command{Verb: engine.VerbRebuild, Services: built})
		}
	}
	scale, err := scales(u.flags.scale)
	if err != nil {
		return err
	}
	for _, s := range u.p.Services {
		if n, ok := scale[s.Name]; ok {
			commands = append(commands, engine.Command{Verb: engine.VerbScale,
				Services: []string{s.Name}, Scale: n})
		}
	}
	var failed error
	for _, cmd := range commands {
		cmd.Cause = cause
		_, err := u.client.do(ctx, cmd)
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil && failed != nil:
			failed = fmt.Errorf("%w; %w", failed, err)
		case err != nil:
			failed = err
		}
	}
	if !u.flags.ready || failed != nil {
		return failed
	}
	lines, err := u.client.wait(ctx, u.services, time.Duration(u.flags.wait))
	if err != nil {
		u.app.console.printLines(lines)
	}
	return err
}

// tailLines is how many lines of a service are shown with an error.
const tailLines = 15

// failureTail returns the last lines that say why a service did not come up: of its hook, of its build, or of its log.
func failureTail(ctx context.Context, rt engine.Runtime, n *engine.Snapshot, f engine.Failure) []string {
	i := slices.IndexFunc(n.Services, func(s engine.Service) bool { return s.Name == f.Service })
	if i < 0 {
		return nil
	}
	svc := &n.Services[i]
	var out []string
	var hook *engine.HookError
	switch {
	case errors.As(f.Err, &hook):
		return prefixed(svc.Name, hook.Tail)
	case len(svc.WaitsFor) > 0:
		// It has nothing to say itself; the one that it waits for does.
		for _, d := range n.Services {
			if _, ok := svc.Config.DependsOn[d.Name]; ok && !d.Ready && len(d.WaitsFor) == 0 {
				out = append(out, serviceTail(ctx, rt, &d)...)
			}
		}
		return out
	case svc.Err != "":
		for i := len(n.Builds) - 1; i >= 0; i-- {
			if b := n.Builds[i]; b.Err != "" && slices.Contains(b.Services, svc.Name) {
				return prefixed(svc.Name, b.Lines)
			}
		}
		if svc.State == engine.StateRunning {
			return nil // the old container serves on, and has nothing to do with it
		}
	}
	return serviceTail(ctx, rt, svc)
}

func prefixed(name string, lines []string) []string {
	var out []string
	for _, l := range lines[max(0, len(lines)-tailLines):] {
		out = append(out, name+" | "+clean(l))
	}
	return out
}

func serviceTail(ctx context.Context, rt engine.Runtime, svc *engine.Service) []string {
	var out []string
	for _, r := range svc.Replicas {
		if r.Identity.ID != "" {
			out = append(out, containerTail(ctx, rt, replicaName(svc.Name, r.Number), r.Identity.ID)...)
		}
	}
	return out
}

// containerTail returns the last lines of a container: from the runtime, not from the log store,
// for what it wrote just before it ended may be on its way there.
func containerTail(ctx context.Context, rt engine.Runtime, name, id string) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noAnswer)
	defer cancel()
	var out []string
	err := rt.Logs(ctx, id, engine.LogOptions{Tail: tailLines}, func(l engine.Line) {
		out = append(out, name+" | "+clean(string(l.Text)))
	})
	if err != nil {
		out = append(out, fmt.Sprintf("%s | (its log cannot be read: %s)", name, oneLine(err.Error())))
	}
	return out
}
