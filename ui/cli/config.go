package cli

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine/project"
)

type configVerb struct {
	app                 *app
	asJSON, hash, quiet bool
}

func (v *configVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "config [SERVICE…]",
		Short:             "Print the loaded project",
		Long:              "Print the loaded project as YAML: merged, interpolated, with compose.bulkhead.yaml. Exit code 2 when it does not load.",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              func(cmd *cobra.Command, services []string) error { return v.run(cmd.Context(), services) },
	}
	c.Flags().BoolVar(&v.asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&v.hash, "hash", false, "`service hash` lines: what docker compose recreates containers by")
	c.Flags().BoolVarP(&v.quiet, "quiet", "q", false, "print nothing; the exit code says whether it loads")
	exclusive(c, "json", "hash", "quiet")
	return c
}

func (v *configVerb) run(ctx context.Context, services []string) error {
	o := v.app.loader.options()
	if !v.hash {
		o.Services = services
	}
	p, err := project.Load(ctx, o)
	if err != nil {
		return err
	}
	if err := checkServices(p, services); err != nil {
		return err
	}
	v.app.console.printWarnings(p)
	var out []byte
	switch {
	case v.quiet:
	case v.hash:
		for _, s := range p.Services {
			if len(services) == 0 || slices.Contains(services, s.Name) {
				out = fmt.Appendf(out, "%s %s\n", s.Name, s.Hash)
			}
		}
	case v.asJSON:
		if out, err = p.JSON(); err != nil {
			return err
		}
		out = append(loadable(escaped(out)), '\n')
	default:
		if out, err = p.YAML(); err != nil {
			return err
		}
		out = loadable(out)
	}
	_, err = v.app.console.stdout.Write(out)
	return err
}

// loadable writes each dollar sign twice, as docker compose does, so that what is printed loads
// again as the same project.
func loadable(out []byte) []byte { return bytes.ReplaceAll(out, []byte("$"), []byte("$$")) }

type keysVerb struct{ app *app }

func (v *keysVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "Print the key map in the form of the config file",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := v.app.keys()
			if err != nil {
				return &exit{code: exitUsage, err: err}
			}
			_, err = fmt.Fprint(v.app.console.stdout, text)
			return err
		},
	}
}

type versionVerb struct{ app *app }

func (v *versionVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(v.app.console.stdout, version())
			return err
		},
	}
}

// version says what this program was built from.
func version() string {
	v, revision, dirty := "(devel)", "", ""
	if b, ok := debug.ReadBuildInfo(); ok {
		if b.Main.Version != "" {
			v = b.Main.Version
		}
		for _, s := range b.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = " with changes"
			}
		}
	}
	out := "bulkhead " + v
	// A version that the go command makes up of a commit names it already.
	if revision != "" && !strings.Contains(v, revision) {
		out += " " + revision + dirty
	}
	return fmt.Sprintf("%s %s %s/%s", out, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
