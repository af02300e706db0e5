package drill

import (
	"slices"
	"sync"
	"time"

	"bulkhead/engine/logs"
)

// keptLines bounds the trouble lines and the answers that are kept of one service; beyond it the
// oldest go, which are of baselines that later ones make up for.
const keptLines = 50_000

// span is a time, its end not included.
type span struct{ from, to time.Time }

func (s span) contains(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// line is a log line of WARN and worse.
type line struct {
	at       time.Time
	level    logs.Level
	template string
	text     string
}

// answer is how one probe or request ended.
type answer struct {
	sent, done time.Time
	request    bool   // of the load, not a probe
	err        string // "" when it was answered well
}

// series is what was seen of one service.
type series struct {
	lines   []line
	answers []answer
	tapped  []tappedSlice
	bad     []tappedBad
	habits  tally       // what it wrote before the drill
	crashes []time.Time // when its restart policy had started it again
}

// tappedSlice is what one caller had from a service in a moment.
type tappedSlice struct {
	from string
	TappedSlice
}

type tappedBad struct {
	from string
	TappedBad
}

// book keeps the series of all services. It is safe for concurrent use.
type book struct {
	mu       sync.Mutex
	all      map[string]*series
	reported time.Time  // when a tap reported something last; zero: nothing is tapped
	waiting  []question // whose answers have not come
}

// question is one that a service was asked.
type question struct {
	service string
	sent    time.Time
}

func (b *book) of(service string) *series {
	s := b.all[service]
	if s == nil {
		s = &series{}
		b.all[service] = s
	}
	return s
}

func (b *book) addLine(service string, l line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(service)
	if s.lines = append(s.lines, l); len(s.lines) > keptLines {
		s.lines = slices.Clone(s.lines[keptLines/2:])
	}
}

// addHabit counts a line that a service wrote before the drill.
func (b *book) addHabit(service, template string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &b.of(service).habits
	if h.templates == nil {
		h.templates = map[string]int{}
	}
	h.templates[template]++
}

// lived notes for how long a replica of a service was looked at before the drill.
func (b *book) lived(service string, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &b.of(service).habits
	h.took = max(h.took, d)
}

// habitsOf is what a service wrote before the drill.
func (b *book) habitsOf(service string) tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(service).habits
}

// addCrash notes that the restart policy of a service started it again.
func (b *book) addCrash(service string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(service).crashes = append(b.of(service).crashes, at)
}

// callers are the services that were seen to call another, by who was called.
func (b *book) callers(of string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, t := range b.of(of).tapped {
		if !slices.Contains(out, t.from) {
			out = append(out, t.from)
		}
	}
	return out
}

func (b *book) addAnswer(service string, a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(service)
	if s.answers = append(s.answers, a); len(s.answers) > keptLines {
		s.answers = slices.Clone(s.answers[keptLines/2:])
	}
}

// answersSince is when the first of the good answers came that a service has given since its last failure
// after a moment; zero where it has given none.
func (b *book) answersSince(service string, after time.Time) (at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed time.Time
	for _, a := range b.of(service).answers {
		if a.err != "" && !a.sent.Before(after) && a.sent.After(failed) {
			failed = a.sent
		}
	}
	for _, a := range b.of(service).answers {
		if a.err == "" && !a.sent.Before(after) && a.sent.After(failed) && (at.IsZero() || a.done.Before(at)) {
			at = a.done
		}
	}
	return at
}

// requests counts what a load asked a service for in a span; why is how the last one failed.
func (b *book) requests(service string, in span) (asked, failed int, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.of(service).answers {
		if !a.request || !in.contains(a.sent) {
			continue
		}
		asked++
		if a.err != "" {
			failed, why = failed+1, a.err
		}
	}
	return asked, failed, why
}

func (b *book) addTapped(in Tapped) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reported = in.At
	s := b.of(in.To)
	for _, sl := range in.Slices {
		if s.tapped = append(s.tapped, tappedSlice{in.From, sl}); len(s.tapped) > keptLines {
			s.tapped = slices.Clone(s.tapped[keptLines/2:])
		}
	}
	for _, bad := range in.Bad {
		if s.bad = append(s.bad, tappedBad{in.From, bad}); len(s.bad) > keptLines {
			s.bad = slices.Clone(s.bad[keptLines/2:])
		}
	}
}

// tally counts what a service did in some spans.
type tally struct {
	took      time.Duration
	errors    int                  // lines of ERROR and worse
	templates map[string]int       // of lines of WARN and worse
	lines     []line               // the first of each template
	last      map[string]time.Time // when the last line of each template came
	crashes   int                  // after which its restart policy started it again
	answered                       // probes, and requests of the load
	tapped    answered             // requests of other services
	made      answered             // its own requests of other services
}

// answered is how those fared who asked a service for something.
type answered struct {
	asked     int
	failed    int
	firstFail answer
	lastFail  answer
	latencies []Took // the shortest first; of a failed one as long as it was waited for
}

// tally counts what a service did in some spans. What its calls from hit were like is left out: who
// is broken on purpose may well ask for nothing, or give up.
func (b *book) tally(service, hit string, spans ...span) tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := tally{templates: map[string]int{}, last: map[string]time.Time{}}
	in := func(at time.Time) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.contains(at) })
	}
	for _, s := range spans {
		t.took += s.to.Sub(s.from)
	}
	s := b.of(service)
	for _, l := range s.lines {
		if !in(l.at) {
			continue
		}
		if l.level >= logs.Error {
			t.errors++
		}
		if l.at.After(t.last[l.template]) {
			t.last[l.template] = l.at
		}
		if t.templates[l.template]++; t.templates[l.template] == 1 {
			t.lines = append(t.lines, l)
		}
	}
	slices.SortStableFunc(t.lines, func(a, b line) int { return a.at.Compare(b.at) })
	for _, at := range s.crashes {
		if in(at) {
			t.crashes++
		}
	}
	for _, a := range s.answers {
		if !in(a.sent) {
			continue
		}
		t.asked++
		t.latencies = append(t.latencies, Took{a.done.Sub(a.sent), 1})
		if a.err != "" {
			t.failed++
			t.fail(a)
		}
	}
	t.tapped.addCalls(service, s, func(from string, sent time.Time) bool { return from != hit && in(sent) })
	for to, s := range b.all {
		t.made.addCalls(to, s, func(from string, sent time.Time) bool { return from == service && in(sent) })
	}
	for _, a := range []*answered{&t.answered, &t.tapped, &t.made} {
		slices.SortFunc(a.latencies, func(a, b Took) int { return int(a.Time - b.Time) })
	}
	return t
}

// addCalls adds the calls of a service that count.
func (t *answered) addCalls(to string, s *series, counts func(from string, sent time.Time) bool) {
	for _, bad := range s.bad {
		if counts(bad.from, bad.Sent) {
			t.fail(answer{sent: bad.Sent, done: bad.Done, err: bad.Text})
		}
	}
	for _, sl := range s.tapped {
		if !counts(sl.from, sl.At) {
			continue
		}
		t.asked += sl.Asked
		t.failed += sl.Failed
		t.latencies = append(t.latencies, sl.Took...)
		if sl.Failed > 0 && t.firstFail.err == "" {
			t.fail(answer{sent: sl.At, done: sl.At, err: sl.from + " → " + to + " failed"})
		}
	}
}

// fail notes a failed answer, which is counted already.
func (t *answered) fail(a answer) {
	if t.firstFail.err == "" || a.done.Before(t.firstFail.done) {
		t.firstFail = a
	}
	if t.lastFail.err == "" || !a.done.Before(t.lastFail.done) {
		t.lastFail = a
	}
}

// p95 is within which 95 % of the answers came, 0 without any.
func (t *answered) p95() time.Duration {
	total := 0
	for _, l := range t.latencies {
		total += l.Count
	}
	at := min(total*95/100, total-1)
	for _, l := range t.latencies {
		if at -= l.Count; at < 0 {
			return l.Time
		}
	}
	return 0
}

// slower counts the answers that took at least so long, of all whose times are known.
func (t *answered) slower(limit time.Duration) (n, of int) {
	for _, l := range t.latencies {
		of += l.Count
		if l.Time >= limit {
			n += l.Count
		}
	}
	return n, of
}

// failShare is the share of answers that were none, or bad.
func (t *answered) failShare() float64 {
	if t.asked == 0 {
		return 0
	}
	return float64(t.failed) / float64(t.asked)
}
