package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"bulkhead/engine/agent/files"
	"bulkhead/engine/container"
)

// writers are the ways below / of a container, by who writes.
func writers(b *bench) map[string]func(context.Context, string, io.Reader, bool) error {
	in := b.rt.fileWriter.inside
	all := map[string]func(context.Context, string, io.Reader, bool) error{
		"engine": b.rt.sendArchive,
		"agent": func(ctx context.Context, id string, r io.Reader, replace bool) error {
			return throughAgent(ctx, in, id, func(f root) error { return f.Unpack(ctx, "/", r, replace) })
		},
	}
	if os.Geteuid() == 0 {
		all["root"] = func(ctx context.Context, id string, r io.Reader, replace bool) error {
			return in.do(ctx, id, func(f root) error { return f.Unpack(ctx, "/", r, replace) })
		}
	}
	return all
}

// throughAgent calls f as for somebody who is not root on the engine's machine.
func throughAgent(ctx context.Context, x *inside, id string, f func(root) error) error {
	c, err := x.conn.running(ctx, id)
	if err != nil {
		return err
	}
	a, err := x.agent(ctx, c)
	if err != nil {
		return err
	}
	defer x.release(c.ID, a)
	return f(a.client)
}

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
	for who, write := range writers(b) {
		var folder *files.FolderInWay
		if err := write(b.ctx, a, pack("app/own"), false); !errors.As(err, &folder) ||
			folder.Path != "/app/own" {
			t.Errorf("%s: a folder: %v", who, err)
		}
		if err := write(b.ctx, sealed, pack("app/x"), false); !errors.Is(err, files.ErrReadOnly) {
			t.Errorf("%s: a read-only root: %v", who, err)
		}
	}
	if err := b.rt.CopyTo(b.ctx, a, "/", pack("app/own"), false); !errors.Is(err, container.ErrConflict) {
		t.Errorf("a folder: %v", err)
	}
}
