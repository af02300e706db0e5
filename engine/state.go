package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// service is one service's state. Everything in it is guarded by Engine.mu, except conf, which is replaced whole.
type service struct {
	name string
	conf *project.Service
	reps map[int]*replica
	lane lane
	mode project.WatchMode
	// extra are containers beside the ones that the replicas hold, for numbers that have one
	// already: what a swap that was cut short left. The next up removes them, or takes one of them
	// instead.
	extra []Instance

	image    *Image
	byHand   bool            // only the user brings it back
	incoming map[string]bool // containers that the lane has made and not adopted yet
	state    State
	since    time.Time
	doing    string
	pending  map[string]struct{} // paths of batches that the lane has not begun to carry out
	stale    map[string]struct{}
	waitsFor []string
	changes  []*Change
	err      string
	remedy   string
	settled  bool     // the lane has carried out the first up
	follow   bool     // it is to run as soon as the service that it joins does
	waitsOn  []string // "a running": the services that are down whose namespaces it shares
	leaving  bool     // the Compose file does not name it any more: its containers are being removed
	gone     bool     // they are removed, and its lane takes no more tasks
	unbuilt  bool     // the last build failed: up tries it again
	failed   error    // of the last task that was to bring it where it should be
	blocked  error    // why what it waits for does not come by itself, nil when it may; err says it too
	hookErrs []error  // pre_stop hooks that failed during the lane's task
}

// replica is one container slot.
type replica struct {
	number       int
	generation   int
	inst         Instance // ID is "" while there is no container
	early        bool     // our own probe passed in this life
	unhooked     bool     // its post_start hooks have not all succeeded since it was started
	calm         Identity // the container, and its restarts when it was healthy last
	since        time.Time
	state        State
	cause        string
	pendingCause string    // what the next change of state is due to, when we know beforehand
	sick         bool      // its health was unhealthy when it was recorded last
	expectedExit bool      // the end that is seen next was asked for
	stopBy       time.Time // when the engine kills it unless it has ended; valid while it is being stopped

	read    time.Time // when its use was asked for last
	last    Stats
	cpu     float64
	mem     int64
	rx, tx  float64
	cpuHist []float64
	memHist []int64
	netHist []float64

	memLimit int64
}

func newService(e *Engine, conf *project.Service) *service {
	mode := conf.Extra.Watch
	if mode == project.UnknownWatch {
		mode = project.Auto
	}
	s := &service{
		name: conf.Name, conf: conf, mode: mode, reps: map[int]*replica{}, incoming: map[string]bool{},
		pending: map[string]struct{}{}, stale: map[string]struct{}{}, since: time.Now(), state: StateWaiting,
	}
	s.lane = lane{e: e, s: s, wake: make(chan struct{}, 1)}
	return s
}

func newReplica(n int) *replica {
	return &replica{number: n, state: StateWaiting, since: time.Now(), cpu: math.NaN(), mem: -1, rx: math.NaN(), tx: math.NaN()}
}

func (s *service) sorted() []*replica {
	return slices.SortedFunc(maps.Values(s.reps), func(a, b *replica) int { return a.number - b.number })
}

// replica returns the slot of a number, making it when it is new.
func (s *service) replica(n int) *replica {
	r := s.reps[n]
	if r == nil {
		r = newReplica(n)
		s.reps[n] = r
	}
	return r
}

// byID finds the replica that a container holds.
func (s *service) byID(id string) *replica {
	for _, r := range s.reps {
		if r.inst.ID == id {
			return r
		}
	}
	return nil
}

// deadline is when the runtime kills a replica that is being stopped, zero when none is. Callers hold Engine.mu.
func (r *replica) deadline() time.Time {
	if r.inst.State != StateStopping {
		return time.Time{}
	}
	return r.stopBy
}

func (r *replica) live() bool { return r.inst.ID != "" && r.inst.State == StateRunning }

// ready says whether a replica is ready in the sense of DESIGN: the engine says healthy, or our own early probe
// passed, or there is nothing to ask and it runs.
func (r *replica) ready(conf *project.Service) bool {
	if !r.live() || r.unhooked {
		return false
	}
	switch r.inst.Health {
	case Healthy:
		return true
	case HealthStarting:
		return r.early
	case Unhealthy:
		return false
	}
	return conf.Extra.Probe == "" || r.early
}

// healthy says whether the healthcheck has passed in this life: by the engine's result, or by our
// own early run of the same test.
func (r *replica) healthy() bool {
	return r.live() && (r.inst.Health == Healthy || r.inst.Health == HealthStarting && r.early && len(r.inst.Check) > 0)
}

// health is what to show: our own early probe counts as healthy until the engine has its first result.
func (r *replica) health() Health {
	if !r.live() {
		return HealthNone
	}
	if r.inst.Health == HealthStarting && r.early {
		return Healthy
	}
	return r.inst.Health
}

// shown is the state of a replica in the words of the screen.
func (r *replica) shown(conf *project.Service) State {
	if r.inst.ID == "" {
		return StateWaiting
	}
	if r.live() && !r.ready(conf) && r.inst.Health != Unhealthy {
		return StateStarting
	}
	return r.inst.State
}

// completed says that every replica ended by itself with exit code 0 and stays so.
func (s *service) completed() bool {
	if len(s.reps) == 0 || s.conf.Replicas == 0 {
		return false
	}
	for _, r := range s.reps {
		if r.inst.State != StateExited || r.inst.ExitCode != 0 || r.expectedExit {
			return false
		}
	}
	return true
}

// isReady says whether all wanted replicas are ready, or it did what it had to do.
func (s *service) isReady() bool {
	if s.conf.Replicas == 0 {
		return true
	}
	if !s.settled || len(s.waitsOn) > 0 {
		return false
	}
	ready := 0
	for _, r := range s.reps {
		if r.ready(s.conf) {
			ready++
		}
	}
	return ready >= s.conf.Replicas || s.completed() && !s.conf.Restarts()
}

// readyBy names what ready means for a service.
func (s *service) readyBy() string {
	for _, r := range s.reps {
		if len(r.inst.Check) > 0 {
			if r.early && r.inst.Health == HealthStarting {
				return "early probe"
			}
			return "healthcheck"
		}
	}
	if s.conf.Extra.Probe != "" {
		return "probe"
	}
	return "running"
}

// severity orders states for a service of several replicas: the worst is shown.
func severity(st State) int {
	return slices.Index([]State{StateRunning, StatePaused, StateExited, StateCreated, StateWaiting, StateStarting, StateBuilding, StateStopping, StateRestarting, StateBroken}, st)
}

// updateState computes the shown state of a service and of its replicas after something about them
// changed, and records what moved. Callers hold mu.
func (e *Engine) updateState(s *service) {
	now := time.Now()
	state := StateUnknown
	for _, r := range s.sorted() {
		if r.calm.ID != r.inst.ID || r.healthy() {
			r.calm = r.inst.Identity
		}
		st := r.shown(s.conf)
		if st != r.state {
			r.state, r.since = st, now
			if st == StateRunning && !r.inst.Started.IsZero() && r.inst.Health == HealthNone {
				r.since = r.inst.Started
			}
		}
		if state == StateUnknown || severity(st) > severity(state) {
			state = st
		}
	}
	s.waitsOn = e.waitsForLocked(s)
	switch {
	case len(s.waitsOn) > 0 && s.lane.busy == nil:
		state = StateWaiting
	case s.err != "" && state != StateRunning && state != StatePaused:
		state = StateBroken
	case state == StateUnknown && s.conf.Replicas == 0:
		state = StateExited
	case state == StateUnknown || state == StateWaiting:
		state = StateWaiting
		if s.lane.imaging {
			state = StateBuilding
		}
	}
	if state != s.state {
		s.state, s.since = state, now
		if state == StateRunning {
			s.since = s.started()
		}
	}
	e.checkReady()
	e.bump()
}

// started is when the oldest running replica began to run, now when none does.
func (s *service) started() time.Time {
	t := time.Time{}
	for _, r := range s.reps {
		if r.live() && (t.IsZero() || r.inst.Started.Before(t)) {
			t = r.inst.Started
		}
	}
	if t.IsZero() {
		return time.Now()
	}
	return t
}

// checkReady notes when every service is ready. Callers hold mu.
func (e *Engine) checkReady() {
	for _, s := range e.svcs {
		if !s.isReady() {
			e.ready = false
			return
		}
	}
	if e.ready || e.phase != PhaseRunning {
		return
	}
	e.ready = true
	text := count(len(e.svcs))
	if e.readyIn == 0 {
		e.readyIn = time.Since(e.began)
		e.record(Record{Kind: "notice", Notice: "ready", Text: fmt.Sprintf("ready: %s in %s", text, container.Brief(e.readyIn)),
			Stages: []Stage{{Name: "ready", Took: e.readyIn}}})
	} else {
		e.record(Record{Kind: "notice", Notice: "ready", Text: "ready: " + text})
	}
}

// count writes a number of services.
func count(n int) string {
	if n == 1 {
		return "1 service"
	}
	return fmt.Sprintf("%d services", n)
}

// Snapshot is the state now. It never blocks on work in progress.
func (e *Engine) Snapshot() *Snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.snap != nil {
		return e.snap
	}
	n := &Snapshot{
		Seq: e.seq, Time: time.Now(), Project: e.name, Dir: e.dir, Files: e.p.Files, Profiles: e.p.Profiles,
		Runtime: e.info, Caps: e.rt.Caps, Disabled: e.p.Disabled, Watch: e.watching, Plan: e.plan, Ready: e.ready, ReadyIn: e.readyIn,
		Phase: e.phase, Reload: e.reload, Orphans: e.orphaned, Warnings: slices.Clone(e.warnings),
		Records: slices.Clone(e.records[max(0, len(e.records)-shownEvents):]),
	}
	n.Watch.Notices = slices.Clone(e.watching.Notices)
	for _, b := range e.builds {
		n.Builds = append(n.Builds, *b)
	}
	n.Ledgers = e.ledgers.Copies()
	for _, name := range slices.Sorted(maps.Keys(e.svcs)) {
		n.Services = append(n.Services, e.svcs[name].snapshot(e.info.MemTotal))
	}
	e.snap = n
	return n
}

// snapshot is a service as readers see it; memTotal is the machine's memory, a limit of which is none.
func (s *service) snapshot(memTotal int64) Service {
	out := Service{
		Name: s.name, State: s.state, Health: HealthNone, Since: s.since, Wanted: s.conf.Replicas, Image: s.conf.Image,
		CPU: math.NaN(), Mem: -1, NetRx: math.NaN(), NetTx: math.NaN(), ReadyBy: s.readyBy(), Ready: s.isReady(), ByHand: s.byHand,
		Mode: s.mode, Rules: s.conf.Rules, Doing: s.doing, WaitsFor: append(s.waitsFor[:len(s.waitsFor):len(s.waitsFor)], s.waitsOn...), Err: s.err, Remedy: s.remedy, Config: *s.conf,
		DependsOn: slices.Sorted(maps.Keys(s.conf.DependsOn)),
		Stale:     slices.Sorted(maps.Keys(s.stale)),
	}
	if s.settled { // until then the files that prepare writes are no news
		out.Pending = slices.Sorted(maps.Keys(s.pending))
	}
	for _, r := range s.sorted() {
		h := r.health()
		out.Replicas = append(out.Replicas, Replica{
			Number: r.number, Generation: r.generation, Identity: r.inst.Identity, Name: r.inst.Name, State: r.state, Health: h, Since: r.since,
			ExitCode: r.inst.ExitCode, OOM: r.inst.OOM, Restarts: r.inst.Restarts, Cause: r.cause, ImageID: r.inst.ImageID, Ports: r.inst.Ports,
			CPU: r.cpu, Mem: r.mem, Finished: r.inst.Finished, StopBy: r.deadline(),
		})
		out.Restarts += r.inst.Restarts
		out.Generation = max(out.Generation, r.generation)
		out.Ports = append(out.Ports, r.inst.Ports...)
		if h > out.Health {
			out.Health = h // the enum is in the order of badness
		}
		if r.inst.State == StateExited {
			out.ExitCode = r.inst.ExitCode
		}
		if !r.live() {
			continue
		}
		if out.Started.IsZero() || r.inst.Started.Before(out.Started) {
			out.Started = r.inst.Started
		}
		out.CPU, out.Mem = plus(out.CPU, r.cpu), max(out.Mem, 0)+max(r.mem, 0)
		if r.memLimit > 0 && r.memLimit < memTotal {
			out.MemLimit += r.memLimit
		}
		if r.mem < 0 {
			out.Mem = -1
		}
		out.NetRx, out.NetTx = plus(out.NetRx, r.rx), plus(out.NetTx, r.tx)
		if r.number == 1 || out.CPUHistory == nil {
			out.CPUHistory, out.MemHistory, out.NetHistory = slices.Clone(r.cpuHist), slices.Clone(r.memHist), slices.Clone(r.netHist)
		}
	}
	if len(out.Ports) == 0 {
		out.Ports = declared(s.conf)
	}
	for _, c := range s.changes {
		k := *c
		k.Stages = slices.Clone(c.Stages)
		out.Changes = append(out.Changes, k)
	}
	if n := len(out.Changes); n > 0 {
		out.Last = &out.Changes[n-1]
	}
	return out
}

// plus adds readings, taking one that is not there (NaN) as nothing.
func plus(a, b float64) float64 {
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	}
	return a + b
}

// declared returns the published ports of the file, for a service that does not run.
func declared(conf *project.Service) []Port {
	var out []Port
	for _, p := range conf.Config.Ports {
		var published int
		if _, err := fmt.Sscanf(p.Published, "%d", &published); err != nil {
			continue // an ephemeral port or a range: known only once it runs
		}
		out = append(out, Port{Host: p.HostIP, Published: published, Target: int(p.Target), Protocol: p.Protocol})
	}
	return out
}
