package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Hold says that changes are held back, because a program is at work that
// makes many of them. The zero value says that nothing is held any more.
type Hold struct {
	By   string // "git"
	Tree string // the first root in its work tree
}

const (
	// gitSettle is how long git must be idle before its operation counts as
	// ended. A stash or a pull is several programs, one after the other.
	gitSettle = 100 * time.Millisecond
	// gitPause is the same while a rebase, a cherry-pick or a revert is in the
	// middle of its commits, between which a slow disk keeps it waiting. If it
	// stopped there for the user, it takes no lock, and what the user saves is
	// reported as always.
	gitPause = time.Second
	// gitStale is how long a lock may stand with nothing new in the work tree.
	// A live git that is slower than that is on a disk that does not answer.
	gitStale = 30 * time.Second
	// gitLook is the time between two looks at a lock whose end may have been missed.
	gitLook = 500 * time.Millisecond
	// gitTold is how long changes are held before anyone hears of it: most locks
	// are for the moment of a git status.
	gitTold = 300 * time.Millisecond
)

// sign is what the keeper tells of a git folder, in order with the changes.
type sign struct {
	git  string // the folder
	kind signKind
	tops []string // with signFound
}

type signKind uint8

const (
	signUnknown signKind = iota
	// it is listened to; tops are the paths, as spelled in changes, that lie in its work tree or
	// hold it
	signFound
	signGone   // it is no longer
	signLock   // the lock came, or stands there
	signUnlock // the lock went, or stands there no more
	signWork   // another file of a running operation moved
)

// repo is a git folder and what is held for it.
type repo struct {
	git    string
	tops   []string
	before facts // as of the last time that git was idle

	busy   bool
	locked bool
	since  time.Time // when it became busy
	last   time.Time // of the last sign
	news   time.Time // of the last sign, or the last path that was new among the held
	looked time.Time // at a lock
	grace  time.Time // when the rest of the changes is due; zero before git is idle
	held   offer
	given  stamp // of a lock that was given up
}

// hold decides which changes wait until git has ended. Times come in with the
// calls; of the disk it only asks for files in git folders.
type hold struct {
	stale time.Duration
	slow  func() time.Duration // how late changes may be reported; zero when the kernel reports all
	tell  func(Notice)
	repos map[string]*repo
}

func newHold(stale time.Duration, slow func() time.Duration, tell func(Notice)) *hold {
	return &hold{stale: stale, slow: slow, tell: tell, repos: map[string]*repo{}}
}

// sign notes what happened in a git folder.
func (h *hold) sign(s sign, now time.Time) (freed *repo) {
	r := h.repos[s.git]
	switch {
	case s.kind == signFound && r == nil:
		r = &repo{git: s.git, tops: s.tops, before: factsOf(s.git)}
		h.repos[s.git] = r
		if info, err := os.Lstat(r.lock()); err == nil {
			r.begin(now)
			r.locked, r.news = true, earlier(info.ModTime(), now)
			r.last = r.news
		}
		return nil
	case r == nil:
		return nil
	case s.kind == signFound:
		r.tops = s.tops
		return nil
	case s.kind == signGone:
		delete(h.repos, s.git)
		if r.busy {
			return r
		}
		return nil
	}
	if s.kind == signLock {
		if info, err := os.Lstat(r.lock()); err == nil && r.given == stampOf(info) {
			return nil // still the one that was given up
		}
	}
	if !r.busy {
		r.begin(now)
	}
	if s.kind != signWork {
		r.locked, r.given = s.kind == signLock, stamp{}
	}
	r.last, r.news, r.grace = now, now, time.Time{}
	return nil
}

func (r *repo) lock() string { return filepath.Join(r.git, gitLock) }

func (r *repo) begin(now time.Time) {
	r.busy, r.since, r.looked, r.grace = true, now, now, time.Time{}
}

// of returns the repo that a path is held for, nil when there is none. Of work
// trees inside of each other it is the outermost, so that one batch comes of a
// checkout with its submodules. Lost notices (an empty path) are anybody's.
func (h *hold) of(path string) *repo {
	var found *repo
	shortest := 0
	for _, r := range h.repos {
		if !r.busy {
			continue
		}
		for _, top := range r.tops {
			_, in := below(top, path)
			if (in || path == "") && (found == nil || len(top) < shortest) {
				found, shortest = r, len(top)
			}
		}
	}
	return found
}

// keep takes the changes that must wait, and returns the others.
func (h *hold) keep(due []change, now time.Time) (free []change) {
	for _, c := range due {
		r := h.of(c.path)
		if r == nil {
			free = append(free, c)
			continue
		}
		n := len(r.held.paths)
		r.held.merge([]change{c})
		if len(r.held.paths) > n {
			r.news = now
		}
	}
	return free
}

// check returns the repos whose operation ended, and when to call it again (zero
// when nothing is held). rest is when the changes that came so far are due;
// zero when all of them have been kept or given back.
func (h *hold) check(now, rest time.Time) (freed []*repo, next time.Time) {
	for _, r := range h.repos {
		if !r.busy {
			continue
		}
		at := r.due(h, now)
		if at.IsZero() {
			// git is idle. What it did last may not have been quiet yet.
			if r.grace.IsZero() && rest.After(now) {
				r.grace = rest
			}
			if at = r.grace; !at.After(now) {
				freed = append(freed, r)
				continue
			}
		}
		if report := r.since.Add(gitTold); report.After(now) {
			at = earlier(at, report)
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return freed, next
}

// due says when to look again whether git is idle, zero when it is.
func (r *repo) due(h *hold, now time.Time) time.Time {
	if r.locked {
		if now.Sub(r.news) >= h.stale {
			r.giveUp(h)
			return time.Time{}
		}
		if now.Sub(r.looked) >= gitLook {
			r.looked = now
			if !exists(r.lock()) && now.Sub(r.news) >= gitLook {
				r.locked, r.last = false, now // its end was not reported
			}
		}
		if r.locked {
			return earlier(r.news.Add(h.stale), r.looked.Add(gitLook))
		}
	}
	wait := max(gitSettle, h.slow())
	for _, name := range []string{"rebase-merge", "rebase-apply", "sequencer"} {
		if exists(filepath.Join(r.git, name)) {
			wait = max(wait, gitPause)
		}
	}
	if now.Sub(r.last) >= wait {
		return time.Time{}
	}
	return r.last.Add(wait)
}

// giveUp stops waiting for the end of a lock.
func (r *repo) giveUp(h *hold) {
	r.locked = false
	info, err := os.Lstat(r.lock())
	if err != nil {
		return // it went, and that was not reported
	}
	r.given = stampOf(info)
	h.tell(Notice{
		Text: fmt.Sprintf(
			"%s has been there for %v while git did nothing: changes no longer wait for it", r.lock(), h.stale),
		Remedy: "if no git is running, rm " + r.lock(),
	})
}

// free ends the hold of a repo. What was held goes to a work tree around it
// that is still being changed, or else into ready.
func (h *hold) free(r *repo, ready *offer) {
	r.busy, r.locked = false, false
	now := factsOf(r.git)
	held, op := r.held, operation(r.git, r.before, now)
	r.before, r.held = now, offer{}
	if held.empty() {
		return
	}
	held.git = op
	for _, top := range r.tops {
		if around := h.of(top); around != nil {
			ready = &around.held
			break
		}
	}
	ready.join(held)
}

// state is what to tell of it.
func (h *hold) state(now time.Time) Hold {
	var first *repo
	for _, r := range h.repos {
		if r.busy && !r.held.empty() && len(r.tops) > 0 && now.Sub(r.since) >= gitTold &&
			(first == nil || r.since.Before(first.since)) {
			first = r
		}
	}
	if first == nil {
		return Hold{}
	}
	return Hold{By: "git", Tree: first.tops[0]}
}
