package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReportShowsWhatFailedAndTheSlowest(t *testing.T) {
	const events = `{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"    good words\n"}
{"Action":"pass","Package":"a","Test":"TestGood/part","Elapsed":2.5}
{"Action":"pass","Package":"a","Test":"TestGood","Elapsed":3}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t3.1s\n"}
{"Action":"pass","Package":"a","Elapsed":3.1}
go: a word of go itself
{"Action":"build-output","ImportPath":"c","Output":"c.go:1: no\n"}
{"Action":"output","Package":"b","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"b","Test":"TestBad","Output":"    bad words\n"}
{"Action":"output","Package":"b","Test":"TestBad","Output":"--- FAIL: TestBad (1.00s)\n"}
{"Action":"fail","Package":"b","Test":"TestBad","Elapsed":1}
{"Action":"output","Package":"b","Test":"TestHangs","Output":"panic: test timed out\n"}
{"Action":"output","Package":"b","Output":"FAIL\tb\t1.1s\n"}
{"Action":"fail","Package":"b","Elapsed":1.1}
`
	var out strings.Builder
	r := newReport(&out)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	r.slowest(2)
	const want = `ok  	a	3.1s
go: a word of go itself
c.go:1: no
    bad words
--- FAIL: TestBad (1.00s)
panic: test timed out
FAIL	b	1.1s

the slowest tests:
     2.5s  a  TestGood/part
     1.0s  b  TestBad
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What failed once and passes three times alone does not fail the run, and is named; what fails again
// does, and so does what is no failed test.
func TestFailedTestsRunAgainAlone(t *testing.T) {
	const once = `package a

import (
	"os"
	"testing"
)

func TestOnce(t *testing.T) {
	if _, err := os.Stat("seen"); err != nil {
		os.WriteFile("seen", nil, 0o644)
		t.Error("in the crowd")
	}
}

func TestGood(t *testing.T) {}
`
	for name, c := range map[string]struct {
		more  string // tests of the package
		again int
		code  int
		says  []string
	}{
		"it passes alone":       {"", 2, 0, []string{"in the crowd", "a TestOnce failed; now 3 times alone:", "failed in the crowd, and passed alone:\n           a  TestOnce\n"}},
		"nobody asked for it":   {"", 0, 1, []string{"in the crowd"}},
		"more failed":           {"func TestBad(t *testing.T) { t.Error(1) }\n", 1, 1, nil},
		"it fails again":        {"func TestBad(t *testing.T) { t.Error(1) }\n", 2, 1, []string{"a TestBad failed; now 3 times alone:"}},
		"the package broke off": {"func TestZ(t *testing.T) { os.Exit(3) }\n", 2, 1, nil},
		"it does not compile":   {"func TestZ(t *testing.T) { nothing() }\n", 2, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"go.mod": "module a\n\ngo 1.26\n", "a_test.go": once + c.more} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(dir)
			var out strings.Builder
			code, err := run([]string{"-vet=off", "-timeout", "60m", "."}, c.again, &out)
			if err != nil || code != c.code {
				t.Errorf("exit code %d, want %d (%v)", code, c.code, err)
			}
			for _, say := range c.says {
				if !strings.Contains(out.String(), say) {
					t.Errorf("%q is not in\n%s", say, out.String())
				}
			}
			if len(c.says) == 0 && strings.Contains(out.String(), "alone") {
				t.Errorf("it ran again:\n%s", out.String())
			}
		})
	}
}
