package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// What --plain says can be read out: a line is about one service and says whose it is, in words,
// without signs that are drawn.
func TestPlainCanBeReadOut(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(&out)
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p.records([]engine.Record{
		{Time: at, Kind: "service", Service: "gateway", State: engine.StateRunning,
			Health: engine.Unhealthy,
			Text:   "gateway: running, unhealthy (healthcheck: healthy -> unhealthy); likely cause: orders was killed, 2.3 s earlier (gateway needs orders)"},
		{Time: at, Kind: "build", Service: "web", Action: "build", Err: "RUN go vet: exit code 1",
			Text: "web: build failed: RUN go vet: exit code 1"},
		{Time: at, Kind: "plan", Text: "#1 web: build\n#2 web: start"},
		{Time: at, Kind: "watch", Service: "web", Action: "sync", Err: "no such container"},
	}, func(engine.Record) []string { return []string{"\x1b[31mmain.go:3: undefined\x1b[m"} })
	p.lines([]logs.Line{
		{Service: "web", Time: at, Stream: logs.Stdout, Text: []byte("\x1b[32mok\x1b[m\tgo"), Cut: 12},
		{Service: "web", Time: at, Stream: logs.System, Text: []byte("run 1 ended: exit code 1")},
	}, func(l logs.Line) string { return l.Service })
	want := `gateway: running, unhealthy (healthcheck: healthy -> unhealthy); likely cause: orders was killed, 2.3 s earlier (gateway needs orders)
web | main.go:3: undefined
web: build failed: RUN go vet: exit code 1
plan: #1 web: build; #2 web: start
web: no such container
web | ok      go ... (12 bytes more)
web | run 1 ended: exit code 1
`
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
	if i := strings.IndexFunc(out.String(), func(c rune) bool {
		return c != '\n' && (c < ' ' || c > '~')
	}); i >= 0 {
		t.Errorf("a sign that is not read out: %q", out.String()[i:])
	}
}
