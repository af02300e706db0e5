package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"bulkhead/engine/hostfile"
)

// strangerError is a control socket that is not used, because it, its folder or who answers there
// is not ours: whoever that is would get our commands, and their words our terminal.
type strangerError struct{ path, why string }

// Error names the socket, what is wrong with it and the remedy.
func (e *strangerError) Error() string {
	return fmt.Sprintf("the control socket %s is not used: %s; %s", e.path, e.why, e.Suggestion())
}

// Suggestion is what a person can do about it.
func (e *strangerError) Suggestion() string { return "set XDG_RUNTIME_DIR to a folder of your own" }

// vetSocket looks at a control socket and its folder before anything is sent to it. It returns
// fs.ErrNotExist when there is none, and a *strangerError when it may be somebody else's.
func vetSocket(path string) error {
	dir, err := os.Lstat(filepath.Dir(path))
	if err != nil {
		return err
	}
	switch {
	case !dir.IsDir():
		return &strangerError{path, "its folder is not a folder"}
	case !hostfile.Ours(dir):
		return &strangerError{path, "its folder belongs to somebody else"}
	// a folder that others may only read is closed by the next up
	case closable && dir.Mode().Perm()&0o022 != 0:
		return &strangerError{path, "its folder is open to others"}
	}
	socket, err := os.Lstat(path)
	if err != nil {
		return err
	}
	switch {
	case !hostfile.Ours(socket):
		return &strangerError{path, "it belongs to somebody else"}
	case closable && socket.Mode()&fs.ModeSocket == 0:
		return fs.ErrNotExist // the next up replaces it
	case closable && socket.Mode().Perm()&0o022 != 0:
		return &strangerError{path, "others may write to it"}
	}
	return nil
}

// dialOwn connects to a control socket and looks who answers before a byte is sent.
func dialOwn(ctx context.Context, path string) (net.Conn, error) {
	if err := vetSocket(path); err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	uid, err := peerUID(c.(*net.UnixConn))
	if errors.Is(err, errors.ErrUnsupported) {
		return c, nil // the folder is ours alone, and no other user gets into it
	}
	if err == nil && uid != os.Getuid() {
		err = &strangerError{path, fmt.Sprintf("who answers there is the user %d", uid)}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// peerUID is the user of the process at the other end, as the kernel knows it; errors.ErrUnsupported
// where it does not say.
func peerUID(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) { uid, err = socketPeer(int(fd)) })
	if err == nil {
		err = cerr
	}
	return uid, err
}
