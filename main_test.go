package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/engine"
	"bulkhead/engine/agent"
	"bulkhead/engine/docker"
)

// patience is how long a test waits for a thing before it fails: far longer than the slowest
// machine needs. No test judges how long a thing took.
const patience = 3 * time.Minute

var update = flag.Bool("update", false, "rewrite the scripts' golden files")

// commands are the programs that tests run, all of them this one under other names.
var commands = map[string]func(){"bulkhead": main}

func TestMain(m *testing.M) { testscript.Main(m, commands) }

// needEngine ends a test that cannot run without an engine: it fails where one is promised, and
// else says why it is skipped.
func needEngine(t testing.TB) {
	t.Helper()
	rt, err := docker.New(docker.Options{})
	if err == nil {
		defer rt.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err = rt.Info(ctx)
	}
	switch {
	case err == nil:
	case os.Getenv("CI") != "" || os.Getenv("BULKHEAD_ENGINE") == "required":
		t.Fatalf("an engine is required: %v", err)
	default:
		t.Skipf("no engine: %v", err)
	}
}

// busybox finds the static busybox that the images of the tests are made around.
func busybox(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	switch {
	case err == nil:
	case os.Getenv("CI") != "" || os.Getenv("BULKHEAD_ENGINE") == "required":
		t.Fatal("busybox-static is required; .ci/engine installs it")
	default:
		t.Skip("no busybox-static on this machine; .ci/engine installs it")
	}
	return path
}

// Scripts that need no engine.
func TestScript(t *testing.T) {
	t.Parallel()
	scripts(t, "testdata/script", nil)
}

// Scripts on the real engine. Each has a project of its own, named in $PROJECT, that is removed at the end.
func TestEngineScript(t *testing.T) {
	t.Parallel()
	needEngine(t)
	box := busybox(t)
	scripts(t, "testdata/script/engine", func(env *testscript.Env) error {
		name := "cli-script-" + filepath.Base(env.WorkDir) + "-" + strconv.Itoa(os.Getpid())
		env.Setenv("PROJECT", name)
		env.Setenv("COMPOSE_PROJECT_NAME", name)
		env.Setenv("COMPOSE", dockerCompose())
		env.Defer(func() { sweep(t, name) })
		program, err := os.ReadFile(box)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(env.WorkDir, "busybox"), program, 0o755)
	})
}

func scripts(t *testing.T, dir string, setup func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir: dir, UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			// The files of a run stay in its own folder; the folder of the socket is short, as a socket's path has to be.
			run, err := os.MkdirTemp("", "bh")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(run) })
			env.Setenv("XDG_RUNTIME_DIR", run)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, ".state"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
			env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, ".docker"))
			for _, name := range []string{"DOCKER_HOST", "GORACE"} {
				if v := os.Getenv(name); v != "" {
					env.Setenv(name, v)
				}
			}
			if setup == nil {
				return nil
			}
			return setup(env)
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "compose":
				return dockerCompose() != "", nil
			case "agent":
				return agent.Built(), nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": cmdCode, "oneline": cmdOneLine, "waitline": cmdWaitLine, "until": cmdUntil,
			"signal": cmdSignal, "quiet": cmdQuiet,
			"containers": cmdContainers, "same": cmdSame, "note": cmdNote, "kept": cmdKept,
			"rmnetworks": cmdRemoveNetworks,
		},
	})
}

// dockerCompose is the path of docker compose 5.7, "" where it is not found: $BULKHEAD_COMPOSE, else
// the docker command's plugin.
var dockerCompose = sync.OnceValue(func() string {
	home, _ := os.UserHomeDir() // without one it is not there
	for _, path := range []string{
		os.Getenv("BULKHEAD_COMPOSE"), filepath.Join(os.Getenv("DOCKER_CONFIG"), "cli-plugins",
			"docker-compose"),
		filepath.Join(home, ".docker", "cli-plugins", "docker-compose"),
		"/usr/local/lib/docker/cli-plugins/docker-compose",
		"/usr/libexec/docker/cli-plugins/docker-compose", "/usr/lib/docker/cli-plugins/docker-compose",
	} {
		if !filepath.IsAbs(path) {
			continue
		}
		if out, err := exec.Command(path, "version", "--short").Output(); err == nil &&
			strings.HasPrefix(string(out), "5.7.") {
			return path
		}
	}
	return ""
})

// same ARGS… runs bulkhead and docker compose, and compares their exit codes and the lines that they
// print, whose order is that of a map in some of docker compose's lists.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	run := func(program string) (lines []string, code int) {
		err := ts.Exec(program, args...)
		var e *exec.ExitError
		if errors.As(err, &e) {
			code = e.ExitCode()
		} else if err != nil {
			ts.Fatalf("%v", err)
		}
		lines = strings.Split(ts.ReadFile("stdout"), "\n")
		slices.Sort(lines)
		return lines, code
	}
	ours, code := run("bulkhead")
	theirs, want := run(dockerCompose())
	if code != want || !slices.Equal(ours, theirs) {
		ts.Fatalf("exit code %d and %d; only in ours:\n%.2000s\nonly in docker compose's:\n%.2000s", code, want,
			strings.Join(without(ours, theirs), "\n"), strings.Join(without(theirs, ours), "\n"))
	}
}

func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(others, l) })
}

// code N COMMAND… runs a command and compares its exit code.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var e *exec.ExitError
	if errors.As(err, &e) {
		got = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, _ := strconv.Atoi(args[0]); got != want {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// slowNotices are the lines that a program writes when it is kept waiting for two seconds, which may be so
// anywhere on a busy machine.
var slowNotices = regexp.MustCompile(`(?m)^bulkhead: waiting for (the Docker engine at .*|.* to be read)\n`)

// said is stderr of the last command, without what says that the machine is slow.
func said(ts *testscript.TestScript) string {
	return slowNotices.ReplaceAllString(ts.ReadFile("stderr"), "")
}

// quiet says that the last command wrote nothing to stderr.
func cmdQuiet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: quiet")
	}
	if text := said(ts); text != "" {
		ts.Fatalf("stderr has %q", text)
	}
}

// oneline says that stderr of the last command is one line that begins with the program's name.
func cmdOneLine(ts *testscript.TestScript, neg bool, args []string) {
	text := said(ts)
	if strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "bulkhead: ") {
		ts.Fatalf("stderr is not one line of bulkhead's: %q", text)
	}
}

// waitline FILE TEXT waits until a file that somebody writes holds a text.
func cmdWaitLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitline FILE TEXT")
	}
	var text []byte
	if !eventually(patience, func() bool {
		text, _ = os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		return strings.Contains(string(text), args[1])
	}) {
		ts.Fatalf("%s does not come to hold %q; it holds:\n%s", args[0], args[1], text)
	}
}

// until TEXT COMMAND… runs a command again and again until its stdout holds a text; with ! until it does not.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until TEXT COMMAND…")
	}
	if !eventually(patience, func() bool {
		err := ts.Exec(args[1], args[2:]...)
		return err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) != neg
	}) {
		ts.Fatalf("%s: what it prints does not change to what is wanted of %q",
			strings.Join(args[1:], " "), args[0])
	}
}

// signal NAME FILE sends a signal to the process whose id is in a file.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	if neg || len(args) != 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal INT|TERM|HUP FILE")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(p.Signal(signals[args[0]]))
}

// containers prints what the engine has of $PROJECT, one container a line: kind (service, one-off or
// hook), name, state, exit code, and what else may be of interest.
func cmdContainers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: containers")
	}
	rt, err := docker.New(docker.Options{})
	ts.Check(err)
	defer rt.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, kind := range []struct {
		name string
		list func(context.Context, string) ([]engine.Instance, error)
	}{{"service", rt.Instances}, {"one-off", rt.OneOffs}, {"hook", rt.Hooks}} {
		all, err := kind.list(ctx, ts.Getenv("PROJECT"))
		ts.Check(err)
		for _, in := range all {
			fmt.Fprintf(ts.Stdout(),
				"%s %s %s code=%d number=%q id=%s image=%s networks=%d ports=%v volumes=%q\n", kind.name,
				strings.TrimPrefix(in.Name, ts.Getenv("PROJECT")+"-"), in.State, in.ExitCode,
				in.Number, in.ID[:12], in.ImageRef, len(in.Networks), in.Ports, in.Volumes)
		}
	}
	fmt.Fprintln(ts.Stdout(), "no more") // stdout of a command that prints nothing is that of the one before
}

// rmnetworks removes the networks of $PROJECT, as somebody does by hand.
func cmdRemoveNetworks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: rmnetworks")
	}
	rt, err := docker.New(docker.Options{})
	ts.Check(err)
	defer rt.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	gone, err := rt.RemoveNetworks(ctx, ts.Getenv("PROJECT"), nil)
	ts.Check(err)
	if len(gone.Removed) == 0 {
		ts.Fatalf("no network of %s was removed", ts.Getenv("PROJECT"))
	}
}

// lives are the containers of $PROJECT's services by name, each with its id and, while it runs, its start.
func lives(ts *testscript.TestScript) map[string]string {
	rt, err := docker.New(docker.Options{})
	ts.Check(err)
	defer rt.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := rt.Instances(ctx, ts.Getenv("PROJECT"))
	ts.Check(err)
	out := map[string]string{}
	for _, in := range all {
		life := in.ID[:12]
		if in.State == engine.StateRunning {
			life += " up since " + in.Started.String()
		}
		out[strings.TrimPrefix(in.Name, ts.Getenv("PROJECT")+"-")] = life
	}
	return out
}

const notedLives = ".lives"

// note keeps which containers there are for kept.
func cmdNote(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: note")
	}
	text, err := json.Marshal(lives(ts))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(notedLives), text, 0o644))
}

// kept CONTAINER… says that containers (none: all) live the life that was noted; with ! that each lives another one.
func cmdKept(ts *testscript.TestScript, neg bool, args []string) {
	before := map[string]string{}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(notedLives)), &before))
	now := lives(ts)
	if len(args) == 0 && !neg && !maps.Equal(before, now) {
		ts.Fatalf("there were\n%v\nand now\n%v", before, now)
	}
	for _, name := range args {
		if was, is := before[name], now[name]; (was == is && is != "") == neg {
			ts.Fatalf("%s was %q and is %q", name, was, is)
		}
	}
}

// eventually looks again and again, for as long as it is worth it.
func eventually(patience time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}

// sweep removes what a test left of a project when it did not come to its end.
func sweep(t testing.TB, project string) {
	c := exec.Command("bulkhead", "-p", project, "down", "-v", "--rmi", "local", "-t", "0", "--remove-orphans")
	c.Dir = t.TempDir()
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("sweep %s: %v\n%s", project, err, out)
	}
	rt, err := docker.New(docker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, tagged := range []bool{true, false} { // those with a name of their own too
		ids, err := rt.ProjectImages(ctx, project, tagged)
		if err != nil {
			t.Errorf("sweep %s: %v", project, err)
		}
		for _, id := range ids {
			if _, err := rt.RemoveImage(ctx, id, true); err != nil {
				t.Errorf("sweep %s: %v", project, err)
			}
		}
	}
}
