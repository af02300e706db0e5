package conformance

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

var fileCases = []Case{
	{Name: "files are copied, looked at, listed and deleted", Run: filesInside},
	{Name: "a file and a folder take each other's place only when asked to", Run: fileConflict},
	{Name: "links are followed on the way, and none is deleted through", Run: fileLinks},
	{Name: "users and owners are known by number", Run: owners},
}

// entry is one for a tar stream.
func entry(kind byte, name, text string) *tar.Header {
	h := &tar.Header{Typeflag: kind, Name: name, Mode: 0o644, Uid: 12, Gid: 34}
	switch kind {
	case tar.TypeDir:
		h.Mode = 0o755
	case tar.TypeSymlink:
		h.Linkname = text
	case tar.TypeReg:
		h.Size = int64(len(text))
		h.PAXRecords = map[string]string{"BULKHEAD.text": text}
	}
	return h
}

func file(name, text string) *tar.Header { return entry(tar.TypeReg, name, text) }

func (b *bench) copy(id string, replace bool, entries ...*tar.Header) error {
	b.Helper()
	return b.copyBelow(id, "/", replace, entries...)
}

func (b *bench) copyBelow(id, below string, replace bool, entries ...*tar.Header) error {
	b.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range entries {
		text := h.PAXRecords["BULKHEAD.text"]
		h.PAXRecords = nil
		b.ok(w.WriteHeader(h))
		_, err := io.WriteString(w, text)
		b.ok(err)
	}
	b.ok(w.Close())
	return b.rt.CopyTo(b.ctx, id, below, &buf, replace)
}

// tree is what is at and below a path: "f /t/a 644 text", "d /t 755", "l /t/l
// target".
func (b *bench) tree(id, at string) (out []string) {
	b.Helper()
	b.ok(b.rt.List(b.ctx, id, at, func(path string, e container.Entry, content io.Reader) error {
		text, err := io.ReadAll(content)
		switch {
		case e.Mode.IsDir():
			out = append(out, fmt.Sprintf("d %s %o", path, e.Mode.Perm()))
		case e.Mode&fs.ModeSymlink != 0:
			out = append(out, fmt.Sprintf("l %s %s", path, e.Link))
		default:
			out = append(out, fmt.Sprintf("f %s %o %s", path, e.Mode.Perm(), text))
		}
		return err
	}))
	slices.Sort(out)
	return out
}

func filesInside(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Sync, "FileWriter") {
		return
	}
	s := b.spec("web", waits())
	id := b.create(s)
	b.ok(b.copy(id, false, file("t/a", "one"), entry(tar.TypeDir, "t/sub", ""), file("t/sub/b", "two"),
		file("t/deep/er/c", "three")))
	want := []string{"d /t 755", "d /t/deep 755", "d /t/deep/er 755", "d /t/sub 755", "f /t/a 644 one",
		"f /t/deep/er/c 644 three", "f /t/sub/b 644 two"}
	b.same("in one that never ran", b.tree(id, "/t"), want)
	if err := b.rt.Delete(b.ctx, id, "/t", []string{"/t/a"}); err != nil { // where a runtime cannot, it says so
		b.is("delete in one that does not run", err, container.ErrUnsupported)
		b.same("after a delete that could not be", b.tree(id, "/t"), want)
	}
	b.ok(b.rt.Start(b.ctx, s, id))
	b.ok(b.copy(id, false, file("t/a", "four")))
	at, err := b.rt.Stat(b.ctx, id, []string{"/t/a", "/t/sub", "/t/none", "/t/a/none"})
	b.ok(err)
	if len(at) != 2 || at["/t/a"].Size != 4 || !at["/t/a"].Mode.IsRegular() ||
		at["/t/a"].Mode.Perm() != 0o644 || !at["/t/sub"].Mode.IsDir() {
		b.Errorf("looked at: %+v", at)
	}
	b.ok(b.rt.Delete(b.ctx, id, "/t", []string{"/t/a", "/t/sub", "/t/none"}))
	left := []string{"d /t 755", "d /t/deep 755", "d /t/deep/er 755", "f /t/deep/er/c 644 three"}
	b.same("after a delete", b.tree(id, "/t"), left)
	b.is("a list of what is not there", b.rt.List(b.ctx, id, "/t/none", nil), container.ErrNotFound)
	if err := b.rt.Delete(b.ctx, id, "/t", []string{"/etc/passwd"}); err == nil {
		b.Error("it deletes outside of the folder")
	}
	if err := b.rt.Delete(b.ctx, id, "/t", []string{"/t"}); err == nil {
		b.Error("it deletes the folder itself")
	}
	if _, err := b.rt.Stat(b.ctx, id, []string{"t/a"}); err == nil {
		b.Error("it looks at a path that is not absolute")
	}
	b.same("one file", b.tree(id, "/t/deep/er/c"), []string{"f /t/deep/er/c 644 three"})
	enough := errors.New("enough")
	b.is("a list that was ended", b.rt.List(b.ctx, id, "/t",
		func(string, container.Entry, io.Reader) error { return enough }), enough)
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	b.ended(id)
	b.same("in one that has ended", b.tree(id, "/t"), left)

	closed := b.start("closed", waits(), func(c *types.ServiceConfig) { c.ReadOnly = true })
	b.is("copy into what is read-only", b.copy(closed, false, file("t", "x")), container.ErrUnsupported)
}

func fileConflict(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Sync, "FileWriter") {
		return
	}
	id := b.start("web", waits())
	for _, runs := range []bool{true, false} {
		if !runs {
			b.ok(b.rt.Kill(b.ctx, id, "KILL"))
			b.ended(id)
		}
		b.ok(b.copy(id, true, entry(tar.TypeDir, "t", ""), entry(tar.TypeDir, "t/d", ""),
			file("t/d/x", "x"), file("t/f", "f")))
		b.is("a file over a folder", b.copy(id, false, file("t/d", "d")), container.ErrConflict)
		if err := b.copy(id, false, entry(tar.TypeDir, "t/f", "")); err == nil {
			b.Errorf("a folder over a file, running %t: it is done", runs)
		}
		b.same("what stays", b.tree(id, "/t"), []string{"d /t 755", "d /t/d 755", "f /t/d/x 644 x",
			"f /t/f 644 f"})
		b.ok(b.copy(id, true, file("t/d", "d"), entry(tar.TypeDir, "t/f", ""), file("t/f/y", "y")))
		b.same("what is replaced", b.tree(id, "/t"),
			[]string{"d /t 755", "d /t/f 755", "f /t/d 644 d", "f /t/f/y 644 y"})
	}
}

func fileLinks(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Sync, "FileWriter") {
		return
	}
	id := b.start("web", waits())
	b.ok(b.copy(id, false, entry(tar.TypeDir, "t", ""), entry(tar.TypeDir, "out", ""), file("out/f", "theirs"),
		entry(tar.TypeSymlink, "t/out", "/out"), entry(tar.TypeSymlink, "t/file", "../out/f"),
		entry(tar.TypeSymlink, "t/loop", "loop")))
	b.ok(b.copy(id, false, file("t/out/g", "ours")))
	b.same("through a link", b.tree(id, "/out"), []string{"d /out 755", "f /out/f 644 theirs",
		"f /out/g 644 ours"})
	at, err := b.rt.Stat(b.ctx, id, []string{"/t/out", "/t/out/f", "/t/loop", "/t/loop/x"})
	b.ok(err)
	if at["/t/out"].Mode&fs.ModeSymlink == 0 || at["/t/out"].Link != "/out" || at["/t/out/f"].Size != 6 ||
		at["/t/loop"].Mode&fs.ModeSymlink == 0 || len(at) != 3 {
		b.Errorf("looked at: %+v", at)
	}
	b.ok(b.rt.Delete(b.ctx, id, "/t", []string{"/t/out/f"}))
	b.ok(b.rt.Delete(b.ctx, id, "/t/out", []string{"/t/out/f"}))
	b.same("what only a link leads to", b.tree(id, "/out"),
		[]string{"d /out 755", "f /out/f 644 theirs", "f /out/g 644 ours"})
	b.ok(b.rt.Delete(b.ctx, id, "/t", []string{"/t/out", "/t/file", "/t/loop"}))
	b.same("the links themselves", b.tree(id, "/t"), []string{"d /t 755"})
	b.ok(b.copy(id, false, entry(tar.TypeSymlink, "t/new", "/out/f")))
	b.ok(b.copy(id, false, file("t/new", "mine"))) // a file takes a link's place
	b.same("a file in the place of a link", b.tree(id, "/t"), []string{"d /t 755", "f /t/new 644 mine"})
	b.same("what the link led to", b.tree(id, "/out/f"), []string{"f /out/f 644 theirs"})
}

func owners(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Sync, "FileReader") {
		return
	}
	for user, want := range map[string][2]int{"": {0, 0}, "adam": {1234, 5678}, "1234": {1234, 5678},
		"7": {7, 0}, "7:8": {7, 8}, "adam:9": {1234, 9}} {
		id := b.create(b.spec("web", waits(), func(c *types.ServiceConfig) { c.User = user }))
		if uid, gid, err := b.rt.User(b.ctx, id); err != nil || uid != want[0] || gid != want[1] {
			b.Errorf("user %q: %d:%d, %v; want %v", user, uid, gid, err, want)
		}
		b.ok(b.rt.Remove(b.ctx, id, true, true))
	}
	s := b.spec("web", waits())
	id := b.create(s)
	b.ok(b.copy(id, false, file("t/a", "one")))
	for _, runs := range []bool{false, true} {
		if runs {
			b.ok(b.rt.Start(b.ctx, s, id))
		}
		for path, want := range map[string][2]int{"/t/a": {12, 34}, "/no/such/file": {0, 0}} {
			if uid, gid, err := b.rt.Owner(b.ctx, id, path); err != nil || uid != want[0] || gid != want[1] {
				b.Errorf("owner of %s, running %t: %d:%d, %v", path, runs, uid, gid, err)
			}
		}
	}
}
