package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// serviceVerb is a verb that works on a running project from another terminal
// and needs nothing but the names of services: start, stop and their like.
type serviceVerb struct {
	app   *app
	verb  engine.Verb
	short string
	// stops adds --timeout, and follows adds --dependents.
	stops, follows bool

	grace      graceFlag
	dependents bool
}

func (v *serviceVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               string(v.verb) + " [SERVICE…]",
		Short:             v.short,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			a := &action{app: v.app, cmd: engine.Command{Verb: v.verb, Services: services, Grace: v.grace.value(cmd), Dependents: v.dependents}}
			return a.run(cmd.Context())
		},
	}
	if v.stops {
		v.grace.add(c)
	}
	if v.follows {
		c.Flags().BoolVar(&v.dependents, "dependents", false, "with all that depend on them")
	}
	return c
}

// graceFlag is --timeout of the verbs that stop containers.
type graceFlag struct{ seconds int }

func (f *graceFlag) add(c *cobra.Command) {
	c.Flags().IntVarP(&f.seconds, "timeout", "t", 0, "`seconds` between the stop signal and the kill")
}

// value is nil where the flag was not given: each service has its own grace then.
func (f *graceFlag) value(c *cobra.Command) *time.Duration {
	if !c.Flags().Changed("timeout") {
		return nil
	}
	d := time.Duration(f.seconds) * time.Second
	return &d
}

// action is one command on a project that runs already: through the `up` that
// holds it, else on the engine directly.
type action struct {
	app *app
	cmd engine.Command

	// Set by run:
	name string
	p    *project.Project // nil where there is only a name
}

func (x *action) run(ctx context.Context) (err error) {
	connected := x.app.conn.startConnect(ctx)
	x.name, x.p, err = x.app.loader.find(ctx)
	noEngine := connected(err)
	if err == nil {
		err = checkServices(x.p, x.cmd.Services)
	}
	if err == nil {
		err = noEngine
	}
	if err != nil {
		return err
	}
	ctx, explain := x.app.conn.supervise(ctx, x.name, x.stopNotices())
	defer func() { err = x.interrupted(explain(err)) }()
	if x.cmd.Verb == engine.VerbKill {
		return x.kill(ctx)
	}
	return x.do(ctx)
}

// do carries the command out and prints what it led to.
func (x *action) do(ctx context.Context) error {
	out := newPrinter(x.app.console.stdout)
	if c := x.app.conn.dial(ctx, x.name); c != nil {
		lines, err := c.do(ctx, x.cmd)
		for _, l := range lines {
			out.text(l)
		}
		if err != nil {
			return x.named(err)
		}
		return out.failed()
	}
	if x.cmd.Cause == "" {
		x.cmd.Cause = "you asked for it"
	}
	if x.cmd.Verb != engine.VerbDown {
		if err := x.present(ctx); err != nil {
			return x.named(err)
		}
	}
	err := engine.Direct(ctx, x.app.conn.rt, x.name, x.p, x.cmd, func(r engine.Record) { out.text(eventText(r)) })
	if err != nil {
		return x.named(err)
	}
	return out.failed()
}

// named makes an error begin with the command, where it does not say by itself what was being done.
func (x *action) named(err error) error {
	if namesWhat(err) {
		return err
	}
	return fmt.Errorf("%s: %w", x.what(), err)
}

// namesWhat says whether an error names what was being done.
func namesWhat(err error) bool {
	var remote *remoteError
	return container.What(err) != "" || errors.As(err, &remote) && remote.named
}

// what is the command in words: "stop web db", or "stop shop" for all of it.
func (x *action) what() string {
	of := strings.Join(x.cmd.Services, " ")
	if of == "" {
		of = x.name
	}
	return string(x.cmd.Verb) + " " + of
}

// present refuses to act on containers that are not there.
func (x *action) present(ctx context.Context) error {
	instances, err := x.app.conn.rt.Instances(ctx, x.name)
	if err != nil {
		return err
	}
	if len(instances) == 0 {
		return fmt.Errorf("project %s has no containers; `bulkhead up` makes them", x.name)
	}
	for _, s := range x.cmd.Services {
		if !slices.ContainsFunc(instances, func(in engine.Instance) bool { return in.Service == s }) {
			return fmt.Errorf("%s has no container; `bulkhead up %s` makes it", s, s)
		}
	}
	return nil
}
