package cli

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/ui/internal/hostile"
)

// What verbs print goes through the console's streams, which let no command to the terminal through.
// These are the ways around them.
func TestOutputGoesThroughTheGuard(t *testing.T) {
	reviewed := map[string]string{
		"attach.go unguarded": "the output of a program that the person has attached the terminal to",
		"cp.go unguarded":     "an archive",
		"exec.go unguarded":   "the output of a command that the person runs",
		"export.go unguarded": "an archive",
		"run.go unguarded":    "the output of a command that the person runs",
		"stats.go unguarded":  "clears the screen; what it prints is cleaned by its format",
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			what := ""
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					what = x.Name + "." + n.Sel.Name
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok {
					what = f.Name
				}
			}
			switch what {
			case "os.Stdout", "os.Stderr", "os.NewFile", "fmt.Print", "fmt.Printf", "fmt.Println",
				"print", "println",
				"unguarded", "syscall.Write", "unix.Write":
				what = name + " " + what
				met[what] = true
				if reviewed[what] == "" {
					t.Errorf("%s: what is printed goes to the console's streams, past no guard", what)
				}
			}
			return true
		})
	}
	for what := range reviewed {
		if !met[what] {
			t.Errorf("%s is reviewed and not there", what)
		}
	}
}

// Every verb that there is, on an engine whose containers, images and errors try to command the terminal.
func TestEveryVerbCommandsNoTerminal(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "compose.yaml")
	const text = "name: foreign\nservices:\n  a: {image: x, develop: {watch: [{path: ./b, action: restart}]}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rt := memory.New()
	n := neighbour{Runtime: rt, in: engine.Instance{Replica: 1, State: engine.StateRunning}}
	hostile.Fill(&n.in)
	n.in.Service, n.in.State, n.in.Started = "a", engine.StateRunning, time.Now()
	for _, line := range verbLines(func(string) bool { return true }) {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			out, errs := &lockedBuffer{}, &lockedBuffer{}
			a := newApp(Parts{
				Stdin: strings.NewReader(""), Stdout: out, Stderr: errs,
				Keys: func() (string, error) { return "x", nil },
				Environ: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(),
					"HOME=" + t.TempDir()},
				Connect: func(_ context.Context, o ConnectOptions) (engine.Runtime, container.Builder, error) {
					o.Warn("careful " + hostile.Text)
					return pictures{neighbour: n, ImageStore: rt}, foreignBuilder{}, nil
				},
			})
			ctx, stop := a.interrupts.listen(t.Context())
			defer stop()
			done := make(chan struct{})
			go func() {
				defer close(done)
				a.run(ctx, append([]string{"-f", file}, strings.Fields(line)...))
			}()
			// Some verbs go on until a signal ends them: any time is right, and what was printed by then
			// is looked at.
			select {
			case <-done:
			case <-time.After(2 * time.Second):
				a.interrupts.signalled(os.Interrupt)
				select {
				case <-done:
				case <-a.interrupts.overdue:
				}
			}
			for what, text := range map[string]string{"stdout": out.String(), "stderr": errs.String()} {
				// JSON has the text, escaped
				keeps := strings.HasPrefix(text, "{") || strings.Contains(line, "json")
				if bad := hostile.Check(text, !keeps); bad != "" {
					t.Errorf("%s: %s", what, bad)
				}
				if strings.Contains(text, "panic: ") {
					t.Errorf("%s:\n%.3000s", what, text)
				}
			}
		})
	}
}

// foreignBuilder fails with all that it can say.
type foreignBuilder struct{}

func (foreignBuilder) Build(
	context.Context, container.BuildRequest, func(container.BuildProgress),
) (r container.BuildResult, err error) {
	e := &container.BuildError{}
	hostile.Fill(e)
	e.Err = fmt.Errorf("no %s", hostile.Text)
	return r, e
}
func (foreignBuilder) Close() error { return nil }
