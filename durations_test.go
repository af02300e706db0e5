package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// No test judges a duration: what is one machine's second is another one's minute. This file finds
// the places that look like it.
const (
	judged = "judged" // a duration is compared, or taken for something other than a log line
	limit  = "limit"  // a wait that gives up in less than a minute
	// a sleep outside of a loop's `for …; …; time.Sleep(…)`, where it stands between two looks
	asleep = "asleep"
	inText = "text" // the same in a script, or in a file that a test writes: `timeout: 2s`, `sleep 1`
)

const durationsAdvice = `Assert what was meant: the signal, the order of events, the number of containers. What is a promise of speed goes to testdata/bench.
A wait looks for the thing itself and ends after the package's patience. A lower bound, virtual time (testing/synctest) and a pause that no
right program can fail by are fine: say so beside it, and count it in the list of durations_test.go.`

const all = -1

// reviewed are the places that were looked at and are fine, each with the reason. n is how many
// there are, or all of what comes.
var reviewed = []struct {
	file, kind string
	n          int
	why        string
}{
	{"engine/act_virtual_test.go", asleep, 3, "virtual time"},
	{"engine/act_virtual_test.go", judged, 1, "virtual time"},
	{"engine/agent/netns/flows_linux_test.go", limit, 1, "of one try among many"},
	{"engine/fault_virtual_test.go", judged, 1, "virtual time"},
	{"engine/build/build_test.go", limit, 1, "a lower bound: that long a build goes on that ends in an hour"},
	{"engine/compose_virtual_test.go", limit, 1, "the pace of a writer"},
	{"engine/fault/engine_linux_test.go", asleep, 1, "between two looks"},
	{"engine/faults_virtual_test.go", asleep, all, "virtual time"},
	{"engine/crash_virtual_test.go", asleep, all, "virtual time"},
	{"engine/outside_virtual_test.go", asleep, 1, "virtual time"},
	{"engine/crash_virtual_test.go", judged, all, "a lower bound, in virtual time"},
	{"engine/crash_virtual_test.go", limit, all, "the life of a program, in virtual time"},
	{"engine/kill_linux_test.go", asleep, 1, "the moment of a kill: any is right"},
	{"engine/apply_virtual_test.go", asleep, all, "virtual time"},
	{"engine/drill_virtual_test.go", asleep, 2, "virtual time"},
	{"engine/drill_virtual_test.go", limit, 2, "how long a check is slow, and a service crashes, in virtual time"},
	{"engine/drill_virtual_test.go", inText, 1, "the limit of a healthcheck, in virtual time"},
	{"engine/preview_virtual_test.go", asleep, all, "virtual time"},
	{"engine/sweep/sweep_test.go", asleep, 1, "between two looks"},
	{"engine/fault_virtual_test.go", asleep, all, "virtual time"},
	{"engine/hooks_virtual_test.go", judged, 1, "a lower bound, in virtual time"},
	{"engine/project/pipe_unix_test.go", asleep, 1, "between two looks"},
	{"engine/syncfile_test.go", asleep, 3, "between two changes of files: any length is right"},
	{"engine/night_test.go", asleep, 1, "virtual time"},
	{"engine/run_virtual_test.go", asleep, all, "virtual time"},
	{"engine/run_virtual_test.go", judged, all, "virtual time"},
	{"engine/scene_test.go", asleep, 1, "virtual time"},
	{"engine/stop_virtual_test.go", asleep, all, "virtual time"},
	{"engine/stop_virtual_test.go", judged, all, "virtual time"},
	{"engine/verbs_virtual_test.go", asleep, all, "virtual time"},
	{"engine/docker/epoll_linux_test.go", asleep, 3,
		"two before what has to be the same without them, one in virtual time"},
	{"engine/docker/epoll_linux_test.go", judged, 1, "virtual time"},
	{"engine/fault_virtual_test.go", limit, 1, "the pace of a writer, in virtual time"},
	{"engine/filesync/equal_unix_test.go", asleep, 1, "between two changes of files: any length is right"},
	{"engine/tail/fake_test.go", asleep, 2, "virtual time"},
	{"engine/tail/older_test.go", asleep, 2, "virtual time"},
	{"engine/tail/tail_test.go", limit, 1, "virtual time"},
	{"ui/shelldialog_test.go", asleep, 1, "the pace of keys"},
	{"ui/shellrelease_test.go", asleep, 1, "virtual time"},
	{"examples/shop/internal/service/service_test.go", judged, 1, "a lower bound: the time that a request has"},
	{"flood_linux_test.go", asleep, 1, "the pace of a person"},
	{"flood_linux_test.go", limit, 1, "between two looks"},
	{"insist_test.go", limit, 1, "between two signals, until the program has ended"},
	{"interrupt_unix_test.go", asleep, 1, "between two signals: less is one signal to the kernel"},
	{"interrupt_unix_test.go", limit, 1, "between two looks"},
	{"testdata/script/engine/applied.txtar", inText, 1,
		"the limit is the subject: the service never becomes ready"},
	{"ui/cli/silent_test.go", judged, 4, "in virtual time"},
	{"ui/foreign_test.go", asleep, 2, "the pace of keys"},
	{"ui/flood_test.go", judged, 1, "the pace of a writer"},
	{"ui/views_test.go", asleep, 1, "with -update alone"},
	{"watch/batch_test.go", asleep, all, "virtual time"},
	{"watch/batch_test.go", judged, all, "virtual time"},
	{"watch/git_linux_test.go", judged, 1, "a lower bound: how long a lock is waited for"},
	{"watch/hold_test.go", asleep, all, "virtual time"},
	{"engine/agent/netns/tap_test.go", judged, 1, "what is judged is made up"},
	{"engine/cause_virtual_test.go", asleep, 3, "virtual time"},
	{"engine/compose_virtual_test.go", asleep, 1, "virtual time"},
	{"engine/docker/dialer_engine_test.go", limit, 1, "of one try among many"},
	{"engine/edge/edge_test.go", judged, 2, "what is judged is made up"},
	{"engine/probe/probe_test.go", limit, 1, "when a program is ready, in virtual time"},
	{"engine/program_virtual_test.go", judged, 2, "virtual time"},
	{"engine/pulse_virtual_test.go", judged, 1, "virtual time"},
	{"sudden_unix_test.go", asleep, 1, "the moment of a kill: any is right"},
	{"testdata/script/engine/interop.txtar", inText, 3, "what a container does, which is removed"},
	{"testdata/script/engine/oneoffs.txtar", inText, 2, "what a container does, which is removed"},
	{"ui/cli/foreign_fence_test.go", limit, 1, "when a verb that goes on is ended: any time is right"},
	{"ui/cli/silentverbs_test.go", judged, 1, "virtual time"},
	{"ui/cli/startup/startup_test.go", asleep, 1, "between two looks"},
	{"ui/cli/drillsocket_test.go", asleep, 2, "between two looks, in virtual time"},
	{"ui/shelldialog_test.go", limit, 1, "until a message stands in a queue: less leaves out what is tried"},
	{"ui/terminal_linux_test.go", asleep, 1, "the pace of a writer"},
}

func TestNoTestJudgesADuration(t *testing.T) {
	type place struct{ file, kind string }
	found := map[place][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (path == ".git" || path == filepath.Join("testdata", "bench")):
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go") && path != "durations_test.go":
			return findDurations(path, func(kind, where string) {
				p := place{filepath.ToSlash(path), kind}
				found[p] = append(found[p], where)
			})
		case strings.HasSuffix(path, ".txtar"):
			text, err := os.ReadFile(path)
			for i, line := range strings.Split(string(text), "\n") {
				if shortWait(line) || scriptSleep.MatchString(line) {
					p := place{filepath.ToSlash(path), inText}
					found[p] = append(found[p], fmt.Sprintf("%s:%d: %s", path, i+1, strings.TrimSpace(line)))
				}
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reviewed {
		p := place{r.file, r.kind}
		if n := len(found[p]); n == 0 || n != r.n && r.n != all {
			t.Errorf("%s: %d times %s, and %d were reviewed (%s):\n\t%s", r.file, n, r.kind, r.n,
				r.why, strings.Join(found[p], "\n\t"))
		}
		delete(found, p)
	}
	for p, where := range found {
		t.Errorf("%s: %d times %s, and none was reviewed:\n\t%s", p.file, len(where), p.kind,
			strings.Join(where, "\n\t"))
	}
	if t.Failed() {
		t.Log(durationsAdvice)
	}
}

func TestDurationsAreFound(t *testing.T) {
	const head = "package p\n\nfunc TestX(t *testing.T) {\n\tbegan := time.Now()\n"
	for code, want := range map[string]string{
		`if time.Since(began) > bound { t.Error() }`:                          judged,
		`if d := end.Sub(began); d > bound { t.Error() }`:                     judged,
		`best = min(best, time.Since(began))`:                                 judged,
		`if c.Took < 2*time.Second { t.Error() }`:                             judged,
		`select { case <-c: case <-time.After(10 * time.Second): t.Fatal() }`: limit,
		`ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)`:       limit,
		`limit := time.Now().Add(5 * time.Second)`:                            limit,
		`client := http.Client{Timeout: time.Second}`:                         limit,
		`time.Sleep(time.Second)`:                                             asleep,
		"compose := `healthcheck: {timeout: 2s}`":                             inText,
		`run("--wait-timeout", "30s"); sh("timeout 2 true")`:                  inText,
		`t.Logf("it took %v", time.Since(began))`:                             "",
		`select { case <-c: case <-time.After(patience): t.Fatal() }`:         "",
		`for ; !ok(); time.Sleep(time.Millisecond) { }`:                       "",
		`if c.Took <= 0 { t.Error() }`:                                        "",
		`old := time.Now().Add(-time.Hour)`:                                   "",
		"compose := `healthcheck: {timeout: 60s}`":                            "",
	} {
		path := filepath.Join(t.TempDir(), "x_test.go")
		if err := os.WriteFile(path, []byte(head+code+"\n}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := findDurations(path, func(kind, where string) { got = append(got, kind) }); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: found %q, want %q", code, got, want)
		}
	}
}

var (
	// textLimit is a limit in YAML or on a command line.
	textLimit = regexp.MustCompile(`\b(?:wait-timeout|timeout)[:= ] ?"?(\d+(?:\.\d+)?)(ms|s|m|h)?\b`)
	// scriptSleep is a sleep among a script's commands: its files, which are YAML, have theirs in quotes or in brackets.
	scriptSleep = regexp.MustCompile(`^!? ?(?:exec|code) .*\bsleep\b`)
)

// shortWait tells whether a line of text has a limit of less than a minute.
func shortWait(line string) bool {
	for _, m := range textLimit.FindAllStringSubmatch(line, -1) {
		d, err := time.ParseDuration(m[1] + map[bool]string{true: "s", false: m[2]}[m[2] == ""])
		if err == nil && d > 0 && d < time.Minute {
			return true
		}
	}
	return false
}

// finder looks through one file.
type finder struct {
	set     *token.FileSet
	path    string
	lines   []string
	tell    func(kind, where string)
	spans   map[string]bool   // variables of a function that hold a time that passed
	allowed map[ast.Node]bool // what stands where it may
}

func findDurations(path string, tell func(kind, where string)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f := &finder{set: token.NewFileSet(), path: path, lines: strings.Split(string(text), "\n"),
		tell: tell, allowed: map[ast.Node]bool{}}
	file, err := parser.ParseFile(f.set, path, text, 0)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Benchmark") {
			continue
		}
		f.spans = map[string]bool{"took": true, "elapsed": true}
		ast.Inspect(d, f.prepare)
		ast.Inspect(d, f.look)
	}
	return nil
}

func (f *finder) report(kind string, n ast.Node) {
	line := f.set.Position(n.Pos()).Line
	f.tell(kind, fmt.Sprintf("%s:%d: %s", f.path, line, strings.TrimSpace(f.lines[line-1])))
}

// prepare notes variables that hold a duration that passed, and calls that stand where they may.
func (f *finder) prepare(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for i, value := range n.Rhs {
			if len(n.Lhs) != len(n.Rhs) || !passed(value) {
				continue
			}
			if id, ok := n.Lhs[i].(*ast.Ident); ok {
				f.spans[id.Name] = true
				f.allowed[value] = true // its uses are looked at
			}
		}
	case *ast.ForStmt:
		if n.Post != nil {
			f.allow(n.Post)
		}
	case *ast.CallExpr:
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok && name(sel.X) == "synctest" {
			f.allow(n) // virtual time
		}
		switch name(n.Fun) {
		case "Log", "Logf", "Errorf", "Fatalf", "ReportMetric":
			for _, a := range n.Args {
				f.allow(a)
			}
		}
	}
	return true
}

func (f *finder) allow(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool { f.allowed[n] = true; return true })
}

func (f *finder) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		switch n.Op {
		case token.LSS, token.GTR, token.LEQ, token.GEQ:
			if !zero(n.X) && !zero(n.Y) && (f.isDuration(n.X) || f.isDuration(n.Y)) {
				f.report(judged, n)
				f.allow(n)
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Timeout" && short(n.Value) {
			f.report(limit, n)
		}
	case *ast.CallExpr:
		f.call(n)
	case *ast.BasicLit:
		if n.Kind != token.STRING {
			break
		}
		text, _ := strconv.Unquote(n.Value) // it was parsed
		if slices.ContainsFunc(strings.Split(text, "\n"), shortWait) {
			f.report(inText, n)
		}
	}
	return true
}

func (f *finder) call(n *ast.CallExpr) {
	switch full(n.Fun) {
	case "time.Sleep":
		if !f.allowed[n] {
			f.report(asleep, n)
		}
	case "time.After", "time.NewTimer", "time.AfterFunc", "eventually":
		if short(n.Args[0]) {
			f.report(limit, n)
		}
	case "context.WithTimeout":
		if short(n.Args[1]) {
			f.report(limit, n)
		}
	default:
		switch {
		case passed(n) && !f.allowed[n]:
			f.report(judged, n)
		case name(n.Fun) == "Add" && strings.HasPrefix(full(n.Fun), "time.Now") && short(n.Args[0]):
			f.report(limit, n)
		}
	}
}

// isDuration tells whether an operand is a duration, as far as its text shows.
func (f *finder) isDuration(e ast.Expr) (is bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			is = is || passed(n)
		case *ast.SelectorExpr:
			is = is || unit(n) > 0 || n.Sel.Name == "Took"
		case *ast.Ident:
			is = is || f.spans[n.Name]
		}
		return !is
	})
	return is
}

// zero tells whether an operand is 0: that something has a duration at all is no judgement of it.
func zero(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Value == "0"
}

// passed tells whether an expression is a time that passed.
func passed(e ast.Expr) bool {
	c, ok := e.(*ast.CallExpr)
	return ok && (full(c.Fun) == "time.Since" || name(c.Fun) == "Sub" && len(c.Args) == 1)
}

// short tells whether a duration is known, positive and less than a minute.
func short(e ast.Expr) bool {
	d := value(e)
	return d > 0 && d < float64(time.Minute)
}

// value computes a duration that is written out, 0 for all others.
func value(e ast.Expr) float64 {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return unit(e)
	case *ast.BasicLit:
		n, _ := strconv.ParseFloat(e.Value, 64) // 0 for what is no number
		return n
	case *ast.ParenExpr:
		return value(e.X)
	case *ast.BinaryExpr:
		switch a, b := value(e.X), value(e.Y); e.Op {
		case token.MUL:
			return a * b
		case token.ADD:
			return a + b
		}
	}
	return 0
}

// unit is the length of time.Second and the like, 0 for other names.
func unit(e *ast.SelectorExpr) float64 {
	if x, ok := e.X.(*ast.Ident); !ok || x.Name != "time" {
		return 0
	}
	return float64(map[string]time.Duration{"Nanosecond": 1, "Microsecond": time.Microsecond,
		"Millisecond": time.Millisecond,
		"Second":      time.Second, "Minute": time.Minute, "Hour": time.Hour}[e.Sel.Name])
}

// name is the last part of what is called, full all of it.
func name(e ast.Expr) string { s := full(e); return s[strings.LastIndexByte(s, '.')+1:] }

func full(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return full(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return full(e.Fun)
	}
	return ""
}
