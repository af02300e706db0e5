package hostfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/atomicwriter"
)

// OwnerError says that a folder which must be ours is somebody else's, or a link that somebody else
// made.
type OwnerError struct{ Path string }

func (e *OwnerError) Error() string {
	return e.Path + ": belongs to somebody else, or is a link that somebody else made"
}

// WritePrivate replaces a file of ours whole, synced to disk, for our eyes only. A link in its place
// is not followed, it is an error; so is a folder that PrivateDir refuses. Folders that are missing
// are made.
func WritePrivate(path string, b []byte) error {
	if err := PrivateDir(filepath.Dir(path)); err != nil {
		return err
	}
	return atomicwriter.WriteFile(path, b, 0o600)
}

// PrivateDir makes a folder of ours, and those above it that are missing, closed to others. One that
// is there already is closed to others too. Where everybody may write beside it, as in a temporary
// folder, it must be a folder and our own: anybody could have made it, or a link, before us.
func PrivateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	above, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return err
	}
	shared := above.Mode().Perm()&0o022 != 0
	if info.Mode()&fs.ModeSymlink != 0 {
		if !Ours(info) && shared {
			return &OwnerError{Path: dir}
		}
		if info, err = os.Stat(dir); err != nil {
			return err
		}
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: is not a folder", dir)
	}
	if !Ours(info) && shared {
		return &OwnerError{Path: dir}
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil && !errors.Is(err, fs.ErrPermission) {
		// a folder of somebody else's in a place of ours stays as it is; the files are closed in
		// any case
		return err
	}
	return nil
}
