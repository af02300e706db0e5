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
	"strconv"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/moby/sys/user"

	"bulkhead/engine/agent/files"
	"bulkhead/engine/container"
)

// fileReader is the container.FileReader.
type fileReader struct {
	conn   *connection
	inside *inside

	mu    sync.Mutex
	users map[string][2]int // uid and gid, by image id and name of the user
}

var _ container.FileReader = (*Runtime)(nil)

func newFileReader(c *connection, in *inside) *fileReader {
	return &fileReader{conn: c, inside: in, users: map[string][2]int{}}
}

// statsAtOnce is how many questions about a container's files are put to the engine at a time.
const statsAtOnce = 8

// Stat implements container.FileReader.
func (f *fileReader) Stat(ctx context.Context, id string, paths []string) (map[string]container.Entry, error) {
	what := "look at files in " + container.ShortID(id)
	for _, p := range paths {
		if !path.IsAbs(p) {
			return nil, fmt.Errorf("%s: %q is not an absolute path", what, p)
		}
	}
	var seen map[string]files.Entry
	err := f.inside.do(ctx, id, func(r root) (err error) { seen, err = r.Stat(ctx, paths); return err })
	if err == nil {
		return entries(seen), nil
	}
	all := make(map[string]container.Entry, len(paths))
	var mu sync.Mutex
	err = each(ctx, len(paths), statsAtOnce, func(ctx context.Context, i int) error {
		e, ok, err := f.statOne(ctx, id, paths[i])
		if err != nil {
			return f.conn.wrap(what, err)
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
func (f *fileReader) statOne(ctx context.Context, id, name string) (e container.Entry, ok bool, err error) {
	res, err := f.conn.cli.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: name})
	switch {
	case err == nil:
		return container.Entry{Mode: res.Stat.Mode, Size: res.Stat.Size, Link: res.Stat.LinkTarget}, true, nil
	case cerrdefs.IsNotFound(err):
		return e, false, nil
	case name == "/" || ctx.Err() != nil:
		return e, false, err
	}
	// An answer to HEAD has no text; that a file stands where a folder would have
	// to is an error of the engine, too.
	if up, ok, perr := f.statOne(ctx, id, path.Dir(name)); perr == nil && (!ok || !up.Mode.IsDir()) {
		return e, false, nil
	}
	// The engine looks where a link leads to, and fails on one in a circle. The
	// answer to GET says so.
	if _, _, gerr := f.archived(ctx, id, name); gerr != nil && strings.Contains(gerr.Error(),
		"too many links") {
		return container.Entry{Mode: fs.ModeSymlink | 0o777, Link: path.Base(name)}, true, nil
	}
	return e, false, err
}

// List implements container.FileReader.
func (f *fileReader) List(
	ctx context.Context, id, name string, visit func(path string, e container.Entry, content io.Reader) error,
) error {
	what := fmt.Sprintf("read %s in %s", name, container.ShortID(id))
	ctx, cancel := context.WithCancel(ctx) // ends the stream when visit has seen enough
	defer cancel()
	name = path.Clean(name)
	res, err := f.conn.copyFrom(ctx, id, name)
	if err != nil {
		return f.conn.wrap(what, err)
	}
	defer res.Content.Close()
	for tr := tar.NewReader(res.Content); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return f.conn.wrap(what, err)
		}
		rel := path.Clean("/" + h.Name)[1:]
		if name != "/" {
			// the archive's names begin with the last part of the path that was asked for
			_, rel, _ = strings.Cut(rel, "/")
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

// Owner implements container.FileReader.
func (f *fileReader) Owner(ctx context.Context, id, name string) (uid, gid int, err error) {
	what := fmt.Sprintf("find the owner of %s in %s", name, container.ShortID(id))
	if !path.IsAbs(name) {
		return 0, 0, fmt.Errorf("%s: it is not an absolute path", what)
	}
	name = path.Clean(name)
	err = f.inside.do(ctx, id, func(r root) (err error) { uid, gid, err = r.Owner(ctx, name); return err })
	if err == nil {
		return uid, gid, nil
	}
	for {
		h, _, err := f.archived(ctx, id, name)
		if err == nil {
			return h.Uid, h.Gid, nil
		}
		if !cerrdefs.IsNotFound(err) || name == "/" {
			return 0, 0, f.conn.wrap(what, err)
		}
		name = path.Dir(name)
	}
}

// archived reads the first header of a path's archive, and its content when that is
// a small file, and leaves the rest.
func (f *fileReader) archived(ctx context.Context, id, name string) (*tar.Header, []byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, err := f.conn.copyFrom(ctx, id, name)
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

// User implements container.FileReader.
func (f *fileReader) User(ctx context.Context, id string) (uid, gid int, err error) {
	what := "find the user of " + container.ShortID(id)
	res, err := f.conn.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return 0, 0, f.conn.wrap(what, err)
	}
	name := ""
	if res.Container.Config != nil {
		name = res.Container.Config.User
	}
	key := res.Container.Image + " " + name
	f.mu.Lock()
	ids, known := f.users[key]
	f.mu.Unlock()
	if known {
		return ids[0], ids[1], nil
	}
	ids, err = userOf(name, func(file string) (io.Reader, error) {
		_, b, err := f.archived(ctx, id, file)
		if cerrdefs.IsNotFound(err) || err == nil && b == nil {
			return nil, nil // as in an image from scratch: there are only numbers
		}
		if err != nil {
			return nil, f.conn.wrap("read "+file, err)
		}
		return bytes.NewReader(b), nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", what, err)
	}
	f.mu.Lock()
	f.users[key] = ids
	f.mu.Unlock()
	return ids[0], ids[1], nil
}

// userOf finds the numbers of "user" or "user:group", each a name or a number, as
// the engine does. open returns a file of the image, nil where it has none; it is
// called only for what the numbers depend on.
func userOf(text string, open func(file string) (io.Reader, error)) (ids [2]int, err error) {
	name, group, hasGroup := strings.Cut(text, ":")
	var passwd, groups io.Reader
	if _, nan := strconv.Atoi(name); nan != nil || !hasGroup {
		if passwd, err = open("/etc/passwd"); err != nil {
			return ids, err
		}
	}
	if _, nan := strconv.Atoi(group); nan != nil && hasGroup {
		if groups, err = open("/etc/group"); err != nil {
			return ids, err
		}
	}
	u, err := user.GetExecUser(text, nil, passwd, groups)
	switch {
	case errors.Is(err, user.ErrNoPasswdEntries):
		return ids, fmt.Errorf("it has no user %s in /etc/passwd", name)
	case errors.Is(err, user.ErrNoGroupEntries):
		return ids, fmt.Errorf("it has no group %s in /etc/group", group)
	case err != nil:
		return ids, err
	}
	return [2]int{u.Uid, u.Gid}, nil
}
