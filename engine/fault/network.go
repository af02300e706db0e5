package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"bulkhead/engine/agent"
	"bulkhead/engine/container"
)

// traffic is a fault of the network: rules for agents.
type traffic struct {
	does agent.Does
	// callers says that a fault of a whole service is done where its callers are; else it is done
	// where the service itself is.
	callers bool
	// spares is what does not happen to connections from before: they are not "delayed". "": they
	// have the fault as all others do.
	spares string
	rule   func(p Params, r *agent.Rule)
}

func (m traffic) inject(ctx context.Context, r *Injector, in *injection) error {
	return r.net.update(ctx, r, in)
}

func (m traffic) heal(ctx context.Context, r *Injector, in *injection) error {
	if in.recovered {
		return r.net.sweep(ctx, r, in)
	}
	return r.net.update(ctx, r, in)
}

func (m traffic) moved(ctx context.Context, r *Injector, in *injection, _ []container.Instance) (bool, error) {
	return false, r.net.update(ctx, r, in)
}

// network keeps the agents of a project, and what each is to do. It belongs to whoever holds
// Injector.working, but for what is said otherwise.
type network struct {
	agents map[site]*sidecar
}

// site is one life of a network namespace.
type site struct {
	owner   string // id of the container that it belongs to
	started int64
}

// place is a running container and where it is.
type place struct {
	container.Instance
	site
	addresses []netip.Addr
	networks  []string
	machine   []netip.Addr // by which it reaches the engine's machine
	err       error        // why faults are not possible in it
}

// places looks at all running containers of the project.
func (n *network) places(ctx context.Context, r *Injector) ([]place, error) {
	all, err := r.rt.Instances(ctx, r.project)
	if err != nil {
		return nil, err
	}
	started := map[string]int64{}
	var out []place
	for _, i := range all {
		if i.State == container.StateRunning || i.State == container.StatePaused {
			out = append(out, place{Instance: i})
			started[i.ID] = i.Since().UnixNano()
		}
	}
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() {
			p := &out[i]
			where, err := r.rt.Network(ctx, r.project, p.ID)
			p.site = site{owner: where.Owner, started: started[where.Owner]}
			p.addresses, p.networks, p.machine, p.err = where.Addresses, where.Networks, where.Machine, err
		})
	}
	wg.Wait()
	// ended just now
	return slices.DeleteFunc(out, func(p place) bool { return errors.Is(p.err, container.ErrNotFound) }), nil
}

// work is what is to be done at one site, and by which faults.
type work struct {
	place place
	rules []agent.Rule
	of    []*injection
	taps  bool // some of the rules tap
}

// update brings all agents in line with the faults in force and with what is tapped. The error is
// about one of the faults, or with nil about the taps; what does not work for the others is noted.
func (n *network) update(ctx context.Context, r *Injector, of *injection) error {
	places, err := n.places(ctx, r)
	if err != nil {
		return err
	}
	r.mu.Lock()
	active := slices.Clone(r.all)
	r.mu.Unlock()
	wanted := map[site]*work{}
	failed := map[*injection]error{}
	for _, in := range active {
		m, is := in.kind.method.(traffic)
		if !is {
			continue
		}
		if err := m.plan(ctx, in, places, wanted); err != nil {
			failed[in] = err
		}
		r.share(in, places)
	}
	rules := map[string]Edge{}
	r.taps.plan(places, wanted, rules)
	r.taps.setRules(rules)
	notDone := n.carryOut(ctx, r, wanted)
	r.forgetEnded(n.agents)
	for at, err := range notDone {
		if w := wanted[at]; w != nil {
			if w.taps && of == nil {
				failed[nil] = errors.Join(failed[nil], fmt.Errorf("%s: %w", w.place.Name, err))
			}
			for _, in := range w.of {
				failed[in] = errors.Join(failed[in], fmt.Errorf("%s: %w", w.place.Name, err))
			}
		} else {
			failed[of] = errors.Join(failed[of], err)
		}
	}
	if failed[of] != nil && slices.Contains(active, of) && !of.isSettled() {
		return failed[of] // the agents keep what they had, and are looked at once more when it is undone
	}
	for _, in := range active {
		if _, is := in.kind.method.(traffic); is && in != of {
			r.trouble(in, failed[in])
		}
	}
	return failed[of]
}

// plan adds what a fault wants done to the work of all sites.
func (m traffic) plan(ctx context.Context, in *injection, places []place, wanted map[site]*work) error {
	f := &in.Fault
	rule := agent.Rule{ID: f.ID, Does: m.does, Cut: f.Cut}
	m.rule(in.params, &rule)
	hit := slices.DeleteFunc(slices.Clone(places), func(p place) bool {
		return p.Service != f.Service || f.Replica != 0 && p.Replica != f.Replica
	})
	at := hit
	switch {
	case f.To != "":
		var err error
		if rule.To, rule.Port, err = addressesOf(ctx, f.To, places); err != nil {
			return err
		}
	case f.From != "" || m.callers:
		rule.To = prefixes(hit)
		at = slices.DeleteFunc(slices.Clone(places), func(p place) bool {
			if f.From != "" {
				return p.Service != f.From
			}
			return p.Service == f.Service || p.err != nil || !meets(p, hit)
		})
	default:
		rule.All = true
	}
	for _, p := range slices.Concat(hit, at) {
		if p.err != nil {
			return p.err
		}
	}
	if !rule.All && len(rule.To) == 0 {
		return nil // nobody is there to be called at this moment
	}
	for _, p := range at {
		if !rule.All && f.To == "" && slices.ContainsFunc(hit, func(h place) bool { return h.site == p.site }) {
			continue // they share a network namespace: their calls do not leave it
		}
		w := wanted[p.site]
		if w == nil {
			w = &work{place: p}
			wanted[p.site] = w
		}
		// services may share a site
		if !slices.ContainsFunc(w.rules, func(o agent.Rule) bool { return o.ID == rule.ID }) {
			w.rules = append(w.rules, rule)
			w.of = append(w.of, in)
		}
	}
	return nil
}

// meets says whether a container is on a network with one of others.
func meets(p place, others []place) bool {
	return slices.ContainsFunc(others, func(o place) bool {
		return slices.ContainsFunc(p.networks, func(n string) bool { return slices.Contains(o.networks, n) })
	})
}

func prefixes(of []place) []netip.Prefix {
	var all []netip.Addr
	for _, p := range of {
		all = append(all, p.addresses...)
	}
	return single(all)
}

// single are the prefixes that hold one address each, sorted.
func single(all []netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range all {
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return slices.Compact(out)
}

// addressesOf finds where calls to a service, or to an address outside of the project, go.
func addressesOf(ctx context.Context, to string, places []place) ([]netip.Prefix, uint16, error) {
	inside := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return p.Service != to })
	if len(inside) > 0 {
		for _, p := range inside {
			if p.err != nil {
				return nil, 0, p.err
			}
		}
		return prefixes(inside), 0, nil
	}
	if prefix, port, ok := outside(to); ok {
		return []netip.Prefix{prefix}, port, nil
	}
	host, portText, err := net.SplitHostPort(to)
	if err != nil {
		host, portText = to, "0"
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("%q is not a service, HOST, HOST:PORT or CIDR", to)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, 0,
			container.WithRemedy(
				fmt.Errorf("%s is no service that runs, and no host that is found: %w", host, err),
				"write its address")
	}
	var out []netip.Prefix
	for _, a := range found {
		out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return slices.Compact(out), uint16(port), nil
}

// carryOut brings the agents in line with the work of all sites, and returns what did not work.
func (n *network) carryOut(ctx context.Context, r *Injector, wanted map[site]*work) map[site]error {
	var mu sync.Mutex
	failed := map[site]error{}
	var wg sync.WaitGroup
	fail := func(at site, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed[at] = err
	}
	for at, s := range maps.Clone(n.agents) {
		if wanted[at] == nil || !s.alive() {
			delete(n.agents, at)
			wg.Go(func() {
				if s.alive() && len(s.rules) > 0 {
					if err := s.apply(ctx, nil); err != nil && s.alive() {
						fail(at, err)
					}
				}
				s.close()
			})
		}
	}
	wg.Wait()
	for at, w := range wanted {
		if s := n.agents[at]; s != nil && reflect.DeepEqual(s.rules, w.rules) {
			continue
		}
		r.remember(w, at)
		wg.Go(func() {
			mu.Lock()
			s := n.agents[at]
			mu.Unlock()
			if s == nil {
				var err error
				s, err = startSidecar(ctx, r.rt, container.AgentSpec{Project: r.project,
					Service: w.place.Service, Target: at.owner,
					Profile: container.AgentNet, Args: []string{"net"}, Alone: "alone"},
					func(c *agent.Reply) {
						r.count(at, c.Counts)
						r.taps.take(at, c.Counts, c.Seen)
					}, r.Moved)
				if err != nil {
					fail(at, err)
					return
				}
				mu.Lock()
				n.agents[at] = s
				mu.Unlock()
			}
			if err := s.apply(ctx, w.rules); err != nil {
				fail(at, err)
			}
		})
	}
	wg.Wait()
	return failed
}

// remember writes down where faults are about to be injected.
func (r *Injector) remember(w *work, at site) {
	if w.taps {
		r.taps.remember(at)
	}
	for _, in := range w.of {
		if slices.Contains(in.Sites, at.owner) {
			continue
		}
		in.Sites = append(in.Sites, at.owner)
		if err := r.disk.write(&in.entry); err != nil {
			r.host.Note(Note{What: Trouble, Fault: in.shown, Text: err.Error()})
		}
	}
}

// sweep undoes what a process that died has left in network namespaces: an agent removes it when it
// starts. Where there is an agent of ours, that has been done.
func (n *network) sweep(ctx context.Context, r *Injector, in *injection) error {
	places, err := n.places(ctx, r)
	if err != nil {
		return err
	}
	var errs []error
	done := map[site]bool{}
	for _, p := range places {
		if p.err != nil || done[p.site] || n.agents[p.site] != nil || !slices.Contains(in.Sites, p.owner) {
			continue
		}
		done[p.site] = true
		s, err := startSidecar(ctx, r.rt, container.AgentSpec{Project: r.project, Service: p.Service,
			Target:  p.owner,
			Profile: container.AgentNet, Args: []string{"net", "take"}, Alone: "alone"},
			func(*agent.Reply) {}, func() {})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Name, err))
			continue
		}
		s.close()
	}
	return errors.Join(errs...)
}

// close ends all agents.
func (n *network) close() {
	for at, s := range n.agents {
		s.close()
		delete(n.agents, at)
	}
}

// share notes who has a fault too.
func (r *Injector) share(in *injection, places []place) {
	sharers := in.Fault.sharers(places)
	r.mu.Lock()
	same := slices.Equal(in.shown.Sharers, sharers)
	in.shown.Sharers = sharers
	shown := in.shown
	r.mu.Unlock()
	if !same {
		r.host.Note(Note{Fault: shown})
	}
}

// count takes what an agent counted.
func (r *Injector) count(at site, counts []agent.Count) {
	r.recount(func(in *injection) {
		n := slices.IndexFunc(counts, func(c agent.Count) bool { return c.ID == in.Fault.ID })
		if n < 0 {
			return
		}
		if in.kept == nil {
			in.kept = map[site]int{}
		}
		in.kept[at] = counts[n].Kept
	})
}

// forgetEnded forgets what was counted in networks that are gone, or where nothing is done any more.
func (r *Injector) forgetEnded(agents map[site]*sidecar) {
	r.recount(func(in *injection) {
		maps.DeleteFunc(in.kept, func(at site, _ int) bool { return agents[at] == nil })
	})
}

// recount has the kept connections of all faults changed, and notes those whose sum is another one.
// change is called with mu held.
func (r *Injector) recount(change func(*injection)) {
	var changed []Active
	r.mu.Lock()
	for _, in := range r.all {
		change(in)
		sum := 0
		for _, kept := range in.kept {
			sum += kept
		}
		if sum != in.shown.Kept {
			in.shown.Kept = sum
			changed = append(changed, in.shown)
		}
	}
	r.mu.Unlock()
	for _, a := range changed {
		r.host.Note(Note{Fault: a})
	}
}
