// Gotest is `go test` that ends with its ten slowest tests. It prints what go test does without -v:
// a line for each package, and all that a test said that did not pass.
//
//	go run ./testdata/gotest [-again N] [flags of go test] packages
//
// With -again, where at most N tests failed and nothing else did, each of them runs three times more
// with nothing beside it. Those that pass all three are named at the end as failed in the crowd, with
// what they said in its place above, and the run counts as passed. What fails for sure, or one time in
// a few, still fails.
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
	"strconv"
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

// alone is how often a test has to pass with nothing beside it.
const alone = 3

func main() {
	args, again := os.Args[1:], 0
	if len(args) > 1 && args[0] == "-again" {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "gotest: -again:", err)
			os.Exit(2)
		}
		args, again = args[2:], n
	}
	code, err := run(args, again, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(args []string, again int, out io.Writer) (code int, err error) {
	r := newReport(out)
	code, err = goTest(args, r)
	if err != nil {
		return code, err
	}
	if code != 0 && r.onlyTests() && len(r.failed) <= again {
		for _, f := range r.failed {
			fmt.Fprintf(out, "\n%s %s failed; now %d times alone:\n", f.pkg, f.test, alone)
			if code, err = goTest(onlyTest(args, f), newReport(out)); code != 0 || err != nil {
				break
			}
		}
		if code == 0 {
			fmt.Fprintln(out, "\nfailed in the crowd, and passed alone:")
			for _, f := range r.failed {
				fmt.Fprintf(out, "           %s  %s\n", f.pkg, f.test)
			}
		}
	}
	r.slowest(10)
	return code, err
}

// onlyTest is a run of one test out of the arguments of one of many: flags come before packages.
func onlyTest(args []string, f taken) []string {
	var out []string
	for i := 0; i < len(args) && strings.HasPrefix(args[i], "-"); i++ {
		out = append(out, args[i])
		if args[i] == "-timeout" || args[i] == "-run" {
			i++
			out = append(out, args[i])
		}
	}
	return append(out, "-run", "^"+f.test+"$", "-count", strconv.Itoa(alone), f.pkg)
}

// goTest runs go test and reports what it says.
func goTest(args []string, r *report) (code int, err error) {
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
	err = r.read(lines)
	var exit *exec.ExitError
	if wait := c.Wait(); errors.As(wait, &exit) {
		code = max(exit.ExitCode(), 1) // -1 after a signal
	} else if wait != nil {
		return 1, wait
	}
	return code, err
}

// report prints events as they come.
type report struct {
	out    io.Writer
	open   map[string]*pkg
	times  []taken
	failed []taken // tests, not parts of them
	other  bool    // something went wrong that is no failed test
}

// pkg is what is kept of a package until it ends.
type pkg struct {
	said  []string            // by no test
	tests map[string][]string // of tests that have not passed
	order []string
	whole map[string]bool // tests that have tests of their own
	ended map[string]bool
	times []taken

	failed bool // a test of it
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
		r.other = true
		fmt.Fprint(r.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := r.open[e.Package]
	if p == nil {
		p = &pkg{tests: map[string][]string{}, whole: map[string]bool{}, ended: map[string]bool{}}
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
		t := taken{e.Test, e.Package, e.Elapsed}
		p.times, p.ended[e.Test] = append(p.times, t), true
		switch {
		case e.Action != "fail":
			delete(p.tests, e.Test)
		case !strings.Contains(e.Test, "/"):
			p.failed = true
			r.failed = append(r.failed, t)
		}
	}
}

// end prints a package: its closing line, and before that, when it failed, whatever was said by
// tests that did not pass.
func (r *report) end(p *pkg, failed bool) {
	if failed {
		r.other = r.other || !p.failed
		for _, test := range p.order {
			r.other = r.other || p.tests[test] != nil && !p.ended[test]
			for _, line := range p.tests[test] {
				r.other = r.other || strings.Contains(line, "DATA RACE")
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

// onlyTests says whether tests failed and nothing else did: no build, no package that broke off, no data race.
func (r *report) onlyTests() bool { return len(r.failed) > 0 && !r.other && len(r.open) == 0 }

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
