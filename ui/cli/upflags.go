package cli

import (
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bulkhead/engine"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
)

// makeFlags are the flags of the verbs that make containers: up and create.
type makeFlags struct {
	build, noBuild        bool
	pull                  string
	quietPull, quietBuild bool
	orphans               bool
	recreate, noRecreate  bool
	scale                 []string
}

func (f *makeFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.build, "build", false, "build the images even if they are there")
	fs.BoolVar(&f.noBuild, "no-build", false, "build nothing; a missing image is an error")
	fs.StringVar(&f.pull, "pull", "", "pull `policy` of all services: always, missing, never, build")
	fs.BoolVar(&f.quietPull, "quiet-pull", false, "do not print pulls")
	fs.BoolVar(&f.orphans, "remove-orphans", false, "remove containers of services that the file does not name")
	fs.BoolVar(&f.recreate, "force-recreate", false,
		"replace containers even if nothing of them changed; of the named services alone where there are names")
	fs.BoolVar(&f.noRecreate, "no-recreate", false, "replace no container, though it is not as it should be")
	fs.StringArrayVar(&f.scale, "scale", nil, "`SERVICE=N` replicas, repeatable")
}

// check refuses what contradicts itself.
func (f *makeFlags) check(verb string) error {
	switch {
	case f.build && f.noBuild:
		return usagef("%s: --build and --no-build exclude each other; write one of them", verb)
	case f.recreate && f.noRecreate:
		return usagef("%s: --force-recreate and --no-recreate exclude each other; write one of them", verb)
	}
	return checkPull(verb, f.pull)
}

// loadOptions are what the flags say about the project.
func (f *makeFlags) loadOptions(o *project.Options, services []string) (err error) {
	o.Services, o.Pull = services, f.pull
	o.Scale, err = scales(f.scale)
	return err
}

// replace is which containers are replaced.
func (f *makeFlags) replace(services []string) engine.Replace {
	r := engine.Replace{Named: services}
	switch {
	case f.recreate:
		r.Policy = plan.Every
	case f.noRecreate:
		r.Policy, r.Others = plan.None, plan.None
	}
	return r
}

func (f *makeFlags) buildPolicy() engine.BuildPolicy {
	switch {
	case f.build:
		return engine.BuildAlways
	case f.noBuild:
		return engine.BuildNever
	}
	return engine.BuildMissing
}

// quiet are the kinds of builds that are not printed.
func (f *makeFlags) quiet() []string {
	var out []string
	if f.quietPull {
		out = append(out, "pull")
	}
	if f.quietBuild {
		out = append(out, "build")
	}
	return out
}

// orphanFlags reads what the environment says about orphans: COMPOSE_REMOVE_ORPHANS stands for a
// flag that is not written, COMPOSE_IGNORE_ORPHANS has them not spoken of.
func (a *app) orphanFlags(
	c *cobra.Command, p *project.Project, remove bool,
) (removes, ignores bool, err error) {
	if !c.Flags().Changed("remove-orphans") {
		remove = isTrue(a.env.get("COMPOSE_REMOVE_ORPHANS"))
	}
	ignores = isTrue(a.env.get("COMPOSE_IGNORE_ORPHANS"))
	if p != nil && p.Compose != nil {
		ignores = isTrue(p.Compose.Environment["COMPOSE_IGNORE_ORPHANS"])
	}
	if remove && ignores {
		return false, false,
			usagef("%s: COMPOSE_IGNORE_ORPHANS and --remove-orphans exclude each other; take one back", c.Name())
	}
	return remove, ignores, nil
}

// isTrue reads a switch of the environment as docker compose does.
func isTrue(text string) bool {
	if text == "y" || text == "Y" || text == "yes" || text == "on" {
		return true
	}
	yes, err := strconv.ParseBool(text)
	return err == nil && yes
}

// upFlags are the flags of up.
type upFlags struct {
	makeFlags
	plain, json, detach bool
	watch, noWatch      bool
	leave               bool
	noColor, stamps     bool
	ready               bool // --wait
	wait                seconds
	logSize             string
	grace               graceFlag
	noDeps              bool
	recreateDeps        bool
	renewVolumes        bool
	noStart             bool
	attachFlags
}

// attachFlags are those that have up attached in docker compose's own manner.
type attachFlags struct {
	attach, noAttach []string
	attachDeps       bool
	abortOnExit      bool
	abortOnFailure   bool
	exitCodeFrom     string
	noPrefix         bool
	menu             bool
}

func (v *upVerb) addFlags(c *cobra.Command) {
	fs, f := c.Flags(), &v.flags
	f.makeFlags.add(fs)
	fs.BoolVar(&f.plain, "plain", false,
		"no screen: log lines after the name of their service, and a line for each event")
	fs.BoolVar(&f.json, "json", false, "no screen: a JSON object a line")
	fs.BoolVarP(&f.detach, "detach", "d", false,
		"start what has to be started and leave it running; with --json the list of ps in the end")
	fs.BoolVar(&f.ready, "wait", false,
		"as -d, and wait until all are ready: what has exited, or does not become ready, is an error")
	fs.BoolVarP(&f.watch, "watch", "w", false,
		"watch files; that is so anyway, but in docker compose's own mode")
	fs.BoolVar(&f.noWatch, "no-watch", false, "do not watch files")
	fs.BoolVar(&f.quietBuild, "quiet-build", false, "do not print builds")
	fs.BoolVar(&f.leave, "leave", false, "leave the project running when this ends")
	fs.BoolVar(&f.noColor, "no-color", false, "with --plain: no colours")
	fs.BoolVar(&f.stamps, "timestamps", false, "with --plain: the time before each log line")
	f.wait = seconds(5 * time.Minute)
	fs.Var(&f.wait, "wait-timeout",
		"how `long` a service that is waited for may take from its start on, as 60 or 90s; 0 is for ever. Without -d, say so when one takes longer")
	fs.StringVar(&f.logSize, "log-size", "",
		"keep this `size` of each service's log in memory, 16 times that in all (default 16MiB, or log_size of the config file)")
	f.grace.add(c)
	fs.BoolVar(&f.noDeps, "no-deps", false, "leave what the named services depend on alone")
	fs.BoolVar(&f.recreateDeps, "always-recreate-deps", false,
		"replace the containers of what the named services depend on, even if nothing of them changed")
	fs.BoolVarP(&f.renewVolumes, "renew-anon-volumes", "V", false,
		"replace all containers, and have their anonymous volumes begin empty")
	fs.BoolVar(&f.noStart, "no-start", false, "make what is missing, and start nothing")
	fs.StringArrayVar(&f.attach, "attach", nil, "print the log of this `service` alone, repeatable")
	fs.StringArrayVar(&f.noAttach, "no-attach", nil, "do not print the log of this `service`, repeatable")
	fs.BoolVar(&f.attachDeps, "attach-dependencies", false,
		"print the logs of what the named services depend on too")
	fs.BoolVar(&f.abortOnExit, "abort-on-container-exit", false,
		"stop everything when a container exits, and return its exit code")
	fs.BoolVar(&f.abortOnFailure, "abort-on-container-failure", false,
		"stop everything when a container fails, and return its exit code")
	fs.StringVar(&f.exitCodeFrom, "exit-code-from", "",
		"return the exit code of this `service`; everything is stopped when a container exits")
	fs.BoolVar(&f.noPrefix, "no-log-prefix", false, "do not print names before log lines")
	fs.BoolVar(&f.menu, "menu", false,
		"docker compose's own mode: no screen, log lines on stdout; the screen has the keys")
	exclusive(c, "plain", "json")
	exclusive(c, "plain", "detach")
	exclusive(c, "plain", "wait")
	exclusive(c, "leave", "wait")
	exclusive(c, "leave", "detach")
	exclusive(c, "watch", "no-watch")
}

// composeFlags are the flags that switch up to docker compose's own mode.
var composeFlags = []string{"attach", "no-attach", "attach-dependencies", "abort-on-container-exit",
	"abort-on-container-failure", "exit-code-from", "no-log-prefix", "menu", "ansi", "progress"}

// settle reads what flags say about others, and refuses what contradicts itself. It says whether up
// is to behave as docker compose's.
func (f *upFlags) settle(c *cobra.Command, asCompose bool) (compose bool, err error) {
	if err := f.check("up"); err != nil {
		return false, err
	}
	f.ready = f.ready && !f.noStart // what is not started is not waited for, as docker compose has it
	f.detach = f.detach || f.ready
	f.abortOnExit = f.abortOnExit || f.exitCodeFrom != "" && !f.abortOnFailure
	attached := f.attachDeps || f.abortOnExit || f.abortOnFailure || len(f.attach) > 0
	switch {
	case f.abortOnExit && f.abortOnFailure:
		err = usagef(
			"up: --abort-on-container-failure and --abort-on-container-exit exclude each other; write one of them")
	case f.detach && (attached || f.watch):
		err = usagef(
			"up: -d and --wait leave the project running, and --attach, --abort-on-…, --exit-code-from and --watch stay with it; write one of them")
	case attached && (f.plain || f.json):
		err = usagef(
			"up: --attach, --abort-on-… and --exit-code-from are of docker compose's own output, which --plain and --json are not; write one of them")
	case len(f.attach) > 0 && f.attachDeps:
		err = usagef("up: --attach and --attach-dependencies exclude each other; write one of them")
	case f.noRecreate && (f.renewVolumes || f.recreateDeps):
		err = usagef(
			"up: --no-recreate excludes --renew-anon-volumes and --always-recreate-deps; write one of them")
	case f.noBuild && f.watch:
		err = usagef("up: --no-build and --watch exclude each other; write one of them")
	}
	compose = asCompose || slices.ContainsFunc(composeFlags, func(name string) bool {
		flag := c.Flag(name)
		return flag != nil && flag.Changed
	})
	return compose && !f.plain && !f.json && !f.detach, err
}

// engineOptions are what the flags say to the engine.
func (f *upFlags) engineOptions(c *cobra.Command, services []string) engine.Options {
	// What -d shows of logs it asks for itself, when it comes to that.
	left := f.detach || f.noStart
	o := engine.Options{NoWatch: f.noWatch || left, NoStats: left, NoLogs: left, Replace: f.replace(services),
		Build: f.buildPolicy(), NoStart: f.noStart, Grace: f.grace.value(c)}
	if f.recreateDeps {
		o.Replace.Others = plan.Every
	}
	if f.renewVolumes {
		o.Replace.Policy, o.Replace.Renewed = plan.Every, true
	}
	return o
}
