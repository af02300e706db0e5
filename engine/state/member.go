package state

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/project"
)

// Member is one service of the running project. Its methods, and those of its parts, may be called from
// any goroutine.
type Member struct {
	st    *State
	Files Files
	Spare Spare
	Lane  Lane

	// All below is guarded by the State's lock.
	c         condition.Service // its Replicas are those of reps
	reps      replicas
	incoming  map[string]arrival // containers that the lane has made and that no replica holds yet
	since     time.Time          // when it came to be in its state
	changes   []*Change
	added     time.Time          // when it became a part of the project
	untrusted bool               // a host command of it did not run because nobody has allowed it
	provided  *hostcmd.Variables // what its provider has said; nil while what it stands for is not there
}

// arrival is what is known of a container that no replica holds yet.
type arrival uint8

const (
	unknownArrival arrival = iota // there is no such container
	quiet                         // nothing has happened to it
	eventful                      // an event came: who looks at it now may look too early
)

func newMember(st *State, conf *project.Service) *Member {
	mode := conf.Extra.Watch
	if mode == project.UnknownWatch {
		mode = project.Auto
	}
	s := &Member{
		st: st, c: condition.Service{Name: conf.Name, Conf: conf, State: container.StateWaiting},
		incoming: map[string]arrival{}, since: time.Now(), added: time.Now(),
	}
	s.reps.c = &s.c
	s.Files, s.Spare.s, s.Lane.s = newFiles(s, mode), s, s
	return s
}

// update computes the shown state of a service and of its replicas after something about them
// changed. Callers hold mu.
func (s *Member) update() {
	now := time.Now()
	for _, r := range s.reps.all {
		if r.Calm.ID != r.Instance.ID || r.Healthy() {
			r.Calm = r.Instance.Identity
		}
		if shown := r.Shown(s.c.Conf); shown != r.State {
			r.State, r.since = shown, now
			if shown == container.StateRunning && !r.Instance.Started.IsZero() &&
				r.Instance.Health == container.HealthNone {
				r.since = r.Instance.Started
			}
		}
	}
	s.c.WaitsOn = s.st.known.Down(&s.c)
	if shown := s.c.Shown(); shown != s.c.State {
		s.c.State, s.since = shown, now
		if at := s.c.Started(); shown == container.StateRunning && !at.IsZero() {
			s.since = at
		}
	}
	s.st.checkReady()
	s.st.bump()
}

// updateJoiners updates those that join the service's container. Callers hold mu.
func (s *Member) updateJoiners() {
	for _, o := range s.st.known.Joiners(s.c.Name) {
		s.st.services[o.Name].update()
	}
}

// Added is when the service became a part of the project.
func (s *Member) Added() time.Time { return s.added }

// Name is the service's.
func (s *Member) Name() string { return s.c.Name }

// Conf is the service as it is wanted now.
func (s *Member) Conf() *project.Service {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	return s.c.Conf
}

// Known is what is known of the service now.
func (s *Member) Known() condition.Service {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	c := s.c
	c.Replicas = nil
	for _, r := range s.c.Replicas {
		one := *r
		c.Replicas = append(c.Replicas, &one)
	}
	return c
}

// Holder is a replica with the container that it has.
type Holder struct {
	Number   int
	Instance container.Instance
}

// Holders lists the replicas that have a container; n is one of them, 0 all.
func (s *Member) Holders(n int) []Holder {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	var out []Holder
	for _, r := range s.reps.all {
		if r.Instance.ID != "" && (n == 0 || n == r.Number) {
			out = append(out, Holder{r.Number, r.Instance})
		}
	}
	return out
}

// TakeSpare makes one of the spare containers the one that its replica holds; the one that was held
// becomes spare in its place. It returns what follows, as Adopt does.
func (s *Member) TakeSpare(in container.Instance) Follow {
	s.st.mu.Lock()
	s.Spare.dropLocked(in.ID)
	if r := s.reps.of(in.Replica); r.Instance.ID != "" {
		s.Spare.all = append(s.Spare.all, r.Instance)
	}
	s.st.mu.Unlock()
	return s.Adopt(in.Replica, in, "")
}

// SetImage notes the image that the service is to run.
func (s *Member) SetImage(img *container.Image) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.c.Image = img
	s.st.bump()
}

// Owed is what is left to be carried out of a service.
type Owed struct {
	ByHand  bool     // it was held down by the user
	Stale   []string // sorted
	Unbuilt bool     // its last build failed
	// Unapplied: its containers are not what the project wants, since that failed
	Unapplied bool
}

// BringBack notes that the service is to run again, and returns what it lacks.
func (s *Member) BringBack() Owed {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	o := Owed{ByHand: s.c.ByHand, Stale: slices.Sorted(maps.Keys(s.Files.stale)), Unbuilt: s.Files.unbuilt,
		Unapplied: s.Files.unapplied}
	s.c.ByHand, s.Lane.calledOff = false, false
	s.failLocked(nil)
	s.st.bump()
	return o
}

// TakesFiles says whether changes of files are carried out: one that the user holds down keeps them
// pending until he brings it back.
func (s *Member) TakesFiles() bool {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	return s.c.Settled && !s.c.ByHand
}

// HoldDown notes that only the user brings the service back, or with false that he has.
func (s *Member) HoldDown(down bool) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.c.ByHand = down
	s.st.bump()
}

// Follows notes that the service is to run as soon as the one that it joins does.
func (s *Member) Follows() {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.c.Follow = true
}

// Fail keeps why the service could not be brought to where it should be, nil when nothing is wrong.
// What runs, runs on.
func (s *Member) Fail(err error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.failLocked(err)
	s.update()
}

func (s *Member) failLocked(err error) {
	s.untrusted = errors.As(err, new(*hostcmd.UntrustedError))
	s.c.Problem = condition.ProblemOf(s.c.Name, err).FirstLine()
}

// Waits notes the conditions that a service waits for, and why they do not come to hold by
// themselves; nil when they may.
func (s *Member) Waits(conditions condition.Waits, why error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	was := s.c.Blocked
	if slices.Equal(conditions, s.c.WaitsFor) && errText(was) == errText(why) {
		return
	}
	s.c.WaitsFor, s.c.Blocked = conditions, why
	switch {
	case why != nil:
		s.c.Problem = condition.ProblemOf(s.c.Name, why)
	case was != nil:
		s.c.Problem = condition.Problem{}
	}
	s.update()
	if why != nil && was == nil {
		s.st.record(Record{Kind: "service", Service: s.c.Name, State: s.c.State, Err: why.Error(),
			Text: why.Error()})
	}
}

// errText is the text of an error, "" of nil.
func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Allowed notes that its host commands have been allowed. It is false when it did not wait for that.
func (s *Member) Allowed() bool {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	was := s.untrusted && !s.c.Leaving
	s.untrusted = s.untrusted && !was
	return was
}

// SetProvided notes what the service's provider has said; nil when what it stands for is gone.
func (s *Member) SetProvided(vars *hostcmd.Variables) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.provided, s.c.Provided = vars, vars != nil
	s.update()
}

// Provided is what the service's provider has said; nil while what it stands for is not there.
func (s *Member) Provided() *hostcmd.Variables {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	return s.provided
}

// SetConf makes a configuration the one that the service has.
func (s *Member) SetConf(conf *project.Service) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.c.Conf = conf
	s.st.bump()
}

// Settle takes the service as it is found, without a first up: one that does not run is held down.
func (s *Member) Settle() {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.c.Settled = true
	s.c.ByHand = s.c.Count(func(r *condition.Replica) bool {
		return r.Live() || r.Instance.State == container.StatePaused ||
			r.Instance.State == container.StateRestarting
	}) == 0
	s.update()
}

// Leave notes that the Compose file does not name the service any more, or with false that it does
// again. It is false when that was so already.
func (s *Member) Leave(leaving bool) bool {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	was := s.c.Leaving
	s.c.Leaving = leaving
	return was != leaving
}

// Remove takes a service away that leaves; it is false for one that stays.
func (s *Member) Remove() bool {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if s.c.Leaving {
		delete(s.st.services, s.c.Name)
		delete(s.st.known, s.c.Name)
		s.st.bump()
	}
	return s.c.Leaving
}

// Injection is what a fault does to a service.
type Injection struct {
	What    string          // "SIGKILL", "pause", "unpause"
	Verb    string          // of the command
	Heals   bool            // it ends a fault
	Replica int             // 0: all
	IDs     []string        // of the containers that it is done to
	Ends    bool            // they are to end of it, and stay down
	Handled bool            // their processes may handle it, and go on
	Idles   bool            // they stay down if they end of it
	Happens fault.EventKind // as those who need the service may notice it; EventUnknown: not at all
	Cause   string
}

// Inject notes what is about to be done to a service on purpose, and opens the ledger of it.
func (s *Member) Inject(f Injection) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	for _, id := range f.IDs {
		if r := s.reps.byID(id); r != nil {
			if f.Handled || !f.Ends && !r.ExpectedExit { // nobody knows whether anything comes of it
				r.expectBy = time.Now().Add(lateEnd)
			}
			r.pendingCause, r.idles = f.Cause, f.Idles
			r.ExpectedExit = r.ExpectedExit || f.Ends
		}
	}
	kind := "fault"
	if f.Heals {
		kind = "service"
	} else {
		s.st.Ledgers.open(s.c.Name, f.Replica, f.What)
	}
	s.c.ByHand = (s.c.ByHand || f.Ends || f.Happens == fault.Paused) && !f.Heals
	s.st.record(Record{Kind: kind, Service: s.c.Name, Replica: f.Replica, Action: f.Verb,
		Cause: f.Cause, What: f.What,
		Text: fmt.Sprintf("%s: %s (%s)", s.c.Name, f.What, f.Cause)})
	if f.Happens != fault.EventUnknown {
		s.st.Ledgers.incident(fault.Event{Time: time.Now(), Kind: f.Happens, Service: s.c.Name})
	}
}

// snapshot is a service as readers see it; memTotal is the machine's memory, a limit of which is none.
// Callers hold mu.
func (s *Member) snapshot(memTotal int64) Service {
	c := &s.c
	out := Service{
		Name: c.Name, State: c.State, Health: container.HealthNone, Since: s.since,
		Wanted: c.Conf.Replicas, Image: c.Conf.Image,
		CPU: math.NaN(), Mem: -1, NetRx: math.NaN(), NetTx: math.NaN(), ReadyBy: c.ReadyBy(),
		Ready: c.Ready(), ByHand: c.ByHand, CalledOff: s.Lane.calledOff, Untrusted: s.untrusted,
		Mode: s.Files.mode, Rules: c.Conf.Rules, Doing: s.Lane.doing,
		WaitsFor: slices.Concat(c.WaitsFor, c.WaitsOn), Err: c.Problem.Text, Config: *c.Conf,
		ErrShort: c.Problem.Short, ErrNamed: c.Problem.Named, Remedy: c.Problem.Remedy,
		DependsOn: slices.Sorted(maps.Keys(c.Conf.DependsOn)), Started: c.Started(),
		Stale: slices.Sorted(maps.Keys(s.Files.stale)),
	}
	if c.Settled { // until then the files that prepare writes are no news
		out.Pending = slices.Sorted(maps.Keys(s.Files.pending))
	}
	for _, r := range s.reps.all {
		h, in := r.Health(), r.Instance
		one := Replica{
			Number: r.Number, Generation: r.generation, Identity: in.Identity, Name: in.Name,
			State: r.State, Health: h, Since: r.since,
			ExitCode: r.exitCode(), OOM: in.OOM, Restarts: in.Restarts, Cause: r.cause,
			ImageID: in.ImageID, Ports: in.Ports,
			CPU: r.use.cpu, Mem: r.use.mem, Finished: in.Finished,
			Check: r.check(), Crashes: r.crashRow(), RetryAt: in.RetryAt,
		}
		switch in.State {
		case container.StateStopping:
			one.StopBy = r.stopBy
		case container.StateExited, container.StatePaused, container.StateUnknown:
			one.Outside = r.outside
		}
		out.Replicas = append(out.Replicas, one)
		out.Restarts += in.Restarts
		out.Generation = max(out.Generation, r.generation)
		out.Ports = append(out.Ports, in.Ports...)
		out.Health = out.Health.Worse(h)
		if in.State == container.StateExited || r.Crashing() {
			out.ExitCode = r.exitCode()
		}
		if r.Live() {
			out.Image = cmp.Or(in.ImageRef, out.Image) // what runs, which may be of an older file
			r.use.addTo(&out, r.Number, memTotal)
		}
	}
	if out.Started.IsZero() {
		out.Ports = declared(c.Conf)
	}
	out.Unapplied = s.Files.unapplied && !out.Started.IsZero()
	for _, ch := range s.changes {
		k := *ch
		k.Stages = slices.Clone(ch.Stages)
		out.Changes = append(out.Changes, k)
	}
	if n := len(out.Changes); n > 0 {
		out.Last = &out.Changes[n-1]
	}
	return out
}

// declared returns the published ports of the file, for a service that does not run.
func declared(conf *project.Service) []container.Port {
	var out []container.Port
	for _, p := range conf.Config.Ports {
		published, err := strconv.Atoi(p.Published)
		if err != nil || published == 0 {
			continue // an ephemeral port or a range: known only once it runs
		}
		out = append(out, container.Port{Host: p.HostIP, Published: published, Target: int(p.Target),
			Protocol: p.Protocol})
	}
	return out
}
