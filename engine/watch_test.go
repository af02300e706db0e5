package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/engine"
)

// synced is a project of one service with a rule of the given action on src, and a bystander.
func synced(action, more string) map[string]string {
	return map[string]string{
		"src/hello.txt": "one",
		"compose.yaml": fmt.Sprintf(`
services:
  a:
    image: %[1]s
    command: %[2]s
    develop: {watch: [{path: src, action: %[3]s, target: /www%[4]s}]}
  b: {image: %[1]s, command: %[2]s}
`, baseImage, loop, action, more),
	}
}

func TestSavedFileIsSyncedAndDeletesFollow(t *testing.T) {
	s := open(t, synced("sync", ", initial_sync: true, ignore: [skip/]"))
	s.up()
	before := s.identities()
	if got := s.cat("a", "/www/hello.txt"); got != "one" {
		t.Errorf("initial sync: %q", got)
	}
	s.write(map[string]string{"src/hello.txt": "two", "src/new/deep/file": "deep", "src/skip/x": "no"})
	c := s.change("a", "sync", 0)
	if got := s.cat("a", "/www/hello.txt") + s.cat("a", "/www/new/deep/file"); got != "twodeep" {
		t.Errorf("after the save: %q", got)
	}
	if _, err := s.tryCat("a", "/www/skip/x"); err == nil {
		t.Error("an ignored file was synced")
	}
	if len(c.Paths) == 0 || !strings.Contains(c.Cause, "saved") || c.Stages[0].Name != "detect" {
		t.Errorf("change %+v", c)
	}
	if err := os.Remove(filepath.Join(s.dir, "src/hello.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "src/new")); err != nil {
		t.Fatal(err)
	}
	s.until("deletes", func(*engine.Snapshot) bool {
		_, one := s.tryCat("a", "/www/hello.txt")
		_, two := s.tryCat("a", "/www/new/deep/file")
		return one != nil && two != nil
	})
	if after := s.identities(); after["a/1"] != before["a/1"] || after["b/1"] != before["b/1"] {
		t.Errorf("a sync moved containers: %v, was %v", after, before)
	}
}

// built is a service with an image of its own, by the default rule rebuilt when its folder changes, and a bystander.
func built() map[string]string {
	return map[string]string{
		"a/Dockerfile":    "FROM " + baseImage + "\nCOPY text /text\nCMD [\"sh\", \"-c\", \"cat /text; sleep 1000\"]\n",
		"a/.dockerignore": "*.md\n",
		"a/text":          "version 1\n",
		"compose.yaml": fmt.Sprintf(`
services:
  a: {build: a}
  b: {image: %s, command: %s, depends_on: [a]}
`, baseImage, loop),
	}
}

func TestSaveRebuildsThatServiceAloneAndLeavesNoImageBehind(t *testing.T) {
	s := open(t, built())
	s.up()
	before := s.identities()
	s.write(map[string]string{"a/README.md": "ignored"})
	for v := 2; v <= 4; v++ {
		n := len(find(s.Snapshot(), "a").Changes)
		s.write(map[string]string{"a/text": fmt.Sprintf("version %d\n", v)})
		c := s.change("a", "rebuild", n)
		if c.Cause != "a/text saved" {
			t.Errorf("cause %q: a file that .dockerignore names must not count", c.Cause)
		}
		s.line("a", fmt.Sprintf("gen%d stdout version %d", v, v))
	}
	after := s.identities()
	if after["a/1"].ID == before["a/1"].ID || after["b/1"] != before["b/1"] || len(after) != 2 {
		t.Errorf("identities %v, were %v", after, before)
	}
	in, err := s.rt.Inspect(t.Context(), after["a/1"].ID)
	if err != nil || in.Name != s.name+"-a-1" {
		t.Errorf("the new container is called %q (%v)", in.Name, err)
	}
	s.eventually("old images gone", func() bool {
		left, err := s.rt.ProjectImages(t.Context(), s.name, false)
		return err == nil && len(left) == 0
	})
}
