package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bulkhead/engine"
)

// verb is one command of the program: a type in a file of its own, and a line
// in verbs.
type verb interface{ command() *cobra.Command }

// verbs are all commands but the root's own and cobra's.
func (a *app) verbs() []verb {
	return []verb{
		&upVerb{app: a},
		&downVerb{app: a},
		&psVerb{app: a},
		&logsVerb{app: a},
		&serviceVerb{app: a, verb: engine.VerbStart, short: "Start services that are stopped"},
		&serviceVerb{app: a, verb: engine.VerbStop,
			short: "Stop services, those that depend on others first", stops: true},
		&serviceVerb{app: a, verb: engine.VerbRestart, short: "Stop and start services", stops: true,
			follows: true},
		&killVerb{app: a},
		&serviceVerb{app: a, verb: engine.VerbPause, short: "Freeze services"},
		&serviceVerb{app: a, verb: engine.VerbUnpause, short: "Let frozen services go on"},
		&faultVerb{app: a},
		&healVerb{app: a},
		&rebuildVerb{app: a},
		&scaleVerb{app: a},
		&execVerb{app: a},
		&runVerb{app: a},
		&drillVerb{app: a}, &tapVerb{app: a},
		&createVerb{app: a},
		&watchVerb{app: a},
		&rmVerb{app: a},
		&configVerb{app: a},
		&imagesVerb{target: target{app: a}},
		&lsVerb{app: a},
		&portVerb{target: target{app: a}},
		&topVerb{target{app: a}},
		&statsVerb{target: target{app: a}},
		&eventsVerb{target: target{app: a}},
		&volumesVerb{target: target{app: a}},
		&cpVerb{target: target{app: a}},
		&exportVerb{target: target{app: a}},
		&commitVerb{target: target{app: a}},
		&buildVerb{app: a},
		&pullVerb{app: a},
		&pushVerb{app: a},
		&attachVerb{target: target{app: a}},
		&waitVerb{target: target{app: a}},
		&trustVerb{app: a},
		&doctorVerb{app: a},
		&demoVerb{app: a},
		&keysVerb{app: a},
		&versionVerb{app: a},
		&manVerb{app: a},
	}
}

// root is the program without a verb, which is up, with all verbs below it.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bulkhead",
		Short: "Run a Compose project, each service in its own container, rebuilt when its files change",
		Long: `bulkhead runs a Compose project on a screen: every service in its own container, rebuilt or synced when its
files change, with logs, health, restart and kill for each. Without a verb it is "bulkhead up".`,
		Version:       a.version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// Flags before the verb are read as the root's: the -f of logs is --follow, the one before it --file.
		TraverseChildren: true,
		Args:             knownVerb,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cmd == root {
			return usagef("%w; see `%s --help`", wrongValue(err), cmd.CommandPath())
		}
		return usagef("%s: %w; see `%s --help`", cmd.Name(), wrongValue(err), cmd.CommandPath())
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd != root {
			if err := misplacedFlag(root, cmd); err != nil {
				return err
			}
		}
		return a.loader.flags.settle(a.console, a.env, a.conn)
	}
	a.loader.flags.add(root.PersistentFlags(), a.conn.kinds)
	for _, f := range idleFlags {
		if f.verb == "" {
			f.add(root.PersistentFlags())
		}
	}
	a.completeShared(root)
	up := &upVerb{app: a}
	up.addFlags(root)
	root.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = true }) // `bulkhead up --help` lists them
	root.RunE = func(cmd *cobra.Command, _ []string) error { return up.run(cmd, nil) }
	for _, v := range a.verbs() {
		c := v.command()
		acceptIdle(c)
		root.AddCommand(c)
	}
	for _, o := range omitted {
		root.AddCommand(o.command())
	}
	root.SetOut(a.console.stdout) // it is asked for when the command is made
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = nil, func(_ *cobra.Command, args []string) error {
				return usagef("completion: %s; write one of bash, zsh, fish, powershell", wrongShell(args))
			}
		}
	}
	return root
}

// harmful are the verbs that are never suggested for a word that is not one: they end or remove what runs.
var harmful = map[string]bool{"down": true, "kill": true, "rm": true, "stop": true, "fault": true,
	"drill": true, "pause": true}

// misplacedFlag refuses the flags of up before another verb.
func misplacedFlag(root, cmd *cobra.Command) error {
	var err error
	root.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			err = usagef("--%s: it belongs after the verb; write bulkhead %s --%s", f.Name, cmd.Name(), f.Name)
		}
	})
	return err
}

// knownVerb refuses a word where a verb was expected.
func knownVerb(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "`bulkhead --help` lists the verbs"
	var verbs []string
	for _, c := range root.Commands() {
		// A slip of the finger must not lead to a loss: what destroys is typed in full.
		if !harmful[c.Name()] && !c.Hidden {
			verbs = append(verbs, c.Name())
		}
	}
	if near := nearest(args[0], verbs); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return usagef("unknown verb %q; %s", args[0], hint)
}

func wrongShell(args []string) string {
	if len(args) == 0 {
		return "it needs a shell"
	}
	return args[0] + " is not known"
}
