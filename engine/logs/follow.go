package logs

import "context"

// Follower returns every line that passes a filter once, as it comes in: for output that cannot go back, such as
// --plain, --json and logs -f. Made by Store.Follow; not safe for concurrent use; never keeps a writer waiting.
type Follower struct {
	source
}

// followBatch bounds what one call of Next returns, and so the memory it takes.
const followBatch = 1024

// Follow makes a follower that starts with what the store holds.
func (s *Store) Follow(f Filter) *Follower {
	return &Follower{source: newSource(s, f)}
}

// Next waits for lines and appends them to dst[:0]: at most some 1,000, those that came in together ordered by
// time. When ctx ends and no line is left it returns ctx's error.
func (f *Follower) Next(ctx context.Context, dst []Line) ([]Line, error) {
	dst = dst[:0]
	for {
		// Read before looking: a line that comes in after that makes Wait return at once.
		seen := f.store.Changed()
		f.sync()
		var arena []byte
		n := f.take(followBatch, func(c *cursor) {
			var text []byte
			text, arena = addText(arena, c.body.line(c.rec))
			dst = append(dst, c.held.line(c.rec, text))
		})
		f.forget()
		if n > 0 {
			return dst, nil
		}
		if err := f.store.Wait(ctx, seen); err != nil {
			return dst, err
		}
	}
}

// Missed is how many lines left the store before this follower came to them.
func (f *Follower) Missed() int64 { return f.missed }
