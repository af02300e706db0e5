package cli

import (
	"context"
	"fmt"
	"slices"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// temporaryRun carries out commands that build or make containers: through the
// `up` that runs the project, else by an engine of its own that runs for as
// long as they take.
type temporaryRun struct {
	app      *app
	services []string // none: all
	commands []engine.Command
}

func (r *temporaryRun) run(ctx context.Context) (err error) {
	all, err := r.app.loader.load(ctx)
	if err != nil {
		return err
	}
	if err := checkServices(all, r.services); err != nil {
		return err
	}
	if err := r.app.conn.connect(ctx); err != nil {
		return err
	}
	ctx, explain := r.app.conn.supervise(ctx, all.Name, nil)
	defer func() { err = explain(err) }()
	if c := r.app.conn.dial(ctx, all.Name); c != nil {
		for _, cmd := range r.commands {
			a := &action{app: r.app, cmd: cmd, name: all.Name, p: all}
			if err := a.do(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	opts := r.app.loader.options()
	if opts.Services, err = r.withRestarted(ctx, all); err != nil {
		return err
	}
	p, err := project.Load(ctx, opts)
	if err != nil {
		return err
	}
	if opts.Scale, err = r.replicas(ctx, p); err != nil {
		return err
	}
	for _, cmd := range r.commands {
		if cmd.Verb == engine.VerbScale {
			opts.Scale[cmd.Services[0]] = cmd.Scale
		}
	}
	if p, err = project.Load(ctx, opts); err != nil {
		return err
	}
	s, err := r.app.open(ctx, p, engine.Options{NoWatch: true, NoStats: true}, nil, false)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.commands[0].Verb, p.Name, err)
	}
	s.printer = newPrinter(r.app.console.stdout)
	s.eventsOnly = true
	followers := slices.DeleteFunc(slices.Clone(opts.Services), func(name string) bool { return slices.Contains(r.services, name) })
	return s.run(func(sctx context.Context) (Outcome, error) {
		defer context.AfterFunc(ctx, s.end)()
		return Leave, s.carryOut(sctx, r.commands, followers)
	})
}

// carryOut does commands one after the other, and then waits for those that are restarted with their services.
func (s *session) carryOut(ctx context.Context, commands []engine.Command, followers []string) error {
	for _, cmd := range commands {
		cmd.Cause = "you asked for it"
		if err := s.e.Do(ctx, cmd); err != nil {
			return (&action{cmd: cmd, name: s.p.Name}).named(err)
		}
	}
	if len(followers) > 0 {
		// What is asked of a lane comes after that restart.
		if err := s.e.Do(ctx, engine.Command{Verb: engine.VerbStart, Services: followers, Cause: "you asked for it"}); err != nil {
			return err
		}
	}
	s.warnOfExits(ctx, s.e.Snapshot())
	return nil
}

// withRestarted adds to the services those that run and want to be restarted with one of them
// (depends_on.restart), and so on. No services are all of them.
func (r *temporaryRun) withRestarted(ctx context.Context, p *project.Project) ([]string, error) {
	if len(r.services) == 0 {
		return nil, nil
	}
	instances, err := r.app.conn.rt.Instances(ctx, p.Name)
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", p.Name, err)
	}
	all := slices.Clone(r.services)
	for i := 0; i < len(all); i++ {
		for _, s := range p.Services {
			if d, ok := s.DependsOn[all[i]]; !ok || !d.Restart || slices.Contains(all, s.Name) {
				continue
			}
			if slices.ContainsFunc(instances, func(in engine.Instance) bool { return in.Service == s.Name && in.State == engine.StateRunning }) {
				all = append(all, s.Name)
			}
		}
	}
	return all, nil
}

// replicas counts the containers of a project's services, so that an engine of our own keeps as
// many of each as there are.
func (r *temporaryRun) replicas(ctx context.Context, p *project.Project) (map[string]int, error) {
	instances, err := r.app.conn.rt.Instances(ctx, p.Name)
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", p.Name, err)
	}
	counts := map[string]int{}
	for _, in := range instances {
		if p.Service(in.Service) != nil {
			counts[in.Service]++
		}
	}
	return counts, nil
}
