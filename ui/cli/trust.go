package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/project"
)

// trustVerb shows what a project runs on this machine, and notes that the person agrees.
type trustVerb struct {
	app    *app
	list   bool
	forget bool
}

func (v *trustVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "trust",
		Short: "Show the programs that the project runs on this machine, and allow them",
		Long: `Show the programs that the project's files run on this machine, outside of any container: x-bulkhead.prepare and provider
services. Each is shown with its file and line, the whole command and what it adds to the environment. They are allowed then:
for this folder, these commands and this environment, until one of them changes. Variables that your own shell has set enter
by name, and may have another value the next time. What a script contains that a command calls is not covered.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd.Context()) },
	}
	c.Flags().BoolVar(&v.list, "list", false, "only show them")
	c.Flags().BoolVar(&v.forget, "forget", false, "take all answers for this folder back")
	exclusive(c, "list", "forget")
	return c
}

func (v *trustVerb) run(ctx context.Context) error {
	p, err := v.app.loader.load(ctx)
	if err != nil {
		return err
	}
	trust := v.app.trust(p)
	if v.forget {
		if err := trust.Forget(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(v.app.console.stdout,
			"No program of %s is allowed on this machine any more.\n", clean(p.Dir))
		return err
	}
	all := engine.HostCommands(p)
	if len(all) == 0 {
		_, err := fmt.Fprintf(v.app.console.stdout,
			"%s runs nothing on this machine outside of its containers.\n", clean(p.Name))
		return err
	}
	missing := trust.Missing(all)
	var b strings.Builder
	for _, c := range all {
		b.WriteString(hostCommandText(c, trust.Allows(c)))
	}
	b.WriteString("Not covered: what a script or program contains that one of these calls.\n")
	switch {
	case v.list || v.app.loader.flags.dryRun:
		fmt.Fprintf(&b, "%d of %d allowed in %s.\n", len(all)-len(missing), len(all), clean(p.Dir))
	default:
		if err := trust.Allow(all...); err != nil {
			return err
		}
		fmt.Fprintf(&b,
			"Allowed in %s, until one of them changes; `bulkhead trust --forget` takes it back.\n",
			clean(p.Dir))
	}
	if _, err := fmt.Fprint(v.app.console.stdout, b.String()); err != nil || v.list ||
		v.app.loader.flags.dryRun {
		return err
	}
	return v.wake(ctx, p)
}

// wake has a running `up` of the project go on with what waited for the answer.
func (v *trustVerb) wake(ctx context.Context, p *project.Project) error {
	if err := v.app.conn.connect(ctx); errors.Is(err, engine.ErrNoEngine) {
		return nil // so nothing of it runs
	} else if err != nil {
		return err
	}
	up, err := v.app.conn.dial(ctx, p.Name)
	if up == nil || err != nil {
		return err
	}
	_, err = up.do(ctx, engine.Command{Verb: engine.VerbTrust, Cause: "allowed from another terminal"})
	return err
}

// hostCommandText is one command as a person agrees to it.
func hostCommandText(c engine.HostCommand, allowed bool) string {
	mark := "not allowed yet"
	if allowed {
		mark = "allowed"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s of %s  (%s)\n", clean(c.Place), c.Kind, clean(c.Service), mark)
	for line := range strings.SplitSeq(c.Command, "\n") {
		fmt.Fprintf(&b, "    %s\n", clean(line))
	}
	for _, e := range c.Env {
		fmt.Fprintf(&b, "      with %s\n", oneLine(e))
	}
	return b.String()
}

// trust returns what the person has agreed to run on this machine for a project.
func (a *app) trust(p *project.Project) *hostcmd.Trust {
	t := hostcmd.OpenTrust(a.env.stateDir(), p.Dir)
	if a.trusting() {
		t.AllowAll()
	}
	return t
}

// trusting says whether all host commands are allowed for this run.
func (a *app) trusting() bool {
	yes, err := strconv.ParseBool(a.env.get("BULKHEAD_TRUST"))
	return a.loader.flags.trust || err == nil && yes
}

// untrustedError is the error of a session that left services down because nobody has allowed what they
// run on this machine; nil when there are none.
func (s *session) untrustedError() error {
	snap := s.e.Snapshot()
	var left []string
	for _, c := range snap.Untrusted {
		for _, svc := range snap.Services {
			if svc.Name == c.Service && svc.Untrusted {
				left = append(left, c.Service+" needs "+c.String())
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf(
		"up %s: nobody has allowed this on the host: %s; `bulkhead trust` shows and allows it, --trust does so for one run", s.p.Name, strings.Join(left, ", "))
}
