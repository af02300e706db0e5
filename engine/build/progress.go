package build

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"bulkhead/engine/container"
)

const (
	keepStep   = 50       // lines of output per step
	keepOutput = 1000     // lines of output of the whole build
	keepLine   = 16 << 10 // bytes of one line; a longer one is split
)

// numbered matches the steps of a Dockerfile: "[2/5] RUN …", "[dev 2/5] RUN …",
// "[linux/arm64 dev 2/5] RUN …".
var numbered = regexp.MustCompile(`^\[(?:(.*) )?(\d+)/(\d+)\] `)

// recorder turns a builder's messages into BuildProgress, for any number of readers that poll.
type recorder struct {
	mu      sync.Mutex
	version uint64        // grows with every change
	changed chan struct{} // closed and replaced at every change
	mute    bool          // a second pass runs that says nothing new

	steps  []*step
	byID   map[digest.Digest]*step
	stages map[string]int // steps per stage, as the numbers in their names say

	out   lines // all output
	total int   // lines of output so far

	over, ok bool
}

// step is a Step in the making.
type step struct {
	container.BuildStep
	dockerfile bool // counts as one of the Dockerfile's
	log        lines
	rest       []byte               // output after the last newline
	transfers  map[string]*[2]int64 // current, size of each part
}

// lines holds the last lines of something. What last hands out is never written to again.
type lines []string

func (l *lines) add(s string, keep int) {
	// Appending writes behind every slice handed out so far; a full one is moved, not shifted.
	if len(*l) >= 2*keep {
		*l = append(make(lines, 0, 2*keep), (*l)[len(*l)-keep:]...)
	}
	*l = append(*l, s)
}

func (l lines) last(n int) []string {
	from := max(0, len(l)-n)
	return l[from:len(l):len(l)]
}

// cursor is what one reader has seen.
type cursor struct {
	version uint64
	line    int
}

func newRecorder() *recorder {
	return &recorder{changed: make(chan struct{}), byID: map[digest.Digest]*step{}, stages: map[string]int{}}
}

// touch wakes the readers; the caller holds mu.
func (c *recorder) touch() {
	c.version++
	close(c.changed)
	c.changed = make(chan struct{})
}

// changedAfter returns a channel that is closed once there is something newer than a version.
func (c *recorder) changedAfter(version uint64) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version > version {
		now := make(chan struct{})
		close(now)
		return now
	}
	return c.changed
}

// reset forgets everything, for a second try.
func (c *recorder) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps, c.byID, c.stages = nil, map[digest.Digest]*step{}, map[string]int{}
	c.touch()
}

// quiet makes the recorder drop all that follows.
func (c *recorder) quiet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = true
}

// finish ends the recording.
func (c *recorder) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.steps {
		c.flush(s)
	}
	c.over, c.ok = true, err == nil
	c.touch()
}

// status takes one message of BuildKit's.
func (c *recorder) status(st *client.SolveStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mute {
		return
	}
	for _, v := range st.Vertexes {
		c.vertex(v)
	}
	for _, v := range st.Statuses {
		s := c.byID[v.Vertex]
		if s == nil {
			continue
		}
		if s.transfers == nil {
			s.transfers = map[string]*[2]int64{}
		}
		s.transfers[v.ID] = &[2]int64{v.Current, v.Total}
		s.Current, s.Size = 0, 0
		for _, t := range s.transfers {
			s.Current += t[0]
			s.Size += t[1]
		}
	}
	for _, l := range st.Logs {
		if s := c.byID[l.Vertex]; s != nil {
			c.write(s, l.Data)
		}
	}
	for _, w := range st.Warnings {
		if s := c.byID[w.Vertex]; s != nil {
			c.line(s, "warning: "+string(w.Short))
		}
	}
	c.touch()
}

func (c *recorder) vertex(v *client.Vertex) {
	s := c.byID[v.Digest]
	if s == nil {
		s = c.add(v.Name)
		c.byID[v.Digest] = s
	}
	if v.Started != nil {
		if s.Started.IsZero() {
			s.Started = *v.Started
		}
		if v.Completed == nil {
			s.Ended = time.Time{} // it runs again, as a source does that two stages read
		}
	}
	if v.Completed != nil {
		s.Ended = *v.Completed
		c.flush(s)
	}
	s.Cached = s.Cached || v.Cached
	s.Err = v.Error
}

// add appends a step; the caller holds mu.
func (c *recorder) add(name string) *step {
	s := &step{BuildStep: container.BuildStep{Name: name, Internal: strings.HasPrefix(name, "[internal]")}}
	if m := numbered.FindStringSubmatch(name); m != nil {
		s.dockerfile = true
		if n, err := strconv.Atoi(m[3]); err == nil { // not an int: a number nobody counts to
			c.stages[m[1]] = n
		}
	}
	c.steps = append(c.steps, s)
	return s
}

// write adds raw output to a step.
func (c *recorder) write(s *step, data []byte) {
	s.rest = append(s.rest, data...)
	for {
		i := bytes.IndexByte(s.rest, '\n')
		skip := 1
		if i < 0 || i > keepLine {
			if len(s.rest) <= keepLine {
				return
			}
			i, skip = keepLine, 0
		}
		c.line(s, string(s.rest[:i]))
		s.rest = s.rest[i+skip:]
	}
}

// flush makes a line of what has no newline yet.
func (c *recorder) flush(s *step) {
	if len(s.rest) > 0 {
		c.line(s, string(s.rest))
		s.rest = nil
	}
}

func (c *recorder) line(s *step, text string) {
	s.log.add(text, keepStep)
	c.out.add(text, keepOutput)
	c.total++
}

// since reports the build as it stands, with the output that a reader has not seen.
func (c *recorder) since(cur *cursor) container.BuildProgress {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.report()
	unseen := c.total - cur.line
	p.Output = c.out.last(min(unseen, keepOutput))
	if lost := unseen - len(p.Output); lost > 0 {
		p.Output = append([]string{fmt.Sprintf("… %d lines left out", lost)}, p.Output...)
	}
	cur.version, cur.line = c.version, c.total
	return p
}

// snapshot reports the build as it stands, without output.
func (c *recorder) snapshot() container.BuildProgress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report()
}

func (c *recorder) report() container.BuildProgress {
	p := container.BuildProgress{Steps: make([]container.BuildStep, len(c.steps))}
	for _, n := range c.stages {
		p.Total += n
	}
	for i, s := range c.steps {
		p.Steps[i] = s.BuildStep
		p.Steps[i].Log = s.log.last(keepStep)
		if !s.dockerfile {
			continue
		}
		if !s.Ended.IsZero() && s.Err == "" {
			p.Done++
		}
		if s.Cached {
			p.Cached++
		}
	}
	if c.over && c.ok {
		p.Done = p.Total
	}
	return p
}

// failed returns the step that a build broke at: the one with the given digest, else the first
// whose error is its own. It is the zero Step where there is none.
func (c *recorder) failed(id digest.Digest) container.BuildStep {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byID[id]
	if s == nil {
		for _, t := range c.steps {
			// The steps beside the broken one are stopped, and say so.
			if t.Err != "" && !strings.Contains(t.Err, "context canceled") {
				s = t
				break
			}
		}
	}
	if s == nil {
		return container.BuildStep{}
	}
	c.flush(s)
	st := s.BuildStep
	st.Log = s.log.last(keepStep)
	return st
}
