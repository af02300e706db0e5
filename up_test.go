package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// folder is a project of two services around busybox: app, whose file note is synced, needs db.
type folder struct {
	dir, name, run string
	env            []string
}

const twoServices = `
services:
  app:
    build: &image
      context: .
      dockerfile_inline: |
        FROM scratch
        COPY busybox /bin/busybox
        ENTRYPOINT ["/bin/busybox"]
    command: [sh, -c, "echo app is up; trap 'echo app ends; exit 0' TERM; while :; do busybox sleep 0.1; done"]
    depends_on: [db]
    develop:
      watch: [{path: note, action: sync, target: /note}]
  db:
    build: *image
    command: [sh, -c, "echo db is up; echo careful >&2; trap 'echo db ends; exit 0' TERM; while :; do busybox sleep 0.1; done"]
  stubborn:
    build: *image
    command: [sh, -c, "trap '' TERM; echo stays; while :; do busybox sleep 0.1; done"]
    stop_grace_period: 1h
    profiles: [stubborn]
`

func newFolder(t *testing.T) *folder {
	t.Helper()
	needEngine(t)
	box := busybox(t)
	f := &folder{dir: t.TempDir(), name: fmt.Sprintf("cli-%s-%d", strings.ToLower(t.Name()), os.Getpid())}
	run, err := os.MkdirTemp("", "bh") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	f.run = run
	f.env = append(os.Environ(), "COMPOSE_PROJECT_NAME="+f.name, "XDG_RUNTIME_DIR="+run,
		"XDG_STATE_HOME="+t.TempDir())
	program, err := os.ReadFile(box)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"busybox": program, "compose.yaml": []byte(twoServices),
		"note": []byte("one"), ".dockerignore": []byte("*\n!busybox\n!note\n")} {
		if err := os.WriteFile(filepath.Join(f.dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { sweep(t, f.name) })
	return f
}

func (f *folder) command(args ...string) *exec.Cmd {
	c := exec.Command("bulkhead", args...)
	c.Dir, c.Env = f.dir, f.env
	return c
}

// save gives a file its next content in one step, as editors do: between a file's being emptied and its
// being written a busy machine may let more time pass than belongs to one change.
func (f *folder) save(t *testing.T, name, text string) {
	t.Helper()
	next := filepath.Join(t.TempDir(), "next")
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(f.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// bulkhead runs a verb to its end and gives its stdout.
func (f *folder) bulkhead(t *testing.T, args ...string) string {
	t.Helper()
	c := f.command(args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("bulkhead %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

// stream is an `up` in the background whose stdout is kept line by line.
type stream struct {
	cmd  *exec.Cmd
	errs bytes.Buffer // read after ended
	over chan struct{}

	mu    sync.Mutex
	lines []string
}

func (f *folder) start(t *testing.T, args ...string) *stream {
	t.Helper()
	s := &stream{cmd: f.command(args...), over: make(chan struct{})}
	s.cmd.Stderr = &s.errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.over)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				s.mu.Lock()
				s.lines = append(s.lines, strings.TrimSuffix(line, "\n"))
				s.mu.Unlock()
			}
			if err != nil {
				_ = s.cmd.Wait() // its exit code is read from ProcessState
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended already where the test went well
		<-s.over
	})
	return s
}

func (s *stream) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// wait waits for a line that matches.
func (s *stream) wait(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	if !eventually(patience, func() bool { return slices.ContainsFunc(s.all(), re.MatchString) }) {
		t.Fatalf("no line matches %s:\n%s", pattern, strings.Join(s.all(), "\n"))
	}
}

// end waits for the end of the process and gives its exit code.
func (s *stream) end(t *testing.T) int {
	t.Helper()
	select {
	case <-s.over:
	case <-time.After(patience):
		t.Fatalf("it does not end:\n%s", strings.Join(s.all(), "\n"))
	}
	return s.cmd.ProcessState.ExitCode()
}

// line is a line of up --json with all that the contract names, and no more.
type line struct {
	Time        string           `json:"time"`
	Kind        string           `json:"kind"`
	Seq         uint64           `json:"seq"`
	Service     string           `json:"service"`
	Replica     int              `json:"replica"`
	Generation  int              `json:"generation"`
	ContainerID string           `json:"container_id"`
	State       string           `json:"state"`
	Health      string           `json:"health"`
	ExitCode    *int             `json:"exit_code"`
	Cause       string           `json:"cause"`
	Action      string           `json:"action"`
	Paths       []string         `json:"paths"`
	MS          map[string]int64 `json:"ms"`
	Stop        string           `json:"stop"`
	Notice      string           `json:"notice"`
	Text        string           `json:"text"`
	Error       string           `json:"error"`
	Output      []string         `json:"output"`
	Ledger      json.RawMessage  `json:"ledger"`
	Stream      string           `json:"stream"`
	Level       string           `json:"level"`
	Line        *string          `json:"line"`
}

func (s *stream) parsed(t *testing.T) []line {
	t.Helper()
	var out []line
	for _, text := range s.all() {
		var l line
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%v in line %s", err, text)
		}
		out = append(out, l)
	}
	return out
}

func TestJSONLinesHoldTheContract(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	up := f.start(t, "up", "--json")
	up.wait(t, `"notice":"ready"`)
	up.wait(t, `"notice":"watching"`)
	up.wait(t, `"line":"app is up"`)
	up.wait(t, `"line":"careful"`)
	f.save(t, "note", "two")
	up.wait(t, `"kind":"watch".*"action":"sync"`)
	if got := f.bulkhead(t, "exec", "app", "busybox", "cat", "/note"); got != "two" {
		t.Errorf("the container holds %q after the sync, want two", got)
	}
	f.bulkhead(t, "kill", "db")
	up.wait(t, `"kind":"ledger"`)
	if err := up.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := up.end(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0: %s", code, up.errs.String())
	}

	kinds := []string{"service", "build", "watch", "log", "plan", "ledger", "fault", "notice"}
	states := strings.Fields(
		"waiting building created starting running stopping restarting crashing paused exited broken")
	stages := strings.Fields("detect prepare build copy create stop start ready total pull")
	seen := map[string]bool{}
	id := regexp.MustCompile(`^[0-9a-f]{64}$`)
	for _, l := range up.parsed(t) {
		seen[l.Kind] = true
		if _, err := time.Parse("2006-01-02T15:04:05.000000000Z", l.Time); err != nil {
			t.Errorf("time %q: want RFC 3339 with nanoseconds", l.Time)
		}
		if !slices.Contains(kinds, l.Kind) {
			t.Errorf("kind %q is not in the contract", l.Kind)
		}
		if l.State != "" && !slices.Contains(states, l.State) {
			t.Errorf("state %q is not in the contract", l.State)
		}
		if l.ContainerID != "" && !id.MatchString(l.ContainerID) {
			t.Errorf("container_id %q is none", l.ContainerID)
		}
		for stage := range l.MS {
			if !slices.Contains(stages, stage) {
				t.Errorf("stage %q is not in the contract", stage)
			}
		}
		switch {
		case l.Kind == "log":
			if l.Line == nil || l.Service == "" || l.Replica != 1 || l.Generation != 1 ||
				l.Stream != "stdout" && l.Stream != "stderr" {
				t.Errorf("log line without its marks: %+v", l)
			}
			if l.Line != nil && *l.Line == "careful" && l.Stream != "stderr" {
				t.Errorf("what was written to stderr comes as %s", l.Stream)
			}
		case l.Kind == "watch" && l.Action == "sync":
			seen["sync"] = true
			if l.Service != "app" || l.Cause != "note saved" || len(l.Paths) != 1 || l.MS["total"] <= 0 {
				t.Errorf("sync line: service %q, cause %q, paths %v, ms %v", l.Service, l.Cause, l.Paths, l.MS)
			}
		case l.Kind == "service" && l.State == "exited" && l.Service == "db" && l.ExitCode != nil &&
			*l.ExitCode == 137:
			seen["killed"] = true
		case l.Kind == "ledger" && (l.Service != "db" || !strings.Contains(string(l.Ledger),
			`"service":"app"`)):
			t.Errorf("ledger line: %s of %s", l.Ledger, l.Service)
		}
	}
	for _, want := range []string{"service", "build", "watch", "log", "plan", "ledger", "fault",
		"notice", "sync", "killed"} {
		if !seen[want] {
			t.Errorf("no line of kind %s", want)
		}
	}
}

func TestControlSocketAnswersItsOwnerOnly(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	// What a killed process left behind is in nobody's way.
	socket := filepath.Join(f.run, "bulkhead", f.name+".sock")
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(socket, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	up := f.start(t, "up", "--plain")
	up.wait(t, `^ready: `)
	for path, want := range map[string]os.FileMode{socket: 0o600, filepath.Dir(socket): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, error %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://bulkhead"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	var rows []map[string]any
	_, text := ask("GET", "/v1/snapshot", "")
	if err := json.Unmarshal([]byte(text), &rows); err != nil || len(rows) != 2 ||
		rows[0]["state"] != "running" || rows[0]["generation"] != 1.0 || rows[0]["stale"] != false {
		t.Errorf("snapshot: %s (%v)", text, err)
	}
	if code, text := ask("POST", "/v1/do",
		`{"verb":"kill","services":["ghost"]}`); code != http.StatusUnprocessableEntity ||
		!strings.Contains(text, "no such service") {
		t.Errorf("kill of a service that is not there: %d %s", code, text)
	}
	if code, _ := ask("POST", "/v1/do", `{"verb":"stop","volumse":true}`); code != http.StatusBadRequest {
		t.Errorf("a command with a mistyped field: status %d, want 400", code)
	}
	if code, text := ask("POST", "/v1/do",
		`{"verb":"restart","services":["db"],"cause":"the test asked"}`); code != http.StatusOK {
		t.Errorf("restart: %d %s", code, text)
	}
	resp, err := client.Get("http://bulkhead/v1/records?since=0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	records := bufio.NewScanner(resp.Body)
	found := false
	for !found && records.Scan() {
		var l line
		if err := json.Unmarshal(records.Bytes(), &l); err != nil {
			t.Fatalf("%v in %s", err, records.Text())
		}
		found = l.Service == "db" && l.Cause == "the test asked"
	}
	if !found {
		t.Errorf("the stream of records ends without the restart and its cause: %v", records.Err())
	}
	// down from another terminal ends the up, and nothing is left.
	f.bulkhead(t, "down", "-t", "1")
	if code := up.end(t); code != 0 {
		t.Errorf("exit code %d of the up that was taken down, want 0: %s", code, up.errs.String())
	}
	if got := strings.TrimSpace(f.bulkhead(t, "ps", "--json")); got != "[]" {
		t.Errorf("left after down: %s", got)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestSecondSignalKills(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	up := f.start(t, "--profile", "stubborn", "up", "--plain")
	up.wait(t, `^ready: `)
	up.wait(t, `stubborn \| stays`)
	signal := func() {
		t.Helper()
		if err := up.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	signal()
	up.wait(t, `^db: exited with code 0`) // the others end at once, stubborn would take an hour
	// One that comes before it was shown for a second what it does counts as part of the first.
	insist(t, up.cmd.Process, up.over)
	if code := up.end(t); code != 1 || !strings.Contains(up.errs.String(), "killed by a second signal") {
		t.Errorf("exit code %d after a second signal, want 1: %s", code, up.errs.String())
	}
	if strings.Contains(f.bulkhead(t, "--profile", "stubborn", "ps", "--format", "wide"), "running") {
		t.Error("something still runs after the second signal")
	}
}

// The tour is what `make demo` runs without a terminal.
func TestDemoTourLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	needEngine(t)
	if testing.Short() {
		t.Skip("the tour takes half a minute; -short leaves it out")
	}
	name := fmt.Sprintf("cli-tour-%d", os.Getpid())
	temp := t.TempDir()
	c := exec.Command("bulkhead", "demo", "-p", name)
	c.Env = append(os.Environ(), "TMPDIR="+temp)
	t.Cleanup(func() { sweep(t, name) })
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	for _, want := range []string{
		`(?m)^up +7 services ready in `,
		`(?m)^edit +catalog/items.json saved: .*ready in \d+ ms \(.*\); through the gateway the new price answers after \d+ ms`,
		`catalog: the change; no other service changed; 6 untouched`,
		`(?m)^kill +orders: SIGKILL; .*untouched \(same container id, start time, restart count\)`,
		`(?m)^ +gateway +container [0-9a-f]{12}, started [\d:.]+, restarts 0: `,
		`(?m)^back +orders is ready after \d+ ms`,
		`(?m)^down .*nothing is left$`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("the tour does not say %s:\n%s", want, out)
		}
	}
	left, err := filepath.Glob(filepath.Join(temp, "bulkhead-tour-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v (%v)", left, err)
	}
}
