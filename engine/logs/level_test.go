package logs

import "testing"

func TestLevelsAreRecognised(t *testing.T) {
	for want, lines := range map[Level][]string{
		Trace: {"TRACE x", `{"level":10,"msg":"x"}`, "trce: Microsoft.Hosting[0]", "8:46PM TRC x"},
		Debug: {"[DEBUG] x", "level=debug msg=x", "DEBU[0000] x", "dbug: x", `{"t":{"$date":"2026"},"s":"D1","c":"NETWORK"}`,
			"1:M 23 Nov 2026 20:46:48.123 - DB 0: 1 keys"},
		Info: {"INFO x", "2026/11/23 20:46:48 INFO x", "2026-11-23 20:46:48.123  INFO 1 --- [main] c.e.App : Started",
			"I1123 20:46:48.123456   12345 file.go:12] x", "[20:46:48 INF] x", "\x1b[32minfo\x1b[39m: x", "[\x1b[32minfo\x1b[0m] x",
			"2026-11-23 20:46:48.000 UTC [1] LOG:  checkpoint complete", `{"severity":"NOTICE"}`, "<6>x", "INFO[0000] x",
			"1:M 23 Nov 2026 20:46:48.123 * Ready to accept connections", `time="2026-11-23" level=info msg="x ERROR"`,
			`{"msg":"level \"error\" {","nested":{"level":"error"},"level":"info"}`, "20:46:48.123 [info] x", "[2026-11-23][INFO ][o.e.n.Node] x",
			`{"@timestamp":"x","log.level":"INFO"}`, `{"level":30,"time":1}`, `{"t":{"$date":"2026"},"s":"I","c":"NETWORK"}`},
		Warn: {"WARNING:root:x", "level=warn", "W1123 20:46:48.1 1 f.go:1] x", "npm warn deprecated x", "[Warning] x", "warning: unused variable",
			"main.c:3:5: warning: x", "1:M 23 Nov 2026 20:46:48.123 # WARNING overcommit", `lvl="WARN"`, "<4>x", "<132>x"},
		Error: {"ERROR x", "2026/11/23 20:46:48 [error] 7#7: *1 open() failed", "TypeError: x is not a function", "npm ERR! code 1",
			"Traceback (most recent call last):", `Exception in thread "main" java.lang.X`, "java.lang.NullPointerException: x", "E1123 20:46:48.1 1 f.go:1] x",
			"Caused by: java.io.IOException: x", "2026-11-23 - app - ERROR - x", "[2026-11-23 20:46:48] local.ERROR: x", "level=ERROR+2 msg=x",
			"main.go:3:5: error: x", "error connecting to db", `{"message":"x","level":"err"}`, "SEVERE: x", "[php:error] x", "fail: Microsoft.Hosting[0]",
			"E, [2026-11-23T20:46:48.1 #1] ERROR -- : x", "ERRO[0002] x", `{"level":50}`, "Uncaught ReferenceError: x"},
		Fatal: {"FATAL: x", "panic: runtime error: index out of range", "fatal error: all goroutines are asleep", "CRITICAL x", `{"level":"fatal"}`,
			"F1123 20:46:48.1 1 f.go:1] x", `{"severity":"EMERGENCY"}`, "crit: x"},
		LevelUnknown: {"", " ", "listening on :8080", "no errors found", "the information desk", "GET /error 200", "error_count 0", "errors: none here",
			"0 failed, 3 passed", "{", `{"level":`, "<", "<999>x", "user-info updated", `{"level":{"a":1}}`, "customer ordered fine cheese", "1:M"},
	} {
		for _, line := range lines {
			if got, _ := recognise([]byte(line)); got != want {
				t.Errorf("%q is %s, want %s", line, got, want)
			}
		}
	}
}

func TestContinuationLinesTakeOverTheLevel(t *testing.T) {
	s := New(Options{})
	for _, l := range []struct {
		stream Stream
		text   string
	}{
		{Stderr, "ERROR boom"}, {Stdout, "INFO calm"}, {Stderr, "\tat com.foo.Bar(Bar.java:1)"}, {Stderr, "    ... 12 more"},
		{Stdout, "  indented"}, {Stderr, "next line"}, {Stderr, "panic: x"}, {Stderr, "goroutine 1 [running]:"},
	} {
		s.Append("a", 1, 1, l.stream, at(0), []byte(l.text))
	}
	want := []Level{Error, Info, Error, Error, Info, LevelUnknown, Fatal, Fatal}
	for i, l := range all(s.View(Filter{})) {
		if l.Level != want[i] {
			t.Errorf("%q is %s, want %s", l.Text, l.Level, want[i])
		}
	}
}

func TestParseLevelReadsEverySpelling(t *testing.T) {
	for l := Trace; l <= Fatal; l++ {
		if got, ok := ParseLevel(" " + l.String()); !ok || got != l {
			t.Errorf("ParseLevel(%q) = %s, %v", l, got, ok)
		}
	}
	if _, ok := ParseLevel("loud"); ok {
		t.Error("loud is taken for a level")
	}
}

func FuzzRecognise(f *testing.F) {
	for _, s := range []string{`{"level":"`, "I1123 20:46:48", "<13", "1:M 23 Nov 2026 20:46:48.123 * x", "\x1b[1mINFO", "level="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, carries := recognise(text)
		if l > Fatal || l != LevelUnknown && carries {
			t.Fatalf("%q is %s and carries %v", text, l, carries)
		}
	})
}
