// Package journal keeps what outlives the process: one state file per engine
// and project, replaced whole and synced to disk. It owns the file, its folder,
// its format and the numbers of generations; what the other tables hold belongs
// to the rooms that open them with [TableOf]. No value of an environment and no
// secret may enter it: a fingerprint is a hash. It never asks a runtime
// anything and imports no other room. The engine opens and flushes it;
// engine/filesync keeps its tables in it; ps and logs read generations from it.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"bulkhead/engine/hostfile"
)

// version is the format of the file. Files without a version are older: of them
// only generations and completed containers are read, because they held values
// of environments.
const version = 2

// Options say which state to open.
type Options struct {
	Base    string // $XDG_STATE_HOME/bulkhead; "" keeps everything in memory only
	Engine  string // id of the engine
	Project string
	// Warn shows one line to the user: a file that cannot be used, one that
	// cannot be written, and that it can be written again. It is called without
	// locks held; nil drops them.
	Warn func(text string)
}

// Journal is the state of one project on one engine. Its methods may be called
// from any goroutine.
type Journal struct {
	file string
	warn func(string)
	lost bool // the file was there and could not be used

	writing sync.Mutex             // held while the file is written; failing belongs to it
	failing bool                   // the last write did not work, and that was reported
	unsaved atomic.Pointer[string] // why it did not work

	mu      sync.Mutex
	changes uint64 // counts changes
	written uint64 // the value of changes that is in the file
	tables  map[string]snapshotter
	// tables of the file that nobody has opened; they are written back as they are
	unread map[string]json.RawMessage

	intents *intents

	generations *Table[life]
	completed   *Table[bool]
	unhooked    *Table[bool]
}

type snapshotter interface{ snapshotLocked() any }

// Open reads the state of a project on one engine. A file that cannot be used
// is reported once, and the state starts empty: it only saves work.
func Open(o Options) *Journal {
	j := &Journal{warn: o.Warn, tables: map[string]snapshotter{}}
	if j.warn == nil {
		j.warn = func(string) {}
	}
	if o.Base != "" {
		j.file = File(o.Base, o.Engine, o.Project)
		if err := j.read(); err != nil {
			j.unusable(err)
		}
	}
	var err error
	if j.intents, err = openIntents(j.file); err != nil {
		j.unusable(err)
	}
	j.generations, j.completed = TableOf[life](j, "generations"), TableOf[bool](j, "completed")
	j.unhooked = TableOf[bool](j, "unhooked")
	return j
}

// File returns the path of the state file of a project on one engine.
func File(base, engine, project string) string {
	engine = strings.Map(func(c rune) rune {
		if c == '/' || c == '\\' || c == ':' {
			return '_'
		}
		return c
	}, engine)
	return filepath.Join(base, engine, project, "state.json")
}

// Lost says whether there was a state that could not be used: then what is not
// known may still have been done or owed, and everything is to be compared.
func (j *Journal) Lost() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost
}

// read fills unread from the file.
func (j *Journal) read() error {
	fi, err := os.Stat(j.file)
	if hostfile.Missing(err) {
		return nil
	}
	if err != nil {
		return reason(err)
	}
	if !fi.Mode().IsRegular() {
		return errors.New("it is not a regular file") // reading a pipe would block
	}
	if fi.Mode().Perm()&0o077 != 0 {
		j.changes++ // older versions wrote it readable for everybody: write it again
	}
	b, err := os.ReadFile(j.file)
	if err != nil {
		return reason(err)
	}
	tables := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &tables); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	format := 0
	if v, ok := tables["version"]; ok {
		if err := json.Unmarshal(v, &format); err != nil {
			return fmt.Errorf("it is damaged: %w", err)
		}
		delete(tables, "version")
	} else if tables["generations"] == nil {
		return errors.New("it is damaged: it has neither a version nor generations")
	}
	if format > version {
		return fmt.Errorf("it was written by a newer bulkhead (format %d, this one reads %d)", format, version)
	}
	if format < version {
		maps.DeleteFunc(tables, func(name string, _ json.RawMessage) bool {
			return name != "generations" && name != "completed"
		})
		j.lost = true
		j.changes++
	}
	j.unread = tables
	return nil
}

// unusable notes that the file, or a table of it, could not be used, and says
// so the first time.
func (j *Journal) unusable(err error) {
	j.mu.Lock()
	first := !j.lost
	j.lost = true
	j.changes++
	j.mu.Unlock()
	if first {
		j.warn(fmt.Sprintf("state file %s is not used, and everything is compared again: %v", j.file, err))
	}
}

// reason is a file error without the operation and the path.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Flush writes the state if it changed. That it cannot be written is reported
// with the first error, and once more when it can be again; the returned error
// is that of this call.
func (j *Journal) Flush() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	if j.file == "" || j.changes == j.written {
		j.mu.Unlock()
		return nil
	}
	changes := j.changes
	doc := map[string]any{"version": version}
	for name, raw := range j.unread {
		doc[name] = raw
	}
	for name, t := range j.tables {
		doc[name] = t.snapshotLocked()
	}
	j.mu.Unlock()

	if err := write(j.file, doc); err != nil {
		err = fmt.Errorf("state file %s cannot be written: %w", j.file, err)
		if !j.failing {
			j.failing = true
			text := err.Error()
			j.unsaved.Store(&text)
			j.warn(err.Error() + "; until it can be, generations and sync records are lost when bulkhead ends")
		}
		return err
	}
	if j.failing {
		j.failing = false
		j.unsaved.Store(nil)
		j.warn(fmt.Sprintf("state file %s is written again", j.file))
	}
	j.mu.Lock()
	j.written = changes
	j.mu.Unlock()
	j.intents.written(changes)
	return nil
}

// Unsaved says why the state cannot be written at present; "" where it can.
func (j *Journal) Unsaved() string {
	if text := j.unsaved.Load(); text != nil {
		return *text
	}
	return ""
}

// write replaces the file. The folders of the project and of its engine are
// ours alone.
func write(file string, doc map[string]any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if err := makeFolders(file); err != nil {
		return err
	}
	return reason(hostfile.WritePrivate(file, b))
}

// makeFolders makes those of a file of ours.
func makeFolders(file string) error {
	dir := filepath.Dir(file)
	if err := hostfile.PrivateDir(dir); err != nil {
		return reason(err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if fi, err := os.Stat(d); err == nil && fi.Mode().Perm()&0o077 != 0 {
			_ = os.Chmod(d, 0o700) // made by an older version; the file itself is closed to others in any case
		}
	}
	return nil
}
