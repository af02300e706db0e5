package engine_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// What had no room in a container is copied once there is some, without another save; and with the
// next save, too.
func TestCopyThatHadNoRoomIsTriedAgain(t *testing.T) {
	s := watched(t, saving("sync", ", initial_sync: true"))
	s.up()
	full := &container.NotWritten{Files: map[string]error{"/www/hello.txt": fmt.Errorf("no room: %w", syscall.ENOSPC)}}
	heal := s.rt.Inject(memory.Fault{Method: "CopyTo", Err: full})
	s.write(map[string]string{"src/hello.txt": "two"})
	s.until("stale", func(n *engine.Snapshot) bool {
		a := find(n, "a")
		return len(a.Stale) == 1 && a.Last != nil && a.Last.Err != ""
	})
	if got := s.file("a", "/www/hello.txt"); got != "one" {
		t.Errorf("while there is no room: %q", got)
	}
	heal()
	s.until("the retry", func(n *engine.Snapshot) bool {
		return len(find(n, "a").Stale) == 0 && s.file("a", "/www/hello.txt") == "two"
	})
	s.rt.Inject(memory.Fault{Method: "CopyTo", Times: 1, Err: full})
	s.write(map[string]string{"src/hello.txt": "three"})
	s.until("stale again", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) == 1 })
	s.write(map[string]string{"src/other.txt": "new"})
	s.until("the next save", func(n *engine.Snapshot) bool {
		return len(find(n, "a").Stale) == 0 && s.file("a", "/www/hello.txt") == "three" && s.file("a", "/www/other.txt") == "new"
	})
}

// What was saved while the engine was away is done when it is back: copies and builds alike.
func TestWorkOwedFromWhileTheEngineWasAwayIsDone(t *testing.T) {
	files := rebuilt("}\n  c: {image: app, develop: {watch: [{path: src, action: sync, target: /www, initial_sync: true}]}")
	files["src/hello.txt"] = "one"
	s := showing(t, files)
	s.up()
	before := s.identities()
	s.rt.SetGone(true)
	s.until("word of the loss", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseLost })
	s.write(map[string]string{"a/text": "version 2", "src/hello.txt": "two"})
	s.until("both stale", func(n *engine.Snapshot) bool {
		a, c := find(n, "a"), find(n, "c")
		return len(a.Stale) > 0 && len(c.Stale) > 0 && a.Last != nil && a.Last.Err != ""
	})
	s.rt.SetGone(false)
	s.line("a", "version 2")
	n := s.until("both done", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale)+len(find(n, "c").Stale) == 0 })
	if got := s.file("c", "/www/hello.txt"); got != "two" {
		t.Errorf("the copy: %q", got)
	}
	if now := s.identities(); now["a/1"].ID == before["a/1"].ID || now["c/1"] != before["c/1"] || find(n, "a").Err != "" {
		t.Errorf("identities %v, were %v; error %q", now, before, find(n, "a").Err)
	}
}

// An engine that has just come back may answer for what its end left behind: work that was under way
// is tried again whatever it says.
func TestSwapThatTheEndOfTheEngineMetIsTriedAgain(t *testing.T) {
	s := showing(t, rebuilt(""))
	s.up()
	before := s.rt.Calls("Start")
	s.rt.Inject(memory.Fault{Method: "Start", Times: 4, Delay: time.Second, Err: errors.New("task: already exists")})
	s.write(map[string]string{"a/text": "version 2"})
	s.eventually("the start", func() bool { return s.rt.Calls("Start") > before })
	s.rt.SetGone(true)
	s.until("word of the loss", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseLost })
	s.rt.SetGone(false)
	s.line("a", "version 2")
	s.until("nothing stale", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) == 0 && find(n, "a").Err == "" })
}

// A container whose creation the engine carried out before it went away, and never confirmed, is in
// nobody's way when it is back.
func TestContainerThatWasMadeAndNeverConfirmedIsReplaced(t *testing.T) {
	s := showing(t, rebuilt(""))
	s.up()
	s.rt.Inject(memory.Fault{Method: "Create", Times: 4, After: true, Err: fmt.Errorf("%w: cut", engine.ErrNoEngine)})
	s.write(map[string]string{"a/text": "version 2"})
	s.line("a", "version 2")
	s.until("nothing stale", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) == 0 && find(n, "a").Err == "" })
	s.eventually("one container each", func() bool {
		all, err := s.rt.Instances(t.Context(), s.name)
		s.must(err)
		return len(all) == 2
	})
}
