package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/compose-spec/compose-go/v2/utils"
	"go.yaml.in/yaml/v4"

	"bulkhead/engine/hostfile"
)

// finder settles which files to read and with which environment, and reads the
// files that are named for a project rather than by one.
type finder struct {
	opts    Options // EnvFiles are absolute once find returned
	sources *sources
	explain *explainer
	compose *cli.ProjectOptions // the files and the environment that find settled on
	found   bool                // the files were found, not named
	shell   map[string]string   // the environment that the person has set, without the project's own files
}

// find settles which files to read and the environment to read them with, in docker compose's order: .env beside the
// current folder may set COMPOSE_FILE, and the .env of the project's folder is read once that is known.
func (f *finder) find() error {
	env := f.opts.Env
	if env == nil {
		env = os.Environ()
	}
	environment := utils.GetAsEqualsMap(env)
	f.shell = environment
	cwd := f.sources.cwd
	if _, ok := environment["PWD"]; !ok {
		env = append(slices.Clone(env), "PWD="+cwd)
	}
	if len(f.opts.EnvFiles) == 0 {
		f.opts.EnvFiles = strings.FieldsFunc(environment["COMPOSE_ENV_FILES"], func(r rune) bool {
			return r == ','
		})
	}
	f.opts.EnvFiles = slices.Clone(f.opts.EnvFiles)
	for i, name := range f.opts.EnvFiles {
		f.opts.EnvFiles[i] = join(cwd, name)
	}
	var err error
	f.compose, err = cli.NewProjectOptions(f.opts.Files,
		cli.WithWorkingDirectory(f.opts.Dir), cli.WithEnv(env), f.envFiles, f.dotEnv,
		cli.WithConfigFileEnv, f.defaultFiles, f.envFiles, f.dotEnv, cli.WithName(f.opts.Name))
	if err != nil {
		return err
	}
	if len(f.compose.ConfigPaths) == 0 {
		dir := cwd
		if f.opts.Dir != "" {
			dir = f.opts.Dir
		}
		return &LoadError{Problem: "no Compose file in " + dir + " or the folders above it",
			Remedy: "write a compose.yaml, or name a file with -f"}
	}
	return nil
}

// envFiles names the env files to read. It is compose-go's, but for asking Options.Env instead of the process.
func (f *finder) envFiles(o *cli.ProjectOptions) error {
	if off, err := strconv.ParseBool(o.Environment[consts.ComposeDisableDefaultEnvFile]); len(
		f.opts.EnvFiles) > 0 || err != nil || !off {
		return cli.WithEnvFiles(f.opts.EnvFiles...)(o)
	}
	return nil
}

func (f *finder) defaultFiles(o *cli.ProjectOptions) error {
	f.found = len(o.ConfigPaths) == 0
	return cli.WithDefaultConfigPath(o)
}

// composeFiles are the Compose files of a project as they were read.
type composeFiles struct {
	details types.ConfigDetails // without the overlay
	titled  bool                // a file has `name:`
	overlay string              // absolute; it need not exist
}

// read reads the Compose files and notes what else the project depends on.
func (f *finder) read() (*composeFiles, error) {
	dir, err := f.compose.GetWorkingDir()
	if err != nil {
		return nil, fmt.Errorf("find the project folder: %w", err)
	}
	s := f.sources
	s.dir = dir
	s.env = types.Mapping(f.compose.Environment).Resolve
	files := &composeFiles{overlay: filepath.Join(dir, overlayName)}
	files.details = types.ConfigDetails{WorkingDir: dir, Environment: f.compose.Environment}
	for i, path := range f.compose.ConfigPaths {
		content, err := f.readFile(&path)
		if err != nil {
			return nil, err
		}
		if path != "-" {
			if _, piped := f.opts.Typed.content(path); !piped {
				s.inputs[path] = true
			}
			if i == 0 {
				files.overlay = filepath.Join(filepath.Dir(path), overlayName)
			}
		}
		if err := s.add(path, dir, content); err != nil {
			return nil, f.explain.yamlError(path, err)
		}
		files.details.ConfigFiles = append(files.details.ConfigFiles, types.ConfigFile{Filename: path,
			Content: content})
		var top struct{ Name string }
		// a file of another shape has no name; what is wrong with it is said later
		_ = yaml.Unmarshal(content, &top)
		files.titled = files.titled || top.Name != ""
	}
	if err := s.endlessError(); err != nil {
		return nil, err
	}
	for _, name := range f.compose.EnvFiles {
		if _, piped := f.opts.Typed.content(name); !piped {
			s.inputs[name] = true
		}
	}
	if len(f.opts.EnvFiles) == 0 {
		s.inputs[filepath.Join(dir, ".env")] = true
	}
	if f.found {
		for _, name := range cli.DefaultOverrideFileNames {
			s.inputs[filepath.Join(filepath.Dir(files.details.ConfigFiles[0].Filename), name)] = true
		}
	}
	// compose-go opens these by itself, and would wait for ever for a pipe.
	if err := s.vetInputs(); err != nil {
		return nil, err
	}
	if err := s.vetPorts(); err != nil {
		return nil, err
	}
	return files, nil
}

// readFile makes path absolute and reads it.
func (f *finder) readFile(path *string) ([]byte, error) {
	if b, ok := f.opts.Typed.content(*path); ok {
		return b, nil
	}
	*path = join(f.sources.cwd, *path)
	if b, ok := f.opts.Typed.content(*path); ok {
		return b, nil
	}
	b, err := hostfile.Read(*path, hostfile.MaxCompose)
	if err == nil {
		return b, nil
	}
	if e := f.sources.refused(*path, err); e != nil {
		return nil, e
	}
	e := &LoadError{File: inside(f.sources.cwd, *path), Problem: "no such file",
		Remedy: "name an existing Compose file with -f", Err: err}
	if fi, statErr := os.Stat(*path); statErr == nil && fi.IsDir() {
		e.Problem = "is a folder"
		e.Remedy = "name the Compose file in it"
	} else if !errors.Is(err, fs.ErrNotExist) {
		e.Problem, e.Remedy = "cannot be read: "+cause(err), "make it readable"
	}
	if f.opts.Files == nil && !f.found {
		e.Remedy = "correct COMPOSE_FILE"
	}
	return nil, e
}

// dotEnv reads the env files of the project. It is compose-go's, which would wait for a pipe, and read one twice.
func (f *finder) dotEnv(o *cli.ProjectOptions) error {
	vars := map[string]string{}
	for _, path := range o.EnvFiles {
		b, err := f.envFile(path)
		if err != nil {
			return err
		}
		if err := f.sources.tooManyLines(path, b); err != nil {
			return err
		}
		limit := newBudget()
		err = dotenv.ParseWithFormat(bytes.NewReader(b), path, vars, limit.of(func(k string) (string, bool) {
			if v, ok := o.Environment[k]; ok {
				return v, true
			}
			v, ok := vars[k]
			return v, ok
		}), "")
		if limit.spent {
			return f.sources.exceeded(path)
		}
		if err != nil {
			return err
		}
	}
	o.Environment.Merge(vars)
	return nil
}

// envFile reads one of them. Errors are worded as compose-go does, for explain.
func (f *finder) envFile(path string) ([]byte, error) {
	if b, ok := f.opts.Typed.content(path); ok {
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
	if e := f.sources.refused(path, err); e != nil {
		return nil, e
	}
	return b, err
}
