package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// composeFlag is a flag of docker compose; a verb without flags has one without a name.
type composeFlag struct{ verb, name, short, kind string }

// composeTree reads what testdata/composetree printed of docker compose.
func composeTree(t *testing.T) (all []composeFlag) {
	t.Helper()
	tree, err := os.ReadFile("../../testdata/composetree/tree.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(tree)) {
		f := append(strings.Split(strings.TrimSuffix(line, "\n"), "\t"), "", "", "")
		if !slices.ContainsFunc(omitted, func(o omittedVerb) bool { return o.name == f[0] }) {
			all = append(all, composeFlag{f[0], f[1], f[2], f[3]})
		}
	}
	return all
}

// command returns a verb; "" is the root.
func command(root *cobra.Command, verb string) *cobra.Command {
	for _, c := range root.Commands() {
		if c.Name() == verb {
			return c
		}
	}
	if verb == "" {
		return root
	}
	return nil
}

// Every verb and flag of docker compose has its name, shorthand and kind here.
func TestVerbsAndFlagsOfDockerComposeAreHere(t *testing.T) {
	root := newApp(Parts{}).root()
	for _, f := range composeTree(t) {
		c := command(root, f.verb)
		if c == nil {
			t.Errorf("no verb %s", f.verb)
			continue
		}
		if f.name == "" {
			continue
		}
		c.InheritedFlags() // merges those of all verbs into Flags
		here := c.Flag(f.name)
		switch {
		case here == nil:
			t.Errorf("%s has no --%s", f.verb, f.name)
		case f.short != here.Shorthand && f.verb+f.name != "configformat":
			t.Errorf("%s --%s has the shorthand %q, and docker compose's %q", f.verb, f.name,
				here.Shorthand, f.short)
		case (f.kind == "bool") != (here.Value.Type() == "bool"):
			t.Errorf("%s --%s is a %s, and docker compose's a %s", f.verb, f.name, here.Value.Type(), f.kind)
		}
	}
}

// Every flag of docker compose is used by a script that then looks at what it did, or is in the list
// of those that have no effect.
func TestFlagsOfDockerComposeHaveACase(t *testing.T) {
	root := newApp(Parts{}).root()
	used := map[composeFlag]bool{}
	var scripts []string
	for _, dir := range []string{"../../testdata/script", "../../testdata/script/engine"} {
		found, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, found...)
	}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		program := false // a file of the script, whose caller looks at what it did
		for i, line := range lines {
			program = program || strings.HasPrefix(line, "-- ")
			if program || judged(lines[i:]) {
				noteFlags(root, strings.Fields(line), used)
			}
		}
	}
	for _, f := range composeTree(t) {
		idle := slices.ContainsFunc(idleFlags, func(i idleFlag) bool {
			return i.verb == f.verb && i.name == f.name
		})
		if f.name != "" && !idle && !used[composeFlag{verb: f.verb, name: f.name}] {
			t.Errorf("no script looks at what %s --%s does", f.verb, f.name)
		}
	}
}

// looks are the commands of a script that look at what came of the one before.
var looks = []string{"stdout", "stderr", "containers", "services", "oneline", "kept", "quiet",
	"volumes", "networks",
	"until", "cmp", "exists", "grep", "waitline"}

// reads are verbs that a script looks with.
var reads = []string{"exec", "ps", "logs", "images", "ls", "port", "volumes", "config"}

// judged says whether a script looks at what its first command did: the command compares or expects a
// failure itself, or what follows up to the next command of ours looks.
func judged(lines []string) bool {
	words := strings.Fields(lines[0])
	if len(words) == 0 {
		return false
	}
	if words[0] == "same" || words[0] == "!" || words[0] == "code" {
		return true
	}
	for _, line := range lines[1:] {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "!" {
			words = words[1:]
		}
		switch {
		case len(words) == 0 || strings.HasPrefix(line, "#"):
			continue
		case slices.Contains(looks, words[0]), words[0] == "exec" && words[1] != "bulkhead" &&
			words[1] != "sleep":
			return true
		case slices.Contains(words, "bulkhead") && !slices.ContainsFunc(reads, func(r string) bool {
			return slices.Contains(words, r)
		}):
			return false
		}
	}
	return false
}

// noteFlags notes the verb and the flags of a command line in a script.
func noteFlags(root *cobra.Command, words []string, used map[composeFlag]bool) {
	// same runs both programs: its words follow. What sh runs is quoted.
	i := slices.IndexFunc(words, func(w string) bool {
		return strings.Trim(w, "'") == "bulkhead" || w == "same"
	})
	if i < 0 {
		return
	}
	c, verb := root, ""
	for _, w := range words[i+1:] {
		w = strings.Trim(w, "'")
		name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		switch {
		case !strings.HasPrefix(w, "-"):
			if sub := command(root, w); sub != nil && c == root {
				c, verb = sub, w
				c.InheritedFlags()
			}
		case strings.HasPrefix(w, "--"):
			note(c, verb, name, used)
		default:
			for _, short := range name {
				if f := c.Flags().ShorthandLookup(string(short)); f != nil {
					note(c, verb, f.Name, used)
				}
			}
		}
	}
}

// note marks a flag as used, by the verb and where it is one of all verbs by those.
func note(c *cobra.Command, verb, name string, used map[composeFlag]bool) {
	used[composeFlag{verb: verb, name: name}] = true
	if verb == "" || c.InheritedFlags().Lookup(name) != nil {
		used[composeFlag{name: name}] = true
	}
}

// composeVariables are those that docker compose 5.7 reads, beside the ones of docker.
const composeVariables = `COMPOSE_ANSI COMPOSE_BAKE COMPOSE_COMPATIBILITY COMPOSE_CONVERT_WINDOWS_PATHS
COMPOSE_DISABLE_ENV_FILE COMPOSE_ENV_FILES COMPOSE_EXPERIMENTAL COMPOSE_EXPERIMENTAL_GIT_REMOTE COMPOSE_EXPERIMENTAL_OCI_REMOTE
COMPOSE_EXPERIMENTAL_WATCH_TAR COMPOSE_FILE COMPOSE_IGNORE_ORPHANS COMPOSE_MENU COMPOSE_PARALLEL_LIMIT COMPOSE_PATH_SEPARATOR
COMPOSE_PROFILES COMPOSE_PROGRESS COMPOSE_PROJECT_NAME COMPOSE_RELAY_IMAGE COMPOSE_REMOVE_ORPHANS COMPOSE_STATUS_STDOUT
COMPOSE_WATCH_WINDOWS_BUFFER_SIZE`

// Every variable of docker compose is gone by, or is in the list of those that have no effect.
func TestVariablesOfDockerComposeAreHere(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{".", "../../engine/project"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if base := filepath.Base(name); base == "idle.go" || strings.HasSuffix(base, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	// compose-go's own constants
	read := strings.NewReplacer("consts.ComposeProfiles", `"COMPOSE_PROFILES"`,
		"consts.ComposeProjectName", `"COMPOSE_PROJECT_NAME"`, "cli.WithConfigFileEnv",
		`"COMPOSE_FILE" "COMPOSE_PATH_SEPARATOR"`,
		"consts.ComposeDisableDefaultEnvFile", `"COMPOSE_DISABLE_ENV_FILE"`).Replace(source.String())
	for _, name := range strings.Fields(composeVariables) {
		idle := slices.ContainsFunc(idleVariables, func(i idleVariable) bool { return i.name == name })
		if idle == strings.Contains(read, `"`+name+`"`) {
			t.Errorf("%s is gone by, or listed as without effect: %t", name, idle)
		}
	}
}
