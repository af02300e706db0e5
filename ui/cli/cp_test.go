package cli

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/go-archive"
)

// archived is an archive of one file as it comes out of a container.
func archived(t *testing.T, name, text string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestCopyThatBreaksOffLeavesTheFileAsItWas(t *testing.T) {
	dir := t.TempDir()
	file, into := filepath.Join(dir, "kept"), filepath.Join(dir, "sub")
	if err := os.Mkdir(into, 0o755); err != nil {
		t.Fatal(err)
	}
	info := archive.CopyInfo{Path: "/data/from", Exists: true}
	read := func(name string) string {
		b, _ := os.ReadFile(name)
		return string(b)
	}
	whole := archived(t, "from", string(bytes.Repeat([]byte("new "), 1000)))
	for to, final := range map[string]string{file: file, into: filepath.Join(into, "from")} {
		if err := os.WriteFile(final, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := place(bytes.NewReader(whole[:2000]), info, to); err == nil || read(final) != "old" {
			t.Errorf("%s has %q after an archive that breaks off, error %v", final, read(final), err)
		}
		if err := place(bytes.NewReader(whole), info, to); err != nil || len(read(final)) != 4000 {
			t.Errorf("%s has %q, error %v", final, read(final), err)
		}
	}
	fresh := filepath.Join(dir, "fresh")
	if err := place(bytes.NewReader(whole[:2000]), info, fresh); err == nil || read(fresh) != "" {
		t.Errorf("a file that was not there has %q, error %v", read(fresh), err)
	}
	if err := place(bytes.NewReader(whole), info, fresh+"/"); err == nil {
		t.Error("a folder that is not there was made")
	}
	for _, at := range []string{dir, into} {
		if left, _ := filepath.Glob(filepath.Join(at, ".bulkhead-cp-*")); len(left) > 0 {
			t.Errorf("left beside: %q", left)
		}
	}
}
