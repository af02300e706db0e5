package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/drill"
	"bulkhead/engine/project"
)

// pipes is a listener whose connections are in memory, so that time can be virtual.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// beside plays with an app beside a running `up` of a project with the services a and b.
func beside(t *testing.T, play func(a *app, c *client, e *engine.Engine, errs *lockedBuffer)) {
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, []byte("name: shop\nservices: {a: {image: app}, b: {image: app}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(t.Context(), project.Options{Files: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		rt := memory.New()
		defer rt.Close()
		rt.Put("app", memory.Image{Command: []string{"loop"}})
		up := newApp(Parts{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
		up.conn.rt = rt
		s, err := up.open(t.Context(), p, engine.Options{StateDir: state, NoWatch: true, NoStats: true}, sessionOptions{shared: true})
		if err != nil {
			t.Fatal(err)
		}
		errs := &lockedBuffer{}
		a := newApp(Parts{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: errs})
		err = s.run(func(ctx context.Context) (engine.Ending, error) {
			if err := s.e.WaitUp(ctx, engine.Wait{Ready: true}); err != nil {
				return engine.EndStop, err
			}
			l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			serving, end := context.WithCancel(ctx)
			var served sync.WaitGroup
			served.Go(func() {
				if err := (&control{e: s.e, rt: rt}).serve(serving, l); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
			transport := &http.Transport{DialContext: l.dial, DisableKeepAlives: true}
			play(a, &client{http: &http.Client{Transport: transport}}, s.e, errs)
			end()
			served.Wait()
			return engine.EndStop, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// holding waits until the fault of a drill is in force.
func holding(e *engine.Engine) {
	for n := e.Snapshot(); n.Drill == nil || n.Drill.Rows[0].Phase != drill.PhaseHold; n = e.Snapshot() {
		time.Sleep(10 * time.Millisecond)
	}
}

func TestDrillBesideAnUpWaitsUntilThatHasHealed(t *testing.T) {
	beside(t, func(a *app, c *client, e *engine.Engine, errs *lockedBuffer) {
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			holding(e)
			cancel()
		})
		v := &drillVerb{app: a, o: drill.Options{Services: []string{"a"}}}
		r, err := v.remote(ctx, c, func(*drill.Report) {})
		if err == nil || !strings.Contains(err.Error(), "aborted") || r == nil || r.Phase != drill.PhaseAborted {
			t.Errorf("%v, %+v", err, r)
		}
		if n := e.Snapshot(); n.Drilling || len(n.Faults) > 0 {
			t.Errorf("it returned while the drill went on: %v, faults %v", n.Drilling, n.Faults)
		}
		waiting.Wait()
		synctest.Wait()
		if !strings.Contains(errs.String(), "the running bulkhead heals first") {
			t.Errorf("%q", errs.String())
		}
	})
}

func TestSecondSignalLeavesTheHealingToTheRunningUp(t *testing.T) {
	beside(t, func(a *app, c *client, e *engine.Engine, _ *lockedBuffer) {
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			holding(e)
			a.interrupts.again <- struct{}{}
			cancel()
		})
		v := &drillVerb{app: a, o: drill.Options{Services: []string{"a"}}}
		if _, err := v.remote(ctx, c, func(*drill.Report) {}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		waiting.Wait()
		for e.Snapshot().Drilling { // which it has ended all the same
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestSecondDrillIsRefusedWithoutTheReportOfTheFirst(t *testing.T) {
	beside(t, func(a *app, c *client, e *engine.Engine, _ *lockedBuffer) {
		ctx, cancel := context.WithCancel(t.Context())
		var first sync.WaitGroup
		first.Go(func() {
			v := &drillVerb{app: a, o: drill.Options{Services: []string{"a"}}}
			_, _ = v.remote(ctx, c, func(*drill.Report) {}) // it is aborted
		})
		holding(e)
		v := &drillVerb{app: a, o: drill.Options{Services: []string{"b"}}}
		shown := 0
		r, err := v.remote(t.Context(), c, func(*drill.Report) { shown++ })
		if r != nil || shown > 0 || err == nil || !strings.Contains(err.Error(), "another drill runs") {
			t.Errorf("%+v, shown %d times, %v", r, shown, err)
		}
		cancel()
		first.Wait()
	})
}

func TestReportOfAnUpThatWentAwayHasItsRowsOnly(t *testing.T) {
	if r := broken(&drill.Report{Rows: []drill.Row{{Killed: "a", Phase: drill.PhaseHold}}}); r != nil {
		t.Errorf("no row is through: %+v", r)
	}
	r := broken(&drill.Report{Rows: []drill.Row{{Killed: "a", Phase: drill.PhaseDone, Verdict: drill.Isolated},
		{Killed: "b", Phase: drill.PhaseQueued}}})
	if r == nil || r.Phase != drill.PhaseAborted || r.Rows[0].Verdict != drill.Isolated ||
		r.Rows[1].Verdict != drill.Failed {
		t.Errorf("%+v", r)
	}
}
