package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"bulkhead/engine/internal/tartest"

	"golang.org/x/sys/unix"
)

func rootOf(t *testing.T, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// What a container runs may swap a folder of the target for a link all the time:
// nothing is written where the link leads to, and nothing is left unwritten.
func TestNoSaveLeavesTheTargetDuringARace(t *testing.T) {
	for _, to := range []string{"/etc", "../etc"} {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		if err := errors.Join(os.MkdirAll(at("app/sub"), 0o755), os.Mkdir(at("etc"), 0o755),
			os.Symlink(to, at("app/evil"))); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var racer sync.WaitGroup
		racer.Go(func() {
			for {
				select {
				case <-stop:
					return
				default: // its own errors are those of a moment in which one of the two is being written
					_ = unix.Renameat2(unix.AT_FDCWD, at("app/sub"), unix.AT_FDCWD, at("app/evil"),
						unix.RENAME_EXCHANGE)
				}
			}
		})
		root := rootOf(t, dir)
		save, remove := func(r io.Reader) error {
			return Unpack(root, "/app", r, false)
		}, func(name string) error { return Delete(root, "/app", []string{name}) }
		if to == "../etc" { // through the agent
			c := talk(t, dir)
			save, remove = func(r io.Reader) error {
				return c.Unpack(t.Context(), "/app", r, false)
			}, func(name string) error { return c.Delete(t.Context(), "/app", []string{name}) }
		}
		for n := range 120 {
			var files []string
			for i := range 4 {
				files = append(files, fmt.Sprintf("app/sub/f%d", i), fmt.Sprint(n))
			}
			if err := save(tartest.Of(t, files...)); err != nil {
				t.Errorf("save %d: %v", n, err)
			}
			if err := remove("sub/f3"); err != nil {
				t.Errorf("delete %d: %v", n, err)
			}
		}
		close(stop)
		racer.Wait()
		if out, err := os.ReadDir(at("etc")); err != nil || len(out) > 0 {
			t.Errorf("outside of the target: %v, %v", out, err)
		}
		var inside []string
		for _, folder := range []string{"app/sub", "app/evil"} {
			if fi, err := os.Lstat(at(folder)); err == nil && fi.IsDir() {
				all, _ := os.ReadDir(at(folder))
				for _, f := range all {
					inside = append(inside, f.Name())
				}
			}
		}
		if !slices.Equal(inside, []string{"f0", "f1", "f2"}) {
			t.Errorf("the target has %v", inside)
		}
	}
}

// The way to the target goes through the image's own links, and through no other.
func TestLinksOnTheWayToATarget(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes links that are its own and others that are not")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, to := range map[string]string{"run": "/var/run", "theirs": "/var", "loop": "loop",
		"up": "../../../var"} {
		if err := os.Symlink(to, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Lchown(at("theirs"), 1000, 1000), os.WriteFile(at("file"), nil,
		0o600)); err != nil {
		t.Fatal(err)
	}
	root := rootOf(t, dir)
	for below, want := range map[string]string{"/run/deep": "var/run/deep/f", "/up": "var/f",
		"/new/folder": "new/folder/f"} {
		if err := Unpack(root, below, tartest.Of(t, below[1:]+"/f", "x"), false); err != nil {
			t.Errorf("%s: %v", below, err)
		} else if _, err := os.Lstat(at(want)); err != nil {
			t.Errorf("%s: %v", below, err)
		}
	}
	for below, want := range map[string]string{"/theirs/x": "does not belong to root",
		"/loop": "link", "/file/x": "is a file"} {
		if err := Unpack(root, below, tartest.Of(t, below[1:]+"/f", "x"), false); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", below, err)
		}
	}
}

// What does not get its place leaves the old content there, and the others go on;
// what an earlier run left beside a file goes with it.
func TestAFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, "app", name) }
	if err := errors.Join(os.Mkdir(at(""), 0o755), os.WriteFile(at("a"), []byte("old"), 0o600),
		os.Mkdir(at("b"), 0o755),
		os.WriteFile(at(besideName("c")), []byte("half"), 0o600), os.WriteFile(at("c"), []byte("old"), 0o600),
		os.WriteFile(at(besideName("gone")), []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	root := rootOf(t, dir)
	var some *NotWritten
	err := Unpack(root, "/app", tartest.Of(t, "app/a/x", "x", "app/c", "new", "app/b/d", "new"), false)
	if !errors.As(err, &some) || len(some.Files) != 1 || some.Files["/app/a/x"] == nil {
		t.Errorf("error %v", err)
	}
	if err := Delete(root, "/app", []string{"gone"}); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"a": "old", "c": "new", "b/d": "new"} {
		if b, err := os.ReadFile(at(name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	cut := io.MultiReader(io.LimitReader(tartest.Of(t, "app/a", strings.Repeat("new", 1000)), 1024),
		brokenReader{})
	if err := Unpack(root, "/app", cut, false); err == nil {
		t.Error("a stream that broke is no error")
	}
	if b, err := os.ReadFile(at("a")); err != nil || string(b) != "old" {
		t.Errorf("after a stream that broke: %q, %v", b, err)
	}
	if left, _ := filepath.Glob(at(".bulkhead-*")); len(left) > 0 {
		t.Errorf("left beside: %v", left)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }
