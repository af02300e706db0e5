package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// silentRuntime takes questions and does not answer them unless answers is set.
type silentRuntime struct {
	engine.Runtime
	answers bool

	mu        sync.Mutex
	instances []engine.Instance
}

func (r *silentRuntime) set(instances ...engine.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instances = instances
}

func (r *silentRuntime) Instances(ctx context.Context, _ string) ([]engine.Instance, error) {
	if r.answers {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.instances, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// lockedBuffer is a stderr that several goroutines write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newTestApp(rt engine.Runtime) (*app, *lockedBuffer) {
	errs := &lockedBuffer{}
	a := newApp(Parts{Stderr: errs})
	a.conn.rt = rt
	return a, errs
}

func TestEngineThatNeverAnswersIsNamedAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, errs := newTestApp(nil)
		a.conn.open = func(ctx context.Context, o ConnectOptions) (engine.Runtime, container.Builder, error) {
			o.Found("unix:///some.sock")
			<-ctx.Done()
			return nil, nil, ctx.Err()
		}
		done := make(chan error, 1)
		go func() { done <- a.conn.connect(t.Context()) }()
		time.Sleep(slowAnswer)
		synctest.Wait()
		if got := errs.String(); got != "bulkhead: waiting for the Docker engine at unix:///some.sock\n" {
			t.Errorf("after two seconds stderr holds %q", got)
		}
		code, text := exitCode(<-done)
		if code != exitNoEngine || !strings.Contains(text, "unix:///some.sock") {
			t.Errorf("exit code %d, %q", code, text)
		}
	})
}

// The end of a poll is no answer: what is said of the silence is said once, and nothing after the last line.
func TestEndOfAPollIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, errs := newTestApp(&silentRuntime{})
		a.conn.noticeIfSlow(slowAnswer)
		a.conn.watch.add(a.conn, &watched{giveUp: func(error) {}})
		time.Sleep(slowAnswer + time.Millisecond)
		a.conn.watch.end()
		synctest.Wait()
		a.conn.noticeIfSlow(0)
		synctest.Wait()
		if n := strings.Count(errs.String(), "waiting for"); n != 1 {
			t.Errorf("said %d times that the engine is waited for:\n%s", n, errs.String())
		}
		a.console.over.Store(true)
		a.console.notify("too late")
		synctest.Wait()
		if strings.Contains(errs.String(), "too late") {
			t.Errorf("a notice follows the last line:\n%s", errs.String())
		}
	})
}

func TestFailedLoadDoesNotWaitForTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, errs := newTestApp(nil)
		a.conn.open = func(ctx context.Context, _ ConnectOptions) (engine.Runtime, container.Builder, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		}
		began := time.Now()
		_ = a.conn.startConnect(t.Context())(errors.New("the file does not load"))
		if time.Since(began) != 0 || errs.String() != "" {
			t.Errorf("it waited %s, stderr %q", time.Since(began), errs.String())
		}
	})
}

func TestVerbWhoseEngineFallsSilentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, errs := newTestApp(&silentRuntime{})
		a.conn.setAddress("unix:///some.sock")
		ctx, explain := a.conn.supervise(t.Context(), "shop", nil)
		<-ctx.Done() // as a call of the engine does
		err := explain(ctx.Err())
		if code, _ := exitCode(err); code != exitNoEngine {
			t.Errorf("exit code %d: %v", code, err)
		}
		if got := strings.Count(errs.String(),
			"waiting for the Docker engine at unix:///some.sock\n"); got != 1 {
			t.Errorf("said %d times: %s", got, errs.String())
		}
	})
}

// starting is an engine that says nothing of a container that it starts, and lists all the same.
type starting struct {
	silentRuntime
	lists time.Duration // for so long
	began time.Time
}

func (r *starting) Summaries(ctx context.Context, _ container.ListOptions) ([]container.Summary, error) {
	if time.Since(r.began) < r.lists {
		return nil, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestEngineThatIsKeptByAStartIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a, errs := newTestApp(&starting{lists: 10 * time.Minute, began: began})
		a.conn.setAddress("unix:///some.sock")
		ctx, explain := a.conn.supervise(t.Context(), "shop", nil)
		<-ctx.Done()
		if d := time.Since(began); d < 10*time.Minute || d > 12*time.Minute { // virtual
			t.Errorf("given up after %s", d)
		}
		if code, _ := exitCode(explain(ctx.Err())); code != exitNoEngine {
			t.Errorf("exit code %d; %s", code, errs.String())
		}
	})
}

func TestVerbThatIsInterruptedIsNotBlamedOnTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTestApp(&silentRuntime{})
		parent, cancel := context.WithCancel(t.Context())
		ctx, explain := a.conn.supervise(parent, "shop", nil)
		time.Sleep(10 * time.Second)
		cancel()
		if err := explain(ctx.Err()); !errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrNoEngine) {
			t.Error(err)
		}
	})
}

func TestStopVerbSaysWhoItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now().Add(-time.Hour)
		one := func(service string, replica int) engine.Instance {
			return engine.Instance{Service: service, Replica: replica, State: engine.StateRunning,
				Identity: engine.Identity{ID: service, Started: started}}
		}
		rt := &silentRuntime{answers: true, instances: []engine.Instance{one("web", 1), one("db", 2),
			one("other", 1)}}
		a, errs := newTestApp(rt)
		twenty := 20 * time.Second
		cmd := engine.Command{Verb: engine.VerbStop, Services: []string{"web", "db"}, Grace: &twenty}
		_, explain := a.conn.supervise(t.Context(), "shop",
			(&action{app: a, name: "shop", cmds: []engine.Command{cmd}}).stopNotices())
		time.Sleep(3500 * time.Millisecond) // two looks with the same answer are one line
		rt.set(one("db", 2), one("other", 1))
		time.Sleep(2 * time.Second)
		if err := explain(nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := "bulkhead: stopping shop: waiting for db/2, web (up to 20 s); ctrl+c stops waiting\n" +
			"bulkhead: stopping shop: waiting for db/2 (up to 20 s); ctrl+c stops waiting\n"
		if got := errs.String(); got != want {
			t.Errorf("stderr:\n%swant:\n%s", got, want)
		}
	})
}

func TestStopWhoseEngineFallsSilentIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, errs := newTestApp(&silentRuntime{})
		s := &session{a: a, p: &project.Project{Name: "shop"}}
		w := &stopWatch{s: s, silent: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		go w.awaitSilence(ctx)
		<-w.silent
		if !w.late() {
			t.Error("the engine does not count as late")
		}
		cancel()
		if time.Since(began) < fellSilent {
			t.Errorf("given up after %s", time.Since(began))
		}
		if !strings.Contains(errs.String(), "waiting for the Docker engine") {
			t.Errorf("stderr: %s", errs.String())
		}
	})
}

func TestReloadThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := reloaded(t.Context(), func(ctx context.Context) (*project.Project, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
