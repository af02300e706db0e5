package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// heartbeat is how long a command that still waits says nothing.
const heartbeat = 15 * time.Second

// progress is what a command that leaves the project running says on stderr meanwhile.
type progress struct {
	out   *printer
	since uint64          // the last record that was printed
	steps map[string]bool // of builds, by their number and text
	waits map[string]string
	last  time.Time // when something was printed
	s     *session
}

// progress prints what happens on stderr until the returned function is called, which prints the rest.
func (s *session) progress() (rest func()) {
	g, rest := s.streams()
	g.Go("progress", func(ctx context.Context) error {
		p := &progress{out: s.a.console.progressPrinter(), steps: map[string]bool{},
			waits: map[string]string{}, last: time.Now(), s: s}
		p.run(ctx, s.e)
		return nil
	})
	return rest
}

func (p *progress) run(ctx context.Context, e *engine.Engine) {
	changed, stop := e.Subscribe()
	defer stop()
	for {
		over := ctx.Err() != nil
		recs, _ := e.Records(p.since)
		snap := e.Snapshot()
		lines := p.lines(recs, snap)
		if len(lines) == 0 && time.Since(p.last) >= heartbeat && !over {
			lines = waiting(snap)
		}
		for _, l := range lines {
			p.out.text(l)
			p.last = time.Now()
		}
		if over {
			return
		}
		beat, cancel := context.WithTimeout(ctx, heartbeat/3)
		awaitChange(beat, changed, 50*time.Millisecond) // a change comes with every line of a build
		cancel()
	}
}

// lines are what is new: events, steps of builds, and who waits for whom.
func (p *progress) lines(recs []engine.Record, n *engine.Snapshot) []string {
	var out []string
	if len(recs) > 0 {
		p.since = recs[len(recs)-1].Seq
	}
	for _, r := range p.s.withoutQuiet(recs) {
		if r.Kind == "notice" && r.Notice == "ready" {
			continue // what was not applied may well run on from before
		}
		text := eventText(r)
		if r.Kind == "notice" && r.Notice == "warning" {
			text = "warning: " + text
		}
		out = append(out, text)
	}
	for _, b := range n.Builds {
		for _, st := range b.Steps {
			key := fmt.Sprintf("%d %s", b.ID, st.Name)
			if st.Began.IsZero() || st.Internal || slices.Contains(p.s.quiet, b.Kind) || p.steps[key] {
				continue
			}
			p.steps[key] = true
			out = append(out, fmt.Sprintf("%s: %s: %s", b.Services[0], b.Kind, st.Name))
		}
	}
	for _, s := range n.Services {
		waits := s.WaitsFor.String()
		if waits != "" && waits != p.waits[s.Name] {
			out = append(out, fmt.Sprintf("%s: waiting for %s", s.Name, waits))
		}
		p.waits[s.Name] = waits
	}
	return out
}

// waiting says what everything that is not done is at, so that a long build is not taken for a hang.
func waiting(n *engine.Snapshot) []string {
	var out []string
	for _, s := range n.Services {
		switch {
		case s.Doing != "":
			text := fmt.Sprintf("%s: still %s", s.Name, s.Doing)
			for _, b := range n.Builds {
				if b.Ended.IsZero() && len(b.Services) > 0 && b.Services[0] == s.Name {
					text += ", for " + container.Brief(time.Since(b.Began))
				}
			}
			out = append(out, text)
		case len(s.WaitsFor) > 0:
			out = append(out, fmt.Sprintf("%s: still waiting for %s", s.Name, s.WaitsFor))
		case !s.Ready:
			out = append(out, fmt.Sprintf("%s: not ready yet, %s", s.Name, s.State))
		}
	}
	return out
}

// lastEvents is how long the events that a command led to are waited for, once it was answered: a running
// `up` that is stuck sends none.
const lastEvents = 5 * time.Second

// follow prints the events of a running `up` on stderr until the returned function is called.
func (c *client) follow(ctx context.Context, out *console) (rest func()) {
	ctx, stop := context.WithCancel(ctx)
	resp, err := c.request(ctx, "/v1/records?since=now", nil)
	if err != nil {
		return stop // the command itself meets the same
	}
	var shown atomic.Uint64 // Seq of the last event
	more := make(chan struct{}, 1)
	g := &group{ctx: ctx}
	g.Go("progress", func(context.Context) error {
		defer close(more)
		defer resp.Body.Close()
		events := out.progressPrinter()
		records := json.NewDecoder(resp.Body)
		for {
			var rec struct {
				Seq  uint64
				Text string
			}
			if records.Decode(&rec) != nil {
				return nil // it ends with ctx, or with the running up
			}
			if rec.Text != "" {
				events.text(rec.Text)
			}
			shown.Store(rec.Seq)
			select {
			case more <- struct{}{}:
			default: // whoever waits looks anyway
			}
		}
	})
	return func() {
		// What the command led to is on its way; its answer may have been quicker.
		late := time.After(lastEvents)
		for waits := true; waits && shown.Load() < c.last.Load(); {
			select {
			case _, waits = <-more:
			case <-late:
				waits = false
			}
		}
		stop()
		if err := g.Wait(); err != nil {
			out.printError(err.Error())
		}
	}
}
