package logs

import "testing"

func TestTemplatesLeaveOutWhatVaries(t *testing.T) {
	for a, b := range map[string]string{
		`time=2026-11-23T12:00:01 level=WARN msg="catalog is down" muted=3 err="dial tcp 10.0.0.3:8080: refused"`: `time=2026-11-23T12:09:41 level=WARN msg="catalog is down" muted=17 err="dial tcp 10.0.0.9:8080: refused"`,
		`{"level":"error","id":"9f8e7d6c5b4a","took":12}`:                                                         `{"level":"error","id":"0123456789ab","took":7}`,
		"user deadbeef-cafe failed": "user feedface-beef failed",
	} {
		if Template(a) != Template(b) {
			t.Errorf("%q is not of the kind of %q", Template(a), Template(b))
		}
	}
	if Template("cart is down") == Template("orders is down") {
		t.Error("two services are one kind")
	}
}

func TestLinesOfAStackTraceContinueIt(t *testing.T) {
	for line, want := range map[string]bool{
		"Traceback (most recent call last):":          false,
		`  File "/app/main.py", line 12, in <module>`: true, "ValueError: boom": false,
		"panic: boom": false, "goroutine 1 [running]:": true, "main.work(...)": true,
		"\t/app/main.go:7 +0x1d":             true,
		"    at handler (/app/index.js:3:9)": true, "ERROR job failed": false,
	} {
		if got := Continues([]byte(line)); got != want {
			t.Errorf("%q continues the line before: %v", line, got)
		}
	}
}
