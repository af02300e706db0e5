package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/journal"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// logFlags are the flags of logs.
type logFlags struct {
	follow, json, noColor, stamps, invert   bool
	noPrefix                                bool
	since, until, grep, level, stream, tail string
	mute                                    []string
	replica                                 int
}

type logsVerb struct {
	app   *app
	flags logFlags
}

func (v *logsVerb) command() *cobra.Command {
	f := &v.flags
	c := &cobra.Command{
		Use:               "logs [SERVICE…]",
		Short:             "Print what services wrote, ordered by time",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	fs := c.Flags()
	// -f of logs is --follow, as everywhere else; --file has its long name only here.
	v.app.loader.flags.addFile(fs, "")
	fs.BoolVarP(&f.follow, "follow", "f", false, "go on as lines come, over restarts and rebuilds")
	fs.StringVar(&f.since, "since", "", "only lines since a `time`: 10m ago, 15:04, or 2026-11-23T12:00:00Z")
	fs.StringVar(&f.until, "until", "", "only lines before a `time`")
	fs.StringVarP(&f.tail, "tail", "n", "all",
		"only the last `N` lines of each container, of those that pass the other filters")
	fs.StringVar(&f.grep, "grep", "",
		"only lines that match a regular `expression`; (?i) in front of it ignores case")
	fs.BoolVarP(&f.invert, "invert-match", "v", false, "with --grep: only lines that do not match")
	fs.StringVar(&f.level, "level", "",
		"only lines of this `level` or above: trace, debug, info, warn, error, fatal; lines of none count as info")
	fs.StringVar(&f.stream, "stream", "", "only lines of this `stream`: stdout or stderr")
	fs.StringSliceVar(&f.mute, "mute", nil, "all services but this `service`, repeatable")
	fs.BoolVar(&f.json, "json", false, "a JSON object a line")
	fs.BoolVar(&f.noColor, "no-color", false, "no colours")
	fs.BoolVar(&f.noPrefix, "no-log-prefix", false,
		"lines as they were written, without the container's name before them")
	fs.BoolVarP(&f.stamps, "timestamps", "t", false, "the time before each line")
	fs.Var(number{&f.replica, 0, mostReplica}, "index", "only the replica of this `number`")
	completeWith(c, "mute", v.app.loader.completeServices)
	completeWords(c, "level", "trace", "debug", "info", "warn", "error", "fatal")
	completeWords(c, "stream", "stdout", "stderr")
	return c
}

func (v *logsVerb) run(ctx context.Context, services []string) error {
	f := &v.flags
	if f.replica > 0 && len(services) != 1 {
		return usagef("logs: --index %d: name one service with it", f.replica)
	}
	r, err := f.reading(time.Now(), services)
	if err != nil {
		return err
	}
	name, p, err := v.app.loader.find(ctx, slices.Concat(services, f.mute)...)
	if err != nil {
		return err
	}
	if err := v.app.conn.connect(ctx); err != nil {
		return err
	}
	r.rt, r.project = v.app.conn.rt, name
	r.none = func(why string) { v.app.console.printError(fmt.Sprintf("logs of %s: %s", name, why)) }
	r.warn = v.app.console.printWarning
	r.out = newPrinter(v.app.console.stdout)
	r.out.json, r.out.stamps, r.out.tabs = f.json, f.stamps, true
	r.out.colour = v.app.console.colours() && !f.noColor
	r.out.stampFormat, r.out.noPrefix = rfc3339Nano, f.noPrefix
	r.restrictToFile(p, services)
	if f.follow && !r.filter.Until.IsZero() {
		// The lines until then are followed until then.
		if f.follow = time.Now().Before(r.filter.Until); f.follow {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, r.filter.Until)
			defer cancel()
		}
	}
	r.generations = journal.Generations(v.app.env.stateDir(), v.app.conn.info.ID, name)
	explain := func(err error) error { return err }
	if !f.follow {
		ctx, explain = v.app.conn.supervise(ctx, name, nil)
	}
	if err := explain(r.run(ctx, f.follow)); err != nil {
		if lost := r.out.failed(); lost != nil {
			return lost // what came after that only follows from it
		}
		if f.follow && ctx.Err() != nil {
			return nil // ctrl+c is how following ends
		}
		return fmt.Errorf("logs of %s: %w", name, err)
	}
	return r.out.failed()
}

// restrictToFile keeps the lines of the file's services, without those that it does not attach to, where no
// service is named.
func (r *reading) restrictToFile(p *project.Project, services []string) {
	if p == nil || len(services) > 0 {
		return
	}
	r.filter.Services = []string{}
	for _, s := range p.Services {
		r.filter.Services = append(r.filter.Services, s.Name)
		if attach := s.Config.Attach; attach != nil && !*attach {
			r.filter.Mute[s.Name] = true
		}
	}
}

// reading reads the flags that say which lines.
func (f *logFlags) reading(now time.Time, services []string) (*reading, error) {
	r := &reading{tail: -1, containers: map[string]*containerLog{},
		names: map[replica]string{}, unreadable: map[string]bool{}}
	r.filter = logs.Filter{Replica: f.replica, Invert: f.invert, Mute: map[string]bool{}}
	if len(services) > 0 {
		r.filter.Services = services
	}
	for _, name := range f.mute {
		if slices.Contains(services, name) {
			return nil, usagef("logs: %s is asked for and muted; leave one of the two out", name)
		}
		r.filter.Mute[name] = true
	}
	var err error
	if r.filter.Since, err = parseTime("logs", "since", f.since, now); err != nil {
		return nil, err
	}
	if r.filter.Until, err = parseTime("logs", "until", f.until, now); err != nil {
		return nil, err
	}
	if f := &r.filter; !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return nil, usagef("logs: --since is not before --until; nothing is between them")
	}
	if f.tail != "all" && f.tail != "" {
		if r.tail, err = strconv.Atoi(f.tail); err != nil || r.tail < -1 {
			return nil, usagef("logs: --tail %s: write a number of lines, or all", f.tail)
		}
	}
	switch {
	case f.grep != "":
		if r.filter.Match, err = regexp.Compile(f.grep); err != nil {
			return nil, usagef("logs: --grep %s: %w; see https://pkg.go.dev/regexp/syntax", f.grep, err)
		}
	case f.invert:
		return nil, usagef("logs: --invert-match: it needs an expression; write --grep as well")
	}
	if f.level != "" {
		level, ok := logs.ParseLevel(f.level)
		if !ok || level == logs.LevelUnknown {
			return nil, usagef("logs: --level %s: write trace, debug, info, warn, error or fatal", f.level)
		}
		r.filter.MinLevel = level
	}
	switch f.stream {
	case "":
	case logs.Stdout.String():
		r.filter.Stream = logs.Stdout
	case logs.Stderr.String():
		r.filter.Stream = logs.Stderr
	default:
		return nil, usagef("logs: --stream %s: write stdout or stderr", f.stream)
	}
	return r, nil
}

// parseTime reads the time of a flag; without one it is zero.
func parseTime(verb, flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := logs.Moment(s, now)
	if err != nil {
		return time.Time{}, usagef("%s: --%s %s: %w", verb, flag, s, err)
	}
	return t, nil
}

// reading reads the logs of a project's containers from the engine.
type reading struct {
	rt          engine.Runtime
	project     string
	filter      logs.Filter
	tail        int // negative: all
	out         *printer
	generations map[string]int   // by container id
	none        func(why string) // is called when there is nothing to read
	warn        func(text string)

	mu         sync.Mutex
	unreadable map[string]bool          // services of whose logging driver that was said
	containers map[string]*containerLog // by id
	names      map[replica]string       // what stands before the lines of a container
}

// rfc3339Nano is how the engine writes times before log lines.
const rfc3339Nano = "2006-01-02T15:04:05.000000000Z"

// containerLabel is a container's name as docker compose writes it before log lines: without the project's where
// it is the one that containers have by themselves, PROJECT-SERVICE-NUMBER.
func containerLabel(project string, in engine.Instance) string {
	short, ok := strings.CutPrefix(in.Name, project)
	for _, by := range []string{"-", "_"} {
		if ok && short == by+in.Service+by+strconv.Itoa(in.Replica) {
			return short[1:]
		}
	}
	return in.Name
}

// label is what stands before the lines of a replica.
func (r *reading) label(service string, number int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name, ok := r.names[replica{service: service, number: number}]; ok {
		return name
	}
	return service + "-" + strconv.Itoa(number)
}

// named notes the name of a container that is read from now on.
func (r *reading) named(in engine.Instance) {
	if in.Name == "" {
		return // its service and number stand for it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[replica{service: in.Service, number: in.Replica}] = containerLabel(r.project, in)
}

// containerLog is how far one container's log is read. One goroutine at a time reads it, and has
// what is in it for that long.
type containerLog struct {
	busy   bool // it is being followed; guarded by reading.mu
	levels logs.Levels
	dedupe logs.Dedupe
}

// container returns where the reading of a container stands.
func (r *reading) container(id string) *containerLog {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		c = &containerLog{}
		r.containers[id] = c
	}
	return c
}

// wants says whether an instance's lines are asked for.
func (r *reading) wants(service string, replica int) bool {
	f := &r.filter
	return !f.Mute[service] && (f.Services == nil || slices.Contains(f.Services, service)) &&
		(f.Replica == 0 || f.Replica == replica)
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
			r.named(in)
			r.out.width = max(r.out.width, len(containerLabel(r.project, in))+1)
		}
	}
	switch {
	case len(instances) > 0:
	case r.filter.Replica > 0:
		return fmt.Errorf("service %s has no replica %d; `bulkhead ps -a` lists them",
			r.filter.Services[0], r.filter.Replica)
	case len(all) > 0:
		r.none("none of its containers is asked for; `bulkhead ps -a` lists them")
		return nil
	default:
		r.none("no containers; `bulkhead up` makes them")
		return nil
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
	if err := r.history(ctx, instances, follow); err != nil || !follow {
		return err
	}
	return r.follow(ctx, instances, from)
}

// joinLines is how many lines more than --tail asks for are read of a log that is followed then.
// Lines of one time are distinguished by what was read, so those around the first line that is
// shown must be known.
const joinLines = 100

// history prints what is there, merged by time. One line of each container is held at a time.
func (r *reading) history(ctx context.Context, instances []engine.Instance, follow bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := &group{ctx: ctx}
	heads := make([]chan logs.Line, len(instances))
	for i, in := range instances {
		heads[i] = make(chan logs.Line, 256)
		g.Go("logs of "+in.Name, func(ctx context.Context) error {
			defer close(heads[i])
			return r.readHistory(ctx, in, follow, func(l logs.Line) {
				select {
				case heads[i] <- l:
				case <-ctx.Done():
				}
			})
		})
	}
	r.merge(heads)
	return g.Wait()
}

// readHistory passes the lines of one container that are there to put: all that pass the filter, or the last of them.
func (r *reading) readHistory(ctx context.Context, in engine.Instance, follow bool, put func(logs.Line)) error {
	f, tail := &r.filter, r.tail
	// The engine knows nothing of texts: the last lines of those that pass are found here.
	chosen := tail >= 0 && (f.Match != nil || f.MinLevel != logs.LevelUnknown || f.Stream != logs.StreamUnknown)
	switch {
	case chosen:
		tail = -1
	case tail >= 0 && follow:
		chosen, tail = true, tail+joinLines
	}
	var kept []logs.Line
	line := r.lines(in)
	err := r.rt.Logs(ctx, in.ID, engine.LogOptions{Since: f.Since, Until: f.Until, Tail: tail},
		func(read engine.Line) {
			l, ok := line(engine.LogLine(read))
			switch {
			case !ok:
			case !chosen:
				put(l)
			case r.tail > 0:
				if kept = append(kept, l); len(kept)/2 >= r.tail {
					kept = append(kept[:0], kept[len(kept)-r.tail:]...)
				}
			}
		})
	if chosen {
		for _, l := range kept[max(len(kept)-r.tail, 0):] {
			put(l)
		}
	}
	return r.readable(in, err)
}

// readable says once of each service that its logs cannot be read, which is no reason not to read those of
// others; other errors stay.
func (r *reading) readable(in engine.Instance, err error) error {
	if !errors.Is(err, engine.ErrUnsupported) {
		return err
	}
	r.mu.Lock()
	said := r.unreadable[in.Service]
	r.unreadable[in.Service] = true
	r.mu.Unlock()
	if !said {
		driver := strings.TrimSpace("its logging driver " + in.LogDriver) // a container that starts now has not said it
		r.warn(fmt.Sprintf("logs of %s: %s cannot be read", in.Service, driver))
	}
	return nil
}

// merge prints the lines of several containers in the order of time: the first line of each, then
// always the oldest of them.
func (r *reading) merge(heads []chan logs.Line) {
	current := make([]*logs.Line, len(heads))
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
		batch = append(batch, *current[oldest])
		if len(batch) == 512 {
			r.print(batch)
			batch = batch[:0]
		}
		next(oldest)
	}
	r.print(batch)
}

// lines returns what makes complete lines of those that one container wrote, in its order; ok says
// whether a line is new and passes the filter. It copies what must not be kept.
func (r *reading) lines(in engine.Instance) func(logs.Line) (l logs.Line, ok bool) {
	c := r.container(in.ID)
	return func(l logs.Line) (logs.Line, bool) {
		if !c.dedupe.Fresh(l) {
			return l, false
		}
		l.Service, l.Replica, l.Generation = in.Service, in.Replica, r.generations[in.ID]
		l.Level = c.levels.Of(l.Stream, l.Text)
		ok := r.filter.Passes(&l)
		if ok {
			l.Text = slices.Clone(l.Text)
		}
		return l, ok
	}
}

func (r *reading) print(lines []logs.Line) {
	if len(lines) > 0 {
		r.out.lines(lines, func(l logs.Line) string { return r.label(l.Service, l.Replica) })
	}
}

// follow prints lines as they come, also of containers that start later, until ctx ends.
func (r *reading) follow(ctx context.Context, instances []engine.Instance, from time.Time) error {
	g := &group{ctx: ctx}
	defer r.out.end()
	tail := func(in engine.Instance) {
		c := r.container(in.ID)
		r.mu.Lock()
		defer r.mu.Unlock()
		if c.busy {
			return
		}
		c.busy = true
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
				in := engine.Instance{Identity: engine.Identity{ID: ev.ID}, Service: ev.Service,
					Replica: ev.Replica, Name: ev.Name}
				r.named(in)
				tail(in)
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
	c := r.container(in.ID)
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		c.busy = false
	}()
	since := c.dedupe.Since()
	if since.IsZero() {
		since = r.filter.Since
	}
	c.dedupe.Reopened()
	line := r.lines(in)
	err := r.rt.Logs(ctx, in.ID, engine.LogOptions{Since: since, Tail: -1, Follow: true},
		func(read engine.Line) {
			if l, ok := line(engine.LogLine(read)); ok {
				r.out.followed(&l, r.label(l.Service, l.Replica))
			}
		})
	if ctx.Err() != nil || errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	return r.readable(in, err)
}
