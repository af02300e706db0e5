package watch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// work is a git work tree of two services and a watcher on their folders. Its
// main branch and feature differ in half of the files of each.
type work struct {
	t     testing.TB
	dir   string
	files int // in each service
	w     *Watcher
	mark  int
}

func newWork(t testing.TB) *work { return newWorkOf(t, 100) }

func newWorkOf(t testing.TB, files int) *work {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skipf("needs git to make work trees with: %v", err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k := &work{t: t, dir: dir, files: files}
	k.git("init", "-q", "-b", "main")
	k.fill("main", 0, k.files)
	k.commit("main")
	k.git("checkout", "-q", "-b", "feature")
	k.fill("feature", 0, k.files/2)
	k.commit("feature")
	k.git("checkout", "-q", "main")
	return k
}

// fill writes files of both services.
func (k *work) fill(text string, from, to int) {
	k.t.Helper()
	for _, s := range []string{"api", "web"} {
		mustMkdir(k.t, k.dir, s)
		for i := from; i < to; i++ {
			if err := os.WriteFile(filepath.Join(k.dir, s, fmt.Sprint(i)), []byte(text), 0o644); err != nil {
				k.t.Fatal(err)
			}
		}
	}
}

func (k *work) commit(message string) {
	k.t.Helper()
	k.git("add", "-A")
	k.git("commit", "-q", "-m", message)
}

func (k *work) git(args ...string) {
	k.t.Helper()
	if out, err := k.tryGit(args...); err != nil {
		k.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (k *work) tryGit(args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = k.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_EDITOR=true",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@example.com")
	return cmd.CombinedOutput()
}

// watch watches the folders of both services, as the default rule would.
func (k *work) watch(opt Options) {
	k.t.Helper()
	k.w = started(k.t, opt, Root{Path: filepath.Join(k.dir, "api")}, Root{Path: filepath.Join(k.dir, "web")})
}

func (k *work) batch() Batch {
	k.t.Helper()
	select {
	case b := <-k.w.Batches():
		return b
	case <-time.After(patience):
		k.t.Fatal("no batch")
		return Batch{}
	}
}

// one wants exactly one batch of what f does, with so many paths, for an
// operation that begins so.
func (k *work) one(files int, git string, f func()) {
	k.t.Helper()
	f()
	b := k.batch()
	if len(b.Paths) != files || !strings.HasPrefix(b.Git.String(), git) || git == "" && b.Git.Name != "" {
		k.t.Errorf("batch of %d paths (such as %v) for %q, want %d for %q", len(b.Paths),
			first(b.Paths), b.Git, files, git)
	}
	k.nothing()
}

// saved wants files that f saves reported without git, in as many batches as the pauses between the saves make of them.
func (k *work) saved(files int, f func()) {
	k.t.Helper()
	f()
	paths := map[string]bool{}
	for len(paths) < files {
		b := k.batch()
		if b.Git != (Operation{}) {
			k.t.Errorf("%d saved files are put down to %q", len(b.Paths), b.Git)
		}
		for _, p := range b.Paths {
			paths[p] = true
		}
	}
	k.nothing()
}

// unheld saves a file and wants it reported without a hold: a hold is told
// before its batch comes.
func (k *work) unheld(name string) {
	k.t.Helper()
	path := mustWrite(k.t, k.dir, name)
	for {
		select {
		case h := <-k.w.Holds():
			if h != (Hold{}) { // what is told first may be the end of one before
				k.t.Errorf("the save of %s is held: %+v", name, h)
			}
		case b := <-k.w.Batches():
			if len(b.Paths) != 1 || b.Paths[0] != path || b.Git != (Operation{}) {
				k.t.Errorf("batch of %d paths (such as %v) for %q, want only %s", len(b.Paths),
					first(b.Paths), b.Git, path)
			}
			return
		case <-time.After(patience):
			k.t.Fatalf("the save of %s is not reported", name)
		}
	}
}

// nothing wants no more batches of what was done before.
func (k *work) nothing() {
	k.t.Helper()
	k.mark++
	path := mustWrite(k.t, k.dir, "api", fmt.Sprintf("mark%d", k.mark))
	if b := k.batch(); len(b.Paths) != 1 || b.Paths[0] != path || b.Git != (Operation{}) {
		k.t.Errorf("batch of %d paths (such as %v) for %q, want only %s", len(b.Paths),
			first(b.Paths), b.Git, path)
	}
}

func first(s []string) []string { return s[:min(3, len(s))] }

func TestCheckoutIsOneBatch(t *testing.T) {
	k := newWorkOf(t, 300)
	k.watch(Options{})
	k.one(k.files, "git checkout main -> feature", func() { k.git("checkout", "-q", "feature") })
	k.one(k.files, "git checkout feature -> main", func() { k.git("checkout", "-q", "main") })
	k.one(k.files, "git reset ", func() { k.git("reset", "-q", "--hard", "feature") })
	k.one(k.files, "git checkout ", func() {
		k.git("checkout", "-q", "--detach", "main~0")
		k.git("checkout", "-q", "HEAD@{2}")
	})
}

func TestRebaseOfFiveCommitsIsOneBatch(t *testing.T) {
	k := newWork(t)
	for i := range 5 {
		k.fill(fmt.Sprint("main ", i), k.files-10*(i+1), k.files-10*i)
		k.commit(fmt.Sprint("commit ", i))
	}
	k.watch(Options{})
	k.one(k.files+100, "git rebase ", func() { k.git("rebase", "-q", "feature") })
}

func TestMergeAndPullAreOneBatch(t *testing.T) {
	k := newWork(t)
	k.git("clone", "-q", "-b", "feature", ".", "../"+filepath.Base(k.dir)+".far")
	k.git("remote", "add", "far", "../"+filepath.Base(k.dir)+".far")
	k.fill("more", k.files, k.files+1)
	k.commit("more")
	k.watch(Options{})
	k.one(k.files, "git merge ", func() { k.git("merge", "-q", "feature") })
	k.one(k.files+2, "git reset ", func() { k.git("reset", "-q", "--hard", "HEAD^1^") })
	k.one(k.files, "git pull ", func() { k.git("pull", "-q", "far", "feature") })
}

// A conflict leaves the rest to the user, whose saves wait for nothing.
func TestConflictStopsHolding(t *testing.T) {
	for _, op := range []string{"merge", "rebase"} {
		t.Run(op, func(t *testing.T) {
			k := newWork(t)
			k.fill("conflict", 0, 1)
			k.commit("conflict")
			k.watch(Options{})
			files := k.files
			k.one(files, "git "+op, func() {
				if out, err := k.tryGit(op, "feature"); err == nil {
					t.Fatalf("no conflict: %s", out)
				}
			})
			for range 3 {
				k.unheld("api/0")
				k.nothing()
			}
			// What ends it holds again.
			k.fill("solved", 0, 1)
			k.one(2, "", func() { k.git("add", "api/0", "web/0") })
			if op == "merge" {
				k.git("commit", "-q", "-m", "merged")
				k.nothing()
				return
			}
			k.one(1, "git rebase ", func() { k.git("rebase", "--continue"); mustWrite(t, k.dir, "web/1") })
		})
	}
}

func TestStashIsOneBatch(t *testing.T) {
	k := newWork(t)
	k.fill("changed", 0, 50)
	k.watch(Options{})
	k.one(100, "git stash", func() { k.git("stash", "-q") })
	k.one(100, "git stash", func() { k.git("stash", "pop", "-q") })
	k.one(100, "", func() { k.git("checkout", "-q", "--", ".") })
}

// What takes the lock for a moment only delays what it meets, and has no name.
func TestCommitAddAndStatusAreNoOperations(t *testing.T) {
	k := newWork(t)
	k.watch(Options{})
	for _, args := range [][]string{{"status"}, {"add", "-A"}, {"commit", "-q", "-m", "x"},
		{"commit", "-q", "--amend", "-m", "y"}, {"gc", "-q"}, {"fetch", "-q", "."}} {
		k.one(1, "", func() {
			mustWrite(t, k.dir, "web/0")
			k.git(args...)
		})
	}
	select {
	case n := <-k.w.Notices():
		t.Errorf("notice %+v", n)
	case h := <-k.w.Holds():
		t.Errorf("hold %+v", h)
	default:
	}
}

func TestStaleLockHoldsForItsTimeAlone(t *testing.T) {
	k := newWork(t)
	k.watch(Options{Stale: 700 * time.Millisecond})
	lock := filepath.Join(k.dir, ".git/index.lock")
	mustWrite(t, lock)
	began := time.Now()
	k.fill("x", 0, 1)
	select {
	case h := <-k.w.Holds():
		if h != (Hold{By: "git", Tree: filepath.Join(k.dir, "api")}) {
			t.Errorf("hold %+v", h)
		}
	case b := <-k.w.Batches():
		t.Errorf("batch %v while the lock is there", b.Paths)
	case <-time.After(patience):
		t.Fatal("no hold is told")
	}
	if b := k.batch(); len(b.Paths) != 2 || b.Git != (Operation{}) || time.Since(began) < 700*time.Millisecond {
		t.Errorf("batch %+v after %v, want two paths after 700 ms", b, time.Since(began))
	}
	wantNotice(t, k.w, lock+" has been there for 700ms", "rm "+lock)
	if h := <-k.w.Holds(); h != (Hold{}) {
		t.Errorf("hold %+v after its end", h)
	}
	for range 2 { // the lock was given up
		k.unheld("api/mark")
	}
	// Another one is another story.
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	k.nothing()
	k.one(k.files, "git checkout main -> feature", func() { k.git("checkout", "-q", "-f", "feature") })
}

// A lock that was there before the watcher counts from its own time.
func TestOldLockAtTheStart(t *testing.T) {
	k := newWork(t)
	lock := mustWrite(t, k.dir, ".git/index.lock")
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	k.watch(Options{})
	wantNotice(t, k.w, "has been there for 30s", "rm "+lock)
	k.nothing()
}

func TestLinkedWorkTreeAndSubmoduleHaveTheirGitElsewhere(t *testing.T) {
	k := newWork(t)
	top := t.TempDir()
	k.git("worktree", "add", "-q", filepath.Join(top, "linked"), "feature")
	k.git("clone", "-q", "-b", "main", k.dir, filepath.Join(top, "around"))
	linked, around := *k, *k
	linked.dir, around.dir = filepath.Join(top, "linked"), filepath.Join(top, "around")
	linked.watch(Options{})
	linked.one(k.files, "git checkout ", func() { linked.git("checkout", "-q", "--detach", "main") })
	linked.saved(k.files, func() { linked.fill("s", 0, k.files/2) })
	linked.one(k.files, "git stash", func() { linked.git("stash", "-q") })

	around.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", k.dir, "api/sub")
	around.commit("sub")
	around.watch(Options{})
	sub := around
	sub.dir = filepath.Join(around.dir, "api/sub")
	sub.one(k.files, "git checkout ", func() { sub.git("checkout", "-q", "origin/feature") })
}

// One project of several work trees: what git does in one holds nobody else.
func TestOtherWorkTreesAreNotHeld(t *testing.T) {
	k := newWork(t)
	top := filepath.Dir(k.dir)
	w := started(t, Options{}, Root{Path: k.dir, Ignore: noGit}, Root{Path: mustMkdir(t, top, "other")})
	lock := mustWrite(t, k.dir, ".git/index.lock")
	mustWrite(t, k.dir, "api/0")
	wantPaths(t, w, mustWrite(t, top, "other/a"))
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	wantPaths(t, w, filepath.Join(k.dir, "api/0"))
}

func noGit(path string, dir bool) bool { return dir && filepath.Base(path) == ".git" }

// A folder that is cloned into, or becomes a work tree, while it is watched.
func TestNewWorkTreesAreFound(t *testing.T) {
	k := newWork(t)
	top := mustMkdir(t, t.TempDir(), "top")
	k.w = started(t, quick(), Root{Path: top, Ignore: noGit})
	clone := *k
	clone.dir = filepath.Join(top, "clone")
	k.git("clone", "-q", "-b", "main", k.dir, clone.dir)
	wantPaths(t, k.w, filepath.Join(clone.dir, "web/99"))
	clone.nothing()
	clone.one(k.files, "git checkout main -> feature", func() { clone.git("checkout", "-q", "feature") })
	if n := inotifyWatches(t); n != 6 { // the root and the folder above, clone, api, web, and clone's .git
		t.Errorf("%d kernel watches, want 6", n)
	}
}

func TestGitFolderIsListenedToWhenItsTreeIsNoRootAnyMore(t *testing.T) {
	k := newWork(t)
	before := inotifyWatches(t)
	k.w = started(t, quick(), Root{Path: k.dir})
	k.w.SetRoots([]Root{{Path: filepath.Join(k.dir, "api")}, {Path: filepath.Join(k.dir, "web")}})
	limit := time.Now().Add(patience)
	for ; inotifyWatches(t)-before != 4; time.Sleep(time.Millisecond) { // both, the folder above, and .git
		if time.Now().After(limit) {
			t.Fatalf("%d kernel watches, want 4", inotifyWatches(t)-before)
		}
	}
	k.one(k.files, "git checkout main -> feature", func() { k.git("checkout", "-q", "feature") })
}

// The root may be a folder that one of the branches does not have.
func TestRootsThatComeAndGoWithTheBranch(t *testing.T) {
	k := newWork(t)
	k.git("rm", "-r", "-q", "web")
	k.commit("no web")
	k.watch(quick())
	b := func(what string, f func()) {
		t.Helper()
		f()
		if b := k.batch(); b.Git.String() != what || b.Paths[len(b.Paths)-1] < filepath.Join(k.dir, "web") {
			t.Errorf("batch %v … for %q, want the root web in it for %q", first(b.Paths), b.Git, what)
		}
		k.nothing()
	}
	b("git checkout main -> feature", func() { k.git("checkout", "-q", "feature") })
	b("git checkout feature -> main", func() { k.git("checkout", "-q", "main") })
}

func TestCheckoutIsOneBatchWhenPolled(t *testing.T) {
	k := newWork(t)
	k.watch(Options{Quiet: 15 * time.Millisecond, Cap: 100 * time.Millisecond,
		Poll: 300 * time.Millisecond, ForcePoll: true})
	k.one(k.files, "git checkout main -> feature", func() { k.git("checkout", "-q", "feature") })
	k.one(k.files, "git checkout feature -> main", func() { k.git("checkout", "-q", "main") })
	// One that lasts from look to look.
	k.one(20, "", func() {
		lock := mustWrite(t, k.dir, ".git/index.lock")
		k.fill("slow", 0, 5)
		select {
		case <-k.w.Holds():
		case <-time.After(patience):
			t.Fatal("no hold is told")
		}
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		k.fill("slow", 5, 10) // no look has seen these
	})
}
