package logs

import (
	"testing"
	"time"
)

func TestLevelsAreRecognised(t *testing.T) {
	for want, lines := range map[Level][]string{
		Trace: {"TRACE x", `{"level":10,"msg":"x"}`, "trce: Microsoft.Hosting[0]", "8:46PM TRC x"},
		Debug: {"[DEBUG] x", "level=debug msg=x", "DEBU[0000] x", "dbug: x",
			`{"t":{"$date":"2026"},"s":"D1","c":"NETWORK"}`,
			"1:M 23 Nov 2026 20:46:48.123 - DB 0: 1 keys"},
		Info: {"INFO x", "2026/11/23 20:46:48 INFO x",
			"2026-11-23 20:46:48.123  INFO 1 --- [main] c.e.App : Started",
			"I1123 20:46:48.123456   12345 file.go:12] x", "[20:46:48 INF] x",
			"\x1b[32minfo\x1b[39m: x", "[\x1b[32minfo\x1b[0m] x",
			"2026-11-23 20:46:48.000 UTC [1] LOG:  checkpoint complete", `{"severity":"NOTICE"}`,
			"<6>x", "INFO[0000] x",
			"1:M 23 Nov 2026 20:46:48.123 * Ready to accept connections",
			`time="2026-11-23" level=info msg="x ERROR"`,
			`{"msg":"level \"error\" {","nested":{"level":"error"},"level":"info"}`,
			"20:46:48.123 [info] x", "[2026-11-23][INFO ][o.e.n.Node] x",
			`{"@timestamp":"x","log.level":"INFO"}`, `{"level":30,"time":1}`,
			`{"t":{"$date":"2026"},"s":"I","c":"NETWORK"}`},
		Warn: {"WARNING:root:x", "level=warn", "W1123 20:46:48.1 1 f.go:1] x",
			"npm warn deprecated x", "[Warning] x", "warning: unused variable",
			"main.c:3:5: warning: x", "1:M 23 Nov 2026 20:46:48.123 # WARNING overcommit",
			`lvl="WARN"`, "<4>x", "<132>x"},
		Error: {"ERROR x", "2026/11/23 20:46:48 [error] 7#7: *1 open() failed",
			"TypeError: x is not a function", "npm ERR! code 1",
			"Traceback (most recent call last):", `Exception in thread "main" java.lang.X`,
			"java.lang.NullPointerException: x", "E1123 20:46:48.1 1 f.go:1] x",
			"Caused by: java.io.IOException: x", "2026-11-23 - app - ERROR - x",
			"[2026-11-23 20:46:48] local.ERROR: x", "level=ERROR+2 msg=x",
			"main.go:3:5: error: x", "error connecting to db", `{"message":"x","level":"err"}`,
			"SEVERE: x", "[php:error] x", "fail: Microsoft.Hosting[0]",
			"E, [2026-11-23T20:46:48.1 #1] ERROR -- : x", "ERRO[0002] x", `{"level":50}`,
			"Uncaught ReferenceError: x"},
		Fatal: {"FATAL: x", "panic: runtime error: index out of range",
			"fatal error: all goroutines are asleep", "CRITICAL x", `{"level":"fatal"}`,
			"F1123 20:46:48.1 1 f.go:1] x", `{"severity":"EMERGENCY"}`, "crit: x"},
		LevelUnknown: {"", " ", "listening on :8080", "no errors found", "the information desk",
			"GET /error 200", "error_count 0", "errors: none here",
			"0 failed, 3 passed", "{", `{"level":`, "<", "<999>x", "user-info updated",
			`{"level":{"a":1}}`, "customer ordered fine cheese", "1:M"},
	} {
		for _, line := range lines {
			if got, _ := recognise([]byte(line)); got != want {
				t.Errorf("%q is %s, want %s", line, got, want)
			}
		}
	}
}

// The heads of common frameworks, as their default formats write them, at each level that they have.
func TestCommonFrameworksAreKnown(t *testing.T) {
	type lines map[Level]string
	for name, want := range map[string]lines{
		"klog": {Info: "I0102 15:04:05.000000       1 main.go:3] up",
			Warn:  "W0102 15:04:05.000000       1 main.go:3] x",
			Error: "E0102 15:04:05.000000       1 main.go:3] x",
			Fatal: "F0102 15:04:05.000000       1 main.go:3] x"},
		"glog, year": {Info: "I20261123 15:04:05.000000 12345 main.cc:3] up",
			Warn:  "W20261123 15:04:05.000000 12345 main.cc:3] x",
			Error: "E20261123 15:04:05.000000 12345 main.cc:3] x",
			Fatal: "F20261123 15:04:05.000000 12345 main.cc:3] x"},
		"logfmt": {Trace: "level=trace a=b", Debug: `ts=1 caller=x.go:1 level=debug msg="x"`,
			Info: "time=2026-11-23T20:46:48Z level=INFO msg=x", Warn: `level="warning" msg=x`,
			Error: "msg=failed lvl=eror", Fatal: "severity=critical msg=x"},
		"JSON": {Debug: `{"level":"debug"}`, Info: `{"msg":"x","severity":"INFO"}`,
			Warn: `{"lvl":"warn"}`, Error: `{"levelname":"ERROR","message":"x"}`, Fatal: `{"level":"panic"}`},
		"pino": {Trace: `{"level":10,"time":1}`, Debug: `{"level":20,"time":1}`,
			Info: `{"level":30,"time":1,"msg":"x"}`, Warn: `{"level":40}`, Error: `{"level":50}`,
			Fatal: `{"level":60}`},
		"bunyan": {Info: `{"name":"app","hostname":"h","pid":1,"level":30,"msg":"x","v":0}`,
			Error: `{"name":"app","hostname":"h","pid":1,"level":50,"msg":"x","v":0}`},
		"Serilog": {Debug: `{"@t":"2026-11-23T20:46:48Z","@l":"Debug","@m":"x"}`,
			Error: `{"@t":"x","@m":"x","@l":"Error"}`, Info: "[20:46:48 INF] x", Warn: "[20:46:48 WRN] x"},
		"python": {Debug: "DEBUG:root:x", Info: "INFO:     127.0.0.1:3 - GET / 200",
			Warn: "WARNING:root:x", Error: "2026-11-23 20:46:48,123 - app - ERROR - x",
			Fatal: "2026-11-23 20:46:48,123 CRITICAL app: x"},
		"loguru": {Info: "2026-11-23 20:46:48.123 | INFO     | __main__:<module>:3 - x",
			Error: "2026-11-23 20:46:48.123 | ERROR    | __main__:<module>:3 - x"},
		"gunicorn": {Info: "[2026-11-23 20:46:48 +0000] [7] [INFO] Booting worker",
			Error: "[2026-11-23 20:46:48 +0000] [7] [ERROR] x",
			Fatal: "[2026-11-23 20:46:48 +0000] [7] [CRITICAL] WORKER TIMEOUT"},
		"celery": {Info: "[2026-11-23 20:46:48,123: INFO/MainProcess] x",
			Warn:  "[2026-11-23 20:46:48,123: WARNING/MainProcess] x",
			Error: "[2026-11-23 20:46:48,123: ERROR/ForkPoolWorker-1] x"},
		"log4j": {Trace: "2026-11-23 20:46:48,123 [main] TRACE c.e.App - x",
			Debug: "20:46:48.123 [main] DEBUG c.e.App - x",
			Info:  "2026-11-23 20:46:48,123 INFO  [main] c.e.App: x", Warn: "[WARN ] 2026-11-23 x",
			Error: "2026-11-23 20:46:48,123 ERROR c.e.App [main] x", Fatal: "FATAL [main] x"},
		"logback": {Info: "20:46:48.123 [http-nio-8080-exec-1] INFO  c.e.App - error rate is 0",
			Warn: "20:46:48.123 [main] WARN  c.e.App -- x", Error: "20:46:48.123 [main] ERROR c.e.App - x"},
		"Spring": {Info: "2026-11-23T20:46:48.123Z  INFO 1 --- [main] c.e.App : Started",
			Warn:  "2026-11-23T20:46:48.123+01:00  WARN 1 --- [app] [main] c.e.App : x",
			Error: "2026-11-23T20:46:48.123Z ERROR 1 --- [main] c.e.App : x"},
		"java.util": {Info: "INFO: x", Warn: "WARNING: x", Error: "SEVERE: x", Debug: "FINE: x"},
		"Rails": {Debug: "D, [2026-11-23T20:46:48.123456 #1] DEBUG -- : x",
			Info:  "I, [2026-11-23T20:46:48.123456 #1]  INFO -- : Started GET",
			Warn:  "W, [2026-11-23T20:46:48.123456 #1]  WARN -- : x",
			Error: "E, [2026-11-23T20:46:48.123456 #1] ERROR -- : x",
			Fatal: "F, [2026-11-23T20:46:48.123456 #1] FATAL -- : x"},
		"Laravel": {Info: "[2026-11-23 20:46:48] production.INFO: x",
			Error: "[2026-11-23 20:46:48] production.ERROR: x"},
		"PHP": {Info: "PHP Notice:  x in y", Warn: "PHP Warning:  x in y",
			Error: "PHP Parse error:  x in y", Fatal: "PHP Fatal error:  Uncaught x"},
		"nginx": {Info: "2026/11/23 20:46:48 [notice] 1#1: start worker",
			Warn:  "2026/11/23 20:46:48 [warn] 1#1: x",
			Error: "2026/11/23 20:46:48 [error] 29#29: *1 open() failed",
			Fatal: "2026/11/23 20:46:48 [emerg] 1#1: host not found"},
		"Apache": {Info: "[Mon Nov 23 20:46:48.123 2026] [mpm_event:notice] [pid 1:tid 1] x",
			Error: "[Mon Nov 23 20:46:48.123 2026] [core:error] [pid 1] x"},
		"PostgreSQL": {Info: "2026-11-23 20:46:48.123 UTC [1] LOG:  ready to accept connections",
			Warn:  "2026-11-23 20:46:48.123 UTC [7] WARNING:  x",
			Error: `2026-11-23 20:46:48.123 UTC [7] ERROR:  relation "x" does not exist at character 15`, Fatal: `2026-11-23 20:46:48.123 UTC [7] FATAL:  password authentication failed`},
		"MySQL": {Info: "2026-11-23T20:46:48.123456Z 0 [Note] x",
			Warn:  "2026-11-23T20:46:48.123456Z 0 [Warning] [MY-1] [Server] x",
			Error: "2026-11-23T20:46:48.123456Z 0 [ERROR] [MY-1] [Server] x"},
		"MongoDB": {Info: `{"t":{"$date":"2026-11-23"},"s":"I","c":"NETWORK"}`,
			Warn:  `{"t":{"$date":"2026-11-23"},"s":"W","c":"CONTROL"}`,
			Error: `{"t":{"$date":"2026-11-23"},"s":"E","c":"CONTROL"}`,
			Debug: `{"t":{"$date":"2026-11-23"},"s":"D1","c":"CONTROL"}`},
		"Redis": {Debug: "1:M 23 Nov 2026 20:46:48.123 - DB 0",
			Info: "1:M 23 Nov 2026 20:46:48.123 * Ready",
			Warn: "1:M 23 Nov 2026 20:46:48.123 # WARNING overcommit"},
		"zap": {Debug: "2026-11-23T20:46:48.123Z\tDEBUG\tapp/main.go:3\tx",
			Info:  "2026-11-23T20:46:48.123Z\tINFO\tapp/main.go:3\tx",
			Warn:  "2026-11-23T20:46:48.123Z\t\x1b[33mWARN\x1b[0m\tx",
			Error: "2026-11-23T20:46:48.123Z\tERROR\tx", Fatal: "1.7e+09\tfatal\tx\t{}"},
		"zerolog": {Trace: "3:04PM TRC x", Debug: "\x1b[90m3:04PM\x1b[0m \x1b[33mDBG\x1b[0m x",
			Info: "3:04PM INF x a=b", Warn: "3:04PM WRN x",
			Error: "\x1b[90m3:04PM\x1b[0m \x1b[1m\x1b[31mERR\x1b[0m\x1b[0m x", Fatal: "3:04PM FTL x"},
		"logrus": {Info: "INFO[0000] x", Warn: "\x1b[33mWARN\x1b[0m[0000] x",
			Error: "ERRO[0000] x", Fatal: "FATA[0000] x", Debug: "DEBU[0000] x"},
		"hclog": {Debug: "2026-11-23T20:46:48.123Z [DEBUG] agent: x",
			Info:  "2026-11-23T20:46:48.123Z [INFO]  agent: x",
			Error: "2026-11-23T20:46:48.123Z [ERROR] agent: x"},
		"slog": {Debug: "time=x level=DEBUG msg=x", Info: "2026/11/23 20:46:48 INFO x a=b",
			Warn: "2026/11/23 20:46:48 WARN x", Error: `{"time":"x","level":"ERROR+1","msg":"x"}`},
		"env_logger": {Debug: "[2026-11-23T20:46:48Z DEBUG app] x",
			Info: "[2026-11-23T20:46:48Z INFO  app::db] x",
			Warn: "[2026-11-23T20:46:48Z WARN  app] x", Error: "[2026-11-23T20:46:48Z ERROR app] x",
			Trace: "[2026-11-23T20:46:48Z TRACE app] x"},
		"tracing": {Info: "2026-11-23T20:46:48.123456Z  INFO app: x",
			Warn: "\x1b[2m2026-11-23T20:46:48.123456Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[2mapp\x1b[0m\x1b[2m:\x1b[0m x", Error: "2026-11-23T20:46:48.123456Z ERROR request{id=1}: app: x", Debug: "2026-11-23T20:46:48.123456Z DEBUG app: x"},
		".NET": {Trace: "trce: App[0]", Debug: "dbug: App[0]",
			Info:  "info: Microsoft.Hosting.Lifetime[14]",
			Warn:  "\x1b[40m\x1b[1m\x1b[33mwarn\x1b[39m\x1b[22m\x1b[49m: App[0]",
			Error: "fail: App[0]", Fatal: "crit: App[0]"},
		"systemd": {Fatal: "<2>x", Error: "<3>x", Warn: "<4>x", Info: "<5>x", Debug: "<7>x"},
		"Erlang": {Info: "2026-11-23 20:46:48.123 [info] <0.1.0> x",
			Error: "20:46:48.123 [error] GenServer terminating",
			Warn:  "2026-11-23 20:46:48.123456+00:00 [warning] <0.1.0> x"},
		"winston": {Info: "info: x", Warn: "warn: x", Error: "\x1b[31merror\x1b[39m: x", Debug: "debug: x"},
		"Caddy": {Info: `{"level":"info","ts":1795435200.1,"msg":"x"}`,
			Error: "2026/11/23 20:46:48.123\tERROR\thttp.log\tx"},
		"Traefik": {Info: "2026-11-23T20:46:48Z INF x",
			Error: `time="2026-11-23T20:46:48Z" level=error msg="x"`},
		"Kafka": {Info: "[2026-11-23 20:46:48,123] INFO [KafkaServer id=1] started (kafka.server.KafkaServer)", Error: "[2026-11-23 20:46:48,123] ERROR x (kafka.Kafka$)"},
	} {
		for level, line := range want {
			if got, _ := recognise([]byte(line)); got != level {
				t.Errorf("%s: %q is %s, want %s", name, line, got, level)
			}
		}
	}
}

func TestLevelsOfLinesThatAreInNoStore(t *testing.T) {
	var levels Levels
	for _, l := range []struct {
		stream Stream
		text   string
		want   Level
	}{
		{Stderr, "fail: App[0]", Error}, {Stdout, "info: App[0]", Info},
		{Stderr, "      at App.Main()", Error}, {Stdout, "      Now listening", Info},
		{Stderr, `2026-11-23 20:46:48.123 UTC [7] DETAIL:  x`, Error},
		{Stderr, "plain", LevelUnknown}, {Stderr, "  more", LevelUnknown},
	} {
		if got := levels.Of(l.stream, []byte(l.text)); got != l.want {
			t.Errorf("%q is %s, want %s", l.text, got, l.want)
		}
	}
}

func TestContinuationLinesTakeOverTheLevel(t *testing.T) {
	s := New(Options{})
	for _, l := range []struct {
		stream Stream
		text   string
	}{
		{Stderr, "ERROR boom"}, {Stdout, "INFO calm"}, {Stderr, "\tat com.foo.Bar(Bar.java:1)"},
		{Stderr, "    ... 12 more"},
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
	for _, s := range []string{`{"level":"`, "I1123 20:46:48", "<13",
		"1:M 23 Nov 2026 20:46:48.123 * x", "\x1b[1mINFO", "level="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, carries := recognise(text)
		if l > Fatal || l != LevelUnknown && carries {
			t.Fatalf("%q is %s and carries %v", text, l, carries)
		}
	})
}

// A stack trace has the level of its own replica's line, and none of another life.
func TestContinuationsGoWithTheirOwnReplicaAndGeneration(t *testing.T) {
	s := New(Options{})
	at := day
	add := func(replica, generation int, text string) {
		at = at.Add(time.Millisecond)
		s.Append("a", replica, generation, Stderr, at, []byte(text))
	}
	add(1, 1, "ERROR it broke")
	add(2, 1, "INFO all is well")
	add(1, 1, "\tat the place")
	add(1, 2, "  a banner")
	add(2, 1, "\tand so on")
	if st := s.Stats()[0]; st.Errors != 2 {
		t.Errorf("%d errors, want the line of replica 1 and its trace", st.Errors)
	}
}
