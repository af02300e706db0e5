package project

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"

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
	return &LoadError{File: name, Problem: "cannot be read: " + cause(err), Remedy: "name another file", Err: err}
}

// dotEnv reads the env files of the project. It is compose-go's, which would wait for a pipe, and read one twice.
func (l *loading) dotEnv(o *cli.ProjectOptions) error {
	vars := map[string]string{}
	for _, path := range o.EnvFiles {
		b, err := l.envFile(path)
		if err != nil {
			return err
		}
		err = dotenv.ParseWithFormat(bytes.NewReader(b), path, vars, func(k string) (string, bool) {
			if v, ok := o.Environment[k]; ok {
				return v, true
			}
			v, ok := vars[k]
			return v, ok
		}, "")
		if err != nil {
			return err
		}
	}
	o.Environment.Merge(vars)
	return nil
}

// envFile reads one of them. Errors are worded as compose-go does, for explain.
func (l *loading) envFile(path string) ([]byte, error) {
	if b, ok := l.opts.Typed.content(path); ok {
		return b, nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("couldn't find env file: %s", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory", path)
	}
	b, err := hostfile.Read(path, hostfile.MaxOther)
	if e := l.refused(path, err); e != nil {
		return nil, e
	}
	return b, err
}

// refused explains a file that is not read because of what it is; nil for other errors and for none.
func (l *loading) refused(path string, err error) *LoadError {
	var (
		kind    *hostfile.KindError
		size    *hostfile.SizeError
		problem string
		remedy  string
	)
	switch {
	case errors.As(err, &kind):
		problem, remedy = kind.Reason(), "put a regular file there, or remove it"
	case errors.As(err, &size):
		problem, remedy = size.Reason(), "make it smaller, or remove it"
	default:
		return nil
	}
	e := &LoadError{File: inside(l.sources.cwd, path), Problem: problem, Remedy: remedy, Err: err}
	if p := l.sources.names(path); p.file != nil {
		e.File, e.Line = inside(l.sources.cwd, p.file.path), p.line
		e.Problem = inside(l.sources.dir, path) + " " + problem
	}
	return e
}

// vet refuses files that compose-go would hang on or choke on. It opens them by path afterwards, so one that is replaced
// in between is only caught by the end of the load's context.
func (l *loading) vet(paths ...string) error {
	for _, path := range paths {
		if e := l.refused(path, hostfile.Check(path, hostfile.MaxOther)); e != nil {
			return e
		}
	}
	return nil
}

// vetInputs does that for what the Compose files include and extend, and for the env files that go with it.
func (l *loading) vetInputs() error {
	for _, path := range slices.Sorted(maps.Keys(l.sources.unread)) {
		if e := l.refused(path, l.sources.unread[path]); e != nil {
			return e
		}
	}
	return l.vet(slices.Sorted(maps.Keys(l.sources.inputs))...)
}

// vetNamed does that for the env_file and label_file of services and their hooks, and notes them as inputs.
func (l *loading) vetNamed(p *types.Project) error {
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		specs := []types.ContainerSpec{s.ContainerSpec}
		for _, hook := range s.PreStart {
			specs = append(specs, hook.ContainerSpec)
		}
		for _, spec := range specs {
			for _, f := range spec.EnvFiles {
				l.sources.inputs[f.Path] = true
				if err := l.vet(f.Path); err != nil {
					return err
				}
			}
			if err := l.vet(spec.LabelFiles...); err != nil {
				return err
			}
		}
	}
	return nil
}
