package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// Outcome is what a fault did to a bystander, worst last.
type Outcome uint8

const (
	OutcomeUnknown Outcome = iota
	Untouched              // same container id, start time and restart count; health and errors as before
	Blind                  // nothing shows that it works, and nothing that it does not
	Errors                 // untouched, with more errors in its log than before
	WentUnhealthy
	Died // another container id, start time or restart count, or not running
)

var outcomeNames = [...]string{"unknown", "untouched", "blind", "errors", "unhealthy", "died"}

// MarshalText implements encoding.TextMarshaler.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Outcome) UnmarshalText(text []byte) error {
	i := slices.Index(outcomeNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is not an outcome", text)
	}
	*o = Outcome(i)
	return nil
}

// String returns the word that the JSON uses.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return outcomeNames[0]
}

// Ledger is the proof of who was touched by one fault and who was not.
type Ledger struct {
	Service string // the one that was hit
	Replica int    // 0: all
	Fault   string // "SIGKILL", "stop", "pause", "restart", "rebuild", "recreate", "latency=1s"
	Kind    string // of a fault that leaves lives alone, and of a crash: the name of one of Kinds; "" else
	At      time.Time
	Closed  time.Time     // when the service was back, or the next fault began; zero while it is open
	BackIn  time.Duration // from the user's bring-back to ready; 0 before
	Move    bool          // a restart or a swap, which is no fault
	Gone    bool          // the service, or a replica of it, was seen to be another one than before, or not to run
	Rows    []Row         // every other replica that ran, in dependency order
	// Down counts other replicas that did not run then, and had not done what they had to do, or crashed again and again.
	Down int

	was  []container.Identity // of the replicas that were hit and ran
	hurt bool                 // it was seen to have a fault that leaves lives alone
	back time.Time            // when it was to come back: the user brought it back, the fault healed, or nobody held it down
}

// Proof is what shows of a replica that it was not touched.
type Proof struct {
	container.Identity
	PID    int // of its first process, on the engine's machine; 0 while it does not run
	Health container.Health
}

// Row compares one replica before and after.
type Row struct {
	Service string
	Replica int
	Before  Proof
	After   Proof
	Outcome Outcome
	Delay   time.Duration // from the fault to the first sign of Outcome
	Sign    Sign          // the first one; empty while there is none

	// Needs says that it depends on the one that was hit, directly or through others, or lives in its
	// namespaces: what it suffers then most likely comes from that.
	Needs bool
	// Included says that it has the fault too, since it shares the network that this is done to.
	Included bool

	wasHealthy bool
	shares     string // "network": what it shares with the container that was hit
	frozen     bool   // it was stopped or replaced on purpose; what became of it since proves nothing
}

// Sign is what showed an outcome: "healthy -> unhealthy", a log line.
type Sign struct {
	Text string
	Cut  bool // Text is the beginning of a longer line
}

// String returns the text, with a mark where it is cut.
func (s Sign) String() string {
	if s.Cut {
		return s.Text + "…"
	}
	return s.Text
}

// Stand is how one replica stands at a moment.
type Stand struct {
	Service   string
	Replica   int
	Identity  container.Identity
	PID       int
	Health    container.Health
	Live      bool
	Unhealthy bool
	Needs     bool // it depends on the service that is hit
	// Shares is what it shares with the container that is hit ("network", "pid and ipc"); "" for nothing.
	Shares string
	Moving bool // it is being stopped or replaced on purpose
}

func (s *Stand) proof() Proof {
	return Proof{Identity: s.Identity, PID: s.PID, Health: s.Health}
}

// Hit is how the service of a ledger stands.
type Hit struct {
	HeldDown bool                 // only the user brings it back, and has not yet
	Faulty   bool                 // it has a fault that leaves lives alone
	Live     []container.Identity // of its replicas that run, by number
	Ready    bool
	Hosting  bool // its container has the process that namespaces live by
}

const (
	// closesAfter is how long a ledger is open at least: a service that is back at once may still have hurt others.
	closesAfter = time.Second
	// uneventful is how long a ledger is open of which nothing came: its service outlived the signal, say.
	uneventful = 30 * time.Second
)

// kept is how many ledgers are kept.
const kept = 20

// Ledgers are those of one project, the open one last. It is not safe for concurrent use. The zero value is empty.
type Ledgers struct{ all []*Ledger }

// OpenMove is Open for a restart or a swap, which does not close the ledger of a fault that is
// still on: what that does to others goes on. It says whether it opened one.
func (b *Ledgers) OpenMove(
	now time.Time, service string, replica int, move string, was []container.Identity, bystanders []Stand,
) bool {
	if b.Current() != nil {
		return false
	}
	b.Open(now, service, replica, move, was, bystanders)
	b.Current().Move = true
	return true
}

// Open notes how everybody else stands at the moment of a fault, and closes the ledger before. Those
// that do not run are counted. was are the replicas that are hit and run.
func (b *Ledgers) Open(
	now time.Time, service string, replica int, fault string, was []container.Identity, bystanders []Stand,
) {
	if l := b.Current(); l != nil {
		l.Closed = now
	}
	l := &Ledger{Service: service, Replica: replica, Fault: fault, At: now, was: was}
	for _, s := range bystanders {
		if !s.Live {
			l.Down++
			continue
		}
		row := Row{Service: s.Service, Replica: s.Replica, Before: s.proof(), After: s.proof(),
			Outcome: Untouched,
			Needs:   s.Needs || s.Shares != "", wasHealthy: !s.Unhealthy, shares: s.Shares}
		if s.Moving {
			row.freeze(0)
		}
		l.Rows = append(l.Rows, row)
	}
	b.all = append(b.all, l)
	if len(b.all) > kept {
		b.all = b.all[1:]
	}
}

// OpenFault is Open for a fault of the catalogue.
func (b *Ledgers) OpenFault(now time.Time, f *Fault, was []container.Identity, bystanders []Stand) {
	b.Open(now, f.Service, f.Replica, f.Words(), was, bystanders)
	b.Current().Kind = f.Kind
}

// Withdraw takes back the open ledger of a service, because nothing was done to it after all.
func (b *Ledgers) Withdraw(service string) {
	if l := b.Current(); l != nil && l.Service == service {
		b.all = b.all[:len(b.all)-1]
	}
}

// Current is the open ledger, nil when there is none.
func (b *Ledgers) Current() *Ledger {
	if n := len(b.all); n > 0 && b.all[n-1].Closed.IsZero() {
		return b.all[n-1]
	}
	return nil
}

// Compare compares the open ledger with how everybody stands now. An outcome only gets worse. It
// returns the ledger when it is closed by that, because the service is back.
func (b *Ledgers) Compare(now time.Time, stand func(service string, replica int) Stand, hit Hit) *Ledger {
	l := b.Current()
	if l == nil {
		return nil
	}
	for i := range l.Rows {
		row := &l.Rows[i]
		at := stand(row.Service, row.Replica)
		if row.After = at.proof(); !row.frozen {
			row.compare(now.Sub(l.At), at, hit, l.Service)
		}
	}
	return l.close(now, hit)
}

// close closes the ledger when its service is back, or nothing came of what was done to it, and returns it then. Before
// the service was seen to be gone it cannot be back: a stop may take its time, and so may what is to take its place.
func (l *Ledger) close(now time.Time, hit Hit) *Ledger {
	l.Gone = l.Gone || !slices.EqualFunc(l.was, hit.Live, sameLife)
	l.hurt = l.hurt || hit.Faulty
	if l.back.IsZero() && !hit.HeldDown && !hit.Faulty && (l.Gone || l.hurt) {
		l.back = now
	}
	switch {
	case !hit.Ready, hit.HeldDown, hit.Faulty, now.Sub(l.At) <= closesAfter:
		return nil
	case len(l.was) > 0 && len(hit.Live) == 0:
		return nil // ready, since it ended with 0, and not back
	case !l.back.IsZero():
		l.BackIn = now.Sub(l.back)
	case now.Sub(l.At) <= uneventful:
		return nil
	}
	l.Closed = now
	return l
}

func sameLife(a, b container.Identity) bool {
	return a.ID == b.ID && a.Started.Equal(b.Started) && a.Restarts == b.Restarts
}

func (row *Row) compare(after time.Duration, now Stand, hit Hit, of string) {
	// What lives in a namespace may be seen to end a moment before the process that the namespace lives by.
	if row.shares != "" && (!hit.Hosting || !now.Live) {
		row.worsen(Died, after, fmt.Sprintf("shares the %s of %s, which is down", row.shares, of))
	}
	switch {
	case !now.Live:
		row.worsen(Died, after, "not running")
	case now.Identity.ID != row.Before.ID:
		row.worsen(Died, after, "recreated")
	case !now.Identity.Started.Equal(row.Before.Started), now.Identity.Restarts != row.Before.Restarts:
		row.worsen(Died, after, "restarted")
	case row.wasHealthy && now.Unhealthy:
		row.worsen(WentUnhealthy, after, "healthy -> unhealthy")
	}
}

// NoteErrors notes that a bystander logs more errors than before, since the first of them, which is line.
func (b *Ledgers) NoteErrors(l *Ledger, service string, replica int, at time.Time, line Sign) {
	for i := range l.Rows {
		if row := &l.Rows[i]; row.Service == service && row.Replica == replica {
			row.worsenBy(Errors, at.Sub(l.At), line)
		}
	}
}

// Freeze takes a service out of the open ledger from now on, because it is about to be stopped or
// replaced on purpose: what becomes of it then proves nothing about the fault.
func (b *Ledgers) Freeze(now time.Time, service string) {
	l := b.Current()
	if l == nil {
		return
	}
	for i := range l.Rows {
		if row := &l.Rows[i]; row.Service == service {
			row.freeze(now.Sub(l.At))
		}
	}
}

func (row *Row) freeze(after time.Duration) {
	row.frozen = true
	row.worsen(Blind, after, "changed on purpose")
}

// Include notes of services in the open ledger that they have its fault too: they are no bystanders.
func (b *Ledgers) Include(services []string) {
	l := b.Current()
	if l == nil {
		return
	}
	for i := range l.Rows {
		if row := &l.Rows[i]; slices.Contains(services, row.Service) {
			row.frozen, row.Included = true, true
			row.worsen(Blind, 0, "has the fault too: it shares the network")
		}
	}
}

func (row *Row) worsen(o Outcome, after time.Duration, sign string) {
	row.worsenBy(o, after, Sign{Text: sign})
}

func (row *Row) worsenBy(o Outcome, after time.Duration, sign Sign) {
	if o > row.Outcome {
		row.Outcome, row.Delay, row.Sign = o, after, sign
	}
}

// Copies returns copies of all ledgers, oldest first.
func (b *Ledgers) Copies() []Ledger {
	var out []Ledger
	for _, l := range b.all {
		out = append(out, l.Copy())
	}
	return out
}

// Copy returns a ledger that nobody writes to again.
func (l *Ledger) Copy() Ledger {
	c := *l
	c.Rows = slices.Clone(l.Rows)
	return c
}

// Verdict is a ledger in one line: "orders: SIGKILL; gateway errors; 5 untouched".
func (l *Ledger) Verdict() string {
	var touched, moved, with []string
	untouched := 0
	for _, r := range l.Rows {
		name := r.Service
		if r.Replica > 1 {
			name = fmt.Sprintf("%s/%d", r.Service, r.Replica)
		}
		switch r.Outcome {
		case Untouched:
			untouched++
			continue
		case Blind:
			if r.Included {
				with = append(with, name)
			} else {
				moved = append(moved, name)
			}
			continue
		}
		sign := ""
		if !r.Needs {
			sign = "?" // it may have its own reasons
		}
		touched = append(touched, fmt.Sprintf("%s %s%s", name, r.Outcome, sign))
	}
	who := "no other service suffered"
	if len(touched) > 0 {
		who = strings.Join(touched, ", ")
	}
	hit := l.Service
	if len(with) > 0 {
		hit += " with " + strings.Join(with, ", ") + " in its network"
	}
	if untouched+len(touched)+len(moved) == 0 {
		return fmt.Sprintf("%s: %s; no other service runs", hit, l.Fault)
	}
	text := fmt.Sprintf("%s: %s; %s; %d untouched (same container id, start time, restart count)",
		hit, l.Fault, who, untouched)
	if len(moved) > 0 {
		text += "; changed on purpose: " + strings.Join(moved, ", ")
	}
	return text
}
