// Package conformance has the cases that every container.Runtime passes: what the
// engine relies on, written against the port alone. It owns no runtime and knows
// none. Each runtime's own tests call Run with a Harness that says how to make a
// runtime, and how to have a container run a given Program. A case about an
// optional interface that a runtime lacks is left out, and says so in the test's
// log.
package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// patience is how long a case waits for a thing before it fails. No case judges how
// long a thing took.
const patience = 3 * time.Minute

// Harness is one runtime, for one case.
type Harness struct {
	Runtime container.Runtime
	// Project is the name of a project that nobody else uses. What the case makes
	// for it is removed by the harness.
	Project string
	// Image is the name of an image with the programs cat, echo, true, false and
	// touch, with /etc/passwd where adam is 1234 of group 5678, and with a command
	// of its own that runs until it is stopped.
	Image string
	// Command returns a command that makes a container of Image behave as p. It can
	// be run by Exec as well.
	Command func(p Program) []string
	// Build makes an image for the project, with a content that no other one has,
	// and names it. nil: the runtime makes none.
	Build func(t *testing.T, name string) (id string)
	// TakeOff takes a container off a network, as another program would. nil: there is no way to.
	TakeOff func(t *testing.T, id, network string)
	// NoSignals: the runtime's events tell of lives, and not of the signals and calls that ended them.
	NoSignals bool
}

// Program is what a container's first process does.
type Program struct {
	Out, Err []string // lines that it writes first; those of Err after those of Out
	Open     string   // text without an end of line that it writes then
	Exits    bool     // it ends at once, with Code
	OnStop   string   // signal that it handles, "TERM", by ending with Code; "": it handles none
	Last     string   // line that it writes before it ends so
	Code     int
}

// Case is one thing that every runtime does.
type Case struct {
	Name string
	Run  func(t *testing.T, h Harness)
}

// Cases returns all of them.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{lifeCases, stopCases, policyCases, eventCases, logCases, execCases,
		fileCases, aroundCases, imageCases, listCases, programCases, swapCases} {
		all = append(all, group...)
	}
	return all
}

// Run runs all cases, each on a runtime of its own.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, newHarness(t)) })
	}
}

// bench is what a case works with.
type bench struct {
	*testing.T
	Harness
	rt  *container.Complete
	ctx context.Context
	app *container.App
}

func open(t *testing.T, h Harness) *bench {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return &bench{T: t, Harness: h, rt: container.Completed(h.Runtime), ctx: ctx, app: &container.App{
		Name: h.Project, Dir: t.TempDir(), Environment: types.Mapping{},
		Services: map[string]*container.Service{},
		Networks: map[string]types.NetworkConfig{}, Volumes: map[string]types.VolumeConfig{},
		Secrets: map[string]types.SecretConfig{}, Configs: map[string]types.ConfigObjConfig{},
	}}
}

// lacks says that a case is left out, because the runtime has not what it is about.
func (b *bench) lacks(has bool, what string) bool {
	if !has {
		b.Logf("left out: this runtime has no %s", what)
	}
	return !has
}

// set changes the configuration of a service.
type set func(*types.ServiceConfig)

// spec is a container of a service that runs p.
func (b *bench) spec(service string, p Program, sets ...set) container.CreateSpec {
	b.Helper()
	img, err := b.rt.Image(b.ctx, b.Image, "")
	b.ok(err)
	c := types.ServiceConfig{Name: service}
	c.Image, c.Command, c.NetworkMode = b.Image, types.ShellCommand(b.Command(p)), "none"
	for _, s := range sets {
		s(&c)
	}
	s := &container.Service{Name: service, Config: c, Image: b.Image, Replicas: 1}
	b.app.Services[service] = s
	return container.CreateSpec{App: b.app, Service: s, Replica: 1, Image: img, Hash: "hash-of-" + service}
}

func (b *bench) create(s container.CreateSpec) string {
	b.Helper()
	id, err := b.rt.Create(b.ctx, s)
	b.ok(err)
	return id
}

// start makes a container and starts it. One that writes something first is waited
// for until it has.
func (b *bench) start(service string, p Program, sets ...set) string {
	b.Helper()
	s := b.spec(service, p, sets...)
	id := b.create(s)
	b.ok(b.rt.Start(b.ctx, s, id))
	if n := len(p.Out) + len(p.Err); n > 0 && s.Service.Config.Logging == nil {
		b.until("its first lines", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) >= n })
	}
	return id
}

// waits is a program that says ready and ends with 0 at TERM.
func waits() Program { return Program{Out: []string{"ready"}, OnStop: "TERM"} }

// handlesNoSignal is a program that says ready, and handles no signal.
func handlesNoSignal() Program { return Program{Out: []string{"ready"}} }

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// is checks what an error wraps.
func (b *bench) is(what string, err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("%s: %v; want an error that wraps %q", what, err, want)
	}
}

func (b *bench) inspect(id string) container.Instance {
	b.Helper()
	in, err := b.rt.Inspect(b.ctx, id)
	b.ok(err)
	return in
}

// until waits for something that is not announced.
func (b *bench) until(what string, done func() bool) {
	b.Helper()
	for limit := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			b.Fatalf("waited in vain for %s", what)
		}
	}
}

// ended waits for the end of a container's life.
func (b *bench) ended(id string) container.Instance {
	b.Helper()
	b.until("its end", func() bool { return b.inspect(id).State == container.StateExited })
	return b.inspect(id)
}

// line is one line of a log.
type line struct {
	stream container.Stream
	at     time.Time
	text   string
}

func (b *bench) log(id string, o container.LogOptions) []line {
	b.Helper()
	var all []line
	b.ok(b.rt.Logs(b.ctx, id, o, func(l container.Line) {
		all = append(all, line{l.Stream, l.Time, string(l.Text)})
	}))
	return all
}

func texts(all []line) (out []string) {
	for _, l := range all {
		out = append(out, l.text)
	}
	return out
}

// same compares lists.
func (b *bench) same(what string, got, want []string) {
	b.Helper()
	if !slices.Equal(got, want) {
		b.Errorf("%s: %q, want %q", what, got, want)
	}
}

// exec runs a command and returns what it wrote and its exit code.
func (b *bench) exec(id string, cmd ...string) (string, int) {
	b.Helper()
	var out, errs bytes.Buffer
	code, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: cmd, Stdout: &out, Stderr: &errs})
	b.ok(err)
	return out.String() + errs.String(), code
}

// recorder follows the events of the project from now on.
type recorder struct {
	b      *bench
	mu     sync.Mutex
	events []container.Event
	ended  chan error
	cancel context.CancelFunc
}

func (b *bench) record() *recorder {
	ctx, cancel := context.WithCancel(b.ctx)
	r := &recorder{b: b, ended: make(chan error, 1), cancel: cancel}
	since := time.Now()
	go func() {
		r.ended <- b.rt.Events(ctx, b.Project, since, func(e container.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if !slices.Contains(r.events, e) { // events may come twice
				r.events = append(r.events, e)
			}
		})
	}()
	b.Cleanup(func() { r.close() })
	return r
}

// close ends the recording. It may be called more than once.
func (r *recorder) close() {
	r.cancel()
	if r.ended != nil {
		if err := <-r.ended; !errors.Is(err, context.Canceled) {
			r.b.Errorf("the events ended with %v, want what ended their context", err)
		}
		r.ended = nil
	}
}

// words are the events of a container so far, as "killed 15" and "died 0".
func (r *recorder) words(id string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.ID == id {
			out = append(out, word(e))
		}
	}
	return out
}

// until waits for an event of a container.
func (r *recorder) until(id, last string) []string {
	r.b.Helper()
	r.b.until("event "+last, func() bool { return slices.Contains(r.words(id), last) })
	return r.words(id)
}

// are waits for as many events of a container as are wanted, and compares them.
func (r *recorder) are(what, id string, want ...string) {
	r.b.Helper()
	if r.b.NoSignals {
		want = slices.DeleteFunc(want, func(w string) bool {
			return strings.HasPrefix(w, "killed ") || w == "stopped" || w == "renamed"
		})
	}
	r.b.until("event "+want[len(want)-1], func() bool { return len(r.words(id)) >= len(want) })
	r.b.same(what, r.words(id), want)
}

var eventWords = map[container.EventKind]string{
	container.EventCreated: "created", container.EventStarted: "started", container.EventKilled: "killed",
	container.EventDied:    "died",
	container.EventStopped: "stopped", container.EventRestarted: "restarted", container.EventPaused: "paused",
	container.EventUnpaused: "unpaused", container.EventOOM: "oom", container.EventHealth: "health",
	container.EventRemoved: "removed",
	container.EventRenamed: "renamed",
}

func word(e container.Event) string {
	switch e.Kind {
	case container.EventKilled:
		return "killed " + e.Signal
	case container.EventDied:
		return fmt.Sprintf("died %d", e.ExitCode)
	case container.EventHealth:
		return "health " + e.Health.String()
	}
	return eventWords[e.Kind]
}
