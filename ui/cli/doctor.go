package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/agent"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// finding is what doctor says about one thing.
type finding struct {
	grade  grade
	what   string
	text   string
	remedy string // "" when all is well
}

// grade is how bad a finding is.
type grade uint8

const (
	gradeUnknown grade = iota
	gradeGood
	gradeNote // works, with something to know
	gradeWarn // works, but not as well as it could
	gradeBad  // does not work
)

var gradeNames = [...]string{"?", "ok", "note", "warn", "FAIL"}

func (g grade) String() string { return gradeNames[g] }

type doctorVerb struct{ app *app }

func (v *doctorVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what is found and what is missing, with a remedy for each fault",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return v.run(cmd.Context())
		},
	}
}

func (v *doctorVerb) run(ctx context.Context) error {
	bad := 0
	report := func(all ...finding) {
		for _, f := range all {
			f.text, f.remedy = oneLine(f.text), oneLine(f.remedy)
			if f.grade == gradeBad {
				bad++
			}
			fmt.Fprintf(v.app.console.stdout, "%-4s  %-9s  %s\n", f.grade, f.what, f.text)
			if f.remedy != "" {
				fmt.Fprintf(v.app.console.stdout, "                 %s\n", f.remedy)
			}
		}
	}
	cctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	v.app.conn.ask = true
	noEngine := v.app.conn.connect(cctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	report(engineFindings(v.app.conn.info, noEngine)...)
	if noEngine == nil {
		report(v.buildKitFinding(cctx))
	}
	report(v.composeFindings(ctx)...)
	report(inotifyFindings("/proc/sys/fs/inotify")...)
	report(v.terminalFinding(), goFinding(ctx))
	for _, x := range idleVariables {
		if v.app.env.get(x.name) != "" {
			report(finding{grade: gradeNote, what: "no effect", text: x.name + ": " + x.why})
		}
	}
	for _, f := range idleFlags {
		report(finding{grade: gradeNote, what: "no effect", text: f.String() + ": " + f.why})
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(noEngine, engine.ErrNoEngine):
		return &exit{code: exitNoEngine} // the line is printed already
	case bad > 0:
		return &exit{code: exitFailed}
	}
	return nil
}

// engineFindings says what answers, or why nothing does.
func engineFindings(i engine.Info, err error) []finding {
	if err != nil {
		text, remedy := container.Explain(err)
		if remedy == "" {
			remedy = "start Docker, or point DOCKER_HOST or `docker context use` at an engine"
		}
		return []finding{{grade: gradeBad, what: "engine", text: text, remedy: remedy}}
	}
	found := []finding{{grade: gradeGood, what: "engine",
		text: fmt.Sprintf("%s %s, API %s, %s/%s, at %s (context %s)", i.Name, i.Version, i.API, i.OS,
			i.Arch, i.Host, i.Context)}}
	if !i.Local {
		found = append(found, finding{grade: gradeNote, what: "engine",
			text:   "it runs on another machine: bind mounts and ports are of that machine",
			remedy: "use rules of action sync or rebuild instead of bind mounts"})
	}
	if i.Local && os.Geteuid() == 0 {
		return found
	}
	if !agent.Built() {
		return append(found, finding{grade: gradeNote, what: "sync",
			text:   "files are written by the engine: in place, and with links in the container resolved there as a whole",
			remedy: "build bulkhead with its agent (`make build`): then they are whole before they take their places, and stay in their targets"})
	}
	return append(found, finding{grade: gradeGood, what: "sync",
		text: "files are written by an agent beside each container; with pid: host, or the processes of another container, by the engine"})
}

// buildKitFinding says which builder the engine has.
func (v *doctorVerb) buildKitFinding(ctx context.Context) finding {
	b, ok := v.app.conn.rt.(interface {
		BuildKit(context.Context) (bool, error)
	})
	if ok {
		if served, err := b.BuildKit(ctx); err == nil && served {
			return finding{grade: gradeGood, what: "BuildKit", text: "served by the engine"}
		}
	}
	return finding{grade: gradeWarn, what: "BuildKit",
		text:   "not served by this engine: its old builder is used, without secrets and cache mounts",
		remedy: "update the engine to 20.10 or later"}
}

// composeFindings loads the project of the current folder, and compares its config hashes with
// docker compose's where that is installed: where they differ, the two programs recreate each
// other's containers.
func (v *doctorVerb) composeFindings(ctx context.Context) []finding {
	p, err := v.app.loader.load(ctx)
	var load *project.LoadError
	switch {
	case errors.As(err, &load) && load.File == "" && len(v.app.loader.flags.files) == 0:
		return []finding{{grade: gradeNote, what: "project",
			text: "no Compose file here, so nothing of one was looked at"}}
	case err != nil:
		text, remedy := container.Explain(err)
		return []finding{{grade: gradeBad, what: "project", text: text, remedy: remedy}}
	}
	found := []finding{{grade: gradeGood, what: "project",
		text: fmt.Sprintf("%s, %d services, from %s", p.Name, len(p.Services), strings.Join(p.Files, ", "))}}
	for _, w := range p.Warnings {
		found = append(found, finding{grade: gradeNote, what: "project", text: w.String()})
	}
	return append(found, v.hashFinding(ctx, p))
}

func (v *doctorVerb) hashFinding(ctx context.Context, p *project.Project) finding {
	f := finding{grade: gradeNote, what: "compose"}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	release, err := exec.CommandContext(ctx, "docker", "compose", "version", "--short").Output()
	if err != nil {
		f.text = "docker compose is not installed, so config hashes were not compared; bulkhead does not need it"
		return f
	}
	args := []string{"compose", "-p", p.Name, "--project-directory", p.Dir}
	for _, file := range p.Files {
		if file == "-" {
			f.text = "the Compose file came from stdin, so config hashes were not compared"
			return f
		}
		args = append(args, "-f", file)
	}
	for _, file := range p.EnvFiles {
		args = append(args, "--env-file", file)
	}
	for _, profile := range p.Profiles {
		args = append(args, "--profile", profile)
	}
	c := exec.CommandContext(ctx, "docker", append(args, "config", "--hash", "*")...)
	c.Env = v.app.env.lines
	out, err := c.Output()
	if err != nil {
		f.grade, f.text = gradeWarn, fmt.Sprintf("docker compose %s does not load this project: %s",
			bytes.TrimSpace(release), failure(err))
		f.remedy = "bulkhead loads it; run `docker compose config` to see what it minds"
		return f
	}
	if differ := differingHashes(p, string(out)); len(differ) > 0 {
		f.grade, f.text = gradeWarn, fmt.Sprintf("docker compose %s has other config hashes for %s",
			bytes.TrimSpace(release), strings.Join(differ, ", "))
		f.remedy = "each program recreates what the other made; use one of them for a project, or docker compose 5.6, which agrees"
		return f
	}
	f.grade, f.text = gradeGood,
		fmt.Sprintf("docker compose %s has the same config hashes: either takes over what the other made", bytes.TrimSpace(release))
	return f
}

// differingHashes compares `service hash` lines with a project.
func differingHashes(p *project.Project, lines string) []string {
	theirs := map[string]string{}
	for line := range strings.Lines(lines) {
		if f := strings.Fields(line); len(f) == 2 {
			theirs[f[0]] = f[1]
		}
	}
	var differ []string
	for _, s := range p.Services {
		if h, ok := theirs[s.Name]; ok && h != s.Hash {
			differ = append(differ, s.Name)
		}
	}
	return differ
}

// failure returns the last line that a command wrote before it failed.
func failure(err error) string {
	var e *exec.ExitError
	if errors.As(err, &e) {
		if lines := strings.Split(strings.TrimSpace(string(e.Stderr)), "\n"); lines[len(lines)-1] != "" {
			return lines[len(lines)-1]
		}
	}
	return err.Error()
}

// What inotify should allow: a watch is a folder, and editors and other tools take theirs from the same number.
const (
	goodWatches   = 65536
	goodInstances = 128
)

// inotifyFindings reads the limits that the kernel sets for a user's file watches, in the folder
// where Linux shows them.
func inotifyFindings(dir string) []finding {
	if runtime.GOOS != "linux" {
		return nil
	}
	limit := func(name string) int {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			return -1
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return -1
		}
		return n
	}
	watches, instances := limit("max_user_watches"), limit("max_user_instances")
	f := finding{grade: gradeGood, what: "inotify",
		text: fmt.Sprintf("%d watches and %d instances for each user", watches, instances)}
	switch {
	case watches < 0 || instances < 0:
		f.grade, f.text = gradeWarn, "the limits in "+dir+
			" cannot be read: where watches run out, files are polled"
	case watches < goodWatches:
		f.grade, f.remedy = gradeWarn,
			fmt.Sprintf("large trees need more: sudo sysctl fs.inotify.max_user_watches=%d", 8*goodWatches)
	case instances < goodInstances:
		f.grade, f.remedy = gradeWarn,
			fmt.Sprintf("other programs may leave none: sudo sysctl fs.inotify.max_user_instances=%d",
				4*goodInstances)
	}
	return []finding{f}
}

func (v *doctorVerb) terminalFinding() finding {
	f := finding{grade: gradeGood, what: "terminal"}
	fd, _ := terminal(v.app.console.stdout)
	if !v.app.console.interactive() {
		f.grade, f.text = gradeNote,
			"stdin and stdout are not both terminals: `up` prints text, as with --plain"
		return f
	}
	w, h, err := term.GetSize(fd)
	if err != nil {
		f.grade, f.text = gradeWarn, "it does not report its size"
		return f
	}
	colours := "16 colours"
	switch name := v.app.env.get("TERM"); {
	case v.app.env.get("NO_COLOR") != "":
		colours = "no colours, as NO_COLOR asks"
	case v.app.env.get("COLORTERM") == "truecolor" || v.app.env.get("COLORTERM") == "24bit":
		colours = "16 million colours"
	case strings.Contains(name, "256color"):
		colours = "256 colours"
	}
	f.text = fmt.Sprintf("%s, %dx%d, %s", orDash(v.app.env.get("TERM")), w, h, colours)
	if v.app.env.get("TMUX") != "" {
		f.text += ", in tmux"
	}
	switch {
	case v.app.env.get("TERM") == "" || v.app.env.get("TERM") == "dumb":
		f.grade, f.remedy = gradeWarn, "set TERM to what your terminal is, as xterm-256color"
	case w < 80 || h < 24:
		f.grade, f.remedy = gradeNote,
			"80x24 shows everything that matters; smaller screens show one pane at a time"
	}
	return f
}

// goFinding looks for the Go toolchain, which the demo builds its services with.
func goFinding(ctx context.Context) finding {
	v, err := goVersion(ctx)
	if err != nil {
		return finding{grade: gradeNote, what: "go",
			text:   "no Go toolchain: the demo builds in the golang image, which takes longer",
			remedy: "https://go.dev/dl has one; your own projects do not need it"}
	}
	return finding{grade: gradeGood, what: "go", text: v + ": the demo builds on this machine"}
}

// goVersion asks the go command that a shell would find.
func goVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	c.Dir = os.TempDir() // a go.mod in the current folder may ask for another toolchain
	out, err := c.Output()
	return strings.TrimSpace(string(out)), err
}
