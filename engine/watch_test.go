package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/project"
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

func TestSyncRestartRestartsThatServiceAlone(t *testing.T) {
	s := open(t, synced("sync+restart", ""))
	s.up()
	before := s.identities()
	s.write(map[string]string{"src/hello.txt": "two"})
	c := s.change("a", "sync+restart", 0)
	if got := s.cat("a", "/www/hello.txt"); got != "two" {
		t.Errorf("after the save: %q", got)
	}
	after := s.identities()
	if after["a/1"].ID != before["a/1"].ID || !after["a/1"].Started.After(before["a/1"].Started) || after["b/1"] != before["b/1"] {
		t.Errorf("identities %v, were %v", after, before)
	}
	if c.Generation != 2 {
		t.Errorf("generation %d, want 2", c.Generation)
	}
	stages := ""
	for _, st := range c.Stages {
		stages += st.Name + " "
	}
	if stages != "detect copy stop start ready total " {
		t.Errorf("stages %q", stages)
	}
}

func TestSyncExecRunsItsCommand(t *testing.T) {
	s := open(t, synced("sync+exec", `, exec: {command: ["sh", "-c", "cp /www/hello.txt /www/copied; echo ran"]}`))
	s.up()
	s.write(map[string]string{"src/hello.txt": "two"})
	s.change("a", "sync+exec", 0)
	if got := s.cat("a", "/www/copied"); got != "two" {
		t.Errorf("the command saw %q", got)
	}
	s.line("a", "system ran")
}

func TestRestartRuleRestarts(t *testing.T) {
	s := open(t, map[string]string{"conf/x": "1", "compose.yaml": `
services:
  a: {image: ` + baseImage + `, command: ` + loop + `, develop: {watch: [{path: conf, action: restart}]}}
`})
	s.up()
	before := s.identities()["a/1"]
	s.write(map[string]string{"conf/x": "2"})
	s.change("a", "restart", 0)
	if after := s.identities()["a/1"]; after.ID != before.ID || !after.Started.After(before.Started) {
		t.Errorf("identity %+v, was %+v", after, before)
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

func TestFailedBuildKeepsTheOldContainerAndTheNextSaveTriesAgain(t *testing.T) {
	s := open(t, built())
	s.up()
	before := s.identities()
	s.write(map[string]string{"a/Dockerfile": "FROM " + baseImage + "\nRUN echo the reason && exit 7\n"})
	n := s.until("failed build", func(n *engine.Snapshot) bool {
		l := find(n, "a").Last
		return l != nil && l.Err != ""
	})
	a := find(n, "a")
	if a.State != engine.StateRunning || !slices.ContainsFunc(a.Stale, func(p string) bool { return strings.HasSuffix(p, "Dockerfile") }) {
		t.Errorf("a is %s, stale %v; want running with the Dockerfile stale", a.State, a.Stale)
	}
	last := n.Builds[len(n.Builds)-1]
	if last.Err == "" || !slices.Contains(last.Lines, "the reason") || !strings.Contains(a.Last.Err, "exit 7") {
		t.Errorf("build error %q, change error %q, lines %q", last.Err, a.Last.Err, last.Lines)
	}
	if after := s.identities(); after["a/1"] != before["a/1"] {
		t.Errorf("a failed build moved the container: %v, was %v", after, before)
	}
	k := len(a.Changes)
	s.write(map[string]string{"a/Dockerfile": "FROM " + baseImage + "\nCMD [\"sh\", \"-c\", \"echo mended; sleep 1000\"]\n"})
	s.change("a", "rebuild", k)
	s.line("a", "mended")
	if a := find(s.Snapshot(), "a"); len(a.Stale) != 0 || a.Err != "" {
		t.Errorf("after the repair: stale %v, err %q", a.Stale, a.Err)
	}
}

func TestPrepareRunsOnTheHostAndItsWordsAreShown(t *testing.T) {
	s := open(t, map[string]string{"src/in": "one", "compose.yaml": fmt.Sprintf(`
services:
  a:
    image: %s
    command: %s
    x-bulkhead: {prepare: {run: "grep -v broken src/in || { echo in is broken; exit 4; }; mkdir -p out; cp src/in out/x", watch: [src]}}
    develop: {watch: [{path: out/x, action: sync+restart, target: /www/x, initial_sync: true}]}
`, baseImage, loop)})
	s.up()
	if got := s.cat("a", "/www/x"); got != "one" {
		t.Errorf("after up: %q", got)
	}
	s.write(map[string]string{"src/in": "two"})
	c := s.change("a", "sync+restart", 0)
	if got := s.cat("a", "/www/x"); got != "two" || c.Stages[1].Name != "prepare" {
		t.Errorf("after the save: %q, stages %v", got, c.Stages)
	}
	before := s.identities()["a/1"]
	k := len(find(s.Snapshot(), "a").Changes)
	s.write(map[string]string{"src/in": "broken"})
	n := s.until("failed prepare", func(n *engine.Snapshot) bool {
		a := find(n, "a")
		return len(a.Changes) > k && a.Last.Err != ""
	})
	if a := find(n, "a"); !strings.Contains(a.Last.Err, "in is broken") || a.State != engine.StateRunning || len(a.Stale) == 0 {
		t.Errorf("error %q, state %s, stale %v", a.Last.Err, a.State, a.Stale)
	}
	if after := s.identities()["a/1"]; after != before {
		t.Errorf("a failed prepare moved the container: %v, was %v", after, before)
	}
}

func TestManualWatchMarksStaleAndUpApplies(t *testing.T) {
	s := open(t, synced("sync", ", initial_sync: true"))
	s.up()
	s.do(engine.Command{Verb: engine.VerbWatch, Services: []string{"a"}, Mode: project.Manual})
	s.write(map[string]string{"src/hello.txt": "two"})
	s.until("stale", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) == 1 })
	if got := s.cat("a", "/www/hello.txt"); got != "one" {
		t.Errorf("manual mode synced: %q", got)
	}
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	if got := s.cat("a", "/www/hello.txt"); got != "two" {
		t.Errorf("after up: %q", got)
	}
	if a := find(s.Snapshot(), "a"); len(a.Stale) != 0 {
		t.Errorf("still stale: %v", a.Stale)
	}
}

func TestWhatChangedWhileNobodyWatchedIsCaughtUp(t *testing.T) {
	s := open(t, built())
	s.up()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.write(map[string]string{"a/text": "version 2\n"})
	s.up()
	s.line("a", "version 2")
}

func TestChangedComposeFileIsShownAndAppliedToThoseAlone(t *testing.T) {
	files := synced("sync", "")
	s := open(t, files)
	s.up()
	before := s.identities()
	s.write(map[string]string{"compose.yaml": strings.Replace(files["compose.yaml"], "  b: {", "  b: {environment: {X: y}, ", 1)})
	n := s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) > 0 })
	if c := n.Reload.Changes; len(c) != 1 || c[0].Service != "b" || c[0].Kind != project.Recreate {
		t.Errorf("changes %+v", c)
	}
	if now := s.identities(); now["b/1"] != before["b/1"] {
		t.Error("a changed file was applied without being asked")
	}
	s.do(engine.Command{Verb: engine.VerbUp})
	after := s.identities()
	if after["a/1"] != before["a/1"] || after["b/1"].ID == before["b/1"].ID {
		t.Errorf("identities %v, were %v", after, before)
	}
	s.write(map[string]string{"compose.yaml": "services: {a: {imagee: x}}"})
	n = s.until("load error", func(n *engine.Snapshot) bool { return n.Reload != nil && n.Reload.Err != "" })
	if !strings.Contains(n.Reload.Err, "imagee") {
		t.Errorf("reload error %q", n.Reload.Err)
	}
}
