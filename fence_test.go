package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The fence: which packages may stand on which. Names are prefixes of import paths; what only is
// for names the packages that may import it directly, what banned is for may not come in on any
// way.
const (
	moby     = "github.com/moby/moby/"
	buildkit = "github.com/moby/buildkit/"
	compose  = "github.com/compose-spec/compose-go/"
	charm    = "charm.land/"
	cobra    = "github.com/spf13/cobra"
)

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) map[string]listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		var e *exec.ExitError
		if errors.As(err, &e) {
			t.Fatalf("go list: %v\n%s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	all := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

func has(paths []string, prefix string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		return p == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(p, strings.TrimSuffix(prefix, "/")+"/")
	})
}

func TestPackagesStayBehindTheFence(t *testing.T) {
	all := packages(t)
	for pkg, banned := range map[string][]string{
		"bulkhead/watch": {"bulkhead/engine", "bulkhead/ui",
			"bulkhead/examples", moby, buildkit, compose, charm},
		"bulkhead/engine": {"bulkhead/ui", "bulkhead/examples",
			"bulkhead/engine/docker", "bulkhead/engine/build", moby + "client", buildkit, charm},
		"bulkhead/engine/project": {"bulkhead/engine/logs", "bulkhead/engine/build",
			"bulkhead/engine/docker", "bulkhead/watch", "bulkhead/ui", moby, buildkit, charm},
		"bulkhead/engine/logs": {"bulkhead/engine/project", "bulkhead/engine/build",
			"bulkhead/engine/docker", "bulkhead/watch", "bulkhead/ui", moby, buildkit, compose, charm},
		"bulkhead/engine/build": {"bulkhead/engine/project", "bulkhead/engine/docker",
			"bulkhead/watch", "bulkhead/ui", moby + "client", charm},
		"bulkhead/engine/docker": {"bulkhead/engine/project", "bulkhead/engine/build",
			"bulkhead/watch", "bulkhead/ui", "bulkhead/examples", buildkit, charm},
		"bulkhead/ui": {"bulkhead/engine/docker", "bulkhead/engine/build",
			"bulkhead/ui/cli", "bulkhead/examples", moby + "client", cobra},
		"bulkhead/ui/cli": {"bulkhead/engine/docker", "bulkhead/engine/build",
			moby + "client", charm},
		"bulkhead/engine/tail": {"bulkhead/engine/build", "bulkhead/engine/docker",
			"bulkhead/watch", "bulkhead/ui", moby, buildkit, charm},
		"bulkhead/examples": {"bulkhead/engine", "bulkhead/ui", "bulkhead/watch"},
		"bulkhead/engine/container/memory": {"bulkhead/engine/project", "bulkhead/engine/docker",
			"bulkhead/engine/build", "bulkhead/watch", "bulkhead/ui", moby + "client", buildkit, charm},
		"bulkhead/engine/container/conformance": {"bulkhead/engine/project", "bulkhead/engine/docker",
			"bulkhead/engine/build", "bulkhead/engine/container/memory", "bulkhead/watch",
			"bulkhead/ui", moby + "client", buildkit, charm},
		"bulkhead/engine/agent/main": {"bulkhead/engine/container", "bulkhead/watch", "bulkhead/ui",
			moby, buildkit, compose, charm},
		"bulkhead/engine/hostcmd": {"bulkhead/watch", "bulkhead/ui", moby, buildkit, compose, charm},
	} {
		p, ok := all[pkg]
		if !ok {
			t.Errorf("%s is not there; the fence is out of date", pkg)
			continue
		}
		for _, b := range banned {
			if has(p.Deps, b) {
				t.Errorf("%s must not depend on %s", pkg, b)
			}
		}
	}
}

func TestRuntimesKnowThePortAlone(t *testing.T) {
	all := packages(t)
	for _, runtime := range []string{"bulkhead/engine/docker"} {
		if slices.Contains(all[runtime].Deps, "bulkhead/engine") {
			t.Errorf("%s must not depend on bulkhead/engine, which hands it its work by way of bulkhead/engine/container", runtime)
		}
	}
}

func TestHeavyLibrariesHaveOneImporter(t *testing.T) {
	all := packages(t)
	for lib, only := range map[string][]string{
		moby + "client":          {"bulkhead/engine/docker"},
		buildkit:                 {"bulkhead/engine/build"},
		charm:                    {"bulkhead/ui"},
		cobra:                    {"bulkhead/ui/cli"},
		"bulkhead/engine/docker": {"bulkhead"},
		"bulkhead/ui/cli":        {"bulkhead"},
		compose + "v2/loader":    {"bulkhead/engine/project"},
		compose + "v2/cli":       {"bulkhead/engine/project"},
	} {
		for _, p := range all {
			if has(p.Imports, lib) && !slices.Contains(only, p.ImportPath) && p.ImportPath != lib {
				t.Errorf("%s imports %s, which only %s may", p.ImportPath, lib, strings.Join(only, ", "))
			}
		}
	}
}
