package docker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkhead/engine/container"
	"bulkhead/engine/internal/tartest"
)

// A full disk leaves what is there, and so does a mounted file that has no room.
func TestAFullDiskKeepsTheOldContent(t *testing.T) {
	needLocal(t)
	if os.Geteuid() != 0 {
		t.Skip("only root writes into containers by itself")
	}
	b := open(t, "services:\n  a: {image: IMAGE, command: [sleep, '600'], tmpfs: ['/s:size=1m,mode=1777']}\n")
	id := b.start("a")
	old := strings.Repeat("o", 200<<10)
	b.ok(b.rt.CopyTo(b.ctx, id, "/s", tartest.Of(t, "s/f", old, "s/y", "old"), false))
	var some *container.NotWritten
	err := b.rt.CopyTo(b.ctx, id, "/s", tartest.Of(t, "s/f", strings.Repeat("n", 1000<<10), "s/y",
		"new", "s/z", "more"), false)
	if !errors.As(err, &some) || len(some.Files) != 1 || !errors.Is(some.Files["/s/f"], unix.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	text, _ := b.run(id, "sh", "-c", "cat /s/f | md5sum; echo "+old[:10]+"; cat /s/y /s/z; ls -a /s")
	whole, _ := b.run(id, "sh", "-c", "head -c 204800 /dev/zero | tr '\\0' o | md5sum; echo "+
		old[:10]+"; printf newmore; printf '.\\n..\\nf\\ny\\nz\\n'")
	if text != whole {
		t.Errorf("the container has %q, want %q", text, whole)
	}
}

// Nothing takes the place of a file that is a mount: it is written in place, and
// only if there is room.
func TestAFileThatIsAMountIsWrittenInPlace(t *testing.T) {
	needLocal(t)
	if os.Geteuid() != 0 {
		t.Skip("only root writes into containers by itself")
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("old and longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, "services:\n  a: {image: IMAGE, command: [sleep, '600'], volumes: ['"+file+":/app/f']}\n")
	id := b.start("a")
	b.ok(b.rt.CopyTo(b.ctx, id, "/app", tartest.Of(t, "app/f", "new", "app/g", "beside"), false))
	if text, _ := b.run(id, "sh", "-c", "cat /app/f /app/g; ls -A /app"); text != "newbesidef\ng\n" {
		t.Errorf("the container has %q", text)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "new" {
		t.Errorf("the host has %q, %v", b, err)
	}
}
