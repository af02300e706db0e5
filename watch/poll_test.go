package watch

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Two may look at a folder at the same time: the poller, and who asks the kernel again.
func TestLooksAtOneFolderDoNotMeet(t *testing.T) {
	dir := t.TempDir()
	name := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)) }
	write := func(i int) {
		if err := os.WriteFile(name(i), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	for i := range 100 {
		write(i)
	}
	entries, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := newPoller(time.Hour, newInbox())
	p.add(dir, stampsOf(entries))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				p.lookAt(dir)
			}
		})
	}
	wg.Go(func() {
		for i := range 1000 {
			if err := os.Remove(name(i % 100)); err != nil {
				t.Error(err)
			}
			write(i % 100)
		}
	})
	wg.Wait()
}
