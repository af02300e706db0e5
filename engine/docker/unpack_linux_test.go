package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/container"
)

// Whoever writes, bulkhead or the engine, a container holds the same afterwards; and no link leads
// either of them out of it.
func TestWritingIntoAContainerIsAsTheEngineDoesIt(t *testing.T) {
	needLocal(t)
	b := open(t,
		"services:\n  root: {image: IMAGE, command: [sleep, '600'], tmpfs: [/scratch]}\n  agent: {image: IMAGE, command: [sleep, '600'], tmpfs: [/scratch]}\n"+
			"  engine: {image: IMAGE, command: [sleep, '600'], tmpfs: [/scratch]}\n  sealed: {image: IMAGE, command: [sleep, '600'], read_only: true}\n")
	outside := t.TempDir()
	const before = "mkdir -p /app/full/of /else /app/plain; echo old > /app/old; echo x > /app/full/of/things; echo y > /app/was-file; ln -s /else /app/link;" +
		" ln -s OUT /app/escape; ln -s ../../../../../../..OUT /app/up; echo keep > /app/plain/keep; touch -d '2020-01-01 00:00:00' /app/plain/keep; ln -s /nowhere /app/dangling"
	stamp := time.Unix(1_700_000_000, 123_000_000)
	type file struct {
		tar.Header
		text string
	}
	files := []file{
		{tar.Header{Name: "app/old", Mode: 0o640, Uid: 5, Gid: 6, ModTime: stamp}, "new"},
		{tar.Header{Name: "app/tool", Mode: 0o4755, Uid: 7, Gid: 8, ModTime: stamp}, "#!"},
		{tar.Header{Name: "app/plain/", Mode: 0o1777, Uid: 9, Gid: 9}, ""},
		{tar.Header{Name: "app/empty/", Mode: 0o700, Uid: 9, Gid: 9}, ""},
		{tar.Header{Name: "app/link/through", Mode: 0o600, ModTime: stamp}, "behind a link inside"},
		{tar.Header{Name: "app/escape/other", Mode: 0o600, ModTime: stamp}, "not on the host"},
		{tar.Header{Name: "app/up/out", Mode: 0o600, ModTime: stamp}, "nor this"},
		{tar.Header{Name: "scratch/s", Mode: 0o600, ModTime: stamp}, "mounted"},
		{tar.Header{Name: "app/dangling", Mode: 0o644, ModTime: stamp}, "in place of a link"},
		{tar.Header{Name: "app/sym", Typeflag: tar.TypeSymlink, Linkname: "../etc/passwd", Uid: 3,
			Gid: 4, ModTime: stamp}, ""},
		{tar.Header{Name: "app/full", Mode: 0o644, ModTime: stamp}, "a file in place of a folder"},
		{tar.Header{Name: "app/was-file/now/deep", Mode: 0o644, ModTime: stamp}, "a folder in place of a file"},
	}
	pack := func(files ...file) io.Reader {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		for _, f := range files {
			h := f.Header
			h.Size, h.Format = int64(len(f.text)), tar.FormatPAX
			if h.Typeflag == 0 && !strings.HasSuffix(h.Name, "/") {
				h.Typeflag = tar.TypeReg
			} else if h.Typeflag == 0 {
				h.Typeflag = tar.TypeDir
			}
			if err := errors.Join(w.WriteHeader(&h), func() error {
				_, err := io.WriteString(w, f.text)
				return err
			}()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return &buf
	}
	deep := append(files[:len(files)-1:len(files)-1],
		file{tar.Header{Name: "app/was-file/", Mode: 0o755}, ""}, files[len(files)-1])
	held := map[string]string{}
	for service, write := range writers(b) {
		id := b.start(service)
		// Where the links lead to, there is a folder inside as well as outside.
		b.run(id, "sh", "-c", strings.ReplaceAll(before, "OUT", outside)+"; mkdir -p "+outside)
		for _, f := range []file{files[10], {tar.Header{Name: "app/was-file/", Mode: 0o755}, ""}} {
			if err := write(b.ctx, id, pack(f), false); err == nil || !strings.Contains(err.Error(),
				"cannot overwrite") {
				t.Errorf("%s: %s without leave: %v", service, f.Name, err)
			}
		}
		b.ok(write(b.ctx, id, pack(deep...), true))
		var out bytes.Buffer
		code, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Stdout: &out, Stderr: &out,
			Cmd: []string{"sh", "-c",
				"find /app /else " + outside +
					" | sort | while read f; do stat -c '%n %F %a %u:%g' $f; [ -f $f ] && stat -c '%s %y' $f && cat $f; [ -L $f ] && readlink $f; done; true"}})
		if err != nil || code != 0 {
			t.Fatalf("%s: look: %d, %v: %s", service, code, err, out.String())
		}
		held[service] = out.String()
		if service != "engine" { // the engine writes below a tmpfs, where nobody sees it
			if text, _ := b.run(id, "cat", "/scratch/s"); text != "mounted" {
				t.Errorf("in the tmpfs: %q", text)
			}
		}
	}
	first := held["engine"]
	if !strings.Contains(first, "app/tool regular file 4755 7:8") ||
		!strings.Contains(first, "not on the host") || !strings.Contains(first, "nor this") {
		t.Errorf("by the engine it holds\n%s", first)
	}
	for service, all := range held {
		if all != first {
			t.Errorf("by the engine it holds\n%s\nand by %s\n%s", first, service, all)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("on the host: %v, %v", left, err)
	}
	id := b.start("sealed")
	if err := b.rt.CopyTo(b.ctx, id, "/", pack(files[0]), false); !errors.Is(err, container.ErrUnsupported) {
		t.Errorf("a read-only root: %v", err)
	}
}
