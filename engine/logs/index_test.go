package logs

import (
	"slices"
	"testing"
)

// A writer may take the text of old lines away while a late line is put in between them: that line then stands
// before lines that are older, and a full block may be split right there. When the old lines are taken out, none
// of them may stay: the chunk that it names is forgotten next.
func TestLinesThatLeftWhileOthersCameLateAreAllTakenOut(t *testing.T) {
	var x index
	times := map[ref]int64{}
	for i := range blockSize {
		r := ref(i)
		times[r] = 10 * int64(i)
		if !x.push(r, key{time: times[r], seq: uint64(i)}) {
			t.Fatalf("line %d is late", i)
		}
	}
	const first, last = 512, 519 // gone, in the middle of the block
	gone := func(r ref) bool { return r >= first && r <= last }
	keyOf := func(r ref) (key, bool) { return key{time: times[r], seq: uint64(r)}, !gone(r) }
	for i := range 4 { // the fullness of the block makes the first one split it
		r := ref(2000 + i)
		times[r] = 10*last + 1 + int64(i)
		x.insert(r, key{time: times[r], seq: uint64(r)}, keyOf)
	}
	if len(x.blocks) != 2 || x.blocks[1].from.time <= 10*last || !slices.ContainsFunc(x.blocks[1].refs, gone) {
		t.Fatalf("%d blocks, the second from %d: the case is not the one that this is about",
			len(x.blocks), x.blocks[len(x.blocks)-1].from.time)
	}
	x.remove(10*first, 10*last, last-first+1, gone)
	x.renumber()
	var alive []int64
	for _, b := range x.blocks {
		for _, r := range b.refs {
			if gone(r) {
				t.Errorf("line %d is still in", r)
			}
			alive = append(alive, times[r])
		}
	}
	if want := blockSize + 4 - (last - first + 1); len(alive) != want || x.count != int64(want) {
		t.Errorf("%d lines, counted %d, want %d", len(alive), x.count, want)
	}
	if !slices.IsSorted(alive) {
		t.Errorf("not in the order of time")
	}
}
