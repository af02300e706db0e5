package engine_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

// holds waits until a folder of the container has these paths below it.
func (s *stage) holds(what, dir, want string) {
	s.t.Helper()
	got := ""
	s.eventually(what+": "+want, func() bool {
		got = strings.Join(strings.Fields(s.sh("a", "cd "+dir+" && find . -mindepth 1 | cut -c3- | sort")), " ")
		return got == want
	})
}

// As a build does it: what the old folder had and the new one has not goes, however fast the renames follow each other.
func TestFolderReplacedByRenameLeavesNothingInTheContainer(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll), "src/kept": "x"})
	s.up()
	for _, pause := range []time.Duration{0, 10, 30, 60, 1000} {
		pause *= time.Millisecond
		s.write(map[string]string{"src/dist/gone": "1", "src/dist/deep/gone": "1", "src/dist/both": "1", "new/both": "1", "new/fresh": "1"})
		s.holds("the old folder", "/app", "dist dist/both dist/deep dist/deep/gone dist/gone kept")
		s.must(os.Rename(s.path("src/dist"), s.path("old")))
		time.Sleep(pause)
		s.must(os.Rename(s.path("new"), s.path("src/dist")))
		s.holds("swapped after "+pause.String(), "/app", "dist dist/both dist/fresh kept")
		s.must(os.Rename(s.path("src/dist"), s.path("src/older")))
		time.Sleep(pause)
		s.must(os.Mkdir(s.path("src/dist"), 0o755), os.WriteFile(s.path("src/dist/z"), nil, 0o644))
		s.holds("made again after "+pause.String(), "/app", "dist dist/z kept older older/both older/fresh")
		s.write(map[string]string{"src2/kept": "x"})
		s.must(os.Rename(s.path("src"), s.path("old src")))
		time.Sleep(pause)
		s.must(os.Rename(s.path("src2"), s.path("src")))
		s.holds("all swapped after "+pause.String(), "/app", "kept")
		s.must(os.RemoveAll(s.path("old")), os.RemoveAll(s.path("old src")))
	}
}

func TestWatchedLinkPointedElsewhereBringsItsFiles(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing("{path: cur, action: sync, target: /app, initial_sync: true}"), "r1/old": "1", "r1/both": "1",
		"r2/both": "2", "r2/deep/new": "2"})
	point := func(to string) {
		t.Helper()
		s.must(os.Symlink(to, s.path("next")), os.Rename(s.path("next"), s.path("cur")))
	}
	point("r1")
	s.up()
	s.holds("the first", "/app", "both old")
	point("r2")
	s.holds("the second", "/app", "both deep deep/new")
	s.write(map[string]string{"r2/deep/later": "saved", "r1/old": "nobody's"})
	s.holds("a later save", "/app", "both deep deep/later deep/new")
	if got := s.cat("a", "/app/both"); got != "2" {
		t.Errorf("both is of %s, want 2", got)
	}
	s.must(s.stop()) // and while nobody watches
	point("r1")
	s.up()
	s.holds("the first again", "/app", "both old")
	if got := s.cat("a", "/app/both") + s.cat("a", "/app/old"); got != "1nobody's" {
		t.Errorf("after downtime: %q", got)
	}
}

// A chmod alone arrives, of a file and of a folder, also where no executable bit changes; and in a
// container that does not run.
func TestPermissionBitsArrive(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": syncing(copyAll), "src/f": "x", "src/d/g": "x"})
	s.must(os.Chmod(s.path("src/f"), 0o644))
	s.up()
	id := s.identities()["a/1"].ID
	for _, bits := range []struct {
		file, dir fs.FileMode
		want      string
	}{
		{0o600, 0o750, "f 600 d 750"}, {0o664, 0o777 | fs.ModeSticky, "f 664 d 1777"}, {0o644, 0o700, "f 644 d 700"},
	} {
		s.must(os.Chmod(s.path("src/f"), bits.file), os.Chmod(s.path("src/d"), bits.dir))
		s.eventually(bits.want, func() bool {
			return strings.Join(strings.Fields(s.sh("a", "cd /app; stat -c '%n %a' f d")), " ") == bits.want
		})
	}
	s.must(s.rt.Stop(t.Context(), id, 0))
	s.until("stopped", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
	n := len(s.idle("a").Changes)
	s.must(os.Chmod(s.path("src/f"), 0o640), os.Chmod(s.path("src/d"), 0o711))
	s.change("a", "sync", n)
	s.must(s.rt.Start(t.Context(), engine.CreateSpec{}, id))
	s.eventually("modes set while it was stopped", func() bool {
		return strings.Join(strings.Fields(s.sh("a", "cd /app; stat -c '%n %a' f d")), " ") == "f 640 d 711"
	})
}
