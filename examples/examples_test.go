package examples

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func TestShopCarriesEveryFileOfItsFolder(t *testing.T) {
	list := func(fsys fs.FS) (names []string) {
		err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && name == "bin" {
				return fs.SkipDir
			}
			if err == nil && !entry.IsDir() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got, want := list(Shop()), list(os.DirFS("shop")); !slices.Equal(got, want) {
		t.Errorf("carried: %v\nin the folder: %v", got, want)
	}
}

func TestUnpackedShopBuildsByItself(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "shop")
	if err := UnpackShop(dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"vet", "./..."}, {"build", "-o", "bin/", "./..."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOPROXY=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %v: %v\n%s", args, err, out)
		}
	}
	for name := range load(t, filepath.Join(dir, "compose.yaml")).Services {
		if _, err := os.Stat(filepath.Join(dir, "bin", name)); err != nil {
			t.Errorf("service %s has no program: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "compose.yaml"))
	if err != nil || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("compose.yaml cannot be edited: %v, %v", info, err)
	}
}

func TestUnpackAgainBringsTheShopBack(t *testing.T) {
	dir := t.TempDir()
	if err := UnpackShop(dir); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("orders/main.go", "package broken")
	put("bin/orders", "a program")
	put("old/service.go", "package old")
	if err := mark(dir, []string{"old/service.go", "../outside", "compose.yaml"}); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(filepath.Dir(dir), "outside")
	if err := os.WriteFile(outside, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(at("compose.yaml"), long, long); err != nil {
		t.Fatal(err)
	}

	if err := UnpackShopWithoutGo(dir); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(at("orders/main.go")); !strings.Contains(string(text), "package main") {
		t.Error("the broken file is still broken")
	}
	if _, err := os.Stat(at("old/service.go")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file of an older version is still there")
	}
	for _, name := range []string{at("bin/orders"), outside} {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("a file that is not the shop's: %v", err)
		}
	}
	if info, err := os.Stat(at("compose.yaml")); err != nil || !info.ModTime().Equal(long) {
		t.Error("a file that was right already was written again")
	}
}

func TestUnpackWithoutGoLeavesTheHostBuildOut(t *testing.T) {
	dir := t.TempDir()
	// the second takes back what the first wrote
	for _, unpack := range []func(string) error{UnpackShop, UnpackShopWithoutGo} {
		if err := unpack(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, withGo)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want it gone", withGo, err)
	}
	for name, service := range load(t, filepath.Join(dir, "compose.yaml")).Services {
		if service.Build.Target != "run" {
			t.Errorf("%s is built to the target %s", name, service.Build.Target)
		}
	}
}

func TestUnpackRefusesAFolderOfSomebodys(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := UnpackShop(dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("got %v, want ErrNotEmpty", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("the folder was changed: %v", entries)
	}
}

// What bulkhead adds may change how a program gets into its container, and
// nothing of how the container runs: Docker Compose must find nothing to
// recreate.
func TestHostBuildChangesNothingOfHowTheShopRuns(t *testing.T) {
	plain, added := load(t, "shop/compose.yaml"), load(t, "shop/compose.yaml", "shop/"+withGo)
	for name, service := range added.Services {
		if service.Build.Target != "dev" {
			t.Errorf("%s: target %s, want dev", name, service.Build.Target)
		}
		prepare, _ := service.Extensions["x-bulkhead"].(map[string]any)["prepare"].(map[string]any)
		run, _ := prepare["run"].(string)
		if want := "-o bin/" + name + " ./" + name; !strings.HasSuffix(run, want) {
			t.Errorf("%s: prepare runs %q, want %q at its end", name, run, want)
		}
		rules := service.Develop.Watch
		if len(rules) != 1 || rules[0].Action != types.WatchActionSyncRestart ||
			!strings.HasSuffix(rules[0].Path, "/bin/"+name) || rules[0].Target != "/"+name {
			t.Errorf("%s: rules %+v, want one that syncs bin/%s", name, rules, name)
		}
	}
	bare := func(p *types.Project) string {
		for name, service := range p.Services {
			service.Build, service.Develop, service.Extensions = nil, nil, nil
			p.Services[name] = service
		}
		text, err := json.MarshalIndent(p.Services, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if a, b := bare(plain), bare(added); a != b {
		t.Errorf("without: %s\nwith: %s", a, b)
	}
}

func TestRulesOfAllExamplesNameFilesThatExist(t *testing.T) {
	found, err := filepath.Glob("*/compose.yaml")
	if err != nil || len(found) < 3 {
		t.Fatalf("examples: %v, %v", found, err)
	}
	for _, file := range found {
		for name, service := range load(t, file).Services {
			var paths []string
			if service.Develop != nil {
				for _, rule := range service.Develop.Watch {
					paths = append(paths, rule.Path)
				}
			}
			if service.Build != nil {
				paths = append(paths, filepath.Join(service.Build.Context, "Dockerfile"))
			}
			for _, path := range paths {
				if _, err := os.Stat(path); err != nil {
					t.Errorf("%s: %s: %v", file, name, err)
				}
			}
		}
	}
}

func TestPolyglotShowsEveryAction(t *testing.T) {
	seen := map[types.WatchAction]bool{}
	for _, service := range load(t, "polyglot/compose.yaml").Services {
		if service.Develop == nil {
			continue
		}
		for _, rule := range service.Develop.Watch {
			seen[rule.Action] = true
		}
	}
	for _, action := range []types.WatchAction{types.WatchActionSync, types.WatchActionSyncRestart,
		types.WatchActionSyncExec, types.WatchActionRestart, types.WatchActionRebuild} {
		if !seen[action] {
			t.Errorf("no rule with the action %s", action)
		}
	}
}

func load(t *testing.T, files ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions(files, cli.WithName("example"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}
