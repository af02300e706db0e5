package files

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unpacker writes a tar stream into a running container of this machine: what
// has the name of an entry is replaced, links that stay below the top are
// followed on the way to it, and folders that are missing on the way are made.
// The container's processes may change any part of a path at any time. So the
// top is opened once, everything is done below what is open, and what changed
// meanwhile is tried again.
type unpacker struct {
	below   string // the top, as the entries' names begin
	top     int    // its descriptor
	resolve uint64 // what may be resolved below it
	replace bool
	failed  map[string]error // entries that could not be written, by path in the container
	blocked map[string]error // folders that could not be entered

	dir    string // the folder that was written to last, relative to the top
	folder int    // its descriptor; -1 when none is open
}

// Unpack unpacks a tar stream below a folder of an open root. Names are relative to the root and lie
// in below. With replace, a file may take the place of a folder, and a folder that of a file or a
// link; without, that is a *FolderInWay. What could not be written alone is a *NotWritten.
func Unpack(root int, below string, r io.Reader, replace bool) error {
	top, err := openTop(root, below)
	if errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%s: %w", below, ErrReadOnly)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", below, err)
	}
	defer unix.Close(top)
	// Nothing leads out of / itself, and an absolute link begins there.
	resolve := uint64(unix.RESOLVE_BENEATH)
	if below == "/" {
		resolve = unix.RESOLVE_IN_ROOT
	}
	u := &unpacker{below: below, top: top, resolve: resolve, replace: replace, folder: -1,
		failed: map[string]error{}, blocked: map[string]error{}}
	defer u.leave()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := u.take(h, tr); err != nil {
			return err
		}
	}
	if len(u.failed) > 0 {
		return &NotWritten{Files: u.failed}
	}
	return nil
}

// take puts one entry in its place. What is wrong with that one alone is noted.
func (u *unpacker) take(h *tar.Header, content io.Reader) error {
	at := path.Clean("/" + h.Name)
	rel, ok := strings.CutPrefix(at, strings.TrimSuffix(u.below, "/")+"/")
	if at == u.below {
		if h.Typeflag == tar.TypeDir && at != "/" {
			return own(u.top, h)
		}
		return nil
	}
	if !ok {
		return fmt.Errorf("%s does not lie in %s", at, u.below)
	}
	err := u.entry(rel, h, content)
	var source *sourceError
	var folder *FolderInWay
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%s: %w", at, ErrReadOnly)
	case errors.As(err, &source), errors.As(err, &folder):
		return err
	}
	u.failed[at] = readable(err)
	return nil
}

// sourceError is one of whom the stream comes from.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// readable words what a write meets in a container.
func readable(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("there is no room left for it in the container: %w", err)
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.ELOOP):
		return fmt.Errorf("a link on the way to it leads out of the target: %w", err)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("a file stands where a folder has to be: %w", err)
	}
	return err
}

// settleTries is how often what changes under the writer is tried again, with
// pauses that grow to 25 ms: 0.7 s in all.
const settleTries = 40

// settle calls f until it does not find that the container's processes have
// just changed what it works on.
func settle(f func() error) error {
	var err error
	for n := range settleTries {
		if err = f(); !moved(err) {
			return err
		}
		time.Sleep(min(time.Duration(n), 25) * time.Millisecond) // nothing tells when its processes are done
	}
	return err
}

// moved says whether an error may come from a change under the writer.
func moved(err error) bool {
	for _, e := range []error{unix.EXDEV, unix.ELOOP, unix.EAGAIN, unix.ENOTDIR, unix.ENOENT,
		unix.EEXIST, unix.ENOTEMPTY,
		unix.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// entry writes one entry below the top.
func (u *unpacker) entry(rel string, h *tar.Header, content io.Reader) error {
	var spool *os.File // the content, once it is read
	defer func() {
		if spool != nil {
			spool.Close()
		}
	}()
	dir, base := path.Dir(rel), path.Base(rel)
	if err := u.blocked[dir]; err != nil {
		return err
	}
	err := settle(func() error {
		if err := u.enter(dir); err != nil {
			return err
		}
		var err error
		switch h.Typeflag {
		case tar.TypeDir:
			err = u.makeDir(base, h)
		case tar.TypeSymlink:
			err = u.link(base, h)
		case tar.TypeReg:
			spool, err = u.file(base, h, content, spool)
		default:
			err = fmt.Errorf("an entry of type %q is not for a container", h.Typeflag)
		}
		if moved(err) {
			u.leave()
		}
		return err
	})
	if moved(err) && u.folder < 0 {
		u.blocked[dir] = err
	}
	return err
}

// clear sees to it that an entry can take its name: what is a folder where none
// is to be, or the other way round, goes, if it may.
func (u *unpacker) clear(base string, dir bool) (there bool, err error) {
	var old unix.Stat_t
	if err := unix.Fstatat(u.folder, base, &old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, nil
	}
	was := old.Mode&unix.S_IFMT == unix.S_IFDIR
	at := path.Join(u.below, u.dir, base)
	switch {
	case was == dir:
		return true, nil
	case !u.replace && was:
		return true, &FolderInWay{Path: at}
	case !u.replace && old.Mode&unix.S_IFMT == unix.S_IFLNK:
		return true, unix.ELOOP
	case !u.replace:
		return true, fmt.Errorf("cannot overwrite non-directory %q", at)
	case !was:
		return false, unix.Unlinkat(u.folder, base, 0)
	}
	folder, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", u.folder))
	if err != nil {
		return true, err
	}
	defer folder.Close() // only opened to delete below it
	return false, folder.RemoveAll(base)
}

func (u *unpacker) makeDir(base string, h *tar.Header) error {
	there, err := u.clear(base, true)
	if err != nil {
		return err
	}
	if !there {
		if err := unix.Mkdirat(u.folder, base, 0o700); err != nil {
			return err
		}
	}
	// By its descriptor: the container's processes may put a link in its place at any time.
	fd, err := unix.Openat(u.folder, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return own(fd, h)
}

func (u *unpacker) link(base string, h *tar.Header) error {
	beside, err := u.beside(base, func(name string) error { return unix.Symlinkat(h.Linkname, u.folder, name) })
	if err != nil {
		return err
	}
	if err = unix.Fchownat(u.folder, beside, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err == nil &&
		!h.ModTime.IsZero() {
		t := unix.NsecToTimespec(h.ModTime.UnixNano())
		err = unix.UtimesNanoAt(u.folder, beside, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil {
		_, err = u.clear(base, false)
	}
	if err == nil {
		err = unix.Renameat(u.folder, beside, u.folder, base)
	}
	if err != nil {
		_ = unix.Unlinkat(u.folder, beside, 0) // it is written over the next time
	}
	return err
}

// besideName is what a file is called until it takes the place of another one.
// It depends on the name alone, so that one that was left behind by a sudden end
// is found by whoever writes or deletes the file next.
func besideName(base string) string {
	sum := sha256.Sum256([]byte(base))
	return ".bulkhead-" + hex.EncodeToString(sum[:6])
}

// beside makes something beside the place that it is for.
func (u *unpacker) beside(base string, f func(name string) error) (name string, err error) {
	name = besideName(base)
	err = f(name)
	if errors.Is(err, unix.EEXIST) {
		if err = unix.Unlinkat(u.folder, name, 0); err == nil {
			err = f(name)
		}
	}
	return name, err
}

// own sets the owner and the mode of an open file or folder to those of its header.
// The mode comes last: a change of owner clears setuid.
func own(fd int, h *tar.Header) error {
	if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
		return err
	}
	return unix.Fchmod(fd, uint32(h.Mode&0o7777))
}

// file writes a regular file whole before it takes its place. What it returns
// holds the content that was read, for another try.
func (u *unpacker) file(base string, h *tar.Header, content io.Reader, spool *os.File) (*os.File, error) {
	if spool != nil {
		if _, err := spool.Seek(0, io.SeekStart); err != nil {
			return spool, err
		}
		content = spool
	}
	f, name, err := u.create(base)
	if err != nil {
		return spool, err
	}
	keep := spool
	_, err = io.Copy(f, sourceReader{content})
	if err == nil {
		err = own(int(f.Fd()), h)
	}
	if err == nil && !h.ModTime.IsZero() {
		t := unix.NsecToTimeval(h.ModTime.UnixNano())
		err = unix.Futimes(int(f.Fd()), []unix.Timeval{t, t})
	}
	if err == nil {
		if spool != nil {
			spool.Close()
		}
		keep = f
		name, err = u.place(f, name, base)
	} else {
		f.Close()
	}
	if name != "" {
		_ = unix.Unlinkat(u.folder, name, 0) // if it is there still: else it took its place
	}
	return keep, err
}

// sourceReader marks the errors of whom is read from.
type sourceReader struct{ r io.Reader }

func (s sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sourceError{err}
	}
	return n, err
}

// create makes a file without a name where the file system can, else beside its
// place: then name is what it is called.
func (u *unpacker) create(base string) (f *os.File, name string, err error) {
	const flags = unix.O_RDWR | unix.O_CLOEXEC
	fd, err := unix.Openat(u.folder, ".", flags|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		name, err = u.beside(base, func(name string) error {
			fd, err = unix.Openat(u.folder, name, flags|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
			return err
		})
	}
	if err != nil {
		return nil, "", err
	}
	return os.NewFile(uintptr(fd), base), name, nil
}

// place puts a written file in its place, and returns the name that it has
// beside it if that did not work.
func (u *unpacker) place(f *os.File, name, base string) (string, error) {
	there, err := u.clear(base, false)
	if err != nil {
		return name, err
	}
	if there && u.mounted(base) {
		return name, u.overwrite(f, base)
	}
	if name == "" {
		self := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
		give := func(name string) error {
			return unix.Linkat(unix.AT_FDCWD, self, u.folder, name, unix.AT_SYMLINK_FOLLOW)
		}
		if !there {
			return "", give(base)
		}
		if name, err = u.beside(base, give); err != nil {
			return "", err
		}
	}
	return name, unix.Renameat(u.folder, name, u.folder, base)
}

// mounted says whether a file is a mount of its own. The kernel lets another
// mount namespace rename over it, and takes the mount away.
func (u *unpacker) mounted(base string) bool {
	var is, around unix.Statx_t
	err := errors.Join(unix.Statx(u.folder, base, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT,
		unix.STATX_MNT_ID, &is),
		unix.Statx(u.folder, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &around))
	if err != nil {
		return false
	}
	if is.Mask&around.Mask&unix.STATX_MNT_ID == 0 { // a kernel before 5.8
		return is.Dev_major != around.Dev_major || is.Dev_minor != around.Dev_minor
	}
	return is.Mnt_id != around.Mnt_id
}

// overwrite writes a file's content into another one, once the room for it is
// known to be there.
func (u *unpacker) overwrite(f *os.File, base string) error {
	fd, err := unix.Openat(u.folder, base, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	to := os.NewFile(uintptr(fd), base)
	defer to.Close()
	var old, is unix.Stat_t
	if err := errors.Join(unix.Fstat(fd, &old), unix.Fstat(int(f.Fd()), &is)); err != nil {
		return err
	}
	if is.Size > old.Size {
		err := unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, is.Size)
		if errors.Is(err, unix.EOPNOTSUPP) {
			var fs unix.Statfs_t
			if err = unix.Fstatfs(fd, &fs); err == nil && int64(fs.Bavail)*fs.Bsize < is.Size-old.Blocks*512 {
				err = unix.ENOSPC
			}
		}
		if err != nil {
			_ = unix.Ftruncate(fd, old.Size) // lets go of what was reserved
			return err
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(to, f); err != nil {
		return err
	}
	return unix.Ftruncate(fd, is.Size)
}

// enter opens a folder below the top, and makes what is missing on the way to it.
func (u *unpacker) enter(dir string) error {
	if dir == u.dir && u.folder >= 0 {
		return nil
	}
	u.leave()
	for {
		fd, err := u.beneath(dir)
		if err == nil {
			u.dir, u.folder = dir, fd
			return nil
		}
		if !errors.Is(err, unix.ENOENT) || dir == "." {
			return err
		}
		// The nearest parent that is there gets one more folder.
		missing := dir
		for ; ; missing = path.Dir(missing) {
			fd, err = u.beneath(path.Dir(missing))
			if errors.Is(err, unix.ENOENT) && path.Dir(missing) != "." {
				continue
			}
			break
		}
		if err != nil {
			return err
		}
		err = unix.Mkdirat(fd, path.Base(missing), 0o755)
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
}

// beneath opens a folder below the top. Links are followed, but none that leads
// out of it.
func (u *unpacker) beneath(rel string) (int, error) {
	return unix.Openat2(u.top, rel, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: u.resolve | unix.RESOLVE_NO_MAGICLINKS,
	})
}

func (u *unpacker) leave() {
	if u.folder >= 0 {
		unix.Close(u.folder)
	}
	u.folder = -1
}

// openTop opens a folder of a container, and makes what is missing on the way to
// it. Only links that belong to root are followed: those of the image. Others
// may be changed by what the container runs.
func openTop(root int, name string) (int, error) {
	way := -1
	err := settle(func() (err error) { way, err = descend(root, name); return err })
	if err != nil {
		return -1, err
	}
	defer unix.Close(way)
	return unix.Openat(way, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

func descend(root int, name string) (int, error) {
	cur, err := unix.Openat(root, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	at, rest, hops := "/", elements(name), 0
	for err == nil && len(rest) > 0 {
		var next int
		var st unix.Stat_t
		part := rest[0]
		next, err = unix.Openat(cur, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			if err = unix.Mkdirat(cur, part, 0o755); err == nil {
				next, err = unix.Openat(cur, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			}
		}
		if err != nil {
			break
		}
		err = unix.Fstat(next, &st)
		switch kind := st.Mode & unix.S_IFMT; {
		case err != nil:
		case kind == unix.S_IFDIR:
			unix.Close(cur)
			cur, at, rest = next, path.Join(at, part), rest[1:]
			continue
		case kind == unix.S_IFLNK && st.Uid == 0 && hops < 40: // as many as Linux follows
			b := make([]byte, unix.PathMax)
			var n int
			if n, err = unix.Readlinkat(next, "", b); err != nil {
				break
			}
			to := string(b[:n])
			if !path.IsAbs(to) {
				to = path.Join(at, to)
			}
			unix.Close(cur)
			cur, err = unix.Openat(root, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			at, rest, hops = "/", append(elements(path.Clean(to)), rest[1:]...), hops+1
		case kind == unix.S_IFLNK:
			err = fmt.Errorf(
				"%s is a link that does not belong to root; name what it leads to as the target: %w",
				path.Join(at, part), unix.ELOOP)
		default:
			err = fmt.Errorf("%s is a file: %w", path.Join(at, part), unix.ENOTDIR)
		}
		unix.Close(next)
	}
	if err != nil && cur >= 0 {
		unix.Close(cur)
		cur = -1
	}
	return cur, err
}

func elements(name string) []string {
	return strings.FieldsFunc(name, func(c rune) bool { return c == '/' })
}
