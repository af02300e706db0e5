// Package hostfile reads files of this machine that somebody else may have put there: Compose files and what they
// name, ignore files, secrets, settings. Only regular files are read, and only up to a limit, because opening a pipe
// that nobody writes to blocks for ever, also to signals, and a device has no end. What a person typed on the command
// line may be a pipe; see ReadAny.
//
// It also writes the files of our own that outlive the process or that others must not read.
//
// It imports nothing of bulkhead's.
package hostfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The limits of what is read whole. No file that a person writes comes near them.
const (
	MaxCompose = 16 << 20 // a Compose file
	MaxOther   = 64 << 20 // env files, label files, ignore files, secrets, settings
)

// KindError says that a path is not a regular file.
type KindError struct {
	Path string
	Kind string // "a pipe", "a socket", "a device", "what the kernel answers"
}

func (e *KindError) Error() string { return e.Path + ": " + e.Reason() }

// Reason is the error without the path.
func (e *KindError) Reason() string { return "is " + e.Kind + ", not a regular file" }

// SizeError says that a file has more bytes than are read.
type SizeError struct {
	Path  string
	Limit int64 // bytes
}

func (e *SizeError) Error() string { return e.Path + ": " + e.Reason() }

// Reason is the error without the path.
func (e *SizeError) Reason() string { return fmt.Sprintf("is larger than %d MB", e.Limit>>20) }

// Missing says whether an error means that there is nothing at a path: what it is said to lie in may also be no
// folder, as with HOME=/dev/null.
func Missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// notThere is an error of a path below something that is not a folder. It counts as fs.ErrNotExist.
type notThere struct{ error }

func (e notThere) Is(target error) bool { return target == fs.ErrNotExist }

func (e notThere) Unwrap() error { return e.error }

// Open opens a regular file, links followed. Anything else is a *KindError, a folder an *fs.PathError
// with EISDIR; where there is nothing, it is an error wrapping fs.ErrNotExist, see Missing. The null
// device is an empty file: people put it where a file is expected.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, notThere{err}
	}
	if err != nil {
		return nil, err
	}
	// Asked of what was opened: the path may name something else by now.
	info, err := f.Stat()
	if err == nil {
		err = regular(path, info)
	}
	if err == nil && ofKernel(f) {
		err = &KindError{Path: path, Kind: "what the kernel answers"}
	}
	if err != nil {
		f.Close() // only opened for reading
		return nil, err
	}
	return f, nil
}

func regular(path string, info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	}
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(null, info) {
		return nil
	}
	return &KindError{Path: path, Kind: KindOf(mode)}
}

// KindOf names what is neither a regular file nor a folder.
func KindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeSymlink != 0:
		return "a link"
	}
	return "a device"
}

// OpenRoot opens a folder. Where it lies in within, no link leads out of that on the way to it; both have their links
// resolved before. A pipe that came into its place is an error.
func OpenRoot(within, path string) (*os.Root, error) {
	// What has something in it can only be a folder: without this, the open of a pipe blocks.
	const itself = string(filepath.Separator) + "."
	rel, err := filepath.Rel(within, path)
	if within == "" || err != nil || !filepath.IsLocal(rel) {
		return os.OpenRoot(path + itself)
	}
	above, err := os.OpenRoot(within)
	if err != nil {
		return nil, err
	}
	defer above.Close() // only opened for reading
	return above.OpenRoot(rel + itself)
}

// OpenIn opens a regular file below a root. No link is followed to it at the end
// of the path, and none that leads out of the root on the way; anything else that
// stands there is a *KindError, or an error of the system.
func OpenIn(root *os.Root, rel string) (*os.File, error) {
	listed, err := root.Lstat(rel)
	if err == nil && !listed.Mode().IsRegular() {
		err = &KindError{Path: rel, Kind: KindOf(listed.Mode())}
	}
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(rel, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	// Something else may have come into its place since.
	if info, err := f.Stat(); err != nil || !os.SameFile(listed, info) {
		f.Close() // only opened for reading
		return nil, &fs.PathError{Op: "open", Path: rel, Err: fs.ErrNotExist}
	}
	return f, nil
}

// OpenFolderIn opens a folder below a root, which is the one that was listed. What came into its place since, a link
// or a pipe as well, is an fs.ErrNotExist, and does not block.
func OpenFolderIn(root *os.Root, rel string, listed fs.FileInfo) (*os.File, error) {
	f, err := root.OpenFile(rel, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.IsDir() || !os.SameFile(listed, info) {
		f.Close() // only opened for reading
		return nil, &fs.PathError{Op: "open", Path: rel, Err: fs.ErrNotExist}
	}
	return f, nil
}

// Read reads a regular file of at most limit bytes; a longer one is a *SizeError. Other errors are those of Open.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only opened for reading
	return ReadStream(f, path, limit)
}

// Check says what Read would find wrong with a path, without reading it.
func Check(path string, limit int64) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only opened for reading
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() > limit {
		err = &SizeError{Path: path, Limit: limit}
	}
	return err
}

// ReadAny reads whatever a path names, up to limit bytes. It may block for as long as a pipe has no writer, and no
// context ends that: callers wait for it in a goroutine that they can leave behind.
func ReadAny(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only opened for reading
	return ReadStream(f, path, limit)
}

// ReadStream reads a stream that is already open, up to limit bytes; path stands for it in errors.
func ReadStream(r io.Reader, path string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, &SizeError{Path: path, Limit: limit}
	}
	return b, nil
}
