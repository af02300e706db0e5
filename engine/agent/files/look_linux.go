package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// within opens a path below root. Links are followed as the container's processes
// would, so none leads out.
func within(root int, name string, flags int) (int, error) {
	return unix.Openat2(root, path.Join(".", name), &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// Contains says whether links can be kept inside of a root: a kernel before 5.6 cannot.
func Contains(root int) bool {
	probe, err := within(root, "/", unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		unix.Close(probe)
	}
	return err == nil
}

// Delete removes names below a folder of an open root, and what is below them. Links are followed on
// the way to the folder, and none below it.
func Delete(root int, below string, names []string) error {
	top, err := within(root, below, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if done, err := classifyOpenErr(below, err); done || err != nil {
		return err
	}
	defer unix.Close(top)
	for _, name := range names {
		err := settle(func() error { return deleteAt(top, name) })
		if done, err := classifyOpenErr(name, err); !done && err != nil {
			return err
		}
	}
	return nil
}

// classifyOpenErr reads the error of opening a folder: done means that there is
// nothing to delete in it.
func classifyOpenErr(name string, err error) (done bool, _ error) {
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return true, nil // gone already, with its parent; or a link has taken the place of one
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return false, ErrNoAccess // a kernel before 5.6, or not root
	}
	return false, fmt.Errorf("%s: %w", name, err)
}

func deleteAt(top int, name string) error {
	parent, err := unix.Openat2(top, path.Dir(name), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if errors.Is(err, unix.ENOENT) {
		return nil // gone already, with its parent
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	_ = unix.Unlinkat(parent, besideName(path.Base(name)), 0) // what a sudden end left of it
	// os.Root follows no link on its way down; its own root is the folder that is open already.
	folder, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", parent))
	if err != nil {
		return ErrNoAccess
	}
	defer folder.Close()
	if err := folder.RemoveAll(path.Base(name)); err != nil {
		if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			return ErrNoAccess
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Stat looks at absolute paths below an open root. What is not there is left out; links are followed
// on the way to a path, and not at its end.
func Stat(root int, paths []string) (map[string]Entry, error) {
	all := make(map[string]Entry, len(paths))
	for _, p := range paths {
		fd, err := within(root, p, unix.O_PATH|unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue
		}
		if err != nil {
			return nil, ErrNoAccess
		}
		f := os.NewFile(uintptr(fd), p)
		fi, err := f.Stat()
		if err == nil {
			e := Entry{Mode: fi.Mode(), Size: fi.Size()}
			if fi.Mode()&fs.ModeSymlink != 0 {
				b := make([]byte, unix.PathMax)
				n, _ := unix.Readlinkat(fd, "", b) // without it, it is a link all the same
				e.Link = string(b[:max(0, n)])
			}
			all[p] = e
		}
		f.Close()
		if err != nil {
			return nil, ErrNoAccess
		}
	}
	return all, nil
}

// Owner finds the owner of a clean absolute path or of its nearest existing parent.
func Owner(root int, name string) (uid, gid int, err error) {
	for ; ; name = path.Dir(name) {
		fd, err := within(root, name, unix.O_PATH)
		if (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) && name != "/" {
			continue
		}
		if err != nil {
			return 0, 0, ErrNoAccess
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
		if err != nil {
			return 0, 0, ErrNoAccess
		}
		return int(st.Uid), int(st.Gid), nil
	}
}
