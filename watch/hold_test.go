package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// gitBench is a bench with a git folder made by hand. The files in it are what
// git would leave; the signs are what the keeper would tell of them.
type gitBench struct {
	*bench
	dir string
}

// withGit runs f in a bubble; src and lib lie in the work tree.
func withGit(t *testing.T, f func(b *gitBench)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "HEAD"), []byte("ref: refs/heads/main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(b *bench) {
		g := &gitBench{bench: b, dir: dir}
		g.sign(signFound, "/w/src", "/w/lib")
		f(g)
	})
}

func (b *gitBench) sign(kind signKind, tops ...string) {
	b.changes.put(change{sign: sign{git: b.dir, kind: kind, tops: tops}})
}

// lock makes git's lock, with the time of the bubble.
func (b *gitBench) lock() {
	path := filepath.Join(b.dir, gitLock)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
		b.t.Fatal(err)
	}
	b.sign(signLock)
}

func (b *gitBench) unlock() {
	if err := os.Remove(filepath.Join(b.dir, gitLock)); err != nil {
		b.t.Fatal(err)
	}
	b.sign(signUnlock)
}

func TestChangesWaitForTheLockAndAMoment(t *testing.T) {
	withGit(t, func(b *gitBench) {
		go func() {
			b.save("/w/src/before")
			time.Sleep(10 * time.Millisecond)
			b.lock()
			for i := range 3 {
				b.save(fmt.Sprint("/w/src/", i), "/elsewhere/x")
				time.Sleep(330 * time.Millisecond)
			}
			b.save("/w/lib/last")
			b.unlock() // at 1000
		}()
		b.want(b.take(3*time.Second),
			"50: /elsewhere/x\n380: /elsewhere/x\n710: /elsewhere/x\n1100: /w/lib/last /w/src/0 /w/src/1 /w/src/2 /w/src/before")
	})
}

func TestGitThatIsIdleHoldsUntilItsLastFileIsQuiet(t *testing.T) {
	withGit(t, func(b *gitBench) {
		go func() {
			b.lock()
			b.save("/w/src/a")
			b.unlock()
			time.Sleep(90 * time.Millisecond)
			b.save("/w/src/b")
		}()
		b.want(b.take(time.Second), "130: /w/src/a /w/src/b")
	})
}

func TestRebaseHoldsFromCommitToCommitButNotForTheUser(t *testing.T) {
	withGit(t, func(b *gitBench) {
		if err := os.Mkdir(filepath.Join(b.dir, "rebase-merge"), 0o755); err != nil {
			t.Fatal(err)
		}
		go func() {
			for i := range 4 {
				b.lock()
				b.save(fmt.Sprint("/w/src/", i))
				time.Sleep(20 * time.Millisecond)
				b.unlock()
				time.Sleep(880 * time.Millisecond)
			}
			time.Sleep(400 * time.Millisecond) // 4000: it stopped for the user
			b.save("/w/src/edit")
		}()
		b.want(b.take(5*time.Second), "3720: /w/src/0 /w/src/1 /w/src/2 /w/src/3\n4040: /w/src/edit")
	})
}

func TestLiveGitIsWaitedForAndASteadyWriterIsNotIt(t *testing.T) {
	withGit(t, func(b *gitBench) {
		go func() {
			b.lock()
			for i := range 3 {
				b.save(fmt.Sprint("/w/src/", i))
				time.Sleep(20 * time.Second)
			}
		}()
		b.every(100*time.Millisecond, 69*time.Second, "/w/src/log")
		// The last new path is kept at 40 s and a bit.
		b.want(b.take(75*time.Second), "70040: /w/src/0 /w/src/1 /w/src/2 /w/src/log")
	})
}

func TestLockThatWasGivenUpIsNotWaitedForAgain(t *testing.T) {
	withGit(t, func(b *gitBench) {
		b.lock()
		b.at(31*time.Second, "/w/src/a")
		go func() {
			time.Sleep(32 * time.Second)
			b.sign(signLock) // after lost notices the lock is told of as it stands
			b.save("/w/src/b")
			time.Sleep(time.Second)
			b.unlock()
			b.lock()
			b.save("/w/src/c")
		}()
		b.want(b.take(40*time.Second), "31040: /w/src/a\n32040: /w/src/b")
	})
}

func TestMissedEndOfALockIsFound(t *testing.T) {
	withGit(t, func(b *gitBench) {
		b.lock()
		b.save("/w/src/a")
		if err := os.Remove(filepath.Join(b.dir, gitLock)); err != nil {
			t.Fatal(err)
		}
		b.want(b.take(5*time.Second), "1100: /w/src/a")
	})
}

func TestPolledChangesAreWaitedForAfterGit(t *testing.T) {
	withGit(t, func(b *gitBench) {
		b.late.Store(int64(time.Second))
		b.lock()
		b.unlock()
		b.at(300*time.Millisecond, "/w/src/a")
		b.at(900*time.Millisecond, "/w/src/b")
		b.want(b.take(5*time.Second), "1000: /w/src/a /w/src/b")
	})
}

func TestLostNoticesWaitForGitToo(t *testing.T) {
	withGit(t, func(b *gitBench) {
		b.lock()
		b.save("")
		go func() {
			time.Sleep(time.Second)
			b.unlock()
		}()
		b.want(b.take(5*time.Second), "1100: LOST")
	})
}

func TestGitFolderThatGoesHoldsNothing(t *testing.T) {
	withGit(t, func(b *gitBench) {
		b.lock()
		b.save("/w/src/a")
		go func() {
			time.Sleep(time.Second)
			b.sign(signGone)
		}()
		b.want(b.take(5*time.Second), "1000: /w/src/a")
	})
}
