package files

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

var (
	// ErrNoAccess means that the files cannot be worked on from here; nothing was done.
	ErrNoAccess = errors.New("no access to the container's files")
	// ErrReadOnly means that the file system cannot be written to.
	ErrReadOnly = errors.New("read-only file system")
)

// FolderInWay is a folder that an entry of a tar would have to replace, and may not.
type FolderInWay struct{ Path string }

func (f *FolderInWay) Error() string { return fmt.Sprintf("cannot overwrite directory %q", f.Path) }

// NotWritten is the error of an unpacking that wrote all files but some. What stood in their places
// is as it was.
type NotWritten struct {
	Files map[string]error // by path in the container
}

func (e *NotWritten) Error() string {
	first := slices.Min(slices.Collect(maps.Keys(e.Files)))
	return fmt.Sprintf("%s: %v", first, e.Files[first])
}

// Entry is a file, a folder or a link.
type Entry struct {
	Mode fs.FileMode
	Size int64 // bytes
	Link string
}
