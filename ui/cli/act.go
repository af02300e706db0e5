package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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
	noDeps     bool // of restart
	ready      bool // of start: --wait
	wait       seconds
}

func (v *serviceVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               string(v.verb) + " [SERVICE…]",
		Short:             v.short,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			a := &action{app: v.app, cmds: []engine.Command{
				{Verb: v.verb, Services: services, Grace: v.grace.value(cmd),
					Dependents: v.dependents, Alone: v.noDeps,
					Needed: v.verb == engine.VerbStart},
			}, ready: v.ready, wait: v.wait}
			return a.run(cmd.Context())
		},
	}
	v.app.addTakeOver(c)
	if v.stops {
		v.grace.add(c)
	}
	if v.follows {
		c.Flags().BoolVar(&v.dependents, "dependents", false, "with all that depend on them")
		c.Flags().BoolVar(&v.noDeps, "no-deps", false, "without those that depends_on has restarted with them")
		exclusive(c, "dependents", "no-deps")
	}
	if v.verb == engine.VerbStart {
		c.Flags().BoolVar(&v.ready, "wait", false,
			"wait until they are ready; what has exited, or does not become ready, is an error")
		c.Flags().Var(&v.wait, "wait-timeout",
			"how `long` one may take for that from its start on, as 60 or 90s; 0 is for ever")
	}
	return c
}

// graceFlag is --timeout of the verbs that stop containers.
type graceFlag struct{ seconds int }

func (f *graceFlag) add(c *cobra.Command) {
	c.Flags().VarP(number{&f.seconds, 0, longestGrace}, "timeout", "t",
		"`seconds` between the stop signal and the kill")
}

// value is nil where the flag was not given: each service has its own grace then.
func (f *graceFlag) value(c *cobra.Command) *time.Duration {
	if !c.Flags().Changed("timeout") {
		return nil
	}
	d := time.Duration(f.seconds) * time.Second
	return &d
}

// action is one or more commands on a project: through the `up` that runs it, else by an engine of their
// own that runs for as long as they take.
type action struct {
	app  *app
	cmds []engine.Command // of one verb; stops, follows and the like are those of the first

	ready  bool // what was started is waited for, each for wait
	wait   seconds
	noDeps bool // what the services depend on is left alone

	// Set by run:
	name    string
	p       *project.Project        // nil where there is only a name
	session atomic.Pointer[session] // of an engine of its own; nil without one
}

// makes says whether the verb makes containers, for which it needs the file.
func (x *action) makes() bool {
	return x.verb() == engine.VerbRebuild || x.verb() == engine.VerbScale
}

func (x *action) verb() engine.Verb { return x.cmds[0].Verb }

// services are those that the commands name.
func (x *action) services() []string {
	var out []string
	for _, cmd := range x.cmds {
		out = append(out, cmd.Services...)
	}
	return out
}

func (x *action) run(ctx context.Context) (err error) {
	connected := x.app.conn.startConnect(ctx)
	if x.makes() {
		if x.p, err = x.app.loader.loadLenient(ctx, x.services()...); err == nil {
			x.name = x.p.Name
			err = x.resolved()
		}
	} else {
		x.name, x.p, err = x.app.loader.find(ctx, x.services()...)
	}
	if err = connected(err); err == nil && x.makes() {
		err = x.app.mountSocket(ctx, x.p)
	}
	if err != nil {
		return err
	}
	ctx, explain := x.app.conn.supervise(ctx, x.name, x.stopNotices())
	defer func() { err = x.interrupted(explain(err)) }()
	if x.verb() == engine.VerbKill {
		return x.kill(ctx)
	}
	if left, err := x.leaveOutIdle(ctx); err != nil || !left {
		return err
	}
	return x.do(ctx)
}

// resolved returns the error of the first service whose env_file cannot be read, of those that the
// commands name, or else of all.
func (x *action) resolved() error {
	for _, s := range x.p.Services {
		if s.EnvErr != nil && (len(x.services()) == 0 || slices.Contains(x.services(), s.Name)) {
			return s.EnvErr
		}
	}
	return nil
}

// do carries the commands out and prints on stderr what they led to.
func (x *action) do(ctx context.Context) error {
	out := x.app.console.progressPrinter()
	if x.dry() {
		return nil
	}
	done, err := x.app.conn.through(ctx, x.name, func(c *client) error {
		if err := x.ask(ctx, c, out); err != nil || !x.ready {
			return err
		}
		lines, err := c.wait(ctx, x.services(), time.Duration(x.wait))
		x.app.console.printLines(lines)
		return err
	})
	switch {
	case err != nil && !done:
		return x.named(x.cmds[0], err)
	case err != nil:
		return err
	case !done: // an `up` that is ending stops what it ran; what is left to do is done here
		return x.alone(ctx, out)
	}
	return out.failed()
}

// ask has the running `up` carry the commands out.
func (x *action) ask(ctx context.Context, up *client, out *printer) error {
	for _, cmd := range x.cmds {
		lines, err := up.do(ctx, cmd)
		for _, l := range lines {
			out.text(l)
		}
		if err != nil {
			return x.named(cmd, err)
		}
	}
	return nil
}

// dry says of a dry run what would be done; it is false of another.
func (x *action) dry() bool {
	dry := false
	for _, cmd := range x.cmds {
		dry = x.app.would("%s", x.what(cmd)) || dry
	}
	return dry
}

// named makes an error begin with the command, where it does not say by itself what was being done.
func (x *action) named(cmd engine.Command, err error) error {
	if namesWhat(err) {
		return err
	}
	return fmt.Errorf("%s: %w", x.what(cmd), err)
}

// namesWhat says whether an error names what was being done.
func namesWhat(err error) bool {
	var remote *remoteError
	return container.What(err) != "" || errors.As(err, &remote) && remote.named
}

// what is a command in words: "stop web db", or "stop shop" for all of it.
func (x *action) what(cmd engine.Command) string {
	of := strings.Join(cmd.Services, " ")
	if of == "" {
		of = x.name
	}
	if cmd.Verb == engine.VerbScale {
		of = fmt.Sprintf("%s to %d", of, cmd.Scale)
	}
	return string(cmd.Verb) + " " + of
}
