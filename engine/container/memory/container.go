package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// box is one container.
type box struct {
	in      container.Instance
	project string
	spec    container.CreateSpec
	limits  container.Limits
	command []string
	env     []string
	stop    int // stop signal
	// anySignal: neither the file nor the image has a stop signal. Docker's engine
	// then takes any signal that is sent through it for somebody's wish to end the
	// container, which keeps the restart policy idle.
	anySignal bool
	health    *healthcheck
	mounts    map[string]string // volumes by path
	own       map[string]bool   // anonymous ones among them
	joins     joins
	tree      tree

	life   *life // the one that runs; nil when none does
	byHand bool  // somebody stopped or killed it; the next start by hand forgets that
	policy policy

	log   []entry
	open  map[container.Stream]*entry // lines that have no end yet
	grown chan struct{}               // closed and replaced when there is more to read, or a life ended
	cuts  int
}

// joins are the ids of the containers whose namespaces a container shares.
type joins struct{ network, ipc, pid string }

// Instances implements container.Runtime. They are sorted by service, number and
// name.
func (e *engine) Instances(ctx context.Context, project string) ([]container.Instance, error) {
	if err := e.faults.enter(ctx, "Instances", ""); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []container.Instance
	for _, b := range e.all {
		if b.project == project {
			out = append(out, b.instance())
		}
	}
	slices.SortFunc(out, func(a, b container.Instance) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Replica, b.Replica),
			cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// Inspect implements container.Runtime.
func (e *engine) Inspect(ctx context.Context, id string) (container.Instance, error) {
	if err := e.faults.enter(ctx, "Inspect", id); err != nil {
		return container.Instance{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.box("inspect", id)
	if err != nil {
		return container.Instance{}, err
	}
	return b.instance(), nil
}

// box finds a container by id. Callers hold mu.
func (e *engine) box(what, id string) (*box, error) {
	if b := e.all[id]; b != nil {
		return b, nil
	}
	return nil, missing(what, id)
}

// instance is what may be handed out. Callers hold the engine's mu.
func (b *box) instance() container.Instance {
	in := b.in
	in.Networks, in.Ports = maps.Clone(in.Networks), slices.Clone(in.Ports)
	in.Volumes, in.Joins = slices.Clone(in.Volumes), slices.Clone(in.Joins)
	return in
}

// Create implements container.Runtime.
func (e *engine) Create(ctx context.Context, s container.CreateSpec) (string, error) {
	what := "create a container of " + s.Service.Name
	if err := e.faults.enter(ctx, "Create", ""); err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	name := s.Name
	if name == "" {
		name = s.FinalName()
	}
	if other := e.named(name); other != nil {
		return "", conflict("%s: the name %s is taken by a container of project %s", what, name, other.project)
	}
	img := e.store.find(s.Service.Image) // whatever s.Image says: the name may have moved on
	if img == nil {
		return "", fmt.Errorf("%s: no such image: %s: %w", what, s.Service.Image, container.ErrNotFound)
	}
	b := &box{project: s.App.Name, spec: s, tree: img.tree.clone(), open: map[container.Stream]*entry{},
		grown: make(chan struct{})}
	c := s.Service.Config
	b.in = container.Instance{
		Identity: container.Identity{ID: e.id("")}, Service: s.Service.Name, Replica: s.Replica,
		Number: strconv.Itoa(s.Replica), Name: name,
		State: container.StateCreated, Health: container.HealthNone, Created: e.now(), Hash: s.Hash,
		Files:   s.App.Files,
		Content: s.Content, Program: s.Service.Program && s.Beside == nil,
		VolumeImages: s.Service.VolumeImages, ImageRef: s.Service.Image, ImageID: img.id,
		Digest: s.Image.Digest, LogDriver: "json-file", TTY: c.Tty,
	}
	if c.Logging != nil && c.Logging.Driver != "" {
		b.in.LogDriver = c.Logging.Driver
	}
	if c.StopGracePeriod != nil {
		b.in.StopGrace = time.Duration(*c.StopGracePeriod).Round(time.Second)
	}
	for name, d := range s.Service.DependsOn {
		if b.in.DependsOn == nil {
			b.in.DependsOn = map[string]types.ServiceDependency{}
		}
		b.in.DependsOn[name] = types.ServiceDependency{Condition: d.Condition, Restart: d.Restart,
			Required: true}
	}
	if err := b.prepare(c, img.Image); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if err := b.join(s); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if err := e.around.mount(b, img.Volumes); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	e.all[b.in.ID] = b
	e.emit(b, container.Event{Kind: container.EventCreated})
	if err := e.faults.leave(ctx, "Create", b.in.ID); err != nil {
		return "", err
	}
	return b.in.ID, nil
}

// named finds a container by name. Callers hold mu.
func (e *engine) named(name string) *box {
	for _, b := range e.all {
		if b.in.Name == name {
			return b
		}
	}
	return nil
}

// join notes which networks and namespaces a container is to share. A network's id
// is found out at the start.
func (b *box) join(s container.CreateSpec) error {
	c := s.Service.Config
	for _, j := range []struct {
		text string
		id   *string
	}{{c.NetworkMode, &b.joins.network}, {c.Ipc, &b.joins.ipc}, {c.Pid, &b.joins.pid}} {
		if of, ok := strings.CutPrefix(j.text, "service:"); ok {
			if *j.id = s.Parents[of]; *j.id == "" {
				return fmt.Errorf("service %s has no container yet", of)
			}
		} else {
			*j.id, _ = strings.CutPrefix(j.text, "container:")
			if *j.id == j.text {
				*j.id = ""
			}
		}
		if *j.id != "" && !slices.Contains(b.in.Joins, *j.id) {
			b.in.Joins = append(b.in.Joins, *j.id)
		}
	}
	b.in.Networks = map[string]string{}
	switch {
	case b.joins.network != "":
	case c.NetworkMode != "":
		b.in.Networks[c.NetworkMode] = ""
	default:
		for key := range c.Networks {
			b.in.Networks[s.App.Networks[key].Name] = ""
		}
	}
	return nil
}

// Remove implements container.Runtime.
func (e *engine) Remove(ctx context.Context, id string, force, volumes bool) error {
	if err := e.faults.enter(ctx, "Remove", id); err != nil {
		return err
	}
	e.mu.Lock()
	b := e.all[id]
	if b == nil {
		e.mu.Unlock()
		return nil
	}
	if b.running() || b.in.State == container.StateRestarting {
		if !force {
			e.mu.Unlock()
			return conflict("remove %s: it is %s; stop it first", short(id), b.in.State)
		}
		e.killed(b)
	}
	delete(e.all, id)
	if volumes {
		for v := range b.own {
			if !e.around.mounted(v) {
				delete(e.around.volumes, v)
			}
		}
	}
	e.emit(b, container.Event{Kind: container.EventRemoved})
	b.wakeReaders()
	e.mu.Unlock()
	return e.faults.leave(ctx, "Remove", id)
}

// renamer is the Runtime's container.Renamer.
type renamer struct{ e *engine }

// Rename implements container.Renamer.
func (r renamer) Rename(ctx context.Context, id, name string) error {
	if err := r.e.faults.enter(ctx, "Rename", id); err != nil {
		return err
	}
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	b, err := r.e.box("rename", id)
	if err != nil {
		return err
	}
	if other := r.e.named(name); other != nil {
		return conflict("rename %s: the name %s is taken by a container of project %s", short(id), name,
			other.project)
	}
	b.in.Name = name
	r.e.emit(b, container.Event{Kind: container.EventRenamed})
	return nil
}

// dialer is the Runtime's container.Dialer.
type dialer struct{ e *engine }

// DialInstance implements container.Dialer.
func (d dialer) DialInstance(ctx context.Context, id string, port int) (net.Conn, error) {
	if err := d.e.faults.enter(ctx, "DialInstance", id); err != nil {
		return nil, err
	}
	d.e.mu.Lock()
	b, err := d.e.box("dial", id)
	var at chan net.Conn
	var ended chan struct{}
	if err == nil && b.joins.network != "" {
		b = d.e.all[b.joins.network]
	}
	if err == nil && b != nil && b.running() {
		at, ended = b.life.ports[port], b.life.ended
	}
	d.e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	refused := &net.OpError{Op: "dial", Net: "tcp",
		Err: fmt.Errorf("port %d of %s: connection refused", port, short(id))}
	if at == nil {
		return nil, refused
	}
	here, there := net.Pipe()
	select {
	case at <- there:
		return here, nil
	case <-ended:
		return nil, refused
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
}

// signalReader is the Runtime's container.SignalReader.
type signalReader struct{ e *engine }

// HandlesStop implements container.SignalReader.
func (s signalReader) HandlesStop(_ context.Context, id string) (handles, known bool) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	b := s.e.all[id]
	if b == nil || !b.running() {
		return false, false
	}
	return b.life.handles[b.stop] != "", true
}

// meter is the Runtime's container.Meter.
type meter struct{ e *engine }

// Stats implements container.Meter: a container uses a tenth of a core and 10 MiB.
func (m meter) Stats(ctx context.Context, id string) (container.Stats, error) {
	if err := m.e.faults.enter(ctx, "Stats", id); err != nil {
		return container.Stats{}, err
	}
	m.e.mu.Lock()
	defer m.e.mu.Unlock()
	b, err := m.e.box("read the use of", id)
	if err != nil {
		return container.Stats{}, err
	}
	if !b.running() {
		return container.Stats{}, conflict("read the use of %s: it is %s", short(id), b.in.State)
	}
	now := time.Now()
	return container.Stats{Read: now, CPU: now.Sub(b.in.Started) / 10, Mem: 10 << 20, MemLimit: 1 << 30}, nil
}
