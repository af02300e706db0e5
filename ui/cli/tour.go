package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// The tour's own names.
const (
	tourProject = "bulkhead-tour"
	tourEdits   = "catalog"
	tourKills   = "orders"
	tourWatches = 2 * time.Second  // how long the others are watched after the kill
	tourSigns   = 20 * time.Second // how long a sign of it in their logs is awaited
	tourPatient = 10 * time.Minute
)

// tour shows the main things in a minute or so, in text, and leaves nothing behind.
func (v *demoVerb) tour(ctx context.Context) (err error) {
	if err := v.app.conn.connect(ctx); err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "bulkhead-tour-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() {
		if rm := os.RemoveAll(temp); err == nil && rm != nil {
			err = fmt.Errorf("demo: %w", rm)
		}
	}()
	dir := filepath.Join(temp, "shop")
	gateway, err := v.prepare(ctx, dir)
	if err != nil {
		return err
	}
	p, err := project.Load(ctx, v.app.loader.options())
	if err != nil {
		return err
	}
	// What the tour learns of its containers goes with them.
	s, err := v.app.open(ctx, p, engine.Options{StateDir: filepath.Join(temp, "state")},
		sessionOptions{signals: true,
			load: func(ctx context.Context) (*project.Project, error) { return v.app.loader.load(ctx) }})
	if err != nil {
		return fmt.Errorf("demo %s: %w", p.Name, err)
	}
	s.whenSignalled, s.images = engine.EndDownVolumes, true
	t := &tour{s: s, printStep: v.printStep, dir: dir,
		home: fmt.Sprintf("http://127.0.0.1:%d/api/home", gateway)}
	ended := time.Now()
	err = s.run(func(ctx context.Context) (engine.Ending, error) {
		ctx, cancel := context.WithTimeout(ctx, tourPatient)
		defer cancel()
		err := t.walk(ctx)
		ended = time.Now()
		return engine.EndDownVolumes, err
	})
	left, look := leftovers(context.WithoutCancel(ctx), v.app.conn.rt, p.Name)
	switch {
	case err != nil:
		return fmt.Errorf("demo: %w", err)
	case look != nil:
		return fmt.Errorf("demo: look for what is left: %w", look)
	case len(left) > 0:
		return fmt.Errorf("demo: left behind: %s; `bulkhead -p %s down -v --rmi local` removes it",
			strings.Join(left, ", "), p.Name)
	}
	v.printStep("down", "containers, networks, volumes and images removed in %s; nothing is left",
		container.Brief(time.Since(ended)))
	return nil
}

// prepare says what the tour runs on and unpacks the shop. It returns the
// gateway's port.
func (v *demoVerb) prepare(ctx context.Context, dir string) (gateway int, err error) {
	for _, f := range engineFindings(v.app.conn.info, nil) {
		v.printStep(f.what, "%s", f.text)
	}
	release, noGo := goVersion(ctx)
	if err := unpack(dir, noGo == nil); err != nil {
		return 0, fmt.Errorf("demo: %w", err)
	}
	if noGo == nil {
		v.printStep("go", "%s: the programs are built on this machine", release)
	} else {
		v.printStep("go", "not on this machine: the programs are built in the golang image")
	}
	return v.shop(dir, tourProject)
}

// printStep prints a line of the tour, which goes on when stdout is closed.
func (v *demoVerb) printStep(what, format string, args ...any) {
	fmt.Fprintf(v.app.console.stdout, "%-9s %s\n", what, clean(fmt.Sprintf(format, args...)))
}

// leftovers names what of a project is still on the engine.
func leftovers(ctx context.Context, rt engine.Runtime, name string) ([]string, error) {
	var left []string
	instances, err := rt.Instances(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, in := range instances {
		left = append(left, "container "+in.Name)
	}
	images, err := container.Completed(rt).ProjectImages(ctx, name, true)
	if err != nil {
		return nil, err
	}
	for _, id := range images {
		left = append(left, "image "+id)
	}
	return left, nil
}

// tour is one walk through the shop.
type tour struct {
	s         *session
	printStep func(what, format string, args ...any)
	dir       string
	home      string // URL
}

func (t *tour) walk(ctx context.Context) error {
	s := t.s
	s.tasks.Go("builds", func(context.Context) error {
		return eachRecord(ctx, s.e, 0, func(recs []engine.Record) error {
			for _, r := range recs {
				// What makes the first start slow, so that it does not look like a hang.
				if r.Kind == "build" && len(r.Stages) > 0 && r.Stages[0].Took > time.Second {
					t.printStep("", "%s", eventText(r))
				}
			}
			return nil
		})
	})
	if err := s.e.WaitUp(ctx, engine.Wait{Ready: true}); err != nil {
		if up := new(engine.UpError); errors.As(err, &up) {
			s.a.console.printLines(failureTail(ctx, s.a.conn.rt, s.e.Snapshot(), up.Failures[0]))
		}
		return fmt.Errorf("up: %w", err)
	}
	snap := s.e.Snapshot()
	t.printStep("up", "%d services ready in %s, each in its own container; the gateway is at %s",
		len(snap.Services), container.Brief(snap.ReadyIn), t.home)
	for _, part := range []func(context.Context) error{t.edit, t.kill} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// home is what the gateway says.
type home struct {
	Catalog struct {
		Data []struct {
			SKU   string `json:"sku"`
			Cents int    `json:"cents"`
		} `json:"data"`
		Degraded bool `json:"degraded"`
	} `json:"catalog"`
	Orders struct {
		Degraded bool `json:"degraded"`
	} `json:"orders"`
	Degraded bool     `json:"degraded"`
	Down     []string `json:"down"`
}

func (t *tour) ask(ctx context.Context) (home, error) {
	var h home
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.home, nil)
	if err != nil {
		return h, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return h, fmt.Errorf("GET %s: %s", t.home, resp.Status)
	}
	return h, json.NewDecoder(resp.Body).Decode(&h)
}

// until asks the gateway again and again until its answer is as wanted, and returns when that was.
func (t *tour) until(
	ctx context.Context, what string, patience time.Duration, ok func(home) bool,
) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		h, err := t.ask(ctx)
		if err == nil && ok(h) {
			return time.Now(), nil
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return time.Time{}, errors.Join(fmt.Errorf("%s: the gateway does not say so after %s",
				what, container.Brief(patience)), err)
		}
	}
}

// edit changes a price in the source, and waits until the gateway names the new one.
func (t *tour) edit(ctx context.Context) error {
	before, err := t.ask(ctx)
	if err != nil {
		return fmt.Errorf("ask the gateway: %w", err)
	}
	if len(before.Catalog.Data) == 0 {
		return errors.New("ask the gateway: its catalog is empty")
	}
	item := before.Catalog.Data[0]
	file := filepath.Join(t.dir, tourEdits, "items.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	older, newer := fmt.Sprintf(`"cents": %d}`, item.Cents), fmt.Sprintf(`"cents": %d}`, item.Cents+1)
	edited := strings.Replace(string(text), older, newer, 1)
	if edited == string(text) {
		return fmt.Errorf("edit %s: the price of %s is not in it", file, item.SKU)
	}
	bystanders := snapshotRows(t.s.e.Snapshot())
	saved := time.Now()
	if err := os.WriteFile(file, []byte(edited), 0o644); err != nil {
		return err
	}
	live, err := t.until(ctx, "edit", 3*time.Minute, func(h home) bool {
		return slices.ContainsFunc(h.Catalog.Data, func(i struct {
			SKU   string `json:"sku"`
			Cents int    `json:"cents"`
		}) bool {
			return i.SKU == item.SKU && i.Cents == item.Cents+1 && !h.Catalog.Degraded
		})
	})
	if err != nil {
		return err
	}
	change, err := t.change(ctx, saved)
	if err != nil {
		return err
	}
	t.printStep("edit",
		"%s/items.json saved: %s, ready in %d ms (%s); through the gateway the new price answers after %d ms",
		tourEdits, change.Action, change.Ended.Sub(saved).Milliseconds(), stages(change.Stages),
		live.Sub(saved).Milliseconds())
	t.printStep("", "%s", compareRows(bystanders, snapshotRows(t.s.e.Snapshot()), []string{tourEdits},
		"the change"))
	return nil
}

// change waits for the end of the change that a save led to.
func (t *tour) change(ctx context.Context, since time.Time) (engine.Change, error) {
	var found *engine.Change
	err := t.look(ctx, func(s *engine.Snapshot) bool {
		for _, svc := range s.Services {
			if svc.Name == tourEdits && svc.Last != nil &&
				svc.Last.Began.After(since.Add(-time.Second)) && !svc.Last.Ended.IsZero() &&
				len(svc.Last.Paths) > 0 {
				found = svc.Last
			}
		}
		return found != nil
	})
	if err != nil {
		return engine.Change{}, fmt.Errorf("wait for the end of the change: %w", err)
	}
	if found.Err != "" {
		return *found, fmt.Errorf("%s of %s: %s", found.Action, tourEdits, found.Err)
	}
	return *found, nil
}

// look waits until a snapshot is as wanted, for a minute at most.
func (t *tour) look(ctx context.Context, ok func(*engine.Snapshot) bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	changed, stop := t.s.e.Subscribe()
	defer stop()
	for !ok(t.s.e.Snapshot()) {
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func stages(all []engine.Stage) string {
	var out []string
	for _, s := range all {
		if s.Name != "total" {
			out = append(out, fmt.Sprintf("%s %d", s.Name, s.Took.Milliseconds()))
		}
	}
	return strings.Join(out, ", ")
}

// ledger is the one that the kill opened.
func (t *tour) ledger() engine.Ledger {
	all := t.s.e.Snapshot().Ledgers
	return all[len(all)-1]
}

// noticed says whether the kill shows in any other service: the gateway logs what it does without, a moment later.
func (t *tour) noticed() bool {
	l := t.ledger()
	return slices.ContainsFunc(l.Rows, func(r engine.LedgerRow) bool { return r.Outcome != engine.Untouched })
}

// kill kills one service, prints who noticed, and brings it back.
func (t *tour) kill(ctx context.Context) error {
	e := t.s.e
	if _, err := t.until(ctx, "before the kill", time.Minute, func(h home) bool {
		return !h.Degraded
	}); err != nil {
		return err
	}
	if err := e.Do(ctx, engine.Command{Verb: engine.VerbKill, Services: []string{tourKills},
		Cause: "the tour"}); err != nil {
		return err
	}
	killed := time.Now()
	if _, err := t.until(ctx, "kill", time.Minute, func(h home) bool {
		return h.Orders.Degraded && time.Since(killed) > tourWatches && (t.noticed() || time.Since(killed) > tourSigns)
	}); err != nil {
		return err
	}
	ledger := t.ledger()
	t.printStep("kill", "%s", ledger.Verdict())
	rows := slices.SortedFunc(slices.Values(ledger.Rows), func(a, b engine.LedgerRow) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), a.Replica-b.Replica)
	})
	for _, r := range rows {
		outcome := r.Outcome.String()
		if r.Outcome == engine.Errors {
			outcome = "the same, with errors in its log"
		}
		t.printStep("", "  %-9s container %.12s, started %s, restarts %d: %s", r.Service, r.After.ID,
			r.After.Started.UTC().Format("15:04:05.000"), r.After.Restarts, outcome)
	}
	t.printStep("", "the gateway answers all the while: 200, \"degraded\": true, with the last orders it saw")

	began := time.Now()
	if err := e.Do(ctx, engine.Command{Verb: engine.VerbUp, Services: []string{tourKills},
		Cause: "the tour"}); err != nil {
		return err
	}
	if err := e.WaitReady(ctx, tourKills); err != nil {
		return err
	}
	ready := time.Since(began)
	whole, err := t.until(ctx, "bring back", time.Minute, func(h home) bool { return !h.Degraded })
	if err != nil {
		return err
	}
	t.printStep("back", "%s is ready after %d ms, the gateway is whole again after %d ms", tourKills,
		ready.Milliseconds(), whole.Sub(began).Milliseconds())
	return nil
}
