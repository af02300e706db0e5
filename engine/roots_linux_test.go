package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/project"
	"bulkhead/watch"
)

// What nobody wants to hear of is not even listed: by .dockerignore, by a rule's own list, and every .git folder.
func TestRootsLeaveIgnoredFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"a/Dockerfile": "FROM scratch\n", "a/.dockerignore": "node_modules\n", "a/main.go": "", "b/vendor/x": "", "b/main.go": "",
		"compose.yaml": `
services:
  a: {build: a}
  b: {image: x, develop: {watch: [{path: b, action: sync, target: /b, ignore: [vendor/]}]}}
`,
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		for _, in := range []string{"a/node_modules", "b/vendor", "a/.git/objects", "b/deep/.git/objects"} {
			if err := os.MkdirAll(filepath.Join(dir, in, fmt.Sprint(i)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, err := project.Load(t.Context(), project.Options{Files: []string{filepath.Join(dir, "compose.yaml")}, Name: "roots"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := watch.New(watch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := inotifyWatches(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	w.SetRoots(roots(p, false))
	select {
	case <-w.Ready():
	case <-time.After(3 * time.Minute):
		t.Fatal("never ready")
	}
	if n := inotifyWatches(t) - before; n != 4 { // a, b, b/deep, and the folder above
		t.Errorf("%d kernel watches, want 4", n)
	}
}

// inotifyWatches asks the kernel how many watches this process has.
func inotifyWatches(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // the descriptor that listed the folder
		}
		n += strings.Count(string(data), "inotify wd:")
	}
	return n
}
