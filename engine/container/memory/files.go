package memory

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// File is what Files returns of one path.
type File struct {
	Mode     fs.FileMode
	UID, GID int
	Link     string
	Text     string
}

// Files is what a container has at and below a path, volumes included.
func (r *Runtime) Files(id, below string) map[string]File {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	out := map[string]File{}
	if b := r.all[id]; b != nil {
		f := r.files(b)
		for _, at := range f.list(path.Clean(below)) {
			n := f.get(at)
			out[at] = File{Mode: n.mode, UID: n.uid, GID: n.gid, Link: n.link, Text: string(n.data)}
		}
	}
	return out
}

// fileWriter is the Runtime's container.FileWriter.
type fileWriter struct{ e *engine }

// PrepareFiles implements container.FilePreparer. It is counted, and nothing is done.
func (w fileWriter) PrepareFiles(ctx context.Context, id string) {
	_ = w.e.faults.enter(ctx, "PrepareFiles", id) // it has no error to answer with
}

// CopyTo implements container.FileWriter.
func (w fileWriter) CopyTo(ctx context.Context, id, below string, content io.Reader, replace bool) error {
	what := "copy files into " + short(id)
	if err := w.e.faults.enter(ctx, "CopyTo", id); err != nil {
		return err
	}
	// The sender's pace is not ours: it is read before anything is locked.
	all, err := io.ReadAll(content)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	b, err := w.e.box("copy files into", id)
	if err != nil {
		return err
	}
	if b.spec.Service.Config.ReadOnly {
		return fmt.Errorf("%s: its root file system is read-only: %w", what, container.ErrUnsupported)
	}
	f := w.e.files(b)
	failed := map[string]error{}
	for tr := tar.NewReader(bytes.NewReader(all)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		err = f.unpack(below, h, tr, replace)
		if errors.Is(err, container.ErrConflict) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err != nil {
			failed[path.Clean("/"+h.Name)] = err
		}
	}
	if len(failed) > 0 {
		return &container.NotWritten{Files: failed}
	}
	return w.e.faults.leave(ctx, "CopyTo", id)
}

// unpack writes one entry. The folders on the way to it may be links.
func (f files) unpack(top string, h *tar.Header, content io.Reader, replace bool) error {
	name, top := path.Clean("/"+h.Name), f.resolve(top, true)
	dir := f.resolve(path.Dir(name), true)
	if dir == "" {
		return fmt.Errorf("%s: too many links", name)
	}
	for up := dir; up != "/"; up = path.Dir(up) {
		if n := f.get(up); n != nil && !n.mode.IsDir() {
			return fmt.Errorf("%s: %s is not a folder", name, up)
		}
	}
	at := path.Join(dir, path.Base(name))
	if !below(at, top) {
		return fmt.Errorf("%s: a link on the way to it leads out of %s", name, top)
	}
	there := f.get(at)
	n := &node{mode: h.FileInfo().Mode(), uid: h.Uid, gid: h.Gid}
	switch h.Typeflag {
	case tar.TypeDir:
		if there != nil && there.mode.IsDir() {
			f.set(at, n)
			return nil
		}
		if there != nil && !replace {
			return conflict("cannot overwrite non-directory %q with a directory", at)
		}
	case tar.TypeReg:
		data, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		n.data = data
	case tar.TypeSymlink:
		n.link = h.Linkname
	case tar.TypeLink:
		of := f.reachable(h.Linkname, false)
		if of == nil {
			return fmt.Errorf("%s: there is no %s to be another name of", name, h.Linkname)
		}
		n = of.clone()
	default:
		return fmt.Errorf("%s: an entry of type %q is not for a container", name, h.Typeflag)
	}
	if there != nil {
		if there.mode.IsDir() && !replace {
			return conflict("cannot overwrite directory %q with a file", at)
		}
		f.remove(at)
	}
	f.set(at, n)
	return nil
}

// Unreachable implements container.FileWriter: it writes everywhere.
func (fileWriter) Unreachable(*types.ServiceConfig) map[string]string { return nil }

// Delete implements container.FileWriter. Like Docker's engine it reaches only
// containers that run.
func (w fileWriter) Delete(ctx context.Context, id, dir string, paths []string) error {
	what := "delete files in " + short(id)
	if err := w.e.faults.enter(ctx, "Delete", id); err != nil {
		return err
	}
	dir = path.Clean(dir)
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	for _, p := range paths {
		if p = path.Clean(p); !path.IsAbs(p) || !below(p, dir) || p == dir {
			return fmt.Errorf("%s: %q is not an absolute path below %s", what, p, dir)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	b, err := w.e.box("delete files in", id)
	if err != nil {
		return err
	}
	if !b.running() {
		return fmt.Errorf("%s: it does not run, and a stopped container's files cannot be deleted: %w",
			what, container.ErrUnsupported)
	}
	f := w.e.files(b)
	real := f.resolve(dir, false)
	if n := f.get(real); real == "" || n == nil || !n.mode.IsDir() {
		return nil // the folder is a link, or is not there
	}
	for _, p := range paths {
		rel := strings.TrimPrefix(strings.TrimPrefix(path.Clean(p), dir), "/")
		at := path.Join(real, rel)
		direct := true // only by folders
		for up := path.Dir(at); below(up, real) && up != real; up = path.Dir(up) {
			if n := f.get(up); n == nil || !n.mode.IsDir() {
				direct = false
			}
		}
		if direct {
			f.remove(at)
		}
	}
	return nil
}

// fileReader is the Runtime's container.FileReader.
type fileReader struct{ e *engine }

// Stat implements container.FileReader.
func (r fileReader) Stat(ctx context.Context, id string, paths []string) (map[string]container.Entry, error) {
	if err := r.e.faults.enter(ctx, "Stat", id); err != nil {
		return nil, err
	}
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	b, err := r.e.box("look at files in", id)
	if err != nil {
		return nil, err
	}
	f := r.e.files(b)
	all := map[string]container.Entry{}
	for _, p := range paths {
		if !path.IsAbs(p) {
			return nil, fmt.Errorf("look at files in %s: %q is not an absolute path", short(id), p)
		}
		if n := f.reachable(p, false); n != nil {
			all[p] = n.entry()
		}
	}
	return all, nil
}

func (n *node) entry() container.Entry {
	return container.Entry{Mode: n.mode, Size: int64(len(n.data)), Link: n.link}
}

// List implements container.FileReader.
func (r fileReader) List(ctx context.Context, id, name string,
	visit func(path string, e container.Entry, content io.Reader) error) error {
	if err := r.e.faults.enter(ctx, "List", id); err != nil {
		return err
	}
	name = path.Clean(name)
	r.e.mu.Lock()
	b, err := r.e.box("read files in", id)
	if err != nil {
		r.e.mu.Unlock()
		return err
	}
	f := r.e.files(b)
	real := f.resolve(name, false)
	if real == "" || f.get(real) == nil {
		r.e.mu.Unlock()
		return fmt.Errorf("read %s in %s: no such file: %w", name, short(id), container.ErrNotFound)
	}
	var at []string
	var nodes []*node
	for _, p := range f.list(real) {
		at = append(at, path.Join(name, strings.TrimPrefix(p, real)))
		nodes = append(nodes, f.get(p).clone())
	}
	r.e.mu.Unlock()
	for i, p := range at {
		if err := visit(p, nodes[i].entry(), bytes.NewReader(nodes[i].data)); err != nil {
			return err
		}
	}
	return nil
}

// User implements container.FileReader.
func (r fileReader) User(ctx context.Context, id string) (uid, gid int, err error) {
	if err := r.e.faults.enter(ctx, "User", id); err != nil {
		return 0, 0, err
	}
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	b, err := r.e.box("find the user of", id)
	if err != nil {
		return 0, 0, err
	}
	text := b.spec.Service.Config.User
	if text == "" {
		text = b.spec.Image.User
	}
	user, group, _ := strings.Cut(text, ":")
	if user == "" {
		return 0, 0, nil
	}
	uid, err = strconv.Atoi(user)
	if line := r.e.files(b).entryOf("/etc/passwd", user); len(line) > 3 {
		uid, _ = strconv.Atoi(line[2])
		gid, _ = strconv.Atoi(line[3])
	} else if err != nil {
		return 0, 0, fmt.Errorf("find the user of %s: it has no user %s in /etc/passwd", short(id), user)
	}
	if group == "" {
		return uid, gid, nil
	}
	if gid, err = strconv.Atoi(group); err == nil {
		return uid, gid, nil
	}
	line := r.e.files(b).entryOf("/etc/group", group)
	if len(line) < 3 {
		return 0, 0, fmt.Errorf("find the user of %s: it has no group %s in /etc/group", short(id), group)
	}
	gid, err = strconv.Atoi(line[2])
	return uid, gid, err
}

// entryOf finds the line of a name, or of a number, in a file like /etc/passwd.
func (f files) entryOf(file, name string) []string {
	n := f.reachable(file, true)
	if n == nil {
		return nil
	}
	for line := range strings.Lines(string(n.data)) {
		if parts := strings.Split(strings.TrimRight(line, "\n"), ":"); len(parts) > 2 &&
			(parts[0] == name || parts[2] == name) {
			return parts
		}
	}
	return nil
}

// Owner implements container.FileReader.
func (r fileReader) Owner(ctx context.Context, id, name string) (uid, gid int, err error) {
	if err := r.e.faults.enter(ctx, "Owner", id); err != nil {
		return 0, 0, err
	}
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	b, err := r.e.box("find an owner in", id)
	if err != nil {
		return 0, 0, err
	}
	if !path.IsAbs(name) {
		return 0, 0, fmt.Errorf("find the owner of %s in %s: it is not an absolute path", name, short(id))
	}
	f := r.e.files(b)
	for at := path.Clean(name); ; at = path.Dir(at) {
		if n := f.reachable(at, false); n != nil {
			return n.uid, n.gid, nil
		}
	}
}
