package logs

import (
	"slices"
	"sort"
)

// blockSize is how many lines a block of an index holds at most. A late line moves half a block on average.
const blockSize = 1024

// key is the place of a line in the order of a view.
type key struct {
	time int64
	seq  uint64
}

func (k key) less(o key) bool { return k.time < o.time || k.time == o.time && k.seq < o.seq }

// block is a stretch of an index.
type block struct {
	refs   []ref
	start  int64 // ordinal of refs[0]
	from   key   // no line of this block is before it, all lines of the block before are
	to     int64 // no line of this block is later
	errors int
	shared bool // a fork looks at refs: nothing that is there may be overwritten
}

// own makes refs the block's own before some of them are moved.
func (b *block) own() {
	if b.shared {
		b.refs = append(make([]ref, 0, max(len(b.refs), blockSize)), b.refs...)
		b.shared = false
	}
}

// index is the merged order of lines: a list of blocks, so that a late line, or lines that left, cost a block
// and not the whole.
type index struct {
	blocks []*block
	count  int64
	end    int64 // ordinal after the last line; grows with each line put in
	last   key   // the greatest ever put in
}

// fork returns an index of the same lines. Both share the references until one of them moves some;
// what is pushed goes behind them.
func (x *index) fork() index {
	twins := make([]block, len(x.blocks))
	twin := *x
	twin.blocks = make([]*block, len(x.blocks))
	for i, b := range x.blocks {
		b.shared = true
		twins[i] = *b
		twins[i].refs = b.refs[:len(b.refs):len(b.refs)]
		twin.blocks[i] = &twins[i]
	}
	return twin
}

// first is the ordinal of the first line. Lines that leave make it grow: the ordinals of those behind them stay.
func (x *index) first() int64 { return x.end - x.count }

// push puts a line in at the end, or tells that it belongs before it.
func (x *index) push(r ref, k key) bool {
	if k.less(x.last) {
		return false
	}
	var b *block
	if n := len(x.blocks); n > 0 && len(x.blocks[n-1].refs) < blockSize {
		b = x.blocks[n-1]
	} else {
		size := blockSize
		if n == 0 {
			size = 16
		}
		b = &block{refs: make([]ref, 0, size), start: x.end, from: k}
		x.blocks = append(x.blocks, b)
	}
	b.refs = append(b.refs, r)
	b.to, x.last = k.time, k
	b.errors += int(r >> 63)
	x.count++
	x.end++
	return true
}

// insert puts a late line in its place. keyOf returns the place of a line that is in, ok=false for one that is
// gone. The ordinals are wrong until renumber.
func (x *index) insert(r ref, k key, keyOf func(ref) (key, bool)) {
	at := x.blockOf(k)
	if at < 0 {
		x.blocks = slices.Insert(x.blocks, 0, &block{from: k, to: k.time})
		at = 0
	}
	b := x.blocks[at]
	b.own()
	i := b.search(k, keyOf)
	b.refs = slices.Insert(b.refs, i, r)
	b.to = max(b.to, k.time)
	b.errors += int(r >> 63)
	x.count++
	x.end++
	if x.last.less(k) {
		x.last = k
	}
	if len(b.refs) > blockSize {
		x.split(at, keyOf)
	}
}

// blockOf returns the block that a line with this key is in or belongs in, -1 when it is before all.
func (x *index) blockOf(k key) int {
	return sort.Search(len(x.blocks), func(i int) bool { return k.less(x.blocks[i].from) }) - 1
}

// search returns how many lines of the block are before k.
func (b *block) search(k key, keyOf func(ref) (key, bool)) int {
	lo, hi := 0, len(b.refs)
	for lo < hi {
		mid := (lo + hi) / 2
		at, found := mid, key{}
		ok := false
		for ; at < hi && !ok; at++ { // lines that are gone say nothing: ask the next one
			found, ok = keyOf(b.refs[at])
		}
		if ok && found.less(k) {
			lo = at
		} else {
			hi = mid
		}
	}
	return lo
}

// split makes two blocks of a full one, at a line that can still say where it stands.
func (x *index) split(at int, keyOf func(ref) (key, bool)) {
	b := x.blocks[at]
	for i := len(b.refs) / 2; i < len(b.refs); i++ {
		k, ok := keyOf(b.refs[i])
		if !ok {
			continue
		}
		right := &block{refs: append(make([]ref, 0, blockSize), b.refs[i:]...), from: k, to: b.to}
		for _, r := range right.refs {
			right.errors += int(r >> 63)
		}
		b.refs = b.refs[:i]
		b.errors -= right.errors
		b.to = min(b.to, k.time)
		x.blocks = slices.Insert(x.blocks, at+1, right)
		return
	}
}

// remove takes out the lines for which gone holds, of which there are n, all between two times. They are looked
// for in the blocks of that time first. A line that was inserted beside lines whose text had left already may
// stand before them, and a block that was split there begins later than they are: what is still missing then is
// looked for everywhere.
func (x *index) remove(from, to int64, n int64, gone func(ref) bool) {
	at := sort.Search(len(x.blocks), func(i int) bool { return x.blocks[i].to >= from })
	for ; at < len(x.blocks) && n > 0 && x.blocks[at].from.time <= to; at++ {
		n -= x.removeIn(x.blocks[at], gone)
	}
	for at = 0; at < len(x.blocks) && n > 0; at++ {
		n -= x.removeIn(x.blocks[at], gone)
	}
	x.blocks = slices.DeleteFunc(x.blocks, func(b *block) bool { return len(b.refs) == 0 })
}

// removeIn takes the lines for which gone holds out of one block, and returns how many there were.
func (x *index) removeIn(b *block, gone func(ref) bool) (out int64) {
	if !slices.ContainsFunc(b.refs, gone) {
		return 0
	}
	b.own()
	before := len(b.refs)
	b.refs = slices.DeleteFunc(b.refs, func(r ref) bool {
		left := gone(r)
		if left {
			b.errors -= int(r >> 63)
		}
		return left
	})
	out = int64(before - len(b.refs))
	x.count -= out
	return out
}

// renumber makes the ordinals of the blocks right again, after insert and remove.
func (x *index) renumber() {
	ord := x.first()
	for _, b := range x.blocks {
		b.start = ord
		ord += int64(len(b.refs))
	}
}

// locate returns the block and the place in it of an ordinal that is within the bounds.
func (x *index) locate(ord int64) (block, i int) {
	block = sort.Search(len(x.blocks), func(i int) bool { return x.blocks[i].start > ord }) - 1
	return block, int(ord - x.blocks[block].start)
}
