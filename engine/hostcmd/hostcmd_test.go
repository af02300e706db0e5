//go:build unix

package hostcmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// trusting allows everything.
func trusting() *Trust {
	t := OpenTrust("", "")
	t.AllowAll()
	return t
}

// run returns the lines that a command prints.
func run(t *testing.T, c Command) ([]string, error) {
	t.Helper()
	var out []string
	err := Run(t.Context(), trusting(), c, func(line string) { out = append(out, line) })
	return out, err
}

func TestOutputComesLineByLineFromTheFolder(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(t, Command{Dir: dir, Shell: `pwd; printf 'a\r\n\nb' >&2; printf "$WHO$HOME"`,
		Env: []string{"WHO=me", "HOME=/h"}})
	if want := []string{dir, "a", "", "bme/h"}; err != nil || !slices.Equal(out, want) {
		t.Errorf("lines %q, want %q, %v", out, want, err)
	}
}

func TestArgumentsAreNotReadByAShell(t *testing.T) {
	out, err := run(t, Command{Args: []string{"echo", "$HOME;x"}})
	if err != nil || !slices.Equal(out, []string{"$HOME;x"}) {
		t.Errorf("lines %q, %v", out, err)
	}
}

func TestErrorHasTheCodeTheTailAndThePlace(t *testing.T) {
	_, err := run(t,
		Command{Shell: `i=0; while [ $i -lt 30 ]; do echo $i; i=$((i+1)); done; echo a/b.go:3:7: no; echo c.go:9: no; echo end; exit 4`})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v", err, err)
	}
	if e.ExitCode != 4 || e.Place != "a/b.go:3:7: no" || len(e.Tail) != keptTail ||
		e.Tail[0] != "13" || e.Tail[keptTail-1] != "end" {
		t.Errorf("%+v", e)
	}
	if want := "exit status 4: a/b.go:3:7: no"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	_, err = run(t, Command{Shell: "echo one; echo two; false"})
	if want := "exit status 1: two"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	_, err = run(t, Command{Shell: "kill -9 $$"})
	if want := "signal: killed"; !errors.As(err, &e) || e.ExitCode != -1 || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestProgramThatIsNotThereCannotBeRun(t *testing.T) {
	_, err := run(t, Command{Args: []string{"no-such-program-anywhere"}})
	var e *Error
	if !errors.As(err, &e) || e.ExitCode != -1 || !strings.HasPrefix(err.Error(), "it cannot be run: ") {
		t.Errorf("%v", err)
	}
}

func TestEndOfTheContextKillsTheWholeGroup(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("superseded")
	var child int
	err := Run(ctx, trusting(), Command{Shell: "sleep 600 & echo $!; wait"}, func(line string) {
		child, _ = strconv.Atoi(line)
		cancel(why)
	})
	if !errors.Is(err, why) || child == 0 {
		t.Fatalf("%v, child %d", err, child)
	}
	for limit := time.Now().Add(time.Minute); alive(child); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("the child %d is still there", child)
		}
	}
}

// alive says whether a process runs; one that has ended and that nobody waited
// for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestLineThatIsRewrittenForEverStaysSmall(t *testing.T) {
	var out []string
	l := &lines{emit: func(line string) { out = append(out, line) }}
	for i := range 100_000 {
		l.Write([]byte(strconv.Itoa(i) + "%\r"))
		if len(l.buf) > 2*keepRewrites {
			t.Fatalf("%d bytes are held", len(l.buf))
		}
	}
	l.Write([]byte("done\n"))
	if len(out) != 1 || !strings.HasSuffix(out[0], "99999%\rdone") {
		t.Errorf("%d lines, the last ends in %q", len(out), out[0][max(0, len(out[0])-20):])
	}
	l.Write(make([]byte, 3*maxLine))
	if l.flush(); len(out[1]) != maxLine {
		t.Errorf("a line of %d bytes", len(out[1]))
	}
}
