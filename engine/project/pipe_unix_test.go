//go:build unix

package project

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pipeAt makes a pipe that nobody writes to: who opens it waits for ever.
func pipeAt(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// within runs a load that must not wait for ever.
func within(t *testing.T, o Options) (*Project, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := Load(ctx, o)
	if ctx.Err() != nil {
		t.Fatal("the load waits for a pipe")
	}
	return p, err
}

func TestPipesAndEndlessFilesInAProjectAreErrors(t *testing.T) {
	const base = "name: p\nservices: {a: {image: x}}\n"
	for name, c := range map[string]struct{ compose, path string }{
		"override":         {base, "compose.override.yaml"},
		"overlay":          {base, overlayName},
		".env":             {base, ".env"},
		"include":          {base + "include: [sub/inc.yaml]\n", "sub/inc.yaml"},
		"include's .env":   {base + "include: [inc.yaml, sub/inc.yaml]\n", "sub/.env"},
		"include env_file": {base + "include: [{path: inc.yaml, env_file: inc.env}]\n", "inc.env"},
		"extends": {"name: p\nservices: {a: {extends: {file: other.yaml, service: b}}}\n",
			"other.yaml"},
		"env_file": {"name: p\nservices: {a: {image: x, env_file: a.env}}\n", "a.env"},
		"optional env_file": {
			"name: p\nservices: {a: {image: x, env_file: [{path: a.env, required: false}]}}\n",
			"a.env"},
		"label_file": {"name: p\nservices: {a: {image: x, label_file: a.labels}}\n", "a.labels"},
		"secret": {
			"name: p\nservices: {a: {image: x, secrets: [s]}}\nsecrets: {s: {file: s.txt}}\n", "s.txt"},
		"config": {
			"name: p\nservices: {a: {image: x, configs: [c]}}\nconfigs: {c: {file: c.txt}}\n", "c.txt"},
		".dockerignore": {"name: p\nservices: {a: {build: .}}\n", ".dockerignore"},
	} {
		for kind, want := range map[string]string{"pipe": "is a pipe", "endless": "is a device"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				dir := t.TempDir()
				t.Chdir(dir)
				files := map[string]string{"compose.yaml": c.compose,
					"inc.yaml": "services: {c: {image: x}}\n", "sub/inc.yaml": "services: {d: {image: x}}\n"}
				for f, text := range files {
					if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
						t.Fatal(err)
					}
					if f == c.path {
						continue
					}
					if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if kind == "pipe" {
					pipeAt(t, c.path)
				} else if err := os.Symlink("/dev/zero", c.path); err != nil {
					t.Fatal(err)
				}
				_, err := within(t, Options{Env: []string{}})
				var load *LoadError
				if !errors.As(err, &load) || !strings.Contains(err.Error(), want) ||
					!strings.Contains(err.Error(), filepath.Base(c.path)) {
					t.Errorf("%v, want an error that names %s and says %q", err, c.path, want)
				}
			})
		}
	}
}

func TestPipeFoundAsComposeFileIsAnError(t *testing.T) {
	t.Chdir(t.TempDir())
	pipeAt(t, "compose.yaml")
	if _, err := within(t, Options{Env: []string{}}); err == nil || !strings.Contains(err.Error(),
		"compose.yaml: is a pipe") {
		t.Error(err)
	}
	// A name from the environment is not one that was typed.
	if _, err := within(t, Options{Env: []string{"COMPOSE_FILE=compose.yaml"}}); err == nil ||
		!strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}

func TestTypedPipesAreReadOnceForAllLoads(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(path, text string) {
		go func() {
			// It opens when the load does; one that never does fails the test by its end.
			if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
				_, _ = f.WriteString(text)
				f.Close()
			}
		}()
	}
	write(pipeAt(t, "typed.yaml"), "name: p\nservices: {a: {image: \"x:${TAG}\"}}\n")
	write(pipeAt(t, "typed.env"), "TAG=7\n")
	o := Options{Files: []string{"typed.yaml", "-"}, EnvFiles: []string{"typed.env"}, Env: []string{},
		Typed: &Typed{},
		Stdin: strings.NewReader("services: {b: {image: y}}\n")}
	for n := range 2 {
		p, err := within(t, o)
		if err != nil {
			t.Fatalf("load %d: %v", n, err)
		}
		if len(p.Services) != 2 || p.Service("a").Image != "x:7" {
			t.Errorf("load %d: %d services, image %s", n, len(p.Services), p.Service("a").Image)
		}
		for _, in := range p.Inputs {
			if strings.HasPrefix(filepath.Base(in), "typed.") {
				t.Errorf("load %d: %s would be watched, and a pipe does not change", n, in)
			}
		}
	}
}

func TestLoadThatIsStuckEndsWithItsContextAndHoldsUpNoOther(t *testing.T) {
	t.Chdir(t.TempDir())
	pipe := pipeAt(t, "typed.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	typed := &Typed{}
	go func() {
		for typed.current() == "" && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := Load(ctx, Options{Files: []string{"typed.yaml"}, Env: []string{},
		Typed: typed}); !errors.Is(err, context.Canceled) {
		t.Errorf("stuck load: %v", err)
	}
	if err := os.WriteFile("compose.yaml", []byte("name: p\nservices: {a: {image: x}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := within(t, Options{Env: []string{}}); err != nil {
		t.Errorf("the next load: %v", err)
	}
	// Lets the goroutine that was left behind end.
	if f, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
		f.Close()
	}
}

func TestSlowLoadSaysWhatItWaitsFor(t *testing.T) {
	t.Chdir(t.TempDir())
	pipe := pipeAt(t, "typed.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	slow := make(chan string, 1)
	_, err := Load(ctx, Options{Files: []string{"typed.yaml"}, Env: []string{},
		Slow: func(what string) { slow <- what; cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if what := <-slow; what != "typed.yaml" {
		t.Errorf("it waits for %q", what)
	}
	if f, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
		f.Close()
	}
}

func TestLargeFilesOfAProjectAreErrors(t *testing.T) {
	for name, c := range map[string]struct{ compose, path, want string }{
		"compose":  {"", "compose.yaml", "16 MB"},
		"include":  {"include: [inc.yaml]\n", "inc.yaml", "16 MB"},
		"env_file": {"name: p\nservices: {a: {image: x, env_file: a.env}}\n", "a.env", "64 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("compose.yaml", []byte(c.compose), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(c.path, os.O_CREATE|os.O_WRONLY, 0o644)
			if err == nil {
				err = errors.Join(f.Truncate(65<<20), f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := within(t, Options{Env: []string{}}); err == nil ||
				!strings.Contains(err.Error(), c.path+":") && !strings.Contains(err.Error(), c.path+
					" is larger") ||
				!strings.Contains(err.Error(), "larger than "+c.want) {
				t.Errorf("%v, want %s named with %s", err, c.path, c.want)
			}
		})
	}
}
