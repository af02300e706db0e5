//go:build unix

package hostfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestPrivateFilesAreOursAlone(t *testing.T) {
	base := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(base, "f")
	if err := WritePrivate(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, base: 0o700, filepath.Dir(base): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, want %v (%v)", p, info.Mode().Perm(), want, err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WritePrivate(path, []byte("two")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(base); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder stays open: %v, %v", info.Mode(), err)
	}
	// A link in the place of the file is not followed.
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), os.Symlink(victim, path)); err != nil {
		t.Fatal(err)
	}
	if err := WritePrivate(path, []byte("three")); err == nil {
		t.Error("the link was replaced or followed without a word")
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "mine" {
		t.Errorf("the link's file holds %q, %v", b, err)
	}
}

// In a folder that everybody may write to, one of somebody else's is not used.
func TestFolderOfSomebodyElseIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a folder of somebody else's")
	}
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o1777); err != nil {
		t.Fatal(err)
	}
	theirs, link := filepath.Join(shared, "theirs"), filepath.Join(shared, "link")
	if err := errors.Join(os.Mkdir(theirs, 0o777), os.Chown(theirs, 4711, 4711),
		os.Symlink(t.TempDir(), link), os.Lchown(link, 4711, 4711)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{theirs, link} {
		var owner *OwnerError
		if err := PrivateDir(dir); !errors.As(err, &owner) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
