// Othersystems vets all packages of the module, and their tests, for systems that this machine is not,
// with the analyzers of `go vet`. It reads the dependencies from their source and compiles none of
// them, which is what takes `GOOS=… go vet` minutes where nothing is cached.
//
//	go run ./testdata/othersystems darwin windows
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/analysis/suite/vet"
	"golang.org/x/tools/go/packages"
)

func main() {
	for _, system := range os.Args[1:] {
		if err := look(os.Stdout, system, "./..."); err != nil {
			fmt.Fprintf(os.Stderr, "othersystems: %s: %v\n", system, err)
			os.Exit(1)
		}
	}
}

// look vets packages for one system, a GOOS of Go's own for the architecture of this machine, and
// writes what is wrong to out.
func look(out io.Writer, system string, patterns ...string) error {
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.LoadAllSyntax, Tests: true, Env: append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0"),
	}, patterns...)
	if err != nil {
		return err
	}
	if packages.PrintErrors(pkgs) > 0 {
		return errors.New("it does not compile")
	}
	found, err := checker.Analyze(vet.Suite, pkgs, nil)
	if err != nil {
		return err
	}
	wrong := 0
	for _, a := range found.Roots {
		if a.Err != nil {
			return fmt.Errorf("%s: %w", a, a.Err)
		}
		wrong += len(a.Diagnostics)
	}
	if wrong == 0 {
		return nil
	}
	if err := found.PrintText(out, -1); err != nil {
		return err
	}
	return errors.New("not as it should be, see above")
}
