package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
	"bulkhead/engine/internal/tartest"
)

// talk has an agent work on a folder, and returns who talks to it.
func talk(t *testing.T, dir string) *Client {
	t.Helper()
	ours, its := net.Pipe()
	served := make(chan error, 1)
	go func() {
		err := serve(t.Context(), its, its, func() (int, error) {
			return unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		})
		its.Close()
		served <- err
	}()
	c, err := Dial(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("the agent: %v", err)
		}
	})
	return c
}

func TestAgentWritesLooksAndDeletes(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	c, ctx := talk(t, dir), t.Context()
	big := strings.Repeat("0123456789abcdef", 100_000) // several requests
	odd := "app/\xff\xfe\nodd"
	if err := c.Unpack(ctx, "/app", tartest.Of(t, "app/big", big, odd, "x"), false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"app/big": big, odd: "x"} {
		if b, err := os.ReadFile(at(name)); err != nil || string(b) != want {
			t.Errorf("%q: %d bytes, %v", name, len(b), err)
		}
	}
	if err := os.Symlink("/nowhere/\xff", at("app/link")); err != nil {
		t.Fatal(err)
	}
	all, err := c.Stat(ctx, []string{"/app", "/" + odd, "/app/link", "/app/none", "/app/big/not"})
	if err != nil || len(all) != 3 || !all["/app"].Mode.IsDir() || all["/"+odd].Size != 1 ||
		all["/app/link"].Mode.Type() != fs.ModeSymlink || all["/app/link"].Link != "/nowhere/\xff" {
		t.Errorf("there is %v, %v", all, err)
	}
	if uid, gid, err := c.Owner(ctx, "/app/none/of/it"); err != nil || uid != os.Getuid() ||
		gid != os.Getgid() {
		t.Errorf("owner %d:%d, %v", uid, gid, err)
	}
	if err := c.Delete(ctx, "/app", []string{strings.TrimPrefix(odd, "app/"), "link", "none"}); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(at("app/*")); err != nil || !slices.Equal(left, []string{at("app/big")}) {
		t.Errorf("left are %q, %v", left, err)
	}
	var many []string // more than may follow one request
	for n := range 30_000 {
		many = append(many, fmt.Sprintf("/app/%050d", n))
	}
	if all, err := c.Stat(ctx, append(many, "/app/big")); err != nil || len(all) != 1 {
		t.Errorf("of many there are %d, %v", len(all), err)
	}
}

// Errors are the same facts on either side of the wire, and the next request works.
func TestAgentErrorsAreTyped(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "app/own/below"), 0o755),
		os.WriteFile(filepath.Join(dir, "app/f"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	c, ctx := talk(t, dir), t.Context()
	var folder *FolderInWay
	more := strings.Repeat("x", 2*maxData)
	if err := c.Unpack(ctx, "/app", tartest.Of(t, "app/own", more, "app/more", more),
		false); !errors.As(err, &folder) || folder.Path != "/app/own" {
		t.Errorf("a folder: %v", err)
	}
	var some *NotWritten
	if err := c.Unpack(ctx, "/app", tartest.Of(t, "app/f/x", "x", "app/g", "g"),
		false); !errors.As(err, &some) || len(some.Files) != 1 || some.Files["/app/f/x"] == nil {
		t.Errorf("a file: %v", err)
	}
	broken := errors.New("broken")
	cut := io.MultiReader(io.LimitReader(tartest.Of(t, "app/h", more), maxData),
		readerFunc(func([]byte) (int, error) { return 0, broken }))
	if err := c.Unpack(ctx, "/app", cut, false); !errors.Is(err, broken) {
		t.Errorf("a stream that breaks: %v", err)
	}
	if err := c.Unpack(ctx, "/app", tartest.Of(t, "app/i", "i"), false); err != nil {
		t.Errorf("the next one: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "app"))
	if err != nil || fmt.Sprint(left) != "[- f - g - i d own/]" {
		t.Errorf("there is %v, %v", left, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A call that is given up ends the agent; so does bulkhead's silence.
func TestAgentEndsWithItsCaller(t *testing.T) {
	c := talk(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	endless := readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if err := c.Unpack(ctx, "/", endless, false); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	<-c.ended
	if err := c.Delete(t.Context(), "/", []string{"x"}); !errors.Is(err, ErrEnded) || !c.Ended() {
		t.Errorf("afterwards: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		in, nothing := io.Pipe()
		defer nothing.Close()
		began := time.Now()
		err := serve(t.Context(), in, io.Discard, func() (int, error) {
			return unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		})
		if took := time.Since(began); err == nil || took != agent.Silence {
			t.Errorf("without a word it ended after %v: %v", took, err)
		}
	})
}

func TestAgentThatCannotReachTheFilesIsRefused(t *testing.T) {
	dial := func(serve func(its net.Conn)) error {
		ours, its := net.Pipe()
		go func() { serve(its); its.Close() }()
		_, err := Dial(t.Context(), ours)
		return err
	}
	for range 20 { // its word and its end may come in any order
		refuse := func(its net.Conn) {
			_ = serve(t.Context(), its, its, func() (int, error) { return -1, ErrNoAccess })
		}
		if err := dial(refuse); !errors.Is(err, ErrNoAccess) {
			t.Fatalf("no access: %v", err)
		}
		newer := func(its net.Conn) { fmt.Fprintf(its, "{\"version\":%d}\n", agent.Version+1) }
		if err := dial(newer); err == nil || !strings.Contains(err.Error(), "version") {
			t.Fatalf("another version: %v", err)
		}
	}
}
