package project

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Whatever a file says, Load returns a project or one line.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		archive, err := txtar.ParseFile(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(archive.Files[0].Data))
	}
	good, err := os.ReadFile("testdata/hash/attributes/compose.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add("a: &a {<<: *a}\nservices: &s {<<: [*s, *a], w: {image: x, extends: w}}\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, file string) {
		p, err := Load(context.Background(), Options{Files: []string{"-"}, Dir: dir,
			Stdin: strings.NewReader(file), Env: []string{}})
		var e *LoadError
		switch {
		case err == nil:
			p.Order()
			for _, s := range p.Services {
				for i := range s.Rules {
					s.Rules[i].Match(filepath.Join(dir, "a/b"))
					s.Rules[i].Ignored(filepath.Join(dir, "a"), true)
				}
			}
		case !errors.As(err, &e):
			t.Fatalf("%v is no LoadError", err)
		case strings.ContainsAny(e.Error(), "\n\r"):
			t.Fatalf("several lines: %q", e.Error())
		}
	})
}
