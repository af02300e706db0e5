package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/mattn/go-shellwords"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/hostfile"
	"bulkhead/engine/images"
	"bulkhead/engine/oneoff"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
)

// runVerb runs a command in a container of its own, beside those of a service.
type runVerb struct {
	app *app
	o   oneoff.Options

	entrypoint     string
	env, envFiles  []string
	labels         []string
	detach, noDeps bool
	noRecreate     bool
	noTTY, tty     bool
	quiet          bool
	quietBuild     bool
	quietPull      bool
	orphans        bool
}

func (v *runVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "run SERVICE [COMMAND] [ARG…]",
		Short: "Run a command once, in a container of its own beside a service's",
		Long: `Run a command once in a new container that is made as the service's are, after what the service depends on is up. Its
ports are not published without -P. The exit code is the command's.`,
		Args:              atLeast(1, "a service"),
		ValidArgsFunction: v.app.loader.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.run(cmd, args[0], args[1:])
		},
	}
	fs := c.Flags()
	fs.SetInterspersed(false) // flags after the service are the command's
	// -p of run is --publish, as everywhere else; --project-name has its long name only here.
	v.app.loader.flags.addName(fs, "")
	fs.BoolVarP(&v.detach, "detach", "d", false, "leave it running and print its id")
	fs.BoolVar(&v.o.Remove, "rm", false, "remove the container when it has ended")
	fs.StringArrayVarP(&v.env, "env", "e", nil,
		"`KEY=value` for the command, repeatable; KEY alone takes it from here")
	fs.StringArrayVar(&v.envFiles, "env-from-file", nil, "read variables from this `file`, repeatable")
	fs.StringArrayVarP(&v.labels, "label", "l", nil, "`KEY=value` for the container, repeatable")
	fs.BoolVarP(&v.noTTY, "no-tty", "T", false, "no terminal, though stdin and stdout are one")
	fs.BoolVarP(&v.tty, "tty", "t", true, "a terminal")
	fs.BoolVarP(&v.o.Interactive, "interactive", "i", true, "keep stdin open")
	fs.StringVar(&v.o.Name, "name", "", "`name` of the container")
	fs.StringVarP(&v.o.User, "user", "u", "", "run as this `user`")
	fs.StringVarP(&v.o.Dir, "workdir", "w", "", "run in this `folder`")
	fs.StringVar(&v.entrypoint, "entrypoint", "", "`command` in the place of the image's entrypoint")
	fs.StringArrayVar(&v.o.CapAdd, "cap-add", nil, "add a Linux `capability`, repeatable")
	fs.StringArrayVar(&v.o.CapDrop, "cap-drop", nil, "drop a Linux `capability`, repeatable")
	fs.BoolVar(&v.noDeps, "no-deps", false, "do not start what the service depends on")
	fs.BoolVar(&v.noRecreate, "no-recreate", false,
		"replace no container of what it depends on, though it is not as it should be")
	fs.StringArrayVarP(&v.o.Volumes, "volume", "v", nil, "mount `SOURCE:TARGET` too, repeatable")
	fs.StringArrayVarP(&v.o.Publish, "publish", "p", nil, "publish a `port`, as in ports:, repeatable")
	fs.BoolVarP(&v.o.Ports, "service-ports", "P", false, "publish the service's ports")
	fs.BoolVar(&v.o.UseAliases, "use-aliases", false, "its networks find it under the service's names")
	fs.BoolVar(&v.o.Build, "build", false, "build the image even if it is there")
	fs.StringVar(&v.o.Pull, "pull", "", "pull `policy`: always, missing, never, build")
	fs.BoolVarP(&v.quiet, "quiet", "q", false, "print nothing but the output of the command")
	fs.BoolVar(&v.quietBuild, "quiet-build", false, "do not print the steps of builds")
	fs.BoolVar(&v.quietPull, "quiet-pull", false, "do not print pulls")
	fs.BoolVar(&v.orphans, "remove-orphans", false, "remove containers of services that the file does not name")
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name {
		case "volumes":
			name = "volume"
		case "labels":
			name = "label"
		case "no-TTY":
			name = "no-tty"
		}
		return pflag.NormalizedName(name)
	})
	exclusive(c, "service-ports", "publish")
	exclusive(c, "tty", "no-tty")
	v.app.addTakeOver(c)
	return c
}

func (v *runVerb) run(cmd *cobra.Command, service string, command []string) error {
	ctx := cmd.Context()
	v.o.Command = command
	if err := v.read(cmd); err != nil {
		return err
	}
	opts := v.app.loader.options()
	opts.Services, opts.NoDeps = []string{service}, v.noDeps
	p, err := v.app.loadAndConnect(ctx, opts, false)
	if err != nil {
		return err
	}
	if v.o.Env, err = v.environment(ctx, p); err != nil {
		return err
	}
	// A terminal that only one side has is none: what is typed would not come, or the output go astray.
	if _, in := terminal(v.app.console.stdin); v.o.TTY && v.o.Interactive && !v.detach && !in {
		return fmt.Errorf("run %s: stdin is not a terminal; write -T", service)
	}
	if v.app.would("run %s", strings.Join(append([]string{service}, command...), " ")) {
		return nil
	}
	if err := v.dependencies(ctx, p, service); err != nil {
		return fmt.Errorf("run %s: %w", service, err)
	}
	m := &oneoff.Maker{Runtime: container.Completed(v.app.conn.rt), Builder: v.app.conn.builder,
		Project: p, Report: v.report}
	made, err := m.Make(ctx, service, v.o)
	if err != nil {
		return err
	}
	if v.detach {
		return v.background(ctx, m, made)
	}
	return v.foreground(ctx, m, made)
}

// read takes the flags that say more than one thing.
func (v *runVerb) read(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	_, in := terminal(v.app.console.stdin)
	_, out := terminal(v.app.console.stdout)
	switch {
	case changed("tty"):
		v.o.TTY = v.tty
	case changed("no-tty"):
		v.o.TTY = !v.noTTY
	case !changed("interactive") && !in:
		v.o.TTY = false
	default:
		v.o.TTY = out
	}
	if changed("entrypoint") {
		words, err := shellwords.Parse(v.entrypoint)
		if err != nil {
			return usagef("run: --entrypoint %s: %w", v.entrypoint, err)
		}
		v.o.Entrypoint = append([]string{}, words...)
	}
	if err := checkPull("run", v.o.Pull); err != nil {
		return err
	}
	v.o.Labels = map[string]string{}
	for _, l := range v.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok {
			return usagef("run: --label %s: write KEY=value", l)
		}
		v.o.Labels[key] = value
	}
	return nil
}

// pullPolicies are what --pull takes.
var pullPolicies = []string{"always", "never", "build", "missing", "if_not_present"}

func checkPull(verb, policy string) error {
	if policy != "" && !slices.Contains(pullPolicies, policy) {
		return usagef("%s: --pull %s: write one of %s", verb, policy, strings.Join(pullPolicies, ", "))
	}
	return nil
}

// environment is what -e and --env-from-file say; -e wins.
func (v *runVerb) environment(ctx context.Context, p *project.Project) (map[string]string, error) {
	env := map[string]string{}
	for _, e := range v.app.loader.named(ctx, p, v.env) {
		if key, value, ok := strings.Cut(e, "="); ok { // one that is set nowhere is left out
			env[key] = value
		}
	}
	for _, file := range v.envFiles {
		text, err := hostfile.Read(file, hostfile.MaxOther)
		if err != nil {
			return nil, fmt.Errorf("run: --env-from-file: %w", err)
		}
		vars, err := dotenv.ParseWithLookup(bytes.NewReader(text), func(key string) (string, bool) {
			value, ok := env[key]
			return value, ok
		})
		if err != nil {
			return nil, usagef("run: --env-from-file %s: %w", file, err)
		}
		for key, value := range vars {
			if _, ok := env[key]; !ok {
				env[key] = value
			}
		}
	}
	return env, nil
}

// report writes one line of progress to stderr, unless it is not wanted.
func (v *runVerb) report(kind images.Kind, line string) {
	if v.quiet || v.quietBuild && kind == images.BuildStep || v.quietPull && kind == images.PullStep {
		return
	}
	fmt.Fprintln(v.app.console.stderr, clean(line))
}

// dependencies brings up what a service depends on, and waits until it may start.
func (v *runVerb) dependencies(ctx context.Context, p *project.Project, service string) error {
	var names []string
	for _, s := range p.Services {
		if s.Name != service {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 && !v.orphans {
		return nil
	}
	own := p.Service(service)
	done, err := v.app.conn.through(ctx, p.Name, func(c *client) error {
		if len(names) == 0 {
			return nil
		}
		if !v.quiet {
			defer c.follow(ctx, v.app.console)()
		}
		if _, err := c.do(ctx, engine.Command{Verb: engine.VerbUp, Services: names, Cause: "run " +
			service}); err != nil {
			return err
		}
		_, err := c.wait(ctx, waited(own), 0)
		return err
	})
	if done || err != nil {
		return err
	}
	instances, err := v.app.conn.rt.Instances(ctx, p.Name)
	if err != nil {
		return fmt.Errorf("list the containers of %s: %w", p.Name, err)
	}
	deps := plan.Scaled(p.Without(service), instances)
	o := engine.Options{NoWatch: true, NoStats: true, NoLogs: true, RemoveOrphans: v.orphans}
	if v.noRecreate {
		o.Replace = engine.Replace{Policy: plan.None, Others: plan.None}
	}
	s, err := v.app.open(ctx, deps, o, sessionOptions{})
	if err != nil {
		return err
	}
	return s.runAndLeave(func(sctx context.Context) error {
		defer context.AfterFunc(ctx, s.end)()
		if !v.quiet {
			defer s.progress()()
		}
		if err := s.e.WaitUp(sctx, engine.Wait{}); err != nil {
			return err
		}
		return s.e.AwaitDependencies(sctx, own)
	})
}

// waited lists the services that have to become ready or complete before one may start.
func waited(s *project.Service) []string {
	var out []string
	for name, d := range s.DependsOn {
		if d.Condition != "service_started" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// background starts a one-off, prints its id, and leaves it.
func (v *runVerb) background(ctx context.Context, m *oneoff.Maker, made *oneoff.Made) error {
	if err := m.Start(ctx, made); err != nil {
		return err
	}
	if err := m.PostStart(ctx, made, v.hookLine); err != nil {
		return err
	}
	_, err := fmt.Fprintln(v.app.console.stdout, made.ID)
	return err
}

func (v *runVerb) hookLine(line []byte) { v.report(images.KindUnknown, "post_start: "+string(line)) }

// foreground starts a one-off on the streams of this process and returns its exit code.
func (v *runVerb) foreground(ctx context.Context, m *oneoff.Maker, made *oneoff.Made) error {
	out := v.app.console
	streams := container.Streams{Stdout: unguarded(out.stdout), Stderr: unguarded(out.stderr)}
	if v.o.Interactive {
		streams.Stdin = out.stdin
	}
	// What ends this program ends the one-off from here on, and its end ends this program.
	ctx, cancel := outliving(ctx)
	defer cancel()
	end := newEnder(made.Spec.Service, func(sig os.Signal) error {
		return m.Runtime.Kill(ctx, made.ID, signalName(sig))
	}, out.notify)
	defer v.app.interrupts.forward(end.take)()
	hooks := &group{ctx: ctx}
	start := func(ctx context.Context) error {
		if err := m.Start(ctx, made); err != nil {
			return err
		}
		hooks.Go("post_start", func(ctx context.Context) error { return m.PostStart(ctx, made, v.hookLine) })
		return nil
	}
	f := container.Completed(v.app.conn.rt)
	code, err := out.onTerminal(ctx, v.o.TTY, func(sizes <-chan engine.Size) (int, error) {
		streams.Resize = sizes
		return f.Foreground(ctx, made.ID, streams, start)
	})
	if errors.Is(err, container.ErrDetached) {
		return nil
	}
	killed := end.close()
	hooked := hooks.Wait()
	switch {
	case err == nil && killed != 0:
		return &exit{code: killed}
	case err != nil:
		return container.WrapErr(err, "run %s", made.Spec.Service.Name)
	case code != 0:
		return &exit{code: code}
	}
	return hooked
}
