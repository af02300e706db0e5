package state

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
)

// replica is one container slot.
type replica struct {
	condition.Replica
	generation   int
	since        time.Time
	cause        string
	pendingCause string    // what the next change of state is due to, when we know beforehand
	expectBy     time.Time // until when ExpectedExit and pendingCause hold; zero: until it comes true
	idles        bool      // its restart policy stays idle when it ends
	replaced     bool      // its container is removed by the runtime, which puts another in its place
	starting     bool      // its start was asked for, and has not been seen
	sick         bool      // its health was unhealthy when it was recorded last
	lastExit     int       // the code of the last end that was seen; a container that runs again has none
	// unhealthySince is when its health was seen to be unhealthy; valid while it is.
	unhealthySince time.Time
	outside        Outside   // what another program did to it; its next life knows nothing of that
	foreignSignal  string    // that another program sent last, "9" or "15"
	stopBy         time.Time // when the engine kills it unless it has ended; valid while it is being stopped
	use            usage
}

// lateEnd is how long an end is still put down to what was asked for, though the runtime answered that
// it could not be done: a busy one may carry it out later than it has time to answer.
const lateEnd = 30 * time.Second

// lapseLate has what is expected of a container hold for a while only.
func (r *replica) lapseLate() {
	if r.ExpectedExit || r.pendingCause != "" {
		r.expectBy = time.Now().Add(lateEnd)
		if r.stopBy.After(time.Now()) {
			r.expectBy = r.stopBy.Add(lateEnd)
		}
	}
}

// lapse forgets what was expected of a container and has not come. It returns whether it was to end, and runs.
func (r *replica) lapse() (outlived bool) {
	if r.expectBy.IsZero() || !time.Now().After(r.expectBy) {
		return false
	}
	outlived = r.ExpectedExit && r.Live()
	r.ExpectedExit, r.pendingCause, r.expectBy, r.idles = false, "", time.Time{}, false
	return outlived
}

// replicas are the container slots of a service. Those who use them hold the State's lock.
type replicas struct {
	c   *condition.Service // which has them too, as condition judges them
	all []*replica         // sorted by number
}

// slot returns the slot of a number, making it when it is new; 0 stands for the one that holds a container, nil
// for none.
func (rs *replicas) slot(n int, id string) *replica {
	if n == 0 {
		return rs.byID(id)
	}
	return rs.of(n)
}

// of returns the slot of a number, making it when it is new. It takes the place of one whose container is
// gone, where there are as many as are wanted.
func (rs *replicas) of(n int) *replica {
	if gone := rs.find(func(r *replica) bool { return r.Instance.ID == "" }); gone != nil &&
		rs.has(n) == nil && len(rs.all) >= rs.c.Conf.Replicas {
		rs.drop(gone.Number)
	}
	i, ok := slices.BinarySearchFunc(rs.all, n, func(r *replica, n int) int { return r.Number - n })
	if !ok {
		r := &replica{
			Replica: condition.Replica{Number: n, State: container.StateWaiting}, since: time.Now(),
			use: noUsage(),
		}
		rs.all = slices.Insert(rs.all, i, r)
		rs.c.Replicas = slices.Insert(rs.c.Replicas, i, &r.Replica)
	}
	return rs.all[i]
}

// has returns the slot of a number, nil when there is none.
func (rs *replicas) has(n int) *replica {
	return rs.find(func(r *replica) bool { return r.Number == n })
}

// byID returns the slot that a container is held by, nil when none holds it.
func (rs *replicas) byID(id string) *replica {
	return rs.find(func(r *replica) bool { return r.Instance.ID == id })
}

func (rs *replicas) find(which func(*replica) bool) *replica {
	if i := slices.IndexFunc(rs.all, which); i >= 0 {
		return rs.all[i]
	}
	return nil
}

// drop takes the slot of a number away.
func (rs *replicas) drop(n int) {
	rs.all = slices.DeleteFunc(rs.all, func(r *replica) bool { return r.Number == n })
	rs.c.Replicas = slices.DeleteFunc(rs.c.Replicas, func(r *condition.Replica) bool { return r.Number == n })
}

// label names a replica, by its number only where there are several.
func (rs *replicas) label(r *replica) string {
	if rs.c.Conf.Replicas > 1 || r.Number > 1 {
		return fmt.Sprintf("%s/%d", rs.c.Name, r.Number)
	}
	return rs.c.Name
}

// Spare are the containers of a service beside the ones that its replicas hold, for numbers that have
// one already: what a swap that was cut short left. The next up removes them, or takes one of them
// instead. It is a part of its Member, under the same lock; its methods may be called from any
// goroutine.
type Spare struct {
	s   *Member
	all []container.Instance
}

// List returns them all.
func (sp *Spare) List() []container.Instance {
	sp.s.st.mu.Lock()
	defer sp.s.st.mu.Unlock()
	return slices.Clone(sp.all)
}

// Keep keeps a container that was found for a number that has one already. It is false when there is
// none of that number yet.
func (sp *Spare) Keep(in container.Instance) bool {
	sp.s.st.mu.Lock()
	defer sp.s.st.mu.Unlock()
	taken := sp.s.reps.has(in.Replica) != nil
	if taken {
		sp.all = append(sp.all, in)
	}
	return taken
}

// Drop forgets one that is gone.
func (sp *Spare) Drop(id string) {
	sp.s.st.mu.Lock()
	defer sp.s.st.mu.Unlock()
	sp.dropLocked(id)
}

func (sp *Spare) dropLocked(id string) {
	sp.all = slices.DeleteFunc(sp.all, func(in container.Instance) bool { return in.ID == id })
}
