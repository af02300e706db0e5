package main

import (
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
