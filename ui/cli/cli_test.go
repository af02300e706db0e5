package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// patience is how long a test waits for a thing before it fails: far longer than the slowest
// machine needs. No test judges how long a thing took.
const patience = 3 * time.Minute

func TestSocketPathsFitASocket(t *testing.T) {
	for _, run := range []string{"/run/user/1000", "/" + strings.Repeat("deep/", 30), ""} {
		e := newEnvironment([]string{"XDG_RUNTIME_DIR=" + run})
		seen := map[string]bool{}
		for _, project := range []string{"shop", strings.Repeat("a", 90), strings.Repeat("a", 91)} {
			path := e.socketPath(project)
			if len(path) > maxSocket {
				t.Errorf("%d bytes in %s", len(path), path)
			}
			if seen[path] {
				t.Errorf("two projects share %s", path)
			}
			seen[path] = true
		}
	}
	e := newEnvironment([]string{"XDG_RUNTIME_DIR=/run/user/1000"})
	if got, want := e.socketPath("shop"), filepath.FromSlash("/run/user/1000/bulkhead/shop.sock"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// brokenPipe takes n bytes.
type brokenPipe struct{ n int }

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.n -= len(p); b.n < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestPrinterTellsThatNobodyReads(t *testing.T) {
	p := newPrinter(&brokenPipe{n: 10})
	p.text("hello")
	select {
	case <-p.broken:
		t.Fatal("broken too early")
	default:
	}
	p.text("this is too much")
	p.text("and this comes later")
	select {
	case <-p.broken:
	default:
		t.Fatal("nobody is told")
	}
	if !stdoutClosed(p.failed()) {
		t.Errorf("got %v", p.failed())
	}
}

func TestWhatServicesWriteCannotSteerTheTerminal(t *testing.T) {
	hostile := "\x1b]0;title\x07\x1b[2Jred \x1b[31mtext\x9b5A\r\n\u202eevil"
	for _, json := range []bool{false, true} {
		for _, colour := range []bool{false, true} {
			var out bytes.Buffer
			p := newPrinter(&out)
			p.json, p.colour = json, colour && !json
			p.lines([]logs.Line{{Service: "web", Text: []byte(hostile), Stream: logs.Stdout}},
				func(l logs.Line) string { return l.Service })
			p.records([]engine.Record{{Kind: "notice", Text: "web: " + hostile}}, nil)
			got := out.String()
			for _, bad := range []string{"\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e", "\r"} {
				if strings.Contains(got, bad) {
					t.Errorf("json %v, colour %v: %q comes through in %q", json, colour, bad, got)
				}
			}
			if strings.Count(got, "\n") != 2 {
				t.Errorf("json %v: a line and a record are %d lines: %q", json, strings.Count(got, "\n"), got)
			}
		}
	}
}

func TestComparingRowsNamesWhoSuffered(t *testing.T) {
	at := func(s string) *string { return &s }
	one := 1
	row := func(service, id, started string) psRow {
		return psRow{Service: service, Replica: 1, ContainerID: id, StartedAt: at(started), Health: "healthy"}
	}
	before := []psRow{row("a", "1", "10"), row("b", "2", "10"), row("c", "3", "10"),
		row("d", "4", "10"), row("e", "5", "10"), row("f", "6", "10"), row("g", "7", "10")}
	after := []psRow{row("b", "2", "10"), row("c", "3", "11"), row("d", "9", "10"),
		row("e", "5", "10"), row("f", "6", "10")}
	after[3].ExitCode = &one
	after[4].Health = "unhealthy"
	want := "a: SIGKILL; c was restarted, d has another container, e exited 1, f became unhealthy, g is gone; 1 untouched (same container id, start time, restart count)"
	if got := compareRows(before, after, []string{"a"}, "SIGKILL"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMistypedWordsFindTheirNearest(t *testing.T) {
	words := []string{"up", "ps", "restart", "start", "stop", "logs", "web", "db"}
	for typed, want := range map[string]string{"pz": "ps", "pu": "up", "restrat": "restart",
		"wbe": "web", "log": "logs", "frobnicate": "", "x": "", "rest": "restart"} {
		if got := nearest(typed, words); got != want {
			t.Errorf("%s: got %q, want %q", typed, got, want)
		}
	}
}

func TestErrorsGetTheirExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{errors.New("a\nb"), 1, "bulkhead: a b\n"},
		{usagef("ps: no"), 2, "bulkhead: ps: no\n"},
		{errors.Join(errors.New("look"), engine.ErrNoEngine), 3, "bulkhead: look no engine answers\n"},
		{errStdoutClosed, 0, ""},
		{context.Canceled, 1, "bulkhead: interrupted\n"},
		{&exit{code: 42}, 42, ""},
	} {
		var errs bytes.Buffer
		a := newApp(Parts{Stderr: &errs})
		if got := a.code(c.err); got != c.code || errs.String() != c.says {
			t.Errorf("%v: exit code %d and %q, want %d and %q", c.err, got, errs.String(), c.code, c.says)
		}
	}
}

func TestPlanKeepsItsLinesInJSON(t *testing.T) {
	l := recordLine(engine.Record{Kind: "plan", Text: "#1 db: create\n#2 \x1b[31mweb: create\n"}, nil)
	if want := "#1 db: create\n#2 web: create"; l.Text != want {
		t.Errorf("got %q, want %q", l.Text, want)
	}
}

func TestPlanOfACheckoutIsOneLineWithItsCause(t *testing.T) {
	got := eventText(engine.Record{Kind: "plan", Text: "27 files: rebuild api, sync web",
		Cause: "git checkout main -> feature"})
	if want := "plan: 27 files: rebuild api, sync web (git checkout main -> feature)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLockKeepsOthersOutAndLeavesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.sock.lock")
	var (
		holders, most atomic.Int32
		taken         atomic.Int32
		all           sync.WaitGroup
	)
	for range 8 {
		all.Go(func() {
			for range 200 {
				free, err := takeLock(path)
				if errors.Is(err, errRunning) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				most.Store(max(most.Load(), holders.Add(1)))
				taken.Add(1)
				holders.Add(-1)
				free()
			}
		})
	}
	all.Wait()
	if most.Load() != 1 || taken.Load() == 0 {
		t.Errorf("%d had the lock at once, of %d", most.Load(), taken.Load())
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestOnlyTheFileThatOutputGoesToIsOurOwn(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	own := ownOutput(out, io.Discard)
	if !own(out.Name()) || own(other) || own(filepath.Join(dir, "gone")) {
		t.Errorf("out %t, other %t", own(out.Name()), own(other))
	}
	if ownOutput(io.Discard) != nil {
		t.Error("a stream that is no file has one")
	}
}

func TestLogLinesThatWereMissedAreCounted(t *testing.T) {
	store := logs.New(logs.Options{ServiceBytes: 64 << 10})
	f := store.Follow(logs.Filter{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what is there, and no waiting
	store.Append("web", 1, 1, logs.Stdout, time.Now(), []byte("first"))
	printLogs(ctx, f, newPrinter(io.Discard), func(l logs.Line) string { return l.Service })
	for _, json := range []bool{false, true} {
		var out bytes.Buffer
		p := newPrinter(&out)
		p.json = json
		before := store.Dropped("web")
		for i := range 5000 {
			store.Append("web", 1, 1, logs.Stdout, time.Now(), fmt.Appendf(nil, "line %d", i))
		}
		printLogs(ctx, f, p, func(l logs.Line) string { return l.Service })
		first, rest, _ := strings.Cut(out.String(), "\n")
		var missed, printed int64
		if i := strings.Index(first, " log lines came faster"); i >= 0 {
			fmt.Sscan(first[strings.LastIndexAny(first[:i], "\n\"")+1:i], &missed)
		}
		printed = int64(strings.Count(rest, "\n"))
		if json && !strings.Contains(first, `"notice":"missed"`) || missed == 0 || missed+printed != 5000 {
			t.Errorf("json %v: %s\nand %d lines; %d were dropped", json, first, printed,
				store.Dropped("web")-before)
		}
	}
}
