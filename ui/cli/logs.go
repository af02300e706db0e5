package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// logFlags are the flags of logs.
type logFlags struct {
	follow, json, noColor, stamps bool
	since, until, grep            string
	tail                          string
	replica                       int
}

func (a *app) logsCommand() *cobra.Command {
	f := &logFlags{}
	c := &cobra.Command{
		Use:               "logs [SERVICE…]",
		Short:             "Print what services wrote, ordered by time",
		ValidArgsFunction: a.completeServices,
		RunE:              func(cmd *cobra.Command, services []string) error { return a.logs(cmd.Context(), f, services) },
	}
	fs := c.Flags()
	// -f of logs is --follow, as everywhere else; --file has its long name only here.
	fs.StringArrayVar(&a.shared.files, "file", nil, "Compose `file`, repeatable; - is stdin")
	fs.BoolVarP(&f.follow, "follow", "f", false, "go on as lines come, over restarts and rebuilds")
	fs.StringVar(&f.since, "since", "", "only lines since a `time`: 2026-11-23T12:00:00Z, or 10m for ten minutes ago")
	fs.StringVar(&f.until, "until", "", "only lines before a `time`")
	fs.StringVarP(&f.tail, "tail", "n", "all", "only the last `N` lines of each container")
	fs.StringVar(&f.grep, "grep", "", "only lines that match a regular `expression`")
	fs.BoolVar(&f.json, "json", false, "a JSON object a line")
	fs.BoolVar(&f.noColor, "no-color", false, "no colours")
	fs.BoolVarP(&f.stamps, "timestamps", "t", false, "the time before each line")
	fs.IntVar(&f.replica, "index", 0, "only this replica")
	exclusive(c, "follow", "until")
	return c
}

func (a *app) logs(ctx context.Context, f *logFlags, services []string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	r, err := f.reading(time.Now())
	if err != nil {
		return err
	}
	name, p, err := a.find(ctx)
	if err != nil {
		return err
	}
	if err := known(p, services); err != nil {
		return err
	}
	if err := a.connect(ctx); err != nil {
		return err
	}
	r.rt, r.project, r.services = a.rt, name, services
	r.out = newPrinter(a.parts.Stdout)
	r.out.json, r.out.stamps = f.json, f.stamps
	r.out.colour = a.colours() && !f.noColor
	r.generations = engine.Generations(a.stateDir(), a.info.ID, name)
	if err := r.run(ctx, f.follow); err != nil {
		if f.follow && ctx.Err() != nil {
			return nil // ctrl+c is how following ends
		}
		return fmt.Errorf("logs of %s: %w", name, err)
	}
	return r.out.failed()
}

// reading reads the flags that say which lines.
func (f *logFlags) reading(now time.Time) (*reading, error) {
	r := &reading{tail: -1, replica: f.replica, last: map[string]time.Time{}}
	var err error
	if r.since, err = moment("since", f.since, now); err != nil {
		return nil, err
	}
	if r.until, err = moment("until", f.until, now); err != nil {
		return nil, err
	}
	if f.tail != "all" && f.tail != "" {
		if r.tail, err = strconv.Atoi(f.tail); err != nil || r.tail < 0 {
			return nil, usagef("logs: --tail %s: write a number of lines, or all", f.tail)
		}
	}
	if f.grep != "" {
		if r.match, err = regexp.Compile(f.grep); err != nil {
			return nil, usagef("logs: --grep %s: %w; see https://pkg.go.dev/regexp/syntax", f.grep, err)
		}
	}
	return r, nil
}

// moment reads a time, or a duration before now.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return time.Unix(0, int64(n*float64(time.Second))), nil
	}
	return time.Time{}, usagef("logs: --%s %s: write a duration as 10m, or a time as 2026-11-23T12:00:00Z", flag, s)
}

// reading reads the logs of a project's containers from the engine.
type reading struct {
	rt          engine.Runtime
	project     string
	services    []string // none: all
	replica     int      // 0: all
	since       time.Time
	until       time.Time
	tail        int // negative: all
	match       *regexp.Regexp
	out         *printer
	generations map[string]int // by container id

	mu   sync.Mutex
	last map[string]time.Time // of the last line printed, by container id
	busy map[string]bool      // containers that are being followed
}

// wants says whether an instance's lines are asked for.
func (r *reading) wants(service string, replica int) bool {
	return (len(r.services) == 0 || slices.Contains(r.services, service)) && (r.replica == 0 || r.replica == replica)
}

func (r *reading) run(ctx context.Context, follow bool) error {
	from := time.Now()
	all, err := r.rt.Instances(ctx, r.project)
	if err != nil {
		return err
	}
	var instances []engine.Instance
	for _, in := range all {
		if r.wants(in.Service, in.Replica) {
			instances = append(instances, in)
			r.out.width = max(r.out.width, len(replicaName(in.Service, in.Replica)))
		}
	}
	if len(instances) == 0 && !follow {
		return errors.New("no containers; `bulkhead up` makes them")
	}
	// A closed pipe has to end a reading that waits for lines.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	g := &group{ctx: ctx}
	g.Go("broken pipe", func(ctx context.Context) error {
		select {
		case <-r.out.broken:
			cancel()
		case <-stop:
		case <-ctx.Done():
		}
		return nil
	})
	defer g.Wait()
	defer cancel()
	if err := r.history(ctx, instances); err != nil || !follow {
		return err
	}
	return r.follow(ctx, instances, from)
}

// history prints what is there, merged by time. One line of each container is held at a time.
func (r *reading) history(ctx context.Context, instances []engine.Instance) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := &group{ctx: ctx}
	heads := make([]chan logs.Line, len(instances))
	for i, in := range instances {
		heads[i] = make(chan logs.Line, 256)
		g.Go("logs of "+in.Name, func(ctx context.Context) error {
			defer close(heads[i])
			err := r.rt.Logs(ctx, in.ID, engine.LogOptions{Since: r.since, Until: r.until, Tail: r.tail}, func(l logs.Line) {
				select {
				case heads[i] <- r.line(in, l):
				case <-ctx.Done():
				}
			})
			if errors.Is(err, engine.ErrUnsupported) {
				return fmt.Errorf("%s: its logging driver %s cannot be read", in.Service, in.LogDriver)
			}
			return err
		})
	}
	// The first line of each, then always the oldest of them.
	current := make([]*logs.Line, len(instances))
	next := func(i int) {
		current[i] = nil
		if l, ok := <-heads[i]; ok {
			current[i] = &l
		}
	}
	for i := range heads {
		next(i)
	}
	var batch []logs.Line
	for {
		oldest := -1
		for i, l := range current {
			if l != nil && (oldest < 0 || l.Time.Before(current[oldest].Time)) {
				oldest = i
			}
		}
		if oldest < 0 {
			break
		}
		r.last[instances[oldest].ID] = current[oldest].Time
		batch = append(batch, *current[oldest])
		if len(batch) == 512 {
			r.print(batch)
			batch = batch[:0]
		}
		next(oldest)
	}
	r.print(batch)
	return g.Wait()
}

// line copies what emit must not keep.
func (r *reading) line(in engine.Instance, l logs.Line) logs.Line {
	l.Service, l.Replica, l.Generation, l.Text = in.Service, in.Replica, r.generations[in.ID], slices.Clone(l.Text)
	return l
}

func (r *reading) print(lines []logs.Line) {
	if r.match != nil {
		lines = slices.DeleteFunc(slices.Clone(lines), func(l logs.Line) bool { return !r.match.Match(logs.Plain(nil, l.Text)) })
	}
	if len(lines) > 0 {
		r.out.lines(lines, func(l logs.Line) string { return replicaName(l.Service, l.Replica) })
	}
}

// follow prints lines as they come, also of containers that start later, until ctx ends.
func (r *reading) follow(ctx context.Context, instances []engine.Instance, from time.Time) error {
	r.busy = map[string]bool{}
	g := &group{ctx: ctx}
	tail := func(in engine.Instance) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.busy[in.ID] {
			return
		}
		r.busy[in.ID] = true
		g.Go("logs of "+in.Name, func(ctx context.Context) error { return r.tailOne(ctx, in) })
	}
	for _, in := range instances {
		if in.State != engine.StateExited && in.State != engine.StateCreated {
			tail(in)
		}
	}
	for ctx.Err() == nil {
		err := r.rt.Events(ctx, r.project, from, func(ev engine.Event) {
			from = ev.Time
			if ev.Kind == engine.EventStarted && r.wants(ev.Service, ev.Replica) {
				tail(engine.Instance{Identity: engine.Identity{ID: ev.ID}, Service: ev.Service, Replica: ev.Replica, Name: ev.Name})
			}
		})
		if err != nil && ctx.Err() == nil {
			return errors.Join(err, g.Wait())
		}
	}
	return g.Wait()
}

// tailOne prints the new lines of one life of a container.
func (r *reading) tailOne(ctx context.Context, in engine.Instance) error {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.busy, in.ID)
	}()
	r.mu.Lock()
	seen := r.last[in.ID]
	r.mu.Unlock()
	since := seen
	if seen.IsZero() {
		since = r.since
	}
	err := r.rt.Logs(ctx, in.ID, engine.LogOptions{Since: since, Tail: -1, Follow: true}, func(l logs.Line) {
		if !l.Time.After(seen) {
			return // since is inclusive
		}
		r.mu.Lock()
		r.last[in.ID] = l.Time
		r.mu.Unlock()
		r.print([]logs.Line{r.line(in, l)})
	})
	if ctx.Err() != nil || errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	return err
}
