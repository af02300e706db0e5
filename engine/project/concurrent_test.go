package project

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// The watcher and every lane ask the same rules; the race detector sees it when they may not.
func TestRulesMayBeAskedByManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	p, err := compile(dir, []string{"*.md", "!keep.md", "node_modules", "**/tmp"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				if !p.match(filepath.Join(dir, fmt.Sprintf("a%d-%d.md", i, n))) ||
					p.match(filepath.Join(dir, "keep.md")) || !p.covers(filepath.Join(dir, "node_modules")) {
					t.Error("wrong verdict")
				}
			}
		})
	}
	wg.Wait()
}
