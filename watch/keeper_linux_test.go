package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// keeping is a keeper of one root whose notices the test makes itself.
func keeping(t *testing.T, root Root) *keeper {
	t.Helper()
	kernel, err := newKernel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kernel.close() })
	k := newKeeper(quick(), newPoller(time.Hour, newInbox()), newMailbox[change](), func(Notice) {})
	k.reg.kernel = kernel
	k.setRoots(t.Context(), []Root{root})
	return k
}

func (k *keeper) wantByKernel(t *testing.T, dir string) {
	t.Helper()
	if f := k.reg.folders[dir]; f == nil || f.how != byKernel {
		t.Errorf("%s is registered as %+v", dir, f)
	}
}

// The notice that a folder went may be of a time before the one above it was registered again. That it
// came back is then known from the listing alone, because the kernel drops what it had to say about
// the registration before.
func TestNoticeFromBeforeTakesNoFolder(t *testing.T) {
	root := t.TempDir()
	below := mustMkdir(t, root, "a", "b")
	k := keeping(t, Root{Path: root})
	k.handle(t.Context(), event{path: filepath.Dir(below), op: opGone, first: time.Now(), last: time.Now()})
	k.wantByKernel(t, filepath.Dir(below))
	k.wantByKernel(t, below)
	if err := os.RemoveAll(filepath.Dir(below)); err != nil {
		t.Fatal(err)
	}
	k.handle(t.Context(), event{path: filepath.Dir(below), op: opGone, first: time.Now(), last: time.Now()})
	if f := k.reg.folders[below]; f != nil {
		t.Errorf("what is gone is registered as %+v", f)
	}
}

// A folder can get below itself while it is registered: another one takes its name, and it moves into
// that. What was begun for it then ends, and begins again with the notices of the two moves.
func TestFolderThatMovesBelowItselfWhileItIsRegistered(t *testing.T) {
	root := t.TempDir()
	dir := mustMkdir(t, root, "a")
	kid := filepath.Join(dir, "kid")
	moved := false
	k := keeping(t, Root{Path: root, Ignore: func(path string, _ bool) bool {
		if path == dir && !moved { // it was listed, and is not registered yet
			moved = true
			away := filepath.Join(filepath.Dir(root), filepath.Base(root)+".away")
			if err := os.Rename(dir, away); err != nil {
				t.Fatal(err)
			}
			mustMkdir(t, dir)
			if err := os.Rename(away, kid); err != nil {
				t.Fatal(err)
			}
		}
		return false
	}})
	now := time.Now()
	k.handle(t.Context(), event{path: dir, op: opGone, first: now, last: now})
	k.handle(t.Context(), event{path: dir, op: opCreate, first: now, last: now})
	k.wantByKernel(t, dir)
	k.wantByKernel(t, kid)
}

// A git folder that was found half made in a root that is away cannot be told where it lies.
func TestHalfMadeGitFolderInARootThatIsAway(t *testing.T) {
	base := t.TempDir()
	git := mustMkdir(t, base, "real", "sub", ".git")
	link := filepath.Join(base, "link")
	if err := os.Symlink(filepath.Join(base, "real"), link); err != nil {
		t.Fatal(err)
	}
	k := keeping(t, Root{Path: link})
	k.verify(t.Context(), time.Now())
	if len(k.gits.half) != 1 {
		t.Fatalf("half made git folders: %v", k.gits.half)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	k.verify(t.Context(), time.Now())
	if err := os.WriteFile(filepath.Join(git, "HEAD"), []byte("ref: refs/heads/main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.verify(t.Context(), time.Now())
	if len(k.gits.dirs) != 0 {
		t.Errorf("git folders of a root that is away: %v", k.gits.dirs)
	}
}
