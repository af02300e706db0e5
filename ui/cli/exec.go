package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

type execVerb struct {
	app         *app
	o           engine.ExecOptions
	noTTY, tty  bool
	interactive bool
	replica     int
}

func (v *execVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "exec SERVICE COMMAND [ARG…]",
		Short:             "Run a command in a service's container",
		Long:              "Run a command in a running container, on a terminal where stdin and stdout are one. The exit code is the command's.",
		Args:              atLeast(2, "a service and a command"),
		ValidArgsFunction: v.app.loader.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.o.Cmd = args[1:]
			_, in := terminal(v.app.console.stdin)
			_, out := terminal(v.app.console.stdout)
			v.o.TTY = in && out && v.tty && !v.noTTY
			if v.o.Detach {
				v.o.TTY = v.tty && cmd.Flags().Changed("tty")
			}
			return v.run(cmd.Context(), args[0])
		},
	}
	fs := c.Flags()
	fs.SetInterspersed(false) // flags after the service are the command's
	fs.BoolVarP(&v.noTTY, "no-tty", "T", false, "no terminal, though stdin is one")
	fs.StringArrayVarP(&v.o.Env, "env", "e", nil, "`KEY=value` for the command, repeatable; KEY alone takes it from here")
	fs.StringVarP(&v.o.User, "user", "u", "", "run as this `user`")
	fs.StringVarP(&v.o.Dir, "workdir", "w", "", "run in this `folder`")
	fs.BoolVarP(&v.o.Detach, "detach", "d", false, "leave the command running")
	fs.BoolVarP(&v.interactive, "interactive", "i", true, "keep stdin open")
	fs.BoolVarP(&v.tty, "tty", "t", true, "a terminal")
	for _, name := range []string{"interactive", "tty"} {
		fs.Lookup(name).Hidden = true // both are so by themselves; -it comes from the fingers
	}
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "no-TTY" { // of older releases of docker compose
			name = "no-tty"
		}
		return pflag.NormalizedName(name)
	})
	fs.BoolVar(&v.o.Privileged, "privileged", false, "with all privileges")
	fs.Var(number{&v.replica, 0, mostReplica}, "index", "`number` of the replica; else the first that runs")
	return c
}

func (v *execVerb) run(ctx context.Context, service string) error {
	o := v.o
	name, p, err := v.app.loader.find(ctx, service)
	if err != nil {
		return err
	}
	o.Env = v.app.loader.named(ctx, p, o.Env)
	if err := v.app.conn.connect(ctx); err != nil {
		return err
	}
	var in engine.Instance
	err = v.app.conn.supervised(ctx, name, func(ctx context.Context) (err error) {
		in, err = v.running(ctx, name, service)
		return err
	})
	if err != nil {
		return err
	}
	if v.app.would("exec in %s: %s", in.Name, strings.Join(o.Cmd, " ")) {
		return nil
	}
	if !o.Detach {
		o.Stdin, o.Stdout, o.Stderr = v.app.console.stdin, unguarded(v.app.console.stdout),
			unguarded(v.app.console.stderr)
		if !v.interactive {
			o.Stdin = nil
		}
	}
	code, err := v.app.console.onTerminal(ctx, o.TTY && !o.Detach, func(sizes <-chan engine.Size) (int, error) {
		if o.Resize = sizes; sizes != nil {
			o.Stderr = nil // a terminal has one stream
		}
		return v.app.conn.rt.Exec(ctx, in.ID, o)
	})
	if errors.Is(err, container.ErrDetached) {
		return nil // the command runs on
	}
	if err != nil {
		return fmt.Errorf("exec in %s: %w", service, err)
	}
	if code != 0 {
		return &exit{code: code}
	}
	return nil
}

// onTerminal runs f with the terminal raw and its sizes, and restores it whatever f does. f runs without
// sizes, which are nil then, and the terminal stays as it is where wanted is false or stdin and stdout are
// not both terminals.
func (c *console) onTerminal(
	ctx context.Context, wanted bool, f func(sizes <-chan engine.Size) (int, error),
) (code int, err error) {
	in, isIn := terminal(c.stdin)
	out, isOut := terminal(c.stdout)
	if !wanted || !isIn || !isOut {
		return f(nil)
	}
	before, err := term.MakeRaw(in)
	if err != nil {
		return 0, fmt.Errorf("make the terminal raw: %w", err)
	}
	defer term.Restore(in, before)
	ctx, cancel := context.WithCancel(ctx)
	g := &group{ctx: ctx}
	defer g.Wait()
	defer cancel()
	sizes := make(chan engine.Size, 1)
	g.Go("terminal size", func(ctx context.Context) error {
		return eachResize(ctx, func() {
			w, h, err := term.GetSize(out)
			if err != nil {
				return // it has none, as a serial line
			}
			select {
			case <-sizes: // the size before was not read yet; it is old now
			default:
			}
			sizes <- engine.Size{Width: w, Height: h}
		})
	})
	return f(sizes)
}

// running finds the container to run a command in.
func (v *execVerb) running(ctx context.Context, name, service string) (engine.Instance, error) {
	instances, err := v.app.conn.rt.Instances(ctx, name)
	if err != nil {
		return engine.Instance{}, fmt.Errorf("exec in %s: %w", service, err)
	}
	var found *engine.Instance
	others := false
	for i, in := range instances {
		switch {
		case in.Service != service:
		case v.replica != 0 && in.Replica != v.replica:
			others = true
		case in.State == engine.StateRunning:
			return in, nil
		default:
			found = &instances[i]
		}
	}
	switch {
	case found == nil && others:
		err = fmt.Errorf("it has no replica %d; `bulkhead ps` lists them", v.replica)
	case found == nil:
		err = fmt.Errorf("it has no container; `bulkhead up %s` makes it", service)
	case found.State == engine.StatePaused:
		err = fmt.Errorf("it is paused; `bulkhead unpause %s` lets it go on", service)
	default:
		err = fmt.Errorf("it is %s; `bulkhead start %s` starts it", found.State, service)
	}
	return engine.Instance{}, fmt.Errorf("exec in %s: %w", service, err)
}
