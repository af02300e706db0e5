package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// sharedFlags are taken by every verb, before and after its name.
type sharedFlags struct {
	files      []string
	name       string
	profiles   []string
	envFiles   []string
	dir        string
	runtime    string
	all        bool // resources that no service uses, too
	compatible bool // names as docker-compose 1 made them
	dryRun     bool // say what would be done, and do nothing
	trust      bool // host commands run without being asked about

	workdir  string // the old name of dir
	ansi     string
	noANSI   bool
	progress string
	parallel int
}

// progressModes are the values of --progress.
var progressModes = []string{"auto", "tty", "plain", "json", "quiet"}

// add adds the flags; kinds are those of --runtime.
func (f *sharedFlags) add(fs *pflag.FlagSet, kinds []string) {
	f.addFile(fs, "f")
	f.addName(fs, "p")
	fs.StringArrayVar(&f.profiles, "profile", nil, "enable a `profile`, repeatable")
	fs.StringArrayVar(&f.envFiles, "env-file", nil, "read this `file` instead of .env, repeatable")
	fs.StringVar(&f.dir, "project-directory", "", "project `folder`; else that of the first Compose file")
	fs.StringVar(&f.runtime, "runtime", kinds[0], "what `kind` of engine runs the containers: "+
		strings.Join(kinds, ", "))
	fs.BoolVar(&f.all, "all-resources", false,
		"with the networks, volumes, secrets and configs that no service uses")
	fs.BoolVar(&f.compatible, "compatibility", false,
		"name containers and images with _ in the place of -, as docker-compose 1 did")
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and do nothing")
	fs.BoolVar(&f.trust, "trust", false,
		"allow the programs that the project runs on this machine, for this run; `bulkhead trust` shows them")
	fs.StringVar(&f.ansi, "ansi", "auto", "`when` to write colours: never, always or auto")
	fs.StringVar(&f.progress, "progress", "", "`how` to write progress on stderr: "+
		strings.Join(progressModes, ", "))
	fs.IntVar(&f.parallel, "parallel", -1,
		"carry out at most this `number` of creations, starts, stops, pulls and builds at a time; -1 for no limit")
	fs.StringVar(&f.workdir, "workdir", "", "the old name of --project-directory")
	fs.BoolVar(&f.noANSI, "no-ansi", false, "the old name of --ansi=never")
	for _, old := range []string{"workdir", "no-ansi"} {
		fs.Lookup(old).Hidden = true
	}
}

// addFile adds --file. short is "" for verbs that have another flag of its short name.
func (f *sharedFlags) addFile(fs *pflag.FlagSet, short string) {
	fs.StringArrayVarP(&f.files, "file", short, nil, "Compose `file`, repeatable; - is stdin")
}

// addName adds --project-name; short as in addFile.
func (f *sharedFlags) addName(fs *pflag.FlagSet, short string) {
	fs.StringVarP(&f.name, "project-name", short, "", "project `name`")
}

// settle reads what flags leave to the environment, and hands the settings to those who go by them.
func (f *sharedFlags) settle(out *console, env *environment, conn *connection) error {
	if !slices.Contains(conn.kinds, f.runtime) {
		return usagef("--runtime %s: no such runtime; write %s", f.runtime, strings.Join(conn.kinds, " or "))
	}
	conn.kind = f.runtime
	if f.workdir != "" {
		if f.dir != "" {
			return usagef("--workdir and --project-directory are one setting; write --project-directory alone")
		}
		out.printWarning("--workdir is the old name of --project-directory")
		f.dir = f.workdir
	}
	if err := f.settleOutput(out, env); err != nil {
		return err
	}
	limit := strconv.Itoa(f.parallel)
	if v := env.get("COMPOSE_PARALLEL_LIMIT"); v != "" && f.parallel < 0 {
		limit = v
	}
	n, err := strconv.Atoi(limit)
	if err != nil {
		return usagef("COMPOSE_PARALLEL_LIMIT=%s: it is not a number; write one, or -1 for no limit", limit)
	}
	conn.parallel = max(n, 0)
	if yes, err := strconv.ParseBool(env.get("COMPOSE_COMPATIBILITY")); err == nil && yes {
		f.compatible = true
	}
	return nil
}

func (f *sharedFlags) settleOutput(out *console, env *environment) error {
	out.ansi = f.ansi
	if v := env.get("COMPOSE_ANSI"); v != "" && f.ansi == "auto" {
		out.ansi = v
	}
	if f.noANSI {
		out.ansi = "never"
	}
	if !slices.Contains([]string{"auto", "never", "always"}, out.ansi) {
		return usagef("--ansi %s: write never, always or auto", out.ansi)
	}
	out.progress = cmp.Or(f.progress, env.get("COMPOSE_PROGRESS"), "auto")
	if out.progress != "none" && !slices.Contains(progressModes, out.progress) {
		return usagef("--progress %s: write one of %s", out.progress, strings.Join(progressModes, ", "))
	}
	if out.progress == "plain" && out.ansi == "always" || out.progress == "tty" && out.ansi == "never" {
		return usagef("--progress %s and --ansi %s contradict each other; leave one out",
			out.progress, out.ansi)
	}
	return nil
}

// wouldEach is would for each of some services.
func (a *app) wouldEach(format string, services []string) bool {
	for _, name := range services {
		a.would(format, name)
	}
	return a.loader.flags.dryRun
}

// would prints what a dry run leaves undone, and says whether this is one.
func (a *app) would(format string, args ...any) bool {
	if !a.loader.flags.dryRun {
		return false
	}
	a.console.progressPrinter().text("dry run: " + fmt.Sprintf(format, args...))
	return true
}
