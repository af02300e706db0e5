package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

const (
	probeEvery = 200 * time.Millisecond // so that a hold of ten seconds has fifty answers
	probeLong  = 3 * time.Second        // longer than the bounds that people set for p95
	tapEvery   = time.Second            // taps tell so often
	probesOpen = 8                      // of one service that wait for their answers
	skew       = 2 * time.Second        // by more than this the clock of a container is another one
)

// observer watches a project while a drill runs: it asks the probes, makes the load, and reads the
// log lines. What it sees goes into the book.
type observer struct {
	s       Subject
	book    *book
	load    Load
	ports   map[int]string // services by published port
	timeout time.Duration
	wg      sync.WaitGroup
}

// probeTimeout is how long an answer is waited for: long enough to see a bound of p95 passed.
func probeTimeout(services []Service) time.Duration {
	t := probeLong
	for _, s := range services {
		for _, d := range s.MayDegrade {
			t = max(t, d.P95+d.P95/2)
		}
	}
	return t
}

func portsOf(services []Service) map[int]string {
	out := map[int]string{}
	for _, s := range services {
		for _, p := range s.Ports {
			if p.Published > 0 {
				out[p.Published] = s.Name
			}
		}
	}
	return out
}

// start watches until ctx ends.
func (o *observer) start(ctx context.Context, services []Service) {
	stands, _ := o.s.Stands()
	o.habits(time.Now(), stands)
	o.wg.Go(func() { o.readLogs(ctx) })
	o.wg.Go(func() { o.s.Tapped(ctx, o.book.addTapped) })
	for _, s := range services {
		if s.Probed {
			o.wg.Go(func() {
				o.ask(ctx, s.Name, false, probeEvery, func(ctx context.Context) error {
					return o.s.Probe(ctx, s.Name)
				})
			})
		}
	}
	if o.load.URL != "" {
		o.wg.Go(func() {
			o.ask(ctx, target(o.load.URL, o.ports), true, o.load.every(), func(ctx context.Context) error {
				return get(ctx, o.load.URL)
			})
		})
	}
	if o.load.Run != nil {
		o.wg.Go(func() { o.load.Run(ctx) })
	}
}

func (o *observer) wait() { o.wg.Wait() }

// ask asks a service again and again. An answer that takes long keeps no other one waiting.
func (o *observer) ask(
	ctx context.Context, service string, request bool, every time.Duration, once func(context.Context) error,
) {
	slots := make(chan struct{}, probesOpen)
	var asking sync.WaitGroup
	defer asking.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		select {
		case slots <- struct{}{}:
		default:
			continue // so many wait already that one more shows nothing new
		}
		a := answer{sent: time.Now(), request: request}
		closed := o.book.open(service, a.sent)
		asking.Go(func() {
			defer func() { <-slots }()
			defer closed()
			limited, cancel := context.WithTimeout(ctx, o.timeout)
			defer cancel()
			err := once(limited)
			if ctx.Err() != nil || errors.Is(err, container.ErrUnsupported) {
				return // what could not be asked has not failed
			}
			a.done = time.Now()
			if err != nil {
				a.err = err.Error()
				if limited.Err() != nil {
					a.err = fmt.Sprintf("no answer in %s", o.timeout)
				}
			}
			o.book.addAnswer(service, a)
		})
	}
}

// habitSpan is how far back before a drill lines are looked at that a service writes now and then.
const habitSpan = 10 * time.Minute

// habits reads what services wrote of WARN and worse before the drill, since they began to run.
func (o *observer) habits(began time.Time, stands []Stand) {
	for _, s := range stands {
		span := span{from: began.Add(-habitSpan), to: began}
		if at := s.Identity.Started; at.After(span.from) {
			span.from = at
		}
		view := o.s.Logs().View(logs.Filter{Services: []string{s.Service}, Replica: s.Replica,
			MinLevel: logs.Warn, Since: span.from, Until: began})
		view.Refresh()
		first, end := view.Bounds()
		for _, l := range view.Lines(first, int(end-first)) {
			if l.Seq != 0 && l.Stream != logs.System && !logs.Continues(l.Text) {
				o.book.addHabit(s.Service, logs.Template(string(logs.Plain(nil, l.Text))))
			}
		}
		o.book.lived(s.Service, span.to.Sub(span.from))
	}
}

// readLogs reads the lines of WARN and worse.
func (o *observer) readLogs(ctx context.Context) {
	began := time.Now()
	follow := o.s.Logs().Follow(logs.Filter{MinLevel: logs.Warn})
	var buf []logs.Line
	for {
		var err error
		buf, err = follow.Next(ctx, buf)
		for _, l := range buf {
			if l.Stream == logs.System || l.Time.Before(began.Add(-skew)) || logs.Continues(l.Text) {
				continue // a stack trace is one trouble, however long it is
			}
			at, now := l.Time, time.Now()
			if d := now.Sub(at); d > skew || d < -skew {
				at = now
			}
			text := string(logs.Plain(nil, l.Text))
			o.book.addLine(l.Service, line{at: at, level: l.Level, template: logs.Template(text), text: text})
		}
		if err != nil {
			return
		}
	}
}

// open notes that an answer of a service is waited for, until the returned function is called.
func (b *book) open(service string, sent time.Time) (closed func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := question{service: service, sent: sent}
	b.waiting = append(b.waiting, q)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if i := slices.Index(b.waiting, q); i >= 0 {
			b.waiting = slices.Delete(b.waiting, i, i+1)
		}
	}
}

// waits says whether an answer of a service is waited for that was asked for at a moment or later.
func (b *book) waits(service string, since time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.waiting, func(q question) bool {
		return q.service == service && !q.sent.Before(since)
	})
}

// whole says whether all is known that belongs to a moment before: the answers to what was asked
// until then have come, and the taps have reported it.
func (b *book) whole(before time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !slices.ContainsFunc(b.waiting, func(q question) bool { return q.sent.Before(before) }) &&
		(b.reported.IsZero() || b.reported.After(before.Add(tapEvery)))
}
