package watch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFSEventsFilesTypeCheck checks the files that only a macOS with cgo
// compiles, on every system: go list names them and all that they import,
// without a compiler for either, and go/types reads the sources.
//
// It proves that they parse, that every name of this package, of the standard
// library and of fsevents that they use exists, and that the types fit. It
// proves nothing of what fsevents says in C (its names of import "C" are taken
// as they come, so that constants and types made of them fit everywhere), and
// nothing of what FSEvents does: its events are made up in the tests of streams.
func TestFSEventsFilesTypeCheck(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,CgoFiles,ImportMap", ".")
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	fset := token.NewFileSet()
	known := mapImporter{"unsafe": types.Unsafe}
	sawKernel := false
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir   string
			GoFiles, CgoFiles []string
			ImportMap         map[string]string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		own := p.ImportPath == "bulkhead/watch"
		var files []*ast.File
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
			sawKernel = sawKernel || own && name == "kernel_darwin.go"
		}
		conf := types.Config{
			Importer:         vendored{known, p.ImportMap},
			Sizes:            types.SizesFor("gc", "arm64"),
			FakeImportC:      true,
			IgnoreFuncBodies: !own,
			// Only this package is judged, and not for what is made of C's constants.
			Error: func(err error) {
				if own && !strings.Contains(err.Error(), "constant unknown with invalid type") {
					t.Error(err)
				}
			},
		}
		pkg, _ := conf.Check(p.ImportPath, fset, files, nil) // its error is the first of those
		known[p.ImportPath] = pkg
	}
	if !sawKernel {
		t.Error("kernel_darwin.go was not among the files for macOS with cgo")
	}
}

// mapImporter returns packages that were checked before.
type mapImporter map[string]*types.Package

func (m mapImporter) Import(path string) (*types.Package, error) {
	if p := m[path]; p != nil {
		return p, nil
	}
	return nil, errors.New("not among the dependencies: " + path)
}

// vendored translates the names by which the standard library imports what is
// vendored in it.
type vendored struct {
	from  mapImporter
	names map[string]string
}

func (v vendored) Import(path string) (*types.Package, error) {
	if name, ok := v.names[path]; ok {
		path = name
	}
	return v.from.Import(path)
}
