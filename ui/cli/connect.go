package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

const (
	// slowAnswer is after what time a line says that the engine does not answer.
	slowAnswer = 2 * time.Second
	// noAnswer is when an engine that takes connections and has never answered counts as none.
	noAnswer = 15 * time.Second
	// fellSilent is when one counts as none that has answered before: it may have much to do.
	fellSilent = 30 * time.Second
)

// connection is the runtime that a run works on, opened by the first verb
// that needs it. setAddress and engineName may be called from any goroutine.
type connection struct {
	console *console
	env     *environment
	open    Connector
	kinds   []string // of runtimes, the one that is used unless another is named first
	kind    string   // the one that is used; set before the first connect
	// parallel is how much is asked of the engine at a time; 0: no limit. It is set before the first connect.
	parallel int
	ask      bool // ask the engine who it is, whatever is known of it

	healed int // faults that a dead process had left, and healLeft healed

	rt      engine.Runtime // nil before connect
	builder container.Builder
	info    engine.Info

	// giveUp ends the verb, with the reason; nil: nothing ends.
	giveUp context.CancelCauseFunc
	watch  engineWatch

	mu      sync.Mutex
	address string // the engine's, "" before it is known
	waiting bool   // it was said that the engine is waited for, and it has not answered since
}

// close closes what connect opened.
func (c *connection) close() {
	c.watch.end()
	if c.builder != nil {
		_ = c.builder.Close() // the connection ends with the process anyway
	}
	if c.rt != nil {
		_ = c.rt.Close() // likewise
	}
}

// errSilent is why a verb ended whose engine fell silent. It is an engine.ErrNoEngine.
func (c *connection) errSilent() error {
	return &silentError{where: c.engineName()}
}

type silentError struct{ where string }

func (e *silentError) Error() string {
	text, remedy := e.Explain()
	return text + "; " + remedy
}

// Explain implements container.Explainer.
func (e *silentError) Explain() (text, remedy string) {
	return fmt.Sprintf("no engine answers: %s takes connections and does not answer", e.where), e.Suggestion()
}

// Suggestion is what a person can do about it.
func (e *silentError) Suggestion() string { return "restart it, or set DOCKER_HOST" }

func (e *silentError) Unwrap() error { return engine.ErrNoEngine }

// engineName names the engine for people, with its address once it is known.
func (c *connection) engineName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.address == "" {
		return "the Docker engine"
	}
	return "the Docker engine at " + c.address
}

func (c *connection) setAddress(where string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.address = clean(where)
}

// reach opens the runtime and asks it nothing: for verbs that put one question, whose answer says
// whether an engine is there.
func (c *connection) reach(ctx context.Context) error {
	if c.rt != nil {
		return nil
	}
	o := ConnectOptions{Runtime: c.kind, Found: c.setAddress, Warn: c.console.printWarning,
		Parallel: c.parallel}
	if dir := c.env.stateDir(); dir != "" && !c.ask {
		o.State = filepath.Join(dir, "engines")
	}
	rt, builder, err := c.open(ctx, o)
	if err != nil {
		return err
	}
	c.rt, c.builder = rt, builder
	if c.giveUp != nil {
		c.watch.add(c, &watched{verb: true, giveUp: c.giveUp})
	}
	return nil
}

// connect opens the runtime and asks it who it is. It prints a notice after two seconds without an
// answer, and returns an error after noAnswer.
func (c *connection) connect(ctx context.Context) error {
	if c.info.ID != "" {
		return nil
	}
	first, cancel := context.WithTimeout(ctx, noAnswer)
	defer cancel()
	slow := c.noticeIfSlow(slowAnswer)
	defer slow.Stop()
	err := c.reach(first)
	if err == nil {
		c.info, err = c.rt.Info(first)
	}
	if err == nil {
		c.answered()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return c.errSilent()
	}
	return err
}

// noticeIfSlow says after a time what is waited for, unless it is stopped before or that was said already.
func (c *connection) noticeIfSlow(after time.Duration) *time.Timer {
	return time.AfterFunc(after, func() {
		c.mu.Lock()
		said := c.waiting
		c.waiting = true
		c.mu.Unlock()
		if !said {
			c.console.notify("waiting for " + c.engineName())
		}
	})
}

// answered notes that the engine has answered: the next silence is said again.
func (c *connection) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
}

// startConnect connects while the caller loads the project. wait has to be called with the error of the
// load, and returns that, or the one of connecting: where nothing was loaded, no engine is needed.
func (c *connection) startConnect(ctx context.Context) (wait func(loaded error) error) {
	ctx, cancel := context.WithCancel(ctx)
	done := background("connect", func() error { return c.connect(ctx) })
	return func(loaded error) error {
		defer cancel()
		if loaded != nil {
			cancel()
		}
		if err := <-done; loaded == nil {
			return err
		}
		return loaded
	}
}
