//go:build unix

package filesync

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// shared is a container whose /app/config.yaml two rules may put there: a folder's,
// and one for the file alone that comes after it.
type shared struct {
	t        *testing.T
	y        *Syncer
	box      *box
	target   Target
	src, dev string // the paths on the host
}

func newShared(t *testing.T) *shared {
	dir := t.TempDir()
	put(t, dir, "src/main", "x")
	s := &shared{t: t, box: &box{all: map[string]string{}},
		src: filepath.Join(dir, "src/config.yaml"), dev: filepath.Join(dir, "dev.yaml")}
	conf := &project.Service{Name: "a", Dir: dir, Rules: []project.Rule{
		{Action: project.Sync, Path: filepath.Join(dir, "src"), Target: "/app"},
		{Action: project.SyncRestart, Path: s.dev, Target: "/app/config.yaml"}}}
	s.y = New(s.box, journal.Open(journal.Options{}), func(text string) { t.Error(text) })
	s.target = Target{Service: conf, ID: "c", ImageID: "i", Running: true}
	return s
}

// send brings what changed into the container, and returns the rules that have
// something to act on.
func (s *shared) send(changed map[int][]string) []int {
	s.t.Helper()
	set := map[int]map[string]struct{}{}
	for i, paths := range changed {
		set[i] = map[string]struct{}{}
		for _, p := range paths {
			set[i][p] = struct{}{}
		}
	}
	d := s.y.Compare(s.t.Context(), s.target, set)
	if left, err := s.y.Send(s.t.Context(), s.target, d); err != nil || len(left) > 0 {
		s.t.Errorf("left out %v, %v", left, err)
	}
	return d.Rules()
}

func (s *shared) holds(what, text string) {
	s.t.Helper()
	if got := s.box.list("/app")["config.yaml"]; got != state(0o644, text) {
		s.t.Errorf("%s: the container has %q, want %q", what, got, text)
	}
	if got := s.y.Rescan(s.t.Context(), s.target); len(got) > 0 {
		s.t.Errorf("%s: looked at again, %v differ", what, got)
	}
}

// What two rules put in one place is the last one's, by whichever way it is
// looked at, and stays that when nothing changes.
func TestLastRuleOwnsWhatTwoPutInOnePlace(t *testing.T) {
	for _, byNotice := range []bool{true, false} {
		s := newShared(t)
		save := func(file, text string) {
			put(t, filepath.Dir(file), filepath.Base(file), text)
		}
		changed := func(want string, paths map[int][]string) {
			t.Helper()
			if !byNotice {
				paths = s.y.Rescan(t.Context(), s.target)
			}
			if got := fmt.Sprint(s.send(paths)); got != want {
				t.Errorf("by notice: %v: the rules %s act, want %s", byNotice, got, want)
			}
		}
		s.y.records.change("c", func(_, _ Manifest) {}) // it is known to have nothing
		save(s.src, "folder's")
		save(s.dev, "development")
		if _, err := s.y.CatchUp(t.Context(), s.target); err != nil {
			t.Fatal(err)
		}
		s.holds("brought up", "development")
		save(s.src, "folder's, again")
		changed("[]", map[int][]string{0: {s.src}})
		s.holds("the one that is not there was saved", "development")
		save(s.dev, "development, again")
		changed("[1]", map[int][]string{0: {s.src}, 1: {s.dev}})
		s.holds("the one that is there was saved", "development, again")
		ok(t, os.Remove(s.src))
		changed("[]", map[int][]string{0: {s.src}})
		s.holds("the one that is not there is gone", "development, again")
		save(s.src, "folder's, back")
		ok(t, os.Remove(s.dev))
		changed("[0 1]", map[int][]string{0: {s.src}, 1: {s.dev}})
		s.holds("the one that was there is gone", "folder's, back")
		ok(t, os.Remove(s.src))
		changed("[0]", map[int][]string{0: {s.src}})
		if got := s.box.list("/app"); !maps.Equal(got, map[string]string{"main": state(0o644, "x")}) {
			t.Errorf("both are gone: the container has %v", got)
		}
	}
}

// The later rule's file appears after the earlier one's was looked at.
func TestEarlierFileIsNotSentWhenTheLaterIsThereAlready(t *testing.T) {
	dir := t.TempDir()
	early, late := put(t, dir, "src/f", "early"), put(t, dir, "more/f", "late")
	conf := &project.Service{Rules: []project.Rule{
		{Action: project.Sync, Path: filepath.Dir(early), Target: "/app"},
		{Action: project.Sync, Path: filepath.Dir(late), Target: "/app"}}}
	have := scanSync(conf, nil)
	ok(t, os.Rename(late, late+".new"))
	d := newDiff(conf, have)
	d.add(&conf.Rules[0], early)
	ok(t, os.Rename(late+".new", late))
	d.add(&conf.Rules[1], late)
	if d.finish(); !d.empty() {
		t.Errorf("the diff is %s", d)
	}
}

// Of a container that nothing is known of, the earlier rule's file does not say
// what it has in that place.
func TestFirstLookGoesByTheRuleThatOwnsAPlace(t *testing.T) {
	s := newShared(t)
	put(t, filepath.Dir(s.src), "config.yaml", "folder's")
	put(t, filepath.Dir(s.dev), "dev.yaml", "development")
	s.target.Service.Rules[1].InitialSync = true
	s.y.RecordInitial(t.Context(), s.target, true)
	if _, err := s.y.CatchUp(t.Context(), s.target); err != nil {
		t.Fatal(err)
	}
	s.holds("brought up", "development")
}
