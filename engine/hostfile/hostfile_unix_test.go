//go:build unix

package hostfile

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("plain"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"to-plain": "plain", "to-fifo": "fifo",
		"to-zero": "/dev/zero", "to-null": os.DevNull} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", at("sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]string{"plain": "text", "to-plain": "text", "to-null": ""} {
		if got, err := Read(at(name), 10); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"fifo": "a pipe", "to-fifo": "a pipe", "to-zero": "a device"} {
		var kind *KindError
		_, err := Read(at(name), 10)
		if !errors.As(err, &kind) || kind.Kind != want {
			t.Errorf("read of %s: %v, want %s", name, err, want)
		}
		if err := Check(at(name), 10); !errors.As(err, &kind) || kind.Kind != want {
			t.Errorf("check of %s: %v, want %s", name, err, want)
		}
	}
	// A socket cannot even be opened; that it does not block is what counts.
	if _, err := Read(at("sock"), 10); err == nil {
		t.Error("a socket was read")
	}
	if _, err := Read(dir, 10); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Read(at("none"), 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, []byte(strings.Repeat("x", 11)), 0o644); err != nil {
		t.Fatal(err)
	}
	var size *SizeError
	if _, err := Read(file, 10); !errors.As(err, &size) {
		t.Errorf("read: %v", err)
	}
	if err := Check(file, 10); !errors.As(err, &size) {
		t.Errorf("check: %v", err)
	}
	if _, err := ReadAny("/dev/zero", 10); !errors.As(err, &size) {
		t.Errorf("a device without an end: %v", err)
	}
	if _, err := ReadStream(strings.NewReader(strings.Repeat("x", 11)), "standard input",
		10); !errors.As(err, &size) {
		t.Errorf("a stream: %v", err)
	}
	if b, err := Read(file, 11); err != nil || len(b) != 11 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// What the kernel answers when it is read may wait for ever, or be gone afterwards.
func TestFilesOfTheKernelAreRefused(t *testing.T) {
	const file = "/proc/self/status"
	if _, err := os.Stat(file); err != nil {
		t.Skipf("this system has no %s", file)
	}
	var kind *KindError
	if _, err := Read(file, 1<<20); !errors.As(err, &kind) || kind.Error() != file+": is what the kernel answers, not a regular file" {
		t.Errorf("%s: %v", file, err)
	}
}

// A pipe or a file in the place of a folder is an error at once.
func TestOnlyAFolderIsARoot(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.MkdirAll(filepath.Join(dir, "a/b"), 0o755),
		os.Symlink("a/b", filepath.Join(dir, "in")), os.Symlink(t.TempDir(), filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]bool{ // in the folder, and anywhere
		".": {true, true}, "a/b": {true, true}, "in": {true, true}, "out": {false, true},
		"pipe": {}, "file": {}, "none": {},
	} {
		for i, within := range []string{dir, ""} {
			root, err := OpenRoot(within, filepath.Join(dir, name))
			if (err == nil) != want[i] {
				t.Errorf("%s within %q: %v", name, within, err)
			}
			if err == nil {
				root.Close()
			}
		}
	}
}
