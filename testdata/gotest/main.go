// Gotest is `go test` that ends with its ten slowest tests. It prints what go test does without -v:
// a line for each package, and all that a test said that did not pass.
//
//	go run ./testdata/gotest [flags of go test] packages
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64 // seconds
	Output  string
}

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(args []string, out io.Writer) (code int, err error) {
	c := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	c.Stderr = os.Stderr
	lines, err := c.StdoutPipe()
	if err != nil {
		return 1, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := c.Start(); err != nil {
		return 1, err
	}
	go func() {
		for s := range signals {
			_ = c.Process.Signal(s) // it may have ended
		}
	}()
	r := newReport(out)
	err = r.read(lines)
	var exit *exec.ExitError
	if wait := c.Wait(); errors.As(wait, &exit) {
		code = max(exit.ExitCode(), 1) // -1 after a signal
	} else if wait != nil {
		return 1, wait
	}
	r.slowest(10)
	return code, err
}

// report prints events as they come.
type report struct {
	out   io.Writer
	open  map[string]*pkg
	times []taken
}

// pkg is what is kept of a package until it ends.
type pkg struct {
	said  []string            // by no test
	tests map[string][]string // of tests that have not passed
	order []string
	whole map[string]bool // tests that have tests of their own
	times []taken
}

type taken struct {
	test, pkg string
	seconds   float64
}

func newReport(out io.Writer) *report { return &report{out: out, open: map[string]*pkg{}} }

func (r *report) read(lines io.Reader) error {
	in := bufio.NewReader(lines)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil {
				r.take(e)
			} else {
				fmt.Fprint(r.out, line) // go test itself has something to say
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(r.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := r.open[e.Package]
	if p == nil {
		p = &pkg{tests: map[string][]string{}, whole: map[string]bool{}}
		r.open[e.Package] = p
	}
	switch {
	case e.Action == "output" && e.Test == "":
		p.said = append(p.said, e.Output)
	case e.Action == "output":
		if _, ok := p.tests[e.Test]; !ok {
			p.order = append(p.order, e.Test)
		}
		p.tests[e.Test] = append(p.tests[e.Test], e.Output)
	case e.Test == "" && (e.Action == "pass" || e.Action == "skip" || e.Action == "fail"):
		r.end(p, e.Action == "fail")
		delete(r.open, e.Package)
	case e.Action == "pass" || e.Action == "skip" || e.Action == "fail":
		if i := strings.LastIndexByte(e.Test, '/'); i >= 0 {
			p.whole[e.Test[:i]] = true
		}
		p.times = append(p.times, taken{e.Test, e.Package, e.Elapsed})
		if e.Action != "fail" {
			delete(p.tests, e.Test)
		}
	}
}

// end prints a package: its closing line, and before that, when it failed, whatever was said by
// tests that did not pass.
func (r *report) end(p *pkg, failed bool) {
	if failed {
		for _, test := range p.order {
			for _, line := range p.tests[test] {
				if !strings.HasPrefix(line, "=== ") {
					fmt.Fprint(r.out, line)
				}
			}
		}
	}
	for _, line := range p.said {
		if failed || strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") {
			fmt.Fprint(r.out, line)
		}
	}
	for _, t := range p.times {
		if !p.whole[t.test] {
			r.times = append(r.times, t)
		}
	}
}

func (r *report) slowest(n int) {
	slices.SortStableFunc(r.times, func(a, b taken) int { return cmp.Compare(b.seconds, a.seconds) })
	if len(r.times) == 0 {
		return
	}
	fmt.Fprintln(r.out, "\nthe slowest tests:")
	for _, t := range r.times[:min(n, len(r.times))] {
		fmt.Fprintf(r.out, "%8.1fs  %s  %s\n", t.seconds, t.pkg, t.test)
	}
}
