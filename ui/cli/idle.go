package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// idleFlag is a flag of docker compose that is taken, so that a command line of its user works, and
// that has no effect here.
type idleFlag struct {
	verb  string // "" stands for every verb
	name  string
	short string
	flag  bool // it takes no value
	why   string
}

// idleFlags are all of them. `bulkhead doctor` prints the list.
var idleFlags = []idleFlag{
	{verb: "", name: "verbose", flag: true,
		why: "what libraries log is kept in the state folder, in bulkhead.log"},
	{verb: "", name: "insecure-registry", why: "Compose files are not read from registries"},
	{verb: "build", name: "parallel", flag: true,
		why: "builds run at the same time anyway; the global --parallel limits them"},
	{verb: "build", name: "compress", flag: true, why: "BuildKit sends only what changed"},
	{verb: "build", name: "force-rm", flag: true, why: "BuildKit leaves no containers behind"},
	{verb: "build", name: "no-rm", flag: true, why: "BuildKit leaves no containers behind"},
	{verb: "build", name: "memory", short: "m",
		why: "BuildKit has no such limit; docker compose ignores it with BuildKit too"},
	{verb: "build", name: "builder", why: "the engine's own BuildKit builds; there is no buildx behind it"},
	{verb: "create", name: "yes", short: "y", flag: true,
		why: "it asks nothing: what would lose data is not done, and named"},
	{verb: "up", name: "yes", short: "y", flag: true,
		why: "it asks nothing: what would lose data is not done, and named"},
	{verb: "watch", name: "prune", flag: true, why: "the images that a rebuild replaces are always removed"},
	{verb: "pull", name: "parallel", flag: true,
		why: "images are pulled at the same time anyway; the global --parallel limits that"},
	{verb: "pull", name: "no-parallel", flag: true,
		why: "docker compose ignores it too; --parallel 1 pulls one after another"},
}

// idleVariable is a variable of docker compose's that has no effect here.
type idleVariable struct{ name, why string }

// idleVariables are all of them. `bulkhead doctor` prints those that are set.
var idleVariables = []idleVariable{
	{"COMPOSE_MENU",
		"there is no menu: on a terminal up is the screen, and --menu, true or false, switches to docker compose's own mode"},
	{"COMPOSE_EXPERIMENTAL", "nothing is experimental here"},
	{"COMPOSE_EXPERIMENTAL_GIT_REMOTE", "whether git may run is asked once; see `bulkhead trust`"},
	{"COMPOSE_EXPERIMENTAL_OCI_REMOTE", "Compose files are not read from registries"},
	{"COMPOSE_EXPERIMENTAL_WATCH_TAR", "files are always synced as tar streams"},
	{"COMPOSE_BAKE", "the engine's own BuildKit builds; there is no bake behind it"},
	{"COMPOSE_RELAY_IMAGE", "no relay is run"},
	{"COMPOSE_WATCH_WINDOWS_BUFFER_SIZE", "the watcher chooses its buffers itself"},
}

// acceptIdle adds to a verb the flags that it takes without effect.
func acceptIdle(c *cobra.Command) {
	for _, f := range idleFlags {
		if f.verb == c.Name() {
			f.add(c.Flags())
		}
	}
}

func (f idleFlag) add(fs *pflag.FlagSet) {
	if f.flag {
		fs.BoolP(f.name, f.short, false, "no effect: "+f.why)
	} else {
		fs.StringArrayP(f.name, f.short, nil, "no effect: "+f.why)
	}
	fs.Lookup(f.name).Hidden = f.verb == "" // docker compose hides them too
}

// String names it as it is typed.
func (f idleFlag) String() string {
	if f.verb == "" {
		return "--" + f.name
	}
	return f.verb + " --" + f.name
}
