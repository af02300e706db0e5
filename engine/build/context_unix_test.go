//go:build unix

package build

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What a container puts into a file's place while a context is sent is not read.
func TestContextIsReadBeneathItsFolder(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "ctx")
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(top, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("ctx/sub/f", "inside")
	write("secret", "outside")
	for name, target := range map[string]string{"link": filepath.Join(top, "secret"), "way": top,
		"near": "sub/f"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := openFolder(top, dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tree.Open("/sub/f")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "inside" {
		t.Errorf("%q, %v", b, err)
	}
	for _, name := range []string{"link", "way/secret", "near", "pipe", "../secret", "none"} {
		if f, err := tree.Open(name); err == nil {
			f.Close()
			t.Errorf("%s was opened", name)
		}
	}
	if err := os.Symlink("/", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir, filepath.Join(dir, "out", "etc")); err == nil {
		t.Error("a context behind a link out of the project was opened")
	}
}
