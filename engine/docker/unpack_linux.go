package docker

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// unpacker writes a tar stream into a running container of this machine, as the
// engine would: what has the name of an entry goes first, links on the way to it
// are followed inside of the container, and folders that are missing on the way are
// made.
type unpacker struct {
	root    int // the container's root folder
	replace bool

	dir    string // the folder that was written to last
	folder int    // its descriptor; -1 when none is open
}

// unpackIn unpacks a tar stream in a container. It returns errNoAccess, with
// nothing read, when it cannot be done from here.
func unpackIn(pid int, id string, r io.Reader, replace bool) error {
	if os.Geteuid() != 0 || !sameIDs(pid) {
		return errNoAccess
	}
	root, err := openRoot(pid, id)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	// A kernel before 5.6 cannot keep links inside.
	probe, err := within(root, "/", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return errNoAccess
	}
	unix.Close(probe)
	u := &unpacker{root: root, replace: replace, folder: -1}
	defer u.leave()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = u.entry(h, tr)
		}
		switch {
		case errors.Is(err, unix.EROFS):
			return fmt.Errorf("%s: %w", h.Name, errReadOnly)
		case err != nil:
			return err
		}
	}
}

// entry puts one entry in its place.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	at := path.Clean("/" + h.Name)
	if at == "/" {
		return nil
	}
	fail := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s: %w", at, err)
	}
	if err := u.enter(path.Dir(at)); err != nil {
		return fail(err)
	}
	base := path.Base(at)
	var old unix.Stat_t
	there := unix.Fstatat(u.folder, base, &old, unix.AT_SYMLINK_NOFOLLOW) == nil
	oldDir := there && old.Mode&unix.S_IFMT == unix.S_IFDIR
	newDir := h.Typeflag == tar.TypeDir
	switch {
	case there && oldDir != newDir && !u.replace && oldDir:
		return &folderInWay{path: at}
	case there && oldDir != newDir && !u.replace:
		return fmt.Errorf("cannot overwrite non-directory %q", at)
	case there && !(oldDir && newDir):
		if err := u.remove(base); err != nil {
			return fail(err)
		}
		there = false
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if !there {
			err := unix.Mkdirat(u.folder, base, 0o700)
			if err != nil {
				return fail(err)
			}
		}
		// By its descriptor: the container's processes may put a link in its place at any time.
		fd, err := unix.Openat(u.folder, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return fail(err)
		}
		defer unix.Close(fd)
		return fail(own(fd, h))
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, u.folder, base); err != nil {
			return fail(err)
		}
		if err := unix.Fchownat(u.folder, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil || h.ModTime.IsZero() {
			return fail(err)
		}
		t := unix.NsecToTimespec(h.ModTime.UnixNano())
		return fail(unix.UtimesNanoAt(u.folder, base, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW))
	case tar.TypeReg:
		return fail(u.file(base, h, content))
	}
	return fail(fmt.Errorf("an entry of type %q is not for a container", h.Typeflag))
}

// own sets the owner and the mode of an open file or folder to those of its header.
// The mode comes last: a change of owner clears setuid.
func own(fd int, h *tar.Header) error {
	if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
		return err
	}
	return unix.Fchmod(fd, uint32(h.Mode&0o7777))
}

// file writes a regular file.
func (u *unpacker) file(base string, h *tar.Header, content io.Reader) error {
	fd, err := unix.Openat(u.folder, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	_, err = io.Copy(f, content)
	if err == nil {
		err = own(fd, h)
	}
	if err == nil && !h.ModTime.IsZero() {
		t := unix.NsecToTimeval(h.ModTime.UnixNano())
		err = unix.Futimes(fd, []unix.Timeval{t, t})
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// remove makes room for an entry: a file, a link, or with replace a folder and all in it.
func (u *unpacker) remove(base string) error {
	err := unix.Unlinkat(u.folder, base, 0)
	if !errors.Is(err, unix.EISDIR) {
		return err
	}
	folder, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", u.folder))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.RemoveAll(base)
}

// enter opens a folder, and makes what is missing on the way to it.
func (u *unpacker) enter(dir string) error {
	if dir == u.dir && u.folder >= 0 {
		return nil
	}
	u.leave()
	for range 40 { // more folders than any path has room for
		fd, err := within(u.root, dir, unix.O_PATH|unix.O_DIRECTORY)
		if err == nil {
			u.dir, u.folder = dir, fd
			return nil
		}
		if !errors.Is(err, unix.ENOENT) {
			return err
		}
		// The nearest parent that is there gets one more folder.
		missing := dir
		for parent := path.Dir(missing); ; missing, parent = parent, path.Dir(parent) {
			fd, err = within(u.root, parent, unix.O_PATH|unix.O_DIRECTORY)
			if errors.Is(err, unix.ENOENT) && parent != "/" {
				continue
			}
			if err != nil {
				return err
			}
			err = unix.Mkdirat(fd, path.Base(missing), 0o755)
			unix.Close(fd)
			if err != nil {
				return err
			}
			break
		}
	}
	return fmt.Errorf("%s is too deep", strings.TrimPrefix(dir, "/"))
}

func (u *unpacker) leave() {
	if u.folder >= 0 {
		unix.Close(u.folder)
	}
	u.folder = -1
}
