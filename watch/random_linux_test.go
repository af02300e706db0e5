package watch

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRandomWorkLeavesEveryFolderWatched makes, moves and removes folders as
// fast as it can, and then wants a file in each folder that is left reported.
func TestRandomWorkLeavesEveryFolderWatched(t *testing.T) {
	for _, mode := range []string{"kernel", "stream", "poll"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			top := t.TempDir()
			root := mustMkdir(t, top, "root")
			opt := quick()
			opt.ForcePoll = mode == "poll"
			own, look := newKernel, func() {}
			if mode == "stream" {
				events := madeUp(t, top)
				// A stream tells of each step, also of one that the next one undoes.
				look = events.look
				own = func() (kernel, error) { return newStreams(events, linuxDisk), nil }
			}
			w := startedOn(t, opt, own, Root{Path: root})
			folders := func() (all []string) {
				err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
					if err == nil && d.IsDir() {
						all = append(all, path)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				return all
			}
			any := func(s []string) string { return s[rng.IntN(len(s))] }
			name := func() string { return string(rune('a' + rng.IntN(4))) }
			for round := range 2 {
				var all []string
				for i := range 120 {
					// Failures are part of the game: names are taken, folders are
					// moved into themselves or are gone.
					if i%6 == 0 {
						all = folders()
					}
					switch rng.IntN(8) {
					case 0, 1, 2:
						_ = os.MkdirAll(filepath.Join(any(all), name(), name()), 0o755)
					case 3, 4:
						_ = os.Rename(any(all), filepath.Join(any(all), name()))
					case 5:
						if victim := any(all); victim != root && rng.IntN(3) == 0 {
							_ = os.RemoveAll(victim)
						}
					case 6:
						_ = os.WriteFile(filepath.Join(any(all), name()), nil, 0o644)
					case 7:
						if away := filepath.Join(top, "away"); os.Rename(any(all[len(all)/2:]), away) == nil {
							look()
							_ = os.MkdirAll(root, 0o755) // it may have been the root itself
							_ = os.Rename(away, filepath.Join(any(folders()), name()))
							_ = os.RemoveAll(away)
						}
					}
					look()
				}
				// A mark in the root goes through all stages behind the work; two, because
				// a poller may have passed.
				for i := range 2 {
					wantPaths(t, w, mustWrite(t, root, fmt.Sprintf("mark%d.%d", round, i)))
				}
				var want []string
				for i, dir := range folders() {
					want = append(want, mustWrite(t, dir, fmt.Sprintf("probe%d.%d", round, i)))
				}
				wantPaths(t, w, want...)
			}
		})
	}
}
