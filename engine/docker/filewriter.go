package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// fileWriter is the container.FileWriter.
type fileWriter struct {
	conn  *connection
	files *fileReader // to see where links lead
	exec  *executor   // to delete with the image's own program
}

var _ container.FileWriter = (*Runtime)(nil)

// CopyTo implements container.FileWriter. Into a running container of this machine
// root writes by itself, which takes a tenth of the time that the engine needs to
// start a helper of its own. Owners and modes are those of the tar's headers: with
// its own option for owners the engine would make the container's user the owner of
// all files.
func (w *fileWriter) CopyTo(ctx context.Context, id string, tar io.Reader, replace bool) error {
	what := "copy files into " + container.ShortID(id)
	err := w.unpackHere(ctx, id, tar, replace)
	if errors.Is(err, errNoAccess) {
		err = w.sendArchive(ctx, id, tar, replace)
	}
	var folder *folderInWay
	switch {
	case errors.Is(err, errReadOnly):
		return &apiError{
			what: what, kind: container.ErrUnsupported, err: err,
			text: "its root file system is read-only", remedy: "remove read_only from the service, or bind-mount the folder",
		}
	case errors.As(err, &folder):
		return &apiError{
			what: what, kind: container.ErrConflict, err: err,
			text: folder.path + " is a folder there, with files that are not from here", remedy: "remove it in the container, or rebuild",
		}
	}
	return w.conn.wrap(what, err)
}

// unpackHere writes into a container without the engine. It is errNoAccess, with
// nothing read, where that cannot be done.
func (w *fileWriter) unpackHere(ctx context.Context, id string, tar io.Reader, replace bool) error {
	if !w.conn.local(ctx) {
		return errNoAccess
	}
	c, err := w.conn.running(ctx, id)
	if err != nil {
		return errNoAccess // the engine reaches a stopped one, and says what is wrong with others
	}
	return unpackIn(c.State.Pid, c.ID, tar, replace)
}

var errReadOnly = errors.New("read-only file system")

// folderInWay is a folder that an entry of a tar would have to replace, and may not.
type folderInWay struct{ path string }

func (f *folderInWay) Error() string { return fmt.Sprintf("cannot overwrite directory %q", f.path) }

// inWay matches the engine's error for it.
var inWay = regexp.MustCompile(`cannot overwrite directory "([^"]*)"`)

// sendArchive lets the engine unpack. Only the text of its error says what went wrong there.
func (w *fileWriter) sendArchive(ctx context.Context, id string, tar io.Reader, replace bool) error {
	_, err := w.conn.cli.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: tar, AllowOverwriteDirWithFile: replace})
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "read-only") {
		return fmt.Errorf("%w: %w", errReadOnly, err)
	}
	if m := inWay.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%w: %w", &folderInWay{path: m[1]}, err)
	}
	return err
}

// Delete implements container.FileWriter. In a running container of an engine on
// this machine, as root, it needs no program; elsewhere it runs the image's rm. A
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
	c, err := w.conn.running(ctx, id)
	if errors.Is(err, errNotRunning) {
		return fmt.Errorf("%s: %w: it does not run, and a stopped container's files cannot be deleted", what, container.ErrUnsupported)
	}
	if err != nil {
		return err
	}
	if w.conn.local(ctx) {
		err := deleteIn(c.State.Pid, c.ID, below, names)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errNoAccess) {
			return fmt.Errorf("%s: %w", what, err)
		}
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
		var said bytes.Buffer
		code, err := w.exec.Exec(ctx, id, container.ExecOptions{Cmd: cmd, User: "0", Stdout: &said, Stderr: &said})
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case code == 126 || code == 127:
			return container.WithRemedy(fmt.Errorf("%s: %w: the image has no rm, and this engine's files are out of reach", what, container.ErrUnsupported), "rebuild instead")
		case code != 0:
			return fmt.Errorf("%s: rm ended with %d: %s", what, code, strings.TrimSpace(said.String()))
		}
	}
	if len(odd) > 0 {
		return container.WithRemedy(fmt.Errorf("%s: %w: the name %q is not UTF-8, and this engine's files are out of reach", what, container.ErrUnsupported, odd[0]), "rebuild instead")
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
		return slices.ContainsFunc(parents(n), func(d string) bool { return !there[d].Mode.IsDir() }) // a link, or gone already
	}), nil
}
