package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"

	"bulkhead/engine/container"
	"bulkhead/engine/journal"
)

// entry is a fault as it is on disk, in a file of its own, from before it is injected until it is
// healed.
type entry struct {
	Fault   Fault     `json:"fault"`
	Began   time.Time `json:"began"`
	Until   time.Time `json:"until"`
	Owner   Owner     `json:"owner"`
	Targets []Target  `json:"targets"`
	// of a fault of the network: ids of the containers whose networks were changed
	Sites []string `json:"sites,omitempty"`
}

// Target is one container that a fault is done to.
type Target struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Service string `json:"service"`
	Replica int    `json:"replica"`
	// Before is of a limit: what the container had before the first fault of the kind that is in
	// force on it, so several that are in force at the same time have the same one. nil: it has not
	// been limited yet.
	Before *container.Limits `json:"before,omitempty"`
}

// Owner is the process that heals a fault.
type Owner struct {
	Host string `json:"host"`
	Boot string `json:"boot,omitempty"` // id of the host's boot; "" where the system has none
	PID  int    `json:"pid"`
	Born string `json:"born,omitempty"` // when the process started, as the system writes it
}

// thisOwner is this process.
func thisOwner() Owner {
	host, _ := os.Hostname() // "" is as good a name as any: it is compared with itself
	return Owner{Host: host, Boot: bootID(), PID: os.Getpid(), Born: birth(os.Getpid())}
}

// Alive says whether the process still runs. What another host's process does cannot be seen from
// here, so it counts as running.
func (o Owner) Alive() bool {
	host, _ := os.Hostname()
	switch {
	case o.Host != host:
		return true
	case o.Boot != bootID():
		return false
	}
	return processRuns(o.PID) && (o.Born == "" || birth(o.PID) == o.Born)
}

// disk holds the faults of one project on one engine; with an empty dir it holds nothing.
type disk struct{ dir string }

// diskOf returns where the faults of a project are kept, below the base folder of all state.
func diskOf(base, engine, project string) disk {
	if base == "" {
		return disk{}
	}
	return disk{dir: filepath.Join(filepath.Dir(journal.File(base, engine, project)), "faults")}
}

const (
	// lockPause is how long a process that waits for the lock of a project's faults lets pass between
	// two tries.
	lockPause = 20 * time.Millisecond
	// lockLimit is how long it waits at most. Others have it for some calls of the engine; one that
	// was stopped (ctrl+z) with it may have it for ever.
	lockLimit = 10 * time.Second
)

// exclusive waits until no other process reads the faults of the project in order to decide what to do
// to a container, and has them wait until release is called. The system releases the lock of a process
// that dies. It returns ctx's error when that ends first. Where files cannot be locked, and after
// lockLimit, it goes on without: a fault has to be healed all the same.
func (d disk) exclusive(ctx context.Context) (release func(), err error) {
	nobody := func() {}
	if d.dir == "" {
		return nobody, nil
	}
	if os.MkdirAll(d.dir, 0o700) != nil {
		return nobody, nil // write says why
	}
	lock := flock.New(filepath.Join(filepath.Dir(d.dir), "faults.lock"))
	limited, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	if held, err := lock.TryLockContext(limited, lockPause); err != nil || !held {
		return nobody, ctx.Err()
	}
	return func() { _ = lock.Unlock() }, nil // it ends with the process anyway
}

func (d disk) file(id string) string { return filepath.Join(d.dir, id+".json") }

// write puts a fault on disk. A fault that cannot be written is not injected: nobody could heal it
// after a crash.
func (d disk) write(e *entry) error {
	if d.dir == "" {
		return nil
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err == nil {
		err = os.MkdirAll(d.dir, 0o700)
	}
	if err == nil {
		err = atomicwriter.WriteFile(d.file(e.Fault.ID), b, 0o600)
	}
	if err != nil {
		return container.Failed("fault "+e.Fault.Words(),
			"it cannot be written down, so nobody could heal it after a crash: %v", err)
	}
	return nil
}

// remove takes a fault off the disk.
func (d disk) remove(id string) {
	if d.dir != "" {
		_ = os.Remove(d.file(id)) // what stays is healed once more, which changes nothing
		_ = os.Remove(d.request(id))
	}
}

// request is the file by which another process asks the owner of a fault to heal it.
func (d disk) request(id string) string { return filepath.Join(d.dir, id+".heal") }

func (d disk) ask(id string) error { return os.WriteFile(d.request(id), nil, 0o600) }

func (d disk) asked(id string) bool {
	if d.dir == "" {
		return false
	}
	_, err := os.Stat(d.request(id))
	return err == nil
}

// gone says whether somebody has taken a fault off the disk.
func (d disk) gone(id string) bool {
	if d.dir == "" {
		return false
	}
	_, err := os.Stat(d.file(id))
	return errors.Is(err, fs.ErrNotExist)
}

func (d disk) there(id string) bool {
	_, err := os.Stat(d.file(id))
	return err == nil
}

// What a file is called while it is written, and after how long nobody writes it any more: its
// process was killed in the middle of it.
const (
	halfWritten = ".tmp-"
	writeLimit  = time.Minute
)

// read returns all faults on disk. Files that cannot be read are left where they are, and named in
// the error beside the rest.
func (d disk) read() ([]entry, error) {
	if d.dir == "" {
		return nil, nil
	}
	files, err := os.ReadDir(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []entry
	errs := []error{err}
	for _, f := range files {
		path := filepath.Join(d.dir, f.Name())
		if strings.HasPrefix(f.Name(), halfWritten) {
			if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > writeLimit {
				_ = os.Remove(path) // nobody reads it
			}
			continue
		}
		if !strings.HasSuffix(f.Name(), ".json") || !f.Type().IsRegular() {
			continue
		}
		var e entry
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // healed a moment ago
		}
		if err == nil {
			err = json.Unmarshal(b, &e)
		}
		if err == nil && (e.Fault.ID+".json" != f.Name() || KindOf(e.Fault.Kind) == nil &&
			e.Fault.Kind != tapKind.Name) {
			err = errors.New("it is not a fault that this version knows")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		out = append(out, e)
	}
	return out, errors.Join(errs...)
}
