package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hbollon/go-edlib"
	"github.com/spf13/cobra"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// loader loads the project that the shared flags name.
type loader struct {
	console *console
	env     *environment
	flags   sharedFlags
	typed   *project.Typed // what was read from pipes that were named on the command line
}

// options are what the shared flags say about the project.
func (l *loader) options() project.Options {
	return project.Options{
		Files: l.flags.files, EnvFiles: l.flags.envFiles, Profiles: l.flags.profiles,
		Name: l.flags.name, Dir: l.flags.dir,
		Stdin: l.console.stdin, Env: l.env.lines, Typed: l.typed,
		All: l.flags.all, Compatible: l.flags.compatible,
		Slow: func(what string) {
			if what == "" {
				what = "the Compose files"
			}
			l.console.notify("waiting for " + what + " to be read")
		},
	}
}

// lenient are the options of a load for what makes no containers and prints no environments: an
// env_file that is missing or broken is not an error, as docker compose has it.
func (l *loader) lenient() project.Options {
	o := l.options()
	o.EnvOptional = true
	return o
}

// load loads the project that the flags name. Services that it does not have are an error.
func (l *loader) load(ctx context.Context, services ...string) (*project.Project, error) {
	return loadNaming(ctx, l.options(), services)
}

// loadLenient is load with the options of lenient.
func (l *loader) loadLenient(ctx context.Context, services ...string) (*project.Project, error) {
	return loadNaming(ctx, l.lenient(), services)
}

func loadNaming(ctx context.Context, o project.Options, services []string) (*project.Project, error) {
	p, err := project.Load(ctx, o)
	if err == nil {
		err = checkServices(p, services)
	}
	return p, err
}

// loadAndConnect loads a project whose containers are to be made, and connects meanwhile. warn prints
// what its files ask for in vain, also where no engine answers.
func (a *app) loadAndConnect(ctx context.Context, o project.Options, warn bool) (*project.Project, error) {
	connected := a.conn.startConnect(ctx)
	p, err := project.Load(ctx, o)
	loaded := err == nil
	err = connected(err)
	if loaded && warn {
		a.console.printWarnings(p)
	}
	if err == nil {
		err = a.mountSocket(ctx, p)
	}
	return p, err
}

// loadToRun loads a project whose containers are to be made by the engine that is connected.
func (a *app) loadToRun(ctx context.Context, o project.Options) (*project.Project, error) {
	p, err := project.Load(ctx, o)
	if err == nil {
		err = a.mountSocket(ctx, p)
	}
	return p, err
}

// reloader loads a project again as o says, for when a file of it was saved.
func (a *app) reloader(o project.Options) func(context.Context) (*project.Project, error) {
	return func(ctx context.Context) (*project.Project, error) { return a.loadToRun(ctx, o) }
}

// mountSocket carries use_api_socket out, for which the credentials of the connected engine's user are read.
func (a *app) mountSocket(ctx context.Context, p *project.Project) (err error) {
	if !p.WantsSocket() {
		return nil
	}
	config := ""
	if c, ok := a.conn.rt.(container.Credentialer); ok {
		if config, err = c.Credentials(ctx); err != nil {
			return fmt.Errorf("use_api_socket: %w", err)
		}
	}
	return p.MountSocket(config)
}

// find loads the project that a verb works on. A project name is enough (p is nil then), and containers
// are found by their labels: where -p names it without -f, as docker compose has it, or where there is no
// Compose file. Services that its file does not have are an error.
func (l *loader) find(
	ctx context.Context, services ...string,
) (name string, p *project.Project, err error) {
	if l.flags.name != "" && len(l.flags.files) == 0 {
		return l.flags.name, nil, project.CheckName(l.flags.name)
	}
	p, err = project.Load(ctx, l.lenient())
	if err == nil {
		return p.Name, p, checkServices(p, services)
	}
	named := l.flags.name
	if named == "" {
		named = l.env.get("COMPOSE_PROJECT_NAME")
	}
	var load *project.LoadError
	// A file that was named, or that is there and wrong, is an error: acting on less than it says would be a surprise.
	if named != "" && len(l.flags.files) == 0 && errors.As(err, &load) && load.File == "" {
		return named, nil, nil
	}
	return "", nil, err
}

// named gives the variables of -e that have no value the one that the project's environment has: the
// person's own, and .env. Others stay as they are. p is nil where only a name is known.
func (l *loader) named(ctx context.Context, p *project.Project, vars []string) []string {
	bare := func(e string) bool { return !strings.Contains(e, "=") }
	if !slices.ContainsFunc(vars, bare) {
		return vars
	}
	env := l.env.vars
	if p == nil {
		p, _ = project.Load(ctx, l.lenient()) // without a file there is no .env to go by
	}
	if p != nil {
		env = p.Compose.Environment
	}
	out := slices.Clone(vars)
	for i, e := range out {
		if value, ok := env[e]; ok && bare(e) {
			out[i] = e + "=" + value
		}
	}
	return out
}

// checkServices refuses services that the project does not have.
func checkServices(p *project.Project, services []string) error {
	all := serviceNames(p)
	for _, s := range services {
		if slices.Contains(all, s) {
			continue
		}
		hint := "it has " + strings.Join(all, ", ")
		if near := nearest(s, all); near != "" {
			hint = "did you mean " + near + "?"
		}
		return usagef("project %s has no service %s; %s", p.Name, s, hint)
	}
	return nil
}

// serviceNames lists all services of a project, disabled ones included.
func serviceNames(p *project.Project) []string {
	var all []string
	for _, s := range p.Services {
		all = append(all, s.Name)
	}
	all = append(append(all, p.Disabled...), p.Unselected...)
	slices.Sort(all)
	return all
}

// nearest returns the word that a mistyped one most likely stands for, "" when none is near.
func nearest(typed string, all []string) string {
	best, near := "", 3 // two slips of the finger are forgiven
	for _, word := range all {
		// Of words equally near, the one with the same letters is what was meant: pu is up, not ps.
		d := edlib.OSADamerauLevenshteinDistance(typed, word)
		if d < len(typed) && (d < near || d == near && best != "" && len(word) == len(typed) &&
			!sameLetters(typed, best) && sameLetters(typed, word)) {
			best, near = word, d
		}
	}
	if best == "" {
		for _, word := range all {
			if typed != "" && strings.HasPrefix(word, typed) {
				return word
			}
		}
	}
	return best
}

func sameLetters(a, b string) bool {
	x, y := []rune(a), []rune(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// completeServices completes service names from the Compose file.
func (l *loader) completeServices(
	cmd *cobra.Command, args []string, _ string,
) ([]string, cobra.ShellCompDirective) {
	p, err := l.loadLenient(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(serviceNames(p), func(s string) bool { return slices.Contains(args, s) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeOne completes the first argument only.
func (l *loader) completeOne(
	cmd *cobra.Command, args []string, typed string,
) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return l.completeServices(cmd, args, typed)
}

// withServices makes a verb of a function that takes the services that are named.
func withServices(
	run func(ctx context.Context, services []string) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, services []string) error { return run(cmd.Context(), services) }
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s: it takes no arguments, and %q is one; see `%s --help`", cmd.Name(),
			args[0], cmd.CommandPath())
	}
	return nil
}

// atLeast wants a number of arguments.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usagef("%s: it needs %s; see `%s --help`", cmd.Name(), what, cmd.CommandPath())
		}
		return nil
	}
}

// between wants a number of arguments, and not more.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("%s: it takes %s; see `%s --help`", cmd.Name(), what, cmd.CommandPath())
		}
		return nil
	}
}

// exclusive lets a person set one of some flags only.
func exclusive(c *cobra.Command, names ...string) {
	before := c.PreRunE
	c.PreRunE = func(cmd *cobra.Command, args []string) error {
		var set []string
		for _, n := range names {
			if cmd.Flags().Changed(n) {
				set = append(set, "--"+n)
			}
		}
		if len(set) > 1 {
			return usagef("%s: %s exclude each other; write one of them", cmd.Name(),
				strings.Join(set, " and "))
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}
