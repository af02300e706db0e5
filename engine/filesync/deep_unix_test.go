//go:build unix

package filesync

import (
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// deepen makes nested folders whose path is longer than the kernel takes, with a file at the bottom, and
// returns a clean-up that can remove them.
func deepen(t *testing.T, dir, name string, levels int) {
	t.Helper()
	at, err := os.OpenRoot(dir)
	ok(t, err)
	for range levels {
		ok(t, at.Mkdir(name, 0o755))
		below, err := at.OpenRoot(name)
		ok(t, err)
		at.Close()
		at = below
	}
	ok(t, at.WriteFile("bottom", []byte("x"), 0o644))
	at.Close()
	t.Cleanup(func() {
		root, err := os.OpenRoot(dir)
		ok(t, err)
		defer root.Close()
		ok(t, root.RemoveAll(name))
	})
}

func TestTreeThatIsTooDeepIsSaidNotToBeCopied(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "near", "1")
	deepen(t, dir, strings.Repeat("d", 200), 30)
	conf := &project.Service{Name: "a", Dir: dir, Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/t", InitialSync: true}}}
	b := &box{all: map[string]string{}}
	var lines []string
	y := New(b, journal.Open(journal.Options{}), func(line string) { lines = append(lines, line) })
	y.records.change("c", func(_, _ Manifest) {})
	target := Target{Service: conf, ID: "c", Running: true, Started: time.Unix(100, 0)}
	for try := range 2 {
		left, err := y.CatchUp(t.Context(), target)
		ok(t, err)
		if len(left) != 1 || !left[0].Said || left[0].Again {
			t.Errorf("time %d: left out: %d paths", try, len(left))
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "nested too deeply") || len(lines[0]) > 400 {
		t.Errorf("%d lines: %.500q", len(lines), lines)
	}
	longest := 0
	for at := range b.all {
		longest = max(longest, len(at))
	}
	if b.all["/t/near"] == "" || longest > maxPath || longest < maxPath-250 {
		t.Errorf("the longest path that was copied has %d bytes; near: %q", longest, b.all["/t/near"])
	}
}
