package ui

import (
	"context"
	"fmt"
	"io"
	"math"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine"
	"bulkhead/engine/drill"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// patience is how long a test waits for a thing before it fails: far longer than the slowest
// machine needs. No test judges how long a thing took.
const patience = 3 * time.Minute

// start is the moment at which the fake's clock stands.
var start = time.Date(2026, 11, 23, 12, 4, 31, 0, time.UTC)

// fake is a backend in memory: commands change its snapshot as an engine would.
type fake struct {
	mu    sync.Mutex
	snap  engine.Snapshot
	subs  []chan struct{}
	store *logs.Store
	now   time.Time
	heard []string
	fails error
	panik bool
	drill func(drill.Options) (*drill.Report, error)
	older func() engine.Older // what LoadOlder does; nil: nothing is older
	has   map[string]string   // commands of this machine, and what they answer
	open  func(text string)   // shows an unfinished line of who is previewed
	exec  func(ctx context.Context, o engine.ExecOptions) (int, error)
}

func (f *fake) Snapshot() *engine.Snapshot { f.mu.Lock(); defer f.mu.Unlock(); s := f.snap; return &s }
func (f *fake) Preview(ctx context.Context, service string, replica int, show func(text string)) error {
	f.mu.Lock()
	f.open = show
	f.mu.Unlock()
	f.note(fmt.Sprintf("preview of %s/%d", service, replica))
	<-ctx.Done()
	f.note(fmt.Sprintf("preview of %s/%d closed", service, replica))
	return ctx.Err()
}
func (f *fake) Logs() *logs.Store { return f.store }
func (f *fake) LoadOlder(_ context.Context, services []string, from time.Time) (engine.Older, error) {
	f.note(fmt.Sprint("older of ", services, " from ", from.UTC().Format("15:04:05")))
	f.mu.Lock()
	load := f.older
	f.mu.Unlock()
	if load == nil {
		return engine.Older{}, nil
	}
	return load(), nil
}
func (f *fake) SetAttention(a engine.Attention) {
	f.note(fmt.Sprintf("attention %v %s", !a.Away, strings.Join(a.Services, ",")))
}
func (f *fake) Drill(_ context.Context, o drill.Options) (*drill.Report, error) {
	said := fmt.Sprintf("drill %s of %v, volumes %v", o.Fault, o.Services, o.Stateful)
	if o.AllowUnhealthy {
		said += ", unhealthy ones left out"
	}
	f.note(said)
	f.mu.Lock()
	run := f.drill
	f.mu.Unlock()
	if run == nil {
		return &drill.Report{Fault: o.Fault}, nil
	}
	return run(o)
}
func (f *fake) DrillAct(a drill.Act, row string) error {
	f.note(fmt.Sprint("drill ", a, " ", row))
	return nil
}
func (f *fake) clock() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.now }
func (f *fake) note(s string)    { f.mu.Lock(); defer f.mu.Unlock(); f.heard = append(f.heard, s) }

// command is another program's command.
func (f *fake) command(input, line string) (string, error) {
	answer, ok := f.has[line]
	if !ok {
		return "", exec.ErrNotFound
	}
	f.note(fmt.Sprintf("ran %s with %q", line, input))
	return answer, nil
}

// told says whether the fake heard something.
func (f *fake) told(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.heard, func(s string) bool { return strings.Contains(s, what) })
}

func (f *fake) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, c)
	return c, func() {}
}

// change alters the snapshot and leaves a token. What the screen may be reading is copied first:
// the services, their replicas and the ledgers.
func (f *fake) change(alter func(*engine.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snap.Services = slices.Clone(f.snap.Services)
	for i := range f.snap.Services {
		f.snap.Services[i].Replicas = slices.Clone(f.snap.Services[i].Replicas)
	}
	f.snap.Ledgers = slices.Clone(f.snap.Ledgers)
	alter(&f.snap)
	f.snap.Seq++
	f.tell()
}

func (f *fake) tell() {
	for _, c := range f.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// write writes a log line.
func (f *fake) write(service, text string, at time.Time) {
	f.store.Append(service, 1, 1, logs.Stdout, at, []byte(text))
	f.mu.Lock()
	f.tell()
	f.mu.Unlock()
}

func (f *fake) Exec(ctx context.Context, service string, replica int, o engine.ExecOptions) (int, error) {
	if f.exec == nil {
		return 127, nil
	}
	return f.exec(ctx, o)
}

func (f *fake) FaultsLacking(context.Context) (map[string]string, error) {
	return map[string]string{"delay": "the kernel has no module sch_netem"}, nil
}

func (f *fake) Do(ctx context.Context, c engine.Command) error {
	what := strings.Join(c.Services, ",")
	if c.Fault != nil {
		what = fmt.Sprintf("%s for %s", c.Fault.String(), c.Fault.For)
	}
	f.note(strings.TrimSpace(fmt.Sprintf("%s %s (%s) %s", c.Verb, what, c.Cause, strings.Join(c.Allow, " "))))
	if f.panik {
		panic("the backend fell over")
	}
	if f.fails != nil {
		return f.fails
	}
	f.change(func(s *engine.Snapshot) {
		switch c.Verb {
		case engine.VerbFault:
			s.Faults = append(slices.Clone(s.Faults), fault.Active{Fault: *c.Fault, Began: f.now,
				Until: f.now.Add(c.Fault.Lasts())})
			return
		case engine.VerbHeal:
			s.Faults = nil
			return
		}
		for _, name := range c.Services {
			i := slices.IndexFunc(s.Services, func(x engine.Service) bool { return x.Name == name })
			svc := &s.Services[i]
			switch c.Verb {
			case engine.VerbKill:
				svc.State, svc.ExitCode, svc.ByHand, svc.Since = engine.StateExited, 137, true, f.now
				svc.Last = &engine.Change{Action: "kill", Began: f.now, Ended: f.now, Cause: c.Cause}
				s.Ledgers = append(s.Ledgers, fakeLedger(s, name, f.now))
			case engine.VerbUp, engine.VerbStart, engine.VerbRestart:
				svc.State, svc.Health, svc.ByHand, svc.Stale = engine.StateRunning, engine.Healthy, false, nil
				if n := len(s.Ledgers); n > 0 && s.Ledgers[n-1].Service == name {
					s.Ledgers = slices.Clone(s.Ledgers)
					s.Ledgers[n-1].Closed, s.Ledgers[n-1].BackIn = f.now, 1200*time.Millisecond
				}
			case engine.VerbWatch:
				svc.Mode = c.Mode
			}
		}
	})
	return nil
}

func fakeLedger(s *engine.Snapshot, hit string, at time.Time) engine.Ledger {
	l := engine.Ledger{Service: hit, Fault: "SIGKILL", Gone: true, At: at}
	for i, svc := range s.Services {
		if svc.Name == hit {
			continue
		}
		id := engine.Identity{ID: fmt.Sprintf("%012x", 0xabc000+i), Started: at.Add(-time.Hour)}
		stood := fault.Proof{Identity: id, PID: 4100 + i, Health: svc.Health}
		row := engine.LedgerRow{Service: svc.Name, Replica: 1, Before: stood, After: stood,
			Outcome: engine.Untouched, Needs: true}
		switch svc.Name {
		case "gw":
			row.Before.Health, row.After.Health = engine.Healthy, engine.Unhealthy
			row.Outcome, row.Delay, row.Sign = engine.WentUnhealthy, 2310*time.Millisecond,
				fault.Sign{Text: "healthy -> unhealthy"}
		case "api":
			row.Outcome, row.Delay, row.Sign = engine.Errors, 40*time.Millisecond,
				fault.Sign{Text: "queue worker: connection refused"}
		}
		l.Rows = append(l.Rows, row)
	}
	return l
}

// shop is the project of SCREENS, whose worker has died.
func shop() *fake {
	f := shopBeforeItsEnd()
	f.store.Separator("worker", 1, 3, start.Add(-3*time.Second), "run 3 ended: exit code 1, was up 14m02s")
	return f
}

// shopBeforeItsEnd is shop without the end of worker in its log.
func shopBeforeItsEnd() *fake {
	f := &fake{store: logs.New(logs.Options{}), now: start}
	svc := func(name string, up time.Duration, cpu float64, mem int64, port int,
		needs ...string) engine.Service {
		s := engine.Service{
			Name: name, State: engine.StateRunning, Health: engine.Healthy, Since: start.Add(-up),
			Started: start.Add(-up), Wanted: 1, Image: "shop-" + name + ":dev",
			CPU: cpu, Mem: mem << 20, NetRx: 1200, NetTx: 800, ReadyBy: "healthcheck", Ready: true,
			Mode: project.Auto, DependsOn: needs, Generation: 3,
			CPUHistory: []float64{.01, .02, .01, .03, .02, .05, cpu}, MemHistory: []int64{60, 61, 70, 72, mem},
			Replicas: []engine.Replica{{Number: 1, Generation: 3, State: engine.StateRunning,
				Health: engine.Healthy, Name: "shop-" + name + "-1",
				Identity: engine.Identity{ID: strings.Repeat(fmt.Sprintf("%02x", len(name)*7), 32),
					Started: start.Add(-up)}, CPU: cpu, Mem: mem << 20, Cause: "src/orders.go saved"}},
			Config: project.Service{Name: name, Built: true, Place: "compose.yaml:12",
				Config: serviceConfig(name)},
			Rules: []project.Rule{{Action: project.Sync, Path: "/home/me/shop/" + name + "/src",
				Target: "/app/src"}, {Action: project.Rebuild, Path: "/home/me/shop/" + name + "/go.mod"}},
		}
		if port > 0 {
			s.Ports = []engine.Port{{Published: port, Target: port, Protocol: "tcp"}}
		}
		return s
	}
	api := svc("api", 2*time.Minute, .03, 88, 8080, "db", "cache", "worker")
	api.Last = &engine.Change{Service: "api", Action: "sync", Cause: "src/orders.go saved",
		Began: start.Add(-139900 * time.Millisecond), Ended: start.Add(-139 * time.Second),
		Stages: []engine.Stage{{Name: "detect", Took: 50 * time.Millisecond},
			{Name: "copy", Took: 110 * time.Millisecond}, {Name: "restart", Took: 700 * time.Millisecond}}}
	for i, ms := range []int{910, 870, 890, 2900} {
		began := start.Add(time.Duration(i-40) * time.Minute)
		c := engine.Change{Service: "api", Action: "sync", Cause: "src/orders.go saved",
			Paths: []string{"/home/me/shop/api/src/orders.go"}, Began: began,
			Ended: began.Add(time.Duration(ms) * time.Millisecond),
			Stages: []engine.Stage{{Name: "detect", Took: 50 * time.Millisecond},
				{Name: "copy", Took: time.Duration(ms-50) * time.Millisecond},
				{Name: "total", Took: time.Duration(ms) * time.Millisecond}}}
		if ms > 2000 {
			c.Slow = []string{"copy", "total"}
		}
		api.Changes = append(api.Changes, c)
	}
	api.Changes = append(api.Changes, engine.Change{Service: "api", Action: "rebuild",
		Cause: "go.mod saved", Paths: []string{"/home/me/shop/api/go.mod"},
		Began: start.Add(-5 * time.Minute), Ended: start.Add(-296 * time.Second),
		Err: "[4/7] RUN go vet: exit code 1"}, *api.Last)
	api.MemLimit, api.NetHistory = 512<<20, []float64{100, 900, 1200, 400, 2000}
	web := svc("web", 14*time.Minute, .01, 61, 3000, "api")
	web.Last = &engine.Change{Service: "web", Action: "sync", Cause: "app/cart.tsx saved",
		Began: start.Add(-400 * time.Second), Ended: start.Add(-400*time.Second + 400*time.Millisecond)}
	gw := svc("gw", 14*time.Minute, .01, 22, 80, "web", "api", "worker")
	gw.Since = start.Add(-time.Second)
	gw.Health, gw.Stale = engine.Unhealthy, []string{"/home/me/shop/gw/main.go", "/home/me/shop/gw/route.go"}
	worker := svc("worker", 0, math.NaN(), -1, 0, "db")
	worker.State, worker.Health, worker.ExitCode, worker.Restarts, worker.Started,
		worker.Since = engine.StateExited, engine.HealthNone, 1, 1, time.Time{}, start.Add(-3*time.Second)
	worker.Mem, worker.Replicas[0].State = -1, engine.StateExited
	mail := svc("mail", 8*time.Minute, 0, 19, 0, "worker")
	mail.State, mail.Health, mail.Doing, mail.Since = engine.StateBuilding, engine.HealthNone,
		"building 4/7", start.Add(-6*time.Second)
	mail.Last = &engine.Change{Service: "mail", Action: "rebuild", Cause: "go.mod saved",
		Began: start.Add(-6 * time.Second)}
	db := svc("db", 65*time.Minute, .02, 210, 5432)
	db.Rules = nil
	cache := svc("cache", 65*time.Minute, 0, 12, 0)
	cache.Since = start.Add(-29 * time.Second)
	cache.State, cache.Health, cache.ByHand, cache.Rules = engine.StatePaused, engine.HealthNone, true, nil
	cache.Last = &engine.Change{Service: "cache", Action: "pause", Cause: "you pressed p",
		Began: start.Add(-29 * time.Second), Ended: start.Add(-29 * time.Second)}
	at := func(ago float64) time.Time { return start.Add(-time.Duration(ago * float64(time.Second))) }
	f.snap = engine.Snapshot{
		Seq: 1, Time: start, Project: "shop", Dir: "/home/me/shop",
		Files: []string{"/home/me/shop/compose.yaml"}, Phase: engine.PhaseRunning,
		Services: []engine.Service{api, cache, db, gw, mail, web, worker},
		Runtime:  engine.Info{Name: "docker", Version: "28.2", Context: "default"},
		Caps:     engine.Caps{Pause: true, Limits: true, Agent: true}, Ready: false,
		Watch: engine.WatchStatus{Mode: project.Auto, On: true},
		Records: []engine.Record{
			{Seq: 1, Time: at(290), Kind: "notice", Notice: "ready", Text: "ready: all 7 services in 3.1s"},
			{Seq: 2, Time: at(139), Kind: "watch", Service: "api", Action: "sync+restart",
				Cause: "src/orders.go saved", Text: "sync+restart, ready in 0.9s"},
			{Seq: 3, Time: at(29), Kind: "service", Service: "cache", State: engine.StatePaused,
				Cause: "you pressed p"},
			{Seq: 4, Time: at(6), Kind: "build", Service: "mail", State: engine.StateBuilding,
				Cause: "go.mod saved", Text: "rebuild started"},
			{Seq: 5, Time: at(3), Kind: "service", Service: "worker", State: engine.StateExited,
				HasExit: true, ExitCode: 1, Cause: engine.EndedByItself},
			{Seq: 6, Time: at(1), Kind: "service", Service: "gw", State: engine.StateRunning,
				Health: engine.Unhealthy, Cause: "3 failing probes",
				Likely: &engine.Likely{Service: "worker", What: "died with code 1",
					Before: 2310 * time.Millisecond, Path: []string{"gw", "worker"}}},
		},
		Builds: []engine.Build{
			{ID: 1, Services: []string{"api"}, Kind: "build", Image: "shop-api:dev",
				Cause: "you pressed b", Began: at(700), Ended: at(682), Total: 7, Done: 7, Cached: 4},
			{ID: 2, Services: []string{"mail"}, Kind: "build", Image: "shop-mail:dev",
				Cause: "go.mod saved", Began: at(6), Total: 7, Done: 3, Cached: 2,
				Steps: []engine.BuildStep{{Name: "[1/7] FROM golang:1.26", Cached: true,
					Ended: at(6)}, {Name: "[2/7] WORKDIR /src", Cached: true, Ended: at(6)},
					{Name: "[3/7] COPY go.mod go.sum ./", Began: at(6), Ended: at(5.8)},
					{Name: "[4/7] RUN go mod download", Began: at(5.8)}},
				Lines: []string{"go: downloading golang.org/x/net v0.59.0",
					"go: downloading golang.org/x/sys v0.49.0"}},
		},
	}
	for _, l := range []struct {
		ago     float64
		service string
		text    string
	}{
		{10, "api", "INFO  GET /orders 200 14ms"}, {7, "web", "INFO  rendered /cart in 21ms"},
		{2.96, "api", "WARN  queue worker: connection refused, retry 1"},
		{1.9, "gw", "ERROR upstream worker 502"},
		{1.6, "api", `{"level":"info","msg":"GET /orders","status":200,"dur_ms":14}`},
		{.5, "web", "\x1b[32mINFO\x1b[0m  GET /cart 200 19ms"},
		{.2, "db", "LOG   checkpoint complete: wrote 41 buffers"}, {.1, "api", "INFO  GET /orders 200 15ms"},
	} {
		f.store.Append(l.service, 1, 3, logs.Stdout, at(l.ago), []byte(l.text))
	}
	return f
}

var _ io.Reader = (*screen)(nil)

func serviceConfig(name string) types.ServiceConfig {
	c := types.ServiceConfig{Name: name}
	c.Image = "shop-" + name + ":dev"
	c.Command = types.ShellCommand{"/app/" + name, "-dev"}
	c.Environment = types.NewMappingWithEquals([]string{"LOG=debug", "DB_PASSWORD=hunter2"})
	return c
}
