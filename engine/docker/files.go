package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// asked is how many questions about a container's files are put to the engine at a time.
const asked = 8

// readOnly is in what the engine says when a container may not be written to, and in what we say.
const readOnly = "read-only"

// CopyTo implements container.Runtime. Into a running container of this machine root writes by itself, which takes a tenth of the time that the
// engine needs to start a helper of its own. Owners and modes are those of the tar's headers: with its own option for owners the
// engine would give all files to the container's user.
func (r *Runtime) CopyTo(ctx context.Context, id string, tar io.Reader, replace bool) error {
	what := "copy files into " + short(id)
	err := r.unpackHere(ctx, id, tar, replace)
	if errors.Is(err, errNoAccess) {
		err = r.sendArchive(ctx, id, tar, replace)
	}
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), readOnly):
		return &apiError{
			what: what, kind: container.ErrUnsupported, err: err,
			text: "its root file system is read-only; remove read_only from the service, or bind-mount the folder",
		}
	case strings.Contains(err.Error(), "cannot overwrite directory"):
		_, at, _ := strings.Cut(err.Error(), `cannot overwrite directory "`)
		at, _, _ = strings.Cut(at, `"`)
		return &apiError{
			what: what, kind: container.ErrConflict, err: err,
			text: at + " is a folder there, with files that are not from here; remove it in the container, or rebuild",
		}
	}
	return r.wrap(what, err)
}

// unpackHere writes into a container without the engine. It is errNoAccess, with nothing read, where that cannot be done.
func (r *Runtime) unpackHere(ctx context.Context, id string, tar io.Reader, replace bool) error {
	if info, err := r.Info(ctx); err != nil || !info.Local {
		return errNoAccess
	}
	c, err := r.running(ctx, id)
	if err != nil {
		return errNoAccess // the engine reaches a stopped one, and says what is wrong with others
	}
	return unpackIn(c.State.Pid, c.ID, tar, replace)
}

// sendArchive lets the engine unpack.
func (r *Runtime) sendArchive(ctx context.Context, id string, tar io.Reader, replace bool) error {
	_, err := r.cli.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: tar, AllowOverwriteDirWithFile: replace})
	return err
}

// Delete implements container.Runtime. In a running container of an engine on this machine, as root, it needs no program;
// elsewhere it runs the image's rm. A stopped container's files are out of reach: container.ErrUnsupported.
func (r *Runtime) Delete(ctx context.Context, id, below string, paths []string) error {
	what := "delete files in " + short(id)
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
	c, err := r.running(ctx, id)
	if errors.Is(err, errNotRunning) {
		return fmt.Errorf("%s: %w: it does not run, and a stopped container's files cannot be deleted", what, container.ErrUnsupported)
	}
	if err != nil {
		return err
	}
	if info, err := r.Info(ctx); err == nil && info.Local {
		err := deleteIn(c.State.Pid, c.ID, below, names)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errNoAccess) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return r.runRM(ctx, id, what, below, names)
}

// runRM deletes by the image's own program.
func (r *Runtime) runRM(ctx context.Context, id, what, below string, names []string) error {
	names, err := r.withoutLinks(ctx, id, below, names)
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
		code, err := r.Exec(ctx, id, container.ExecOptions{Cmd: cmd, User: "0", Stdout: &said, Stderr: &said})
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case code == 126 || code == 127:
			return fmt.Errorf("%s: %w: the image has no rm, and this engine's files are out of reach; rebuild instead", what, container.ErrUnsupported)
		case code != 0:
			return fmt.Errorf("%s: rm ended with %d: %s", what, code, strings.TrimSpace(said.String()))
		}
	}
	if len(odd) > 0 {
		return fmt.Errorf("%s: %w: the name %q is not UTF-8, and this engine's files are out of reach; rebuild instead", what, container.ErrUnsupported, odd[0])
	}
	return nil
}

// withoutLinks leaves out the names that a link leads to: the folder itself, or one below it.
func (r *Runtime) withoutLinks(ctx context.Context, id, below string, names []string) ([]string, error) {
	way := func(n string) (dirs []string) {
		for d := path.Dir(n); d != "."; d = path.Dir(d) {
			dirs = append(dirs, path.Join(below, d))
		}
		return append(dirs, below)
	}
	var dirs []string
	for _, n := range names {
		dirs = append(dirs, way(n)...)
	}
	slices.Sort(dirs)
	there, err := r.Stat(ctx, id, slices.Compact(dirs))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return slices.ContainsFunc(way(n), func(d string) bool { return !there[d].Mode.IsDir() }) // a link, or gone already
	}), nil
}

// Stat implements container.Runtime.
func (r *Runtime) Stat(ctx context.Context, id string, paths []string) (map[string]container.Entry, error) {
	what := "look at files in " + short(id)
	for _, p := range paths {
		if !path.IsAbs(p) {
			return nil, fmt.Errorf("%s: %q is not an absolute path", what, p)
		}
	}
	if info, err := r.Info(ctx); err == nil && info.Local {
		if c, err := r.running(ctx, id); err == nil {
			if all, err := statIn(c.State.Pid, c.ID, paths); err == nil {
				return all, nil
			}
		}
	}
	all := make(map[string]container.Entry, len(paths))
	var mu sync.Mutex
	err := each(ctx, len(paths), asked, func(ctx context.Context, i int) error {
		e, ok, err := r.statOne(ctx, id, paths[i])
		if err != nil {
			return r.wrap(what, err)
		}
		if ok {
			mu.Lock()
			all[paths[i]] = e
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// statOne asks the engine about one path.
func (r *Runtime) statOne(ctx context.Context, id, name string) (e container.Entry, ok bool, err error) {
	res, err := r.cli.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: name})
	switch {
	case err == nil:
		return container.Entry{Mode: res.Stat.Mode, Size: res.Stat.Size, Link: res.Stat.LinkTarget}, true, nil
	case cerrdefs.IsNotFound(err):
		return e, false, nil
	case name == "/" || ctx.Err() != nil:
		return e, false, err
	}
	// An answer to HEAD has no words; that a file stands where a folder would have to is an error of the engine, too.
	if up, ok, perr := r.statOne(ctx, id, path.Dir(name)); perr == nil && (!ok || !up.Mode.IsDir()) {
		return e, false, nil
	}
	// The engine looks where a link leads to, and fails on one in a circle. The answer to GET says so.
	if _, _, gerr := r.archived(ctx, id, name); gerr != nil && strings.Contains(gerr.Error(), "too many links") {
		return container.Entry{Mode: fs.ModeSymlink | 0o777, Link: path.Base(name)}, true, nil
	}
	return e, false, err
}

// List implements container.Runtime.
func (r *Runtime) List(ctx context.Context, id, name string, visit func(path string, e container.Entry, content io.Reader) error) error {
	what := fmt.Sprintf("read %s in %s", name, short(id))
	ctx, cancel := context.WithCancel(ctx) // ends the stream when visit has seen enough
	defer cancel()
	name = path.Clean(name)
	res, err := r.cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return r.wrap(what, err)
	}
	defer res.Content.Close()
	for tr := tar.NewReader(res.Content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return r.wrap(what, err)
		}
		rel := path.Clean("/" + h.Name)[1:]
		if name != "/" {
			_, rel, _ = strings.Cut(rel, "/") // the archive's names begin with the last part of the path that was asked for
		}
		e := container.Entry{Mode: h.FileInfo().Mode(), Size: h.Size, Link: h.Linkname}
		if h.Typeflag == tar.TypeLink {
			e.Mode, e.Link = fs.ModeIrregular, "" // a second name of a file: its content stands with the first
		}
		if err := visit(path.Join(name, rel), e, tr); err != nil {
			return err
		}
	}
}

// Owner implements container.Runtime.
func (r *Runtime) Owner(ctx context.Context, id, name string) (uid, gid int, err error) {
	what := fmt.Sprintf("find the owner of %s in %s", name, short(id))
	if !path.IsAbs(name) {
		return 0, 0, fmt.Errorf("%s: it is not an absolute path", what)
	}
	name = path.Clean(name)
	if info, err := r.Info(ctx); err == nil && info.Local {
		c, err := r.running(ctx, id)
		if err == nil {
			uid, gid, err = ownerIn(c.State.Pid, c.ID, name)
		}
		if err == nil {
			return uid, gid, nil
		}
	}
	for {
		h, _, err := r.archived(ctx, id, name)
		if err == nil {
			return h.Uid, h.Gid, nil
		}
		if !cerrdefs.IsNotFound(err) || name == "/" {
			return 0, 0, r.wrap(what, err)
		}
		name = path.Dir(name)
	}
}

// archived reads the first header of a path's archive, and its content when that is a small file, and leaves the rest.
func (r *Runtime) archived(ctx context.Context, id, name string) (*tar.Header, []byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, err := r.cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return nil, nil, err
	}
	defer res.Content.Close()
	tr := tar.NewReader(res.Content)
	h, err := tr.Next()
	if err != nil {
		return nil, nil, fmt.Errorf("read the archive of %s: %w", name, err)
	}
	if h.Typeflag != tar.TypeReg || h.Size > 1<<20 {
		return h, nil, nil
	}
	b, err := io.ReadAll(tr)
	return h, b, err
}

// User implements container.Runtime.
func (r *Runtime) User(ctx context.Context, id string) (uid, gid int, err error) {
	what := "find the user of " + short(id)
	res, err := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return 0, 0, r.wrap(what, err)
	}
	user := ""
	if res.Container.Config != nil {
		user = res.Container.Config.User
	}
	key := res.Container.Image + " " + user
	r.mu.Lock()
	ids, known := r.users[key]
	r.mu.Unlock()
	if known {
		return ids[0], ids[1], nil
	}
	ids, err = userOf(user, func(file string) []byte {
		// Without the file, as in an image from scratch, there are only numbers.
		_, b, err := r.archived(ctx, id, file)
		if err != nil {
			return nil
		}
		return b
	})
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", what, err)
	}
	r.mu.Lock()
	r.users[key] = ids
	r.mu.Unlock()
	return ids[0], ids[1], nil
}

// userOf reads "user", "user:group" and their numbers as the engine does. read gives a file of the image, nil when it has none.
func userOf(text string, read func(file string) []byte) (ids [2]int, err error) {
	user, group, hasGroup := strings.Cut(text, ":")
	uid, err := strconv.Atoi(user)
	if user != "" && user != "0" && (err != nil || !hasGroup) {
		if f := entryOf(read("/etc/passwd"), user); len(f) > 3 {
			uid, _ = strconv.Atoi(f[2])
			ids[1], _ = strconv.Atoi(f[3])
		} else if err != nil {
			return ids, fmt.Errorf("it has no user %s in /etc/passwd", user)
		}
	}
	ids[0] = uid
	if !hasGroup {
		return ids, nil
	}
	if ids[1], err = strconv.Atoi(group); err == nil {
		return ids, nil
	}
	f := entryOf(read("/etc/group"), group)
	if len(f) < 3 {
		return ids, fmt.Errorf("it has no group %s in /etc/group", group)
	}
	ids[1], err = strconv.Atoi(f[2])
	return ids, err
}

// entryOf finds the line of a name, or of a number, in a file like /etc/passwd.
func entryOf(file []byte, name string) []string {
	for line := range strings.Lines(string(file)) {
		if f := strings.Split(strings.TrimRight(line, "\n"), ":"); len(f) > 2 && (f[0] == name || f[2] == name) {
			return f
		}
	}
	return nil
}
