package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/client"

	"bulkhead/engine/agent/files"
	"bulkhead/engine/container"
)

// fileWriter is the container.FileWriter.
type fileWriter struct {
	conn   *connection
	inside *inside
	files  *fileReader // to see where links lead
	exec   *executor   // to delete with the image's own program
}

var (
	_ container.FileWriter   = (*Runtime)(nil)
	_ container.FilePreparer = (*Runtime)(nil)
)

// CopyTo implements container.FileWriter. Into a running container it writes without
// the engine where it can, which takes a tenth of the time that the engine needs to
// start a helper of its own; see inside. Owners and modes are those of the tar's
// headers: with its own option for owners the engine would make the container's user
// the owner of all files. The engine resolves links inside of the container as a
// whole, and writes files in place.
func (w *fileWriter) CopyTo(ctx context.Context, id, below string, tar io.Reader, replace bool) error {
	what := "copy files into " + container.ShortID(id)
	content := &touched{Reader: tar}
	err := w.inside.do(ctx, id, func(f root) error { return f.Unpack(ctx, below, content, replace) })
	if errors.Is(err, files.ErrNoAccess) && !content.read {
		err = w.sendArchive(ctx, id, tar, replace)
	}
	var folder *files.FolderInWay
	var some *files.NotWritten
	switch {
	case errors.As(err, &some):
		return &container.NotWritten{Files: some.Files}
	case errors.Is(err, files.ErrReadOnly):
		return &apiError{
			what: what, kind: container.ErrUnsupported, err: err,
			text:   "it is read-only there",
			remedy: "remove read_only from the service or from the volume, or sync into a volume that is not",
		}
	case errors.As(err, &folder):
		return &apiError{
			what: what, kind: container.ErrConflict, err: err,
			text:   folder.Path + " is a folder there, with files that are not from here",
			remedy: "remove it in the container, or rebuild",
		}
	}
	return w.conn.wrap(what, err)
}

// touched notes whether anything was read of a Reader: what is left of it then is no whole archive.
type touched struct {
	io.Reader
	read bool
}

// Read implements io.Reader.
func (t *touched) Read(p []byte) (int, error) {
	t.read = true
	return t.Reader.Read(p)
}

// PrepareFiles implements container.FilePreparer.
func (w *fileWriter) PrepareFiles(ctx context.Context, id string) {
	_ = w.inside.do(ctx, id, func(f root) error { // the first write meets its error again
		_, err := f.Stat(ctx, nil)
		return err
	})
}

// inWay matches the engine's error for it.
var inWay = regexp.MustCompile(`cannot overwrite directory "([^"]*)"`)

// sendArchive lets the engine unpack. Only the text of its error says what went wrong there.
func (w *fileWriter) sendArchive(ctx context.Context, id string, tar io.Reader, replace bool) error {
	err := w.conn.copyInto(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: tar,
		AllowOverwriteDirWithFile: replace})
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "read-only") {
		return fmt.Errorf("%w: %w", files.ErrReadOnly, err)
	}
	if m := inWay.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%w: %w", &files.FolderInWay{Path: m[1]}, err)
	}
	return err
}

// Unreachable implements container.FileWriter: an engine writes below a tmpfs, where nobody in the
// container sees it.
func (w *fileWriter) Unreachable(s *types.ServiceConfig) map[string]string {
	out := map[string]string{}
	note := func(dir string) {
		out[path.Clean(
			dir)] = "lies in a tmpfs, which copies through the engine do not reach; mount a volume there instead"
	}
	for dir := range tmpfs(s.Tmpfs) {
		note(dir)
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeTmpfs {
			note(v.Target)
		}
	}
	return out
}

// Delete implements container.FileWriter. It needs no program where it can be done
// without the engine; elsewhere it runs the image's rm. A
// stopped container's files are out of reach: container.ErrUnsupported.
func (w *fileWriter) Delete(ctx context.Context, id, below string, paths []string) error {
	what := "delete files in " + container.ShortID(id)
	below = path.Clean(below)
	names := make([]string, 0, len(paths)) // relative to below
	for _, p := range paths {
		rel, ok := strings.CutPrefix(path.Clean(p), strings.TrimSuffix(below, "/")+"/")
		if !path.IsAbs(p) || !ok || rel == "" {
			return fmt.Errorf("%s: %q is not an absolute path below %s", what, p, below)
		}
		names = append(names, rel)
	}
	if len(names) == 0 {
		return nil
	}
	err := w.inside.do(ctx, id, func(f root) error { return f.Delete(ctx, below, names) })
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, files.ErrNoAccess):
		return container.WrapErr(err, "%s", what)
	}
	if _, err := w.conn.running(ctx, id); errors.Is(err, errNotRunning) {
		return fmt.Errorf(
			"%s: %w: it does not run, and a stopped container's files cannot be deleted", what,
			container.ErrUnsupported)
	} else if err != nil {
		return err
	}
	return w.runRM(ctx, id, what, below, names)
}

// runRM deletes by the image's own program.
func (w *fileWriter) runRM(ctx context.Context, id, what, below string, names []string) error {
	names, err := w.withoutLinks(ctx, id, below, names)
	if err != nil {
		return err
	}
	var odd []string // what a command line that travels as JSON cannot name
	names = slices.DeleteFunc(names, func(n string) bool {
		if !utf8.ValidString(n) {
			odd = append(odd, n)
			return true
		}
		return false
	})
	// An argument list may be two megabytes long.
	for chunk := range slices.Chunk(names, 200) {
		cmd := []string{"rm", "-rf", "--"}
		for _, n := range chunk {
			cmd = append(cmd, path.Join(below, n))
		}
		// As the image's user rm may have no right to what an earlier sync put in as root.
		var said tailBuffer
		code, err := w.exec.Exec(ctx, id, container.ExecOptions{Cmd: cmd, User: "0", Stdout: &said,
			Stderr: &said})
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case code == 126 || code == 127:
			return container.WithRemedy(
				fmt.Errorf("%s: %w: the image has no rm, and this engine's files are out of reach",
					what, container.ErrUnsupported), "rebuild instead")
		case code != 0:
			return fmt.Errorf("%s: rm ended with %d: %s", what, code, said.text())
		}
	}
	if len(odd) > 0 {
		return container.WithRemedy(
			fmt.Errorf("%s: %w: the name %q is not UTF-8, and this engine's files are out of reach",
				what, container.ErrUnsupported, odd[0]), "rebuild instead")
	}
	return nil
}

// withoutLinks leaves out the names that a link leads to: the folder itself, or one below it.
func (w *fileWriter) withoutLinks(ctx context.Context, id, below string, names []string) ([]string, error) {
	parents := func(n string) (dirs []string) {
		for d := path.Dir(n); d != "."; d = path.Dir(d) {
			dirs = append(dirs, path.Join(below, d))
		}
		return append(dirs, below)
	}
	var dirs []string
	for _, n := range names {
		dirs = append(dirs, parents(n)...)
	}
	slices.Sort(dirs)
	there, err := w.files.Stat(ctx, id, slices.Compact(dirs))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		// a link, or gone already
		return slices.ContainsFunc(parents(n), func(d string) bool { return !there[d].Mode.IsDir() })
	}), nil
}
