package drill

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// leastAnswers is how many answers show that a service works.
const leastAnswers = 5

// sign is something that was seen of a bystander's container: it died, or its health changed.
type sign struct {
	at      time.Time
	outcome Outcome
	kind    string // as of Evidence
	text    string
	crash   bool // of Died: its program ended, and its container is the same
}

// The kinds of evidence.
const (
	kindLog      = "log"
	kindHealth   = "health"
	kindIdentity = "identity"
	kindProbe    = "probe"
	kindRequest  = "request"
	kindCall     = "call"    // of another service, seen by a tap
	kindMachine  = "machine" // the machine had no CPU left
)

// facts are all that one cell is judged by.
type facts struct {
	service  string
	hit      string // the service that has the fault
	injected time.Time
	healed   time.Time // zero: not yet
	base     tally
	hold     tally
	signs    []sign
	degrade  project.Degrade // what the file allows
	allowed  bool            // it allows something
	falls    bool            // the file has it fall with the one that was hit
	starved  bool            // the machine had no CPU left during the hold
	unseen   bool            // it was unhealthy before: nothing can be said
	stranger bool            // nothing says that it needs the service that was hit
	loaded   bool            // the drill has a load
	tapped   bool            // and looks at calls
	kept     int             // connections that go on without the fault, by which it may reach who was hit
	alone    tally           // after the row, where it was looked at whether it crashes again without a fault
	regular  map[string]bool // kinds of lines that come at regular intervals, whatever is the matter
	habits   tally           // what it wrote before the drill
}

// trouble is what the log lines and answers of a service say: whether there is more of it than noise
// explains.
type trouble struct {
	found    bool
	first    time.Time
	last     time.Time // of lines
	regular  bool      // some of the lines sum up the time since the one before
	evidence []Evidence
}

// oneMoment is how long trouble lasts that comes of a machine without CPU for once.
const oneMoment = 2 * time.Second

// judge comes to a cell.
func (f *facts) judge() Cell {
	c := Cell{Service: f.service, Outcome: Blind, Evidence: []Evidence{}}
	if f.hold.asked >= leastAnswers || f.hold.tapped.asked >= leastAnswers && f.base.tapped.asked > 0 {
		c.Outcome = Untouched
	}
	slow := f.troubles(&c)
	for _, s := range f.signs {
		if why := f.excuse(s, &c); why != "" {
			s.outcome, s.text = Untouched, s.text+", "+why
		}
		c.Evidence = append(c.Evidence, Evidence{AfterMS: f.after(s.at), Kind: s.kind, Text: s.text})
		if s.outcome > c.Outcome {
			c.Outcome, c.AfterMS = s.outcome, f.after(s.at)
		}
		if s.kind == kindMachine && c.Outcome == Blind {
			c.Why = s.text
		}
	}
	switch {
	case c.Outcome != Untouched:
	case slow && f.starved:
		c.Outcome, c.Why = Blind, "it answered far later than before, while the machine had no CPU left"
	case f.kept > 0:
		c.Outcome = Blind
		c.Why = fmt.Sprintf("connections from before the fault that went on without it: %d; --cut cuts them",
			f.kept)
	}
	if f.unseen {
		c.Outcome, c.AfterMS, c.Why = Blind, 0, "it was unhealthy before"
	}
	passed := f.bounds(&c)
	switch {
	case c.Outcome <= Blind:
	case f.falls:
		c.Declared = true
	case f.allowed && c.Outcome == Errors:
		c.Declared = !passed
	}
	if c.Outcome == Blind && c.Why == "" {
		c.Why = f.blindness()
	}
	slices.SortStableFunc(c.Evidence, func(a, b Evidence) int { return int(a.AfterMS - b.AfterMS) })
	return c
}

// troubles adds what answers and lines say to a cell; slow says that answers came far later than before.
func (f *facts) troubles(c *Cell) (slow bool) {
	answers, calls, lines, late := f.answers(), f.calls(), f.lines(), f.slow()
	if f.starved && lines.found && !answers.found && !calls.found && c.Outcome == Untouched &&
		lines.last.Sub(lines.first) < oneMoment && !lines.regular {
		// What a fault does to others goes on as long as it lasts; this is over, and every probe was answered.
		lines.found = false
		lines.evidence = append(lines.evidence, Evidence{AfterMS: f.after(lines.first),
			Kind: kindMachine, Text: "that was one moment, while the machine had no CPU left"})
	}
	slow = late.found
	late.found = slow && !f.starved
	for _, t := range []trouble{answers, calls, lines, late, f.made(c.Outcome)} {
		if t.found && (c.Outcome < Errors || f.after(t.first) < c.AfterMS) {
			c.Outcome, c.AfterMS = max(c.Outcome, Errors), f.after(t.first)
		}
		c.Evidence = append(c.Evidence, t.evidence...)
	}
	return slow
}

func (f *facts) after(t time.Time) int64 { return max(t.Sub(f.injected).Milliseconds(), 0) }

// excuse says why a sign is not put down to the fault; "" when it is. c is what the cell is without it.
func (f *facts) excuse(s sign, c *Cell) string {
	n := max(f.hold.crashes, 1)
	switch {
	case s.outcome <= Blind:
	case s.crash && f.base.crashes > 0 && n <= f.base.bound(f.base.crashes, f.hold.took):
		return fmt.Sprintf("as it did while nothing was done to anybody (restarts in the baselines: %d)",
			f.base.crashes)
	case s.crash && f.stranger && f.alone.crashes > 0 && n <= f.alone.bound(f.alone.crashes, f.hold.took):
		return fmt.Sprintf("and again when nothing was done to anybody; it does not need %s", f.hit)
	case !f.healed.IsZero() && s.at.After(f.healed) && (c.Outcome == Untouched || c.Outcome == Blind && f.stranger):
		return "and it was well until after the fault was taken away"
	}
	return ""
}

// blindness says why nothing is known of a service.
func (f *facts) blindness() string {
	if f.hold.asked+f.hold.tapped.asked == 0 {
		var more []string
		if !f.loaded {
			more = append(more, "--load")
		}
		if !f.tapped {
			more = append(more, "--tap")
		}
		text := "nothing asks it: give it x-bulkhead.probe"
		if len(more) > 0 {
			text += ", or the drill " + strings.Join(more, " or ")
		}
		return text
	}
	return fmt.Sprintf("only %d answers during the hold, %d are wanted",
		max(f.hold.asked, f.hold.tapped.asked), leastAnswers)
}

// A service without a bound of its own is slow where its answers take so many times as long as in the
// baseline, and so much longer: a fault may well be felt.
const (
	slowTimes = 5
	slowBy    = time.Second
)

// slow looks for answers that take far longer than in the baseline. What the file allows is compared by
// bounds.
func (f *facts) slow() (t trouble) {
	if f.allowed && f.degrade.P95 > 0 {
		return t
	}
	for _, of := range []struct {
		kind string
		h, b *answered
	}{{kindProbe, &f.hold.answered, &f.base.answered}, {kindCall, &f.hold.tapped, &f.base.tapped}} {
		h, b := of.h.p95(), of.b.p95()
		limit := max(b*slowTimes, b+slowBy)
		before, askedBefore := of.b.slower(limit)
		n, asked := of.h.slower(limit)
		if min(asked, askedBefore) < leastAnswers || h < limit ||
			n <= failuresAllowed(asked, before, askedBefore) {
			continue
		}
		at := f.injected.Add(h) // no answer could show it earlier
		if !t.found || at.Before(t.first) {
			t.found, t.first = true, at
		}
		t.evidence = append(t.evidence, Evidence{AfterMS: f.after(at), Kind: of.kind,
			Text: fmt.Sprintf("p95 is %s; %s in the baseline", container.Brief(h), container.Brief(b))})
	}
	return t
}

// bounds compares a service with how far it may degrade, and says whether it passes that.
func (f *facts) bounds(c *Cell) (passed bool) {
	var over []string
	for _, of := range []struct {
		what string
		*answered
	}{{"requests", &f.hold.answered}, {"calls", &f.hold.tapped}} {
		if !f.allowed || of.asked == 0 || of.what == "calls" && f.base.tapped.asked == 0 {
			continue
		}
		if share := of.failShare(); share > f.degrade.Errors {
			over = append(over, fmt.Sprintf("%.0f %% of %d %s failed, %.0f %% may", share*100,
				of.asked, of.what, f.degrade.Errors*100))
		}
		if p95 := of.p95(); f.degrade.P95 > 0 && p95 > f.degrade.P95 {
			over = append(over, fmt.Sprintf("p95 is %s, at most %s may be", container.Brief(p95),
				container.Brief(f.degrade.P95)))
		}
	}
	if len(over) == 0 {
		return false
	}
	c.Why = strings.Join(over, "; ")
	if c.Outcome < Errors {
		c.Outcome, c.AfterMS = Errors, 0
	}
	return true
}

// answers looks for more failed probes and requests than the baseline explains.
func (f *facts) answers() trouble {
	kind := kindProbe
	if f.hold.firstFail.request {
		kind = kindRequest
	}
	return f.asked(kind, &f.hold.answered, &f.base.answered)
}

// calls looks for more failed calls of other services than the baseline explains, where they were
// looked at then, too.
func (f *facts) calls() trouble {
	if f.base.tapped.asked == 0 {
		return trouble{}
	}
	return f.asked(kindCall, &f.hold.tapped, &f.base.tapped)
}

// made looks for more failed calls of its own than the baseline explains, of a service that nobody asks for
// anything: what it is there for is what it asks of others. That they are answered proves nothing of it.
func (f *facts) made(o Outcome) trouble {
	if o != Blind || f.base.made.asked == 0 {
		return trouble{}
	}
	if t := f.asked(kindCall, &f.hold.made, &f.base.made); t.found {
		return t
	}
	return trouble{}
}

func (f *facts) asked(kind string, h, b *answered) trouble {
	if h.asked == 0 {
		return trouble{}
	}
	bound := 0
	if h.failed > 0 {
		bound = failuresAllowed(h.asked, b.failed, b.asked)
	}
	always := h.failed == h.asked && b.failed < b.asked // however noisy it is
	if h.failed <= bound && !always {
		text := fmt.Sprintf("%d of %d answered, p95 %s", h.asked-h.failed, h.asked, container.Brief(h.p95()))
		if h.failed > 0 {
			text += fmt.Sprintf("; up to %d may fail by chance", bound)
		}
		return trouble{evidence: []Evidence{{Kind: kind, Count: h.asked - h.failed, Text: text}}}
	}
	first := h.firstFail
	t := trouble{found: true, first: first.done}
	t.evidence = append(t.evidence, Evidence{AfterMS: f.after(first.done), Kind: kind, Count: h.failed,
		Text: fmt.Sprintf("%s (%d of %d failed; %d of %d in the baseline)", first.err, h.failed,
			h.asked, b.failed, b.asked)})
	if h.failed > 1 && h.lastFail.err != first.err {
		t.evidence = append(t.evidence, Evidence{AfterMS: f.after(h.lastFail.done), Kind: kind,
			Text: h.lastFail.err})
	}
	return t
}

// shownTemplates is how many kinds of lines are kept as evidence.
const shownTemplates = 6

// bound is how many lines there may be in a span by chance, of which the tally has n.
func (t *tally) bound(n int, took time.Duration) int {
	if t.took <= 0 {
		return math.MaxInt
	}
	return eventsAllowed(n, took.Seconds()/(took+t.took).Seconds(), level(n))
}

// lines looks for more lines of ERROR and worse than the baseline explains, and for kinds of lines
// of WARN and worse that it did not have, or had by far less of.
func (f *facts) lines() trouble {
	h, b := f.unexplained(), &f.base
	bound := b.bound(b.errors, h.took)
	many := h.errors > bound
	fresh := h.fresh(b)
	var t trouble
	for _, l := range h.lines {
		isMore := b.templates[l.template] > 0 &&
			h.templates[l.template] > b.bound(b.templates[l.template], h.took)
		if !fresh[l.template] && !isMore && !(many && l.level >= logs.Error) {
			continue
		}
		if !t.found {
			t.found, t.first = true, l.at
		}
		t.regular = t.regular || f.regular[l.template]
		if at := h.last[l.template]; at.After(t.last) {
			t.last = at
		}
		if len(t.evidence) < shownTemplates {
			t.evidence = append(t.evidence, Evidence{AfterMS: f.after(l.at), Kind: kindLog,
				Level: l.level.String(), Count: h.templates[l.template], Text: l.text})
		}
	}
	if many {
		t.evidence = append(t.evidence, Evidence{AfterMS: f.after(t.first), Kind: kindLog,
			Level: "error", Count: h.errors,
			Text: fmt.Sprintf("%d lines of ERROR and worse; up to %d are within the baseline",
				h.errors, bound)})
	}
	return t
}

// fresh are the kinds of lines that the baseline did not have, but for the few that are to be expected
// all the same, none of which comes often.
func (t *tally) fresh(b *tally) map[string]bool {
	out := map[string]bool{}
	kinds, lines := newKinds(b, t.took)
	few := 0
	for _, l := range t.lines {
		if b.templates[l.template] == 0 {
			out[l.template] = true
			if t.templates[l.template] <= lines {
				few++
			}
		}
	}
	if few <= kinds {
		maps.DeleteFunc(out, func(template string, _ bool) bool { return t.templates[template] <= lines })
	}
	return out
}

// leastHabit is how often a kind of line has to be there before a drill to be one that its service writes anyway.
const leastHabit = 2

// unexplained is what a service wrote during the hold. Of one that has nothing to do with who was hit, what it wrote
// about as often before the drill is left out: a baseline of seconds has few of the lines of a service that has
// trouble of its own once a minute.
func (f *facts) unexplained() *tally {
	h := f.hold
	if !f.stranger {
		return &h
	}
	h.lines = nil
	for _, l := range f.hold.lines {
		n := f.habits.templates[l.template]
		if n >= leastHabit && h.templates[l.template] <= f.habits.bound(n, h.took) {
			if l.level >= logs.Error {
				h.errors -= h.templates[l.template]
			}
			continue
		}
		h.lines = append(h.lines, l)
	}
	return &h
}

// diverse is from how many kinds of trouble lines on a service counts as one that has more of them
// than a baseline shows.
const diverse = 3

// rarely is how many lines of a new kind are put down to a service that logs trouble of many kinds, but
// none of them rarely.
const rarely = 2

// newKinds is how many kinds of lines that the baseline did not have are to be expected in a span
// all the same, and how many lines of each: a service that logs trouble all day has kinds that it
// writes rarely, and about as many new ones turn up as the baseline saw once, and half as many as it
// saw twice. Such a kind comes now and then; what comes by the dozen is none.
func newKinds(b *tally, took time.Duration) (kinds, lines int) {
	rare := 0.0
	for _, n := range b.templates {
		switch n {
		case 1:
			rare++
		case 2:
			rare += .5
		}
	}
	if len(b.templates) == 0 || b.took <= 0 {
		return 0, 0
	}
	if rare == 0 && len(b.templates) >= diverse {
		return 1, rarely
	}
	expected := rare * took.Seconds() / b.took.Seconds()
	return int(math.Ceil(expected + 3*math.Sqrt(expected))),
		eventsAllowed(0, took.Seconds()/(took+b.took).Seconds(), levelNoisy)
}

// verdictOf is what a row's cells come to.
func verdictOf(cells []Cell, recovered bool, late string) (Verdict, string) {
	var leaks, blind []string
	declared := false
	for _, c := range cells {
		switch {
		case c.Outcome == Blind:
			blind = append(blind, c.Service)
		case c.Outcome > Blind && !c.Declared:
			text := c.Service + " " + c.Outcome.String()
			if c.Why != "" {
				text += " (" + c.Why + ")"
			}
			leaks = append(leaks, text)
		case c.Outcome > Blind:
			declared = true
		}
	}
	switch {
	case !recovered:
		return Stuck, late
	case len(leaks) > 0:
		return Leak, strings.Join(leaks, ", ")
	case len(blind) > 0:
		return Unproven, "nothing is known of " + strings.Join(blind, ", ")
	case declared:
		return Expected, ""
	}
	return Isolated, ""
}

// merge joins the repeats of a row: the worst of each cell, and flaky where the verdicts differ.
func merge(runs []Row) Row {
	out := runs[len(runs)-1]
	out.Repeat, out.Runs, out.Notes = len(runs), nil, nil
	cells := slices.Clone(runs[0].Cells)
	for _, r := range runs {
		out.Runs = append(out.Runs, Run{Verdict: r.Verdict, BackInMS: r.BackInMS})
		for _, n := range r.Notes {
			if !slices.Contains(out.Notes, n) {
				out.Notes = append(out.Notes, n)
			}
		}
		for _, c := range r.Cells {
			i := slices.IndexFunc(cells, func(o Cell) bool { return o.Service == c.Service })
			if i < 0 {
				cells = append(cells, c)
			} else if c.Outcome > cells[i].Outcome || c.Outcome == cells[i].Outcome &&
				cells[i].Declared && !c.Declared {
				cells[i] = c
			}
		}
		if r.BackInMS != nil && (out.BackInMS == nil || *r.BackInMS > *out.BackInMS) {
			out.BackInMS = r.BackInMS
		}
		if r.Verdict > out.Verdict {
			out.Verdict, out.Why = r.Verdict, r.Why
		}
	}
	out.Cells = cells
	for _, r := range runs[1:] {
		if r.Verdict != runs[0].Verdict {
			var words []string
			for _, o := range runs {
				words = append(words, o.Verdict.String())
			}
			out.Verdict, out.Why = Flaky, "the repeats differ: "+strings.Join(words, ", ")
			break
		}
	}
	if len(runs) == 1 {
		out.Runs = nil
	}
	return out
}
