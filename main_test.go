package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": cmdCode, "oneline": cmdOneLine, "waitline": cmdWaitLine, "until": cmdUntil, "signal": cmdSignal,
		},
	})
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

// oneline says that stderr of the last command is one line that begins with the program's name.
func cmdOneLine(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile("stderr")
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
		ts.Fatalf("%s: what it prints does not change to what is wanted of %q", strings.Join(args[1:], " "), args[0])
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
	c := exec.Command("bulkhead", "-p", project, "down", "-v", "--rmi", "local", "-t", "0")
	c.Dir = t.TempDir()
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("sweep %s: %v\n%s", project, err, out)
	}
}
