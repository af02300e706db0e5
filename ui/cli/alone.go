package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
)

// alone carries the commands out without a running `up`: by an engine that takes the project as it is.
func (x *action) alone(ctx context.Context, out *printer) error {
	if err := x.app.checkHolder(ctx, x.name); err != nil {
		return x.named(x.cmds[0], err)
	}
	p, err := x.described(ctx)
	if err != nil {
		return err
	}
	commands := slices.Clone(x.cmds)
	if x.makes() && !x.noDeps {
		if needed := x.needed(p); len(needed) > 0 {
			commands = slices.Insert(commands, 0, engine.Command{Verb: engine.VerbUp, Services: needed})
		}
	}
	// Two at a time may stop and start, and one may make containers.
	s, err := x.app.open(ctx, p, engine.Options{AsIs: true, NoWatch: true, NoStats: true,
		NoLogs: true}, sessionOptions{shared: !x.makes()})
	if err != nil {
		return x.named(x.cmds[0], err)
	}
	s.printer, s.ownLines = out, true
	x.session.Store(s)
	done := background(string(x.verb()), func() error {
		return s.runAndLeave(func(sctx context.Context) error {
			defer context.AfterFunc(ctx, s.end)()
			return x.carryOut(sctx, s, commands)
		})
	})
	if !stopsContainers(x.verb()) {
		err = <-done
	} else {
		select {
		case err = <-done:
		case <-ctx.Done(): // containers may take their time to stop, and need nobody for that
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	if c := x.cmds[0]; c.Verb == engine.VerbDown && len(c.Services) == 0 {
		x.app.forget(ctx, p.Name)
	}
	return out.failed()
}

// openAsItRuns opens a session of a project that runs, with as many replicas as there are, for a
// verb that changes nothing else. That nothing of it runs is an error.
func (a *app) openAsItRuns(
	ctx context.Context, verb string, p *project.Project, o engine.Options,
) (*session, error) {
	instances, err := a.conn.rt.Instances(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(instances, func(in engine.Instance) bool {
		return in.State == engine.StateRunning
	}) {
		return nil, fmt.Errorf("%s %s: nothing of it runs; `bulkhead up -d --wait` starts it", verb, p.Name)
	}
	opts := a.loader.lenient()
	opts.Scale = map[string]int{}
	for _, in := range instances {
		if p.Service(in.Service) != nil {
			opts.Scale[in.Service]++
		}
	}
	if p, err = project.Load(ctx, opts); err != nil {
		return nil, err
	}
	o.AsIs, o.NoWatch, o.NoStats, o.Build = true, true, true, engine.BuildNever
	s, err := a.open(ctx, p, o, sessionOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", verb, p.Name, err)
	}
	return s, nil
}

// doneWithNone says whether a verb is done where there are no containers, as docker compose has it for scripts.
func doneWithNone(v engine.Verb) bool {
	return v == engine.VerbRestart || v == engine.VerbPause || v == engine.VerbUnpause
}

// needed lists what has to run for the services that the commands make containers of.
func (x *action) needed(p *project.Project) []string {
	made := x.services()
	if len(made) == 0 {
		for _, s := range p.Services {
			if s.Built {
				made = append(made, s.Name)
			}
		}
	}
	return slices.DeleteFunc(plan.Dependencies(p, made), func(name string) bool {
		return slices.Contains(made, name)
	})
}

// described is the project that the commands work on, with the services that they name although no active
// profile has them.
func (x *action) described(ctx context.Context) (*project.Project, error) {
	if x.p == nil {
		return project.Unfiled(x.name), nil
	}
	if !slices.ContainsFunc(x.services(), func(name string) bool { return x.p.Service(name) == nil }) {
		return x.p, nil
	}
	opts := x.app.loader.lenient()
	opts.Services = x.services()
	for _, s := range x.p.Services {
		opts.Services = append(opts.Services, s.Name)
	}
	return x.app.loadToRun(ctx, opts)
}

// carryOut does commands one after the other, and then waits for what follows from them: services that are
// restarted with others.
func (x *action) carryOut(ctx context.Context, s *session, commands []engine.Command) error {
	for _, cmd := range commands {
		if cmd.Cause == "" {
			cmd.Cause = "you asked for it"
		}
		err := s.e.Do(ctx, cmd)
		if errors.Is(err, engine.ErrNotFound) && doneWithNone(cmd.Verb) {
			x.app.console.printWarning(x.named(cmd, err).Error())
			return nil
		}
		if err != nil {
			return x.named(cmd, err)
		}
	}
	wait := engine.Wait{}
	if x.ready {
		wait = engine.Wait{Services: x.services(), Ready: true, Limit: time.Duration(x.wait)}
	}
	if err := s.e.WaitUp(ctx, wait); err != nil {
		return x.named(x.cmds[0], err)
	}
	if x.makes() {
		s.warnOfExits(ctx, s.e.Snapshot())
	}
	return nil
}
