package project

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"bulkhead/engine/hostfile"
)

// stdinName stands for standard input in messages.
const stdinName = "standard input"

// Typed keeps the contents of what can be read only once: standard input, and pipes that a person named on the command
// line, as in -f <(generate). The zero value is ready to use, and may be shared by loads at the same time.
type Typed struct {
	turn sync.Mutex // held while reading, which may take for ever

	mu       sync.Mutex
	contents map[string][]byte // by absolute path; "-" is standard input
	reading  string            // what is being read, "" for nothing
}

// content is what a path held; ok is false for what is no pipe, or was not read yet.
func (t *Typed) content(path string) (b []byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok = t.contents[path]
	return b, ok
}

func (t *Typed) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reading
}

func (t *Typed) set(reading string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reading = reading
}

// keep reads something that was not read before.
func (t *Typed) keep(path, name string, read func() ([]byte, error)) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	if _, ok := t.content(path); ok {
		return nil
	}
	t.set(name)
	defer t.set("")
	b, err := read()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.contents == nil {
		t.contents = map[string][]byte{}
	}
	t.contents[path] = b
	return nil
}

// readTyped reads standard input and the pipes among the files that the options name. Files that a Compose file or the
// environment names are not among them: what lies in a project may not make a load wait.
func (o *Options) readTyped() error {
	cwd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the current folder: %w", err)
	}
	keep := func(path string, limit int64) error {
		abs := join(cwd, path)
		info, err := os.Stat(abs)
		if err != nil || info.Mode().IsRegular() || info.IsDir() {
			return nil // read where it is needed, with its own words for what is wrong
		}
		err = o.Typed.keep(abs, path, func() ([]byte, error) { return hostfile.ReadAny(abs, limit) })
		return typedError(path, err)
	}
	for _, f := range o.Files {
		if f != "-" {
			err = keep(f, hostfile.MaxCompose)
		} else if o.Stdin == nil {
			err = errors.New("read the Compose file from standard input: there is none")
		} else {
			err = typedError(stdinName, o.Typed.keep("-", stdinName, func() ([]byte, error) {
				return hostfile.ReadStream(o.Stdin, stdinName, hostfile.MaxCompose)
			}))
		}
		if err != nil {
			return err
		}
	}
	for _, f := range o.EnvFiles {
		if err := keep(f, hostfile.MaxOther); err != nil {
			return err
		}
	}
	return nil
}

func typedError(name string, err error) error {
	var size *hostfile.SizeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &size):
		return &LoadError{File: name, Problem: size.Reason(), Remedy: "name another file", Err: err}
	}
	return &LoadError{File: name, Problem: "cannot be read: " + cause(err),
		Remedy: "name another file", Err: err}
}
