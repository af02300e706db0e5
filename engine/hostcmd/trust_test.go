package hostcmd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNothingRunsBeforeSomebodyAgrees(t *testing.T) {
	dir := t.TempDir()
	c := Command{Dir: dir, Shell: "touch ran", Terms: Terms{Kind: "prepare", Service: "web",
		Place: "compose.yaml:7", Command: "touch ran"}}
	trust := OpenTrust(t.TempDir(), dir)
	for _, asked := range []*Trust{nil, trust, OpenTrust("", dir)} {
		err := Run(t.Context(), asked, c, func(string) {})
		var untrusted *UntrustedError
		if !errors.As(err, &untrusted) || !strings.Contains(err.Error(),
			"touch ran (prepare, compose.yaml:7); `bulkhead trust`") {
			t.Fatalf("%v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal("it ran")
		}
	}
	if err := trust.Allow(c.Terms); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), trust, c, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err != nil {
		t.Error(err)
	}
}

func TestAnswerIsBoundToFolderCommandAndEnvironment(t *testing.T) {
	base, dir, other := t.TempDir(), t.TempDir(), t.TempDir()
	terms := Terms{Kind: "prepare", Service: "web", Place: "compose.yaml:7", Command: "make",
		Env: []string{"TOKEN=hunter2"}}
	if err := OpenTrust(base, dir).Allow(terms); err != nil {
		t.Fatal(err)
	}
	moved := terms
	moved.Place, moved.Service = "compose.yaml:9", "api"
	if again := OpenTrust(base, dir); !again.Allows(terms) || !again.Allows(moved) {
		t.Error("the answer is not kept, or depends on the line")
	}
	changed := []Terms{terms, terms, terms}
	changed[0].Command, changed[1].Env, changed[2].Kind = "make evil", []string{"TOKEN=hunter3"}, "provider"
	for _, c := range changed {
		if OpenTrust(base, dir).Allows(c) {
			t.Errorf("%+v is allowed", c)
		}
	}
	if OpenTrust(base, other).Allows(terms) {
		t.Error("another folder has the answer too")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err == nil && !OpenTrust(base, link).Allows(terms) {
		t.Error("the same folder by a link does not have it")
	}
	files, _ := filepath.Glob(filepath.Join(base, "trust", "*"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil || strings.Contains(string(b), "hunter2") || strings.Contains(string(b), "make") {
		t.Errorf("the file holds %s, %v", b, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := OpenTrust(base, dir).Forget(); err != nil || OpenTrust(base, dir).Allows(terms) {
		t.Errorf("it is still allowed, %v", err)
	}
}

func TestFileOfAnswersThatCannotBeUsedAllowsNothing(t *testing.T) {
	base, dir := t.TempDir(), t.TempDir()
	terms := Terms{Kind: "prepare", Command: "make"}
	if err := OpenTrust(base, dir).Allow(terms); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(base, "trust", "*"))
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "garbage", string(whole[:len(whole)/2]),
		strings.Replace(string(whole), dir, "/elsewhere", 1), strings.Replace(string(whole),
			`"version": 1`, `"version": 2`, 1)} {
		if err := os.WriteFile(files[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if OpenTrust(base, dir).Allows(terms) {
			t.Errorf("allowed by %q", text)
		}
	}
	if err := OpenTrust(base, dir).Allow(terms); err != nil || !OpenTrust(base, dir).Allows(terms) {
		t.Errorf("it cannot be written again: %v", err)
	}
	one := OpenTrust("", dir)
	if err := one.Allow(terms); err == nil || !one.Allows(terms) {
		t.Errorf("without a home folder: %v", err)
	}
	one = OpenTrust(base, dir)
	one.AllowAll()
	if !one.Allows(Terms{Command: "anything"}) || OpenTrust(base, dir).Allows(Terms{Command: "anything"}) {
		t.Error("all of one run is not for one run")
	}
}
