package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// actCommands are the verbs that work on a running project from another terminal.
func (a *app) actCommands() []*cobra.Command {
	var grace int
	withGrace := func(c *cobra.Command, cmd *engine.Command) {
		if c.Flags().Changed("timeout") {
			d := time.Duration(grace) * time.Second
			cmd.Grace = &d
		}
	}
	simple := func(verb engine.Verb, short string) *cobra.Command {
		return &cobra.Command{
			Use:               string(verb) + " [SERVICE…]",
			Short:             short,
			ValidArgsFunction: a.completeServices,
			RunE: func(cmd *cobra.Command, services []string) error {
				c := engine.Command{Verb: verb, Services: services}
				if cmd.Flags().Lookup("timeout") != nil {
					withGrace(cmd, &c)
				}
				c.Dependents = cmd.Flags().Lookup("dependents") != nil && cmd.Flags().Lookup("dependents").Changed
				return a.act(cmd.Context(), c)
			},
		}
	}
	stop := simple(engine.VerbStop, "Stop services, those that depend on others first")
	restart := simple(engine.VerbRestart, "Stop and start services")
	for _, c := range []*cobra.Command{stop, restart} {
		c.Flags().IntVarP(&grace, "timeout", "t", 0, "`seconds` between the stop signal and the kill")
	}
	restart.Flags().Bool("dependents", false, "with all that depend on them")
	return []*cobra.Command{
		simple(engine.VerbStart, "Start services that are stopped"), stop, restart, a.killCommand(),
		simple(engine.VerbPause, "Freeze services"), simple(engine.VerbUnpause, "Let frozen services go on"),
		a.rebuildCommand(), a.scaleCommand(),
	}
}

// act carries out a command: through the `up` that runs the project, else on the engine directly.
func (a *app) act(ctx context.Context, cmd engine.Command) (err error) {
	connected := a.connecting(ctx)
	name, p, err := a.find(ctx)
	noEngine := connected(err)
	if err == nil {
		err = known(p, cmd.Services)
	}
	if err == nil {
		err = noEngine
	}
	if err != nil {
		return err
	}
	ctx, explain := a.attended(ctx, name, a.stops(name, p, cmd))
	defer func() { err = interruptedStop(name, cmd, explain(err)) }()
	if cmd.Verb == engine.VerbKill {
		return a.kill(ctx, name, p, cmd)
	}
	return a.do(ctx, name, p, cmd)
}

// do carries a command out and prints what it led to.
func (a *app) do(ctx context.Context, name string, p *project.Project, cmd engine.Command) error {
	what := strings.TrimSpace(fmt.Sprintf("%s %s", cmd.Verb, strings.Join(cmd.Services, " ")))
	if len(cmd.Services) == 0 {
		what += " " + name
	}
	out := newPrinter(a.parts.Stdout)
	if c := a.dial(ctx, name); c != nil {
		lines, err := c.do(ctx, cmd)
		for _, l := range lines {
			out.text(l)
		}
		if err != nil && !strings.HasPrefix(err.Error(), string(cmd.Verb)) {
			err = fmt.Errorf("%s: %w", what, err)
		}
		if err == nil {
			err = out.failed()
		}
		return err
	}
	if cmd.Cause == "" {
		cmd.Cause = "you asked for it"
	}
	if cmd.Verb != engine.VerbDown {
		if err := a.present(ctx, name, cmd.Services); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	err := engine.Direct(ctx, a.rt, name, p, cmd, func(r engine.Record) { out.text(eventText(r)) })
	if err != nil && !strings.HasPrefix(err.Error(), string(cmd.Verb)) {
		err = fmt.Errorf("%s: %w", what, err)
	}
	if err == nil {
		err = out.failed()
	}
	return err
}

// present refuses to act on containers that are not there.
func (a *app) present(ctx context.Context, name string, services []string) error {
	instances, err := a.rt.Instances(ctx, name)
	if err != nil {
		return err
	}
	if len(instances) == 0 {
		return fmt.Errorf("project %s has no containers; `bulkhead up` makes them", name)
	}
	for _, s := range services {
		if !slices.ContainsFunc(instances, func(in engine.Instance) bool { return in.Service == s }) {
			return fmt.Errorf("%s has no container; `bulkhead up %s` makes it", s, s)
		}
	}
	return nil
}

func (a *app) killCommand() *cobra.Command {
	var signal string
	c := &cobra.Command{
		Use:               "kill [-s SIGNAL] SERVICE…",
		Short:             "Kill services, or send them a signal, and say who suffered",
		Args:              atLeast(1, "the names of services"),
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			return a.act(cmd.Context(), engine.Command{Verb: engine.VerbKill, Services: services, Signal: signal})
		},
	}
	c.Flags().StringVarP(&signal, "signal", "s", "SIGKILL", "`signal` to send, as SIGHUP, HUP or 1")
	return c
}

// settle is how long the others are looked at after a kill before its line is printed. It shows a crash that a lost connection
// brings on at once; what takes longer is what drills are for.
const settle = time.Second

// kill sends a signal, and then compares the others with what they were before.
func (a *app) kill(ctx context.Context, name string, p *project.Project, cmd engine.Command) error {
	before, err := a.rows(ctx, name, p, false)
	if err != nil {
		return err
	}
	if err := a.do(ctx, name, p, cmd); err != nil {
		return err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	after, err := a.rows(ctx, name, p, false)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.parts.Stdout, compareRows(before, after, cmd.Services, cmd.Signal))
	return err
}

// compareRows says who suffered from a fault: everything but the services that were hit is compared with what it was.
func compareRows(before, after []psRow, hit []string, fault string) string {
	var suffered []string
	untouched := 0
	for _, b := range before {
		if slices.Contains(hit, b.Service) || b.ExitCode != nil || b.StartedAt == nil {
			continue // who did not run before has nothing to lose
		}
		name := replicaName(b.Service, b.Replica)
		i := slices.IndexFunc(after, func(r psRow) bool { return r.Service == b.Service && r.Replica == b.Replica })
		switch {
		case i < 0:
			suffered = append(suffered, name+" is gone")
		case after[i].ContainerID != b.ContainerID:
			suffered = append(suffered, name+" has another container")
		case after[i].ExitCode != nil:
			suffered = append(suffered, fmt.Sprintf("%s exited %d", name, *after[i].ExitCode))
		case after[i].StartedAt == nil || *after[i].StartedAt != *b.StartedAt || after[i].Restarts != b.Restarts:
			suffered = append(suffered, name+" was restarted")
		case after[i].Health == engine.Unhealthy.String() && b.Health != after[i].Health:
			suffered = append(suffered, name+" became unhealthy")
		default:
			untouched++
		}
	}
	return sufferText(strings.Join(hit, ", "), fault, suffered, untouched)
}

func (a *app) downCommand() *cobra.Command {
	var (
		volumes, orphans bool
		rmi              string
		grace            int
	)
	c := &cobra.Command{
		Use:               "down [SERVICE…]",
		Short:             "Stop and remove the project's containers and networks",
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			if rmi != "" && rmi != "local" {
				return usagef("down: --rmi %s: it is not known; write --rmi local", rmi)
			}
			c := engine.Command{Verb: engine.VerbDown, Services: services, Volumes: volumes, Images: rmi == "local", Orphans: orphans}
			if cmd.Flags().Changed("timeout") {
				d := time.Duration(grace) * time.Second
				c.Grace = &d
			}
			return a.act(cmd.Context(), c)
		},
	}
	c.Flags().BoolVarP(&volumes, "volumes", "v", false, "named volumes too: their data is lost")
	c.Flags().StringVar(&rmi, "rmi", "", "`local`: also images that were built without a name of their own")
	c.Flags().IntVarP(&grace, "timeout", "t", 0, "`seconds` between the stop signal and the kill")
	c.Flags().BoolVar(&orphans, "remove-orphans", false, "also containers of services that the file does not name")
	return c
}

func (a *app) rebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rebuild [SERVICE…]",
		Short:             "Build images anew and replace the containers",
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			return a.viaEngine(cmd.Context(), services, engine.Command{Verb: engine.VerbRebuild, Services: services})
		},
	}
}

func (a *app) scaleCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "scale SERVICE=N…",
		Short:             "Set the number of replicas",
		Args:              atLeast(1, "SERVICE=N, as web=2"),
		ValidArgsFunction: a.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			counts, err := scales(args)
			if err != nil {
				return err
			}
			var (
				services []string
				commands []engine.Command
			)
			for _, arg := range args {
				name, _, _ := strings.Cut(arg, "=")
				services = append(services, name)
				commands = append(commands, engine.Command{Verb: engine.VerbScale, Services: []string{name}, Scale: counts[name]})
			}
			return a.viaEngine(cmd.Context(), services, commands...)
		},
	}
}

// viaEngine carries out commands that build or make containers: through the `up` that runs the project, else by an engine of our own
// that runs for as long as it takes.
func (a *app) viaEngine(ctx context.Context, services []string, commands ...engine.Command) (err error) {
	all, err := a.load(ctx)
	if err != nil {
		return err
	}
	if err := known(all, services); err != nil {
		return err
	}
	if err := a.connect(ctx); err != nil {
		return err
	}
	ctx, explain := a.attended(ctx, all.Name, nil)
	defer func() { err = explain(err) }()
	if c := a.dial(ctx, all.Name); c != nil {
		for _, cmd := range commands {
			if err := a.do(ctx, all.Name, all, cmd); err != nil {
				return err
			}
		}
		return nil
	}
	opts := a.options()
	if opts.Services, err = a.withRestarted(ctx, all, services); err != nil {
		return err
	}
	p, err := project.Load(ctx, opts)
	if err != nil {
		return err
	}
	if opts.Scale, err = a.replicas(ctx, p); err != nil {
		return err
	}
	for _, cmd := range commands {
		if cmd.Verb == engine.VerbScale {
			opts.Scale[cmd.Services[0]] = cmd.Scale
		}
	}
	if p, err = project.Load(ctx, opts); err != nil {
		return err
	}
	s, err := a.open(ctx, p, engine.Options{NoWatch: true, NoStats: true}, nil, false)
	if err != nil {
		return fmt.Errorf("%s %s: %w", commands[0].Verb, p.Name, err)
	}
	s.printer = newPrinter(a.parts.Stdout)
	s.eventsOnly = true
	followers := slices.DeleteFunc(slices.Clone(opts.Services), func(name string) bool { return slices.Contains(services, name) })
	return s.run(func(sctx context.Context) (Outcome, error) {
		defer context.AfterFunc(ctx, s.end)()
		return Leave, s.carryOut(sctx, commands, followers)
	})
}

// carryOut does commands one after the other, and then waits for those that are restarted with their services.
func (s *session) carryOut(ctx context.Context, commands []engine.Command, followers []string) error {
	for _, cmd := range commands {
		cmd.Cause = "you asked for it"
		if err := s.e.Do(ctx, cmd); err != nil {
			if !strings.HasPrefix(err.Error(), string(cmd.Verb)) {
				err = fmt.Errorf("%s %s: %w", cmd.Verb, s.p.Name, err)
			}
			return err
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

// withRestarted adds to services those that run and want to be restarted with one of them (depends_on.restart), and so on. No services
// are all of them.
func (a *app) withRestarted(ctx context.Context, p *project.Project, services []string) ([]string, error) {
	if len(services) == 0 {
		return nil, nil
	}
	instances, err := a.rt.Instances(ctx, p.Name)
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", p.Name, err)
	}
	all := slices.Clone(services)
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

// replicas counts the containers of a project's services, so that an engine of our own keeps as many of each as there are.
func (a *app) replicas(ctx context.Context, p *project.Project) (map[string]int, error) {
	instances, err := a.rt.Instances(ctx, p.Name)
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
