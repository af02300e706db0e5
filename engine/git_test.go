package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// git runs git in the project's folder.
func (s *stage) git(args ...string) {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// branches makes the project a git work tree: on feature, 13 files of a and 14 of b are others than on main.
func (s *stage) branches() {
	s.git("init", "-q", "-b", "main")
	for _, branch := range []string{"main", "feature"} {
		if branch != "main" {
			s.git("checkout", "-q", "-b", branch)
		}
		files := map[string]string{}
		for i := range 13 {
			files[fmt.Sprintf("a/f%d", i)] = branch
		}
		for i := range 14 {
			files[fmt.Sprintf("b/f%d", i)] = branch
		}
		s.write(files)
		s.git("add", "-A")
		s.git("commit", "-q", "-m", branch)
	}
	s.git("checkout", "-q", "main")
}

func gitStage(t *testing.T) *stage {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skipf("needs git to check out with: %v", err)
	}
	s := open(t, map[string]string{
		"a/Dockerfile": "FROM " + baseImage + "\nCOPY . /www/\n",
		"compose.yaml": fmt.Sprintf(`
services:
  a: {build: a, command: %[2]s}
  b: {image: %[1]s, command: %[2]s, develop: {watch: [{path: b, action: sync, target: /www, initial_sync: true}]}}
  c: {image: %[1]s, command: %[2]s}
`, baseImage, loop),
	})
	s.branches()
	return s
}

func TestCheckoutIsOnePlanOneBuildAndOneSync(t *testing.T) {
	s := gitStage(t)
	s.up()
	before, first := s.identities(), s.Snapshot()
	s.git("checkout", "-q", "feature")
	s.change("a", "rebuild", len(find(first, "a").Changes))
	s.change("b", "sync", len(find(first, "b").Changes))
	for service, want := range map[string]string{"a": "feature", "b": "feature"} {
		for _, f := range []string{"/www/f0", "/www/f12"} {
			if got := s.cat(service, f); got != want {
				t.Errorf("%s of %s is %q", f, service, got)
			}
		}
	}
	// Whatever else the checkout led to would have come before this.
	s.write(map[string]string{"b/f0": "mark"})
	s.until("mark", func(*engine.Snapshot) bool { got, err := s.tryCat("b", "/www/f0"); return err == nil && got == "mark" })
	n := s.Snapshot()
	for service, want := range map[string][]string{"a": {"rebuild: git checkout: 13 files"}, "b": {"sync: git checkout: 14 files", "sync: b/f0 saved"}} {
		var got []string
		for _, c := range find(n, service).Changes[len(find(first, service).Changes):] {
			got = append(got, c.Action+": "+c.Cause)
		}
		if !slices.Equal(got, want) {
			t.Errorf("changes of %s: %q, want %q", service, got, want)
		}
	}
	if builds := len(n.Builds) - len(first.Builds); builds != 1 {
		t.Errorf("%d builds, want 1", builds)
	}
	if got, want := s.plans(first), []string{"27 files: rebuild a, sync b (git checkout main -> feature)"}; !slices.Equal(got, want) {
		t.Errorf("plans %q, want %q", got, want)
	}
	after := s.identities()
	if after["a/1"].ID == before["a/1"].ID || after["b/1"] != before["b/1"] || after["c/1"] != before["c/1"] {
		t.Errorf("identities %v, were %v", after, before)
	}
}

// plans gives the plan records since a snapshot, each with its cause.
func (s *stage) plans(since *engine.Snapshot) (out []string) {
	recs, _ := s.Records(since.Records[len(since.Records)-1].Seq)
	for _, r := range recs {
		if r.Kind == "plan" {
			out = append(out, strings.TrimSuffix(r.Text+" ("+r.Cause+")", " ()"))
		}
	}
	return out
}

func TestHeldWatchIsShownUntilGitEnds(t *testing.T) {
	s := gitStage(t)
	s.up()
	first := s.Snapshot()
	lock := filepath.Join(s.dir, ".git/index.lock")
	s.write(map[string]string{".git/index.lock": ""})
	s.do(engine.Command{Verb: engine.VerbWatch, Services: []string{"a"}, Mode: project.Manual})
	s.write(map[string]string{"a/f1": "two", "b/f1": "two"})
	s.until("hold", func(n *engine.Snapshot) bool { return n.Watch.Held == "git" })
	if got := s.cat("b", "/www/f1"); got != "main" {
		t.Errorf("synced while git is at work: %q", got)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	s.change("b", "sync", 0)
	n := s.until("end of the hold", func(n *engine.Snapshot) bool { return n.Watch.Held == "" })
	// A file restored or added moves nothing of git's, so that it has no name.
	if got, want := s.plans(first), []string{"2 files: sync b, mark stale a"}; !slices.Equal(got, want) {
		t.Errorf("plans %q, want %q", got, want)
	}
	if a := find(n, "a"); len(a.Stale) != 1 {
		t.Errorf("a is stale by %v", a.Stale)
	}
}
