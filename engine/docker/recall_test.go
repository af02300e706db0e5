package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// listenAs serves an engine of that id at a socket and counts how often it is asked who it is.
func listenAs(t *testing.T, socket, id string) (asked *atomic.Int32, end func()) {
	asked = new(atomic.Int32)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if filepath.Base(q.URL.Path) == "info" {
			asked.Add(1)
			fmt.Fprintf(w, `{"ID":%q,"OSType":"linux"}`, id)
		}
	})}
	go srv.Serve(l)
	return asked, func() { srv.Close() }
}

func TestEngineIsAskedOnceWhoItIsUntilItStartsAgain(t *testing.T) {
	dir := socketDir(t)
	socket, state := filepath.Join(dir, "s"), filepath.Join(dir, "state")
	who := func(state string) string {
		r, err := New(Options{Host: "unix://" + socket, State: state})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		info, err := r.Info(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return info.ID
	}
	asked, end := listenAs(t, socket, "one")
	for range 3 {
		if id := who(state); id != "one" {
			t.Errorf("it is %s", id)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if who(""); asked.Load() != 2 {
		t.Error("not asked although nothing is kept")
	}
	entries, err := os.ReadDir(state)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	file := filepath.Join(state, entries[0].Name())
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if who(state); asked.Load() != 3 {
		t.Error("not asked although nothing is known")
	}

	// Another one at the same address.
	end()
	asked, end = listenAs(t, socket, "two")
	defer end()
	past := time.Now().Add(-time.Hour)
	// a clock that stands still tells no two sockets apart
	if err := os.Chtimes(socket, past, past); err != nil {
		t.Fatal(err)
	}
	if id := who(state); id != "two" || asked.Load() != 1 {
		t.Errorf("it is %s, asked %d times", id, asked.Load())
	}
}
