package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"bulkhead/engine/container"
)

// What stands in the way of a copy is the same fact, whoever unpacks.
func TestWhatStandsInTheWayOfACopyIsATypedError(t *testing.T) {
	b := open(t, "services:\n  a: {image: IMAGE}\n  sealed: {image: IMAGE, read_only: true}\n")
	pack := func(name string) io.Reader {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		b.ok(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}))
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		b.ok(w.Close())
		return &buf
	}
	a, sealed := b.start("a"), b.start("sealed")
	b.run(a, "mkdir", "-p", "/app/own/below")
	for who, write := range map[string]func(context.Context, string, io.Reader, bool) error{"we": b.rt.unpackHere, "the engine": b.rt.sendArchive} {
		var folder *folderInWay
		if err := write(b.ctx, a, pack("app/own"), false); !errors.As(err, &folder) || folder.path != "/app/own" {
			t.Errorf("%s: a folder: %v", who, err)
		}
		if err := write(b.ctx, sealed, pack("app/x"), false); !errors.Is(err, errReadOnly) {
			t.Errorf("%s: a read-only root: %v", who, err)
		}
	}
	if err := b.rt.CopyTo(b.ctx, a, pack("app/own"), false); !errors.Is(err, container.ErrConflict) {
		t.Errorf("a folder: %v", err)
	}
}
