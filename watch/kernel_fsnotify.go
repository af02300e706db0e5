//go:build !(darwin && cgo)

package watch

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// notify is inotify on Linux, kqueue on BSD and on macOS without cgo, and
// ReadDirectoryChangesW on Windows: each folder is registered by itself.
type notify struct{ w *fsnotify.Watcher }

func newKernel() (kernel, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return notify{w}, nil
}

func (n notify) add(dir string) error    { return n.w.Add(dir) }
func (n notify) remove(dir string) error { return n.w.Remove(dir) }
func (n notify) flush() error            { return nil }
func (n notify) close() error            { return n.w.Close() }
func (n notify) trees() bool             { return false }

func (n notify) read(in *inbox) error {
	events, errs := n.w.Events, n.w.Errors
	for events != nil || errs != nil {
		select {
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			if o := opOf(e.Op); o != 0 && e.Name != "" {
				now := time.Now()
				// Names in the file system's top folder come with two slashes.
				in.post(event{path: filepath.Clean(e.Name), op: o, first: now, last: now})
			}
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			if err == nil {
				continue
			}
			now := time.Now()
			e := event{op: opLost, first: now, last: now}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				// Whatever else broke while reading, a notice may have been in it.
				e.err = fmt.Errorf("read file notices: %w", err)
			}
			in.post(e)
		}
	}
	return nil
}

func opOf(o fsnotify.Op) op {
	var r op
	if o.Has(fsnotify.Create) {
		r |= opCreate
	}
	if o.Has(fsnotify.Remove) || o.Has(fsnotify.Rename) {
		r |= opGone
	}
	if o.Has(fsnotify.Write) {
		r |= opWrite
	}
	if o.Has(fsnotify.Chmod) {
		r |= opAttrib
	}
	return r
}
