package ui

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

// slowStop is a backend that stops a project only when it is told to, or killed.
type slowStop struct {
	*fake
	let chan error // what the stop returns
}

func (b *slowStop) Do(ctx context.Context, c engine.Command) error {
	b.note(fmt.Sprintf("%s %s (%s)", c.Verb, strings.Join(c.Services, ","), c.Cause))
	if c.Verb != engine.VerbStop || len(c.Services) > 0 {
		return nil
	}
	b.stopping(0, "db", 10*time.Second)
	select {
	case err := <-b.let:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stopping has a service be stopped since some time.
func (f *fake) stopping(ago time.Duration, name string, grace time.Duration) {
	f.change(func(n *engine.Snapshot) {
		i := slices.IndexFunc(n.Services, func(s engine.Service) bool { return s.Name == name })
		s := &n.Services[i]
		s.Replicas = slices.Clone(s.Replicas)
		since := f.now.Add(-ago)
		s.State, s.Since = engine.StateStopping, since
		r := &s.Replicas[0]
		r.State, r.Since, r.StopBy = engine.StateStopping, since, since.Add(grace)
	})
}

// later moves the fake's clock, and lets the screen look at it.
func (f *fake) later(d time.Duration) {
	f.change(func(*engine.Snapshot) { f.now = f.now.Add(d) })
}

func openSlowStop(t *testing.T, w, h int) (*screen, *slowStop) {
	b := &slowStop{fake: shop(), let: make(chan error, 1)}
	s := openScreen(t, b.fake, w, h, func(o *Options) { o.Backend = b })
	s.wait("api")
	return s, b
}

func TestStoppingIsShownWithItsTimes(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		t.Run(fmt.Sprint(size[0]), func(t *testing.T) {
			b := shop()
			s := openScreen(t, b, size[0], size[1])
			s.wait("api")
			b.stopping(3*time.Second, "db", 10*time.Second)
			s.wait("stopping db 3s of 10s", "[K] on it kills")
			b.later(time.Second)
			s.wait("stopping db 4s of 10s")
			s.keys("j", "j")
			s.wait("[K] kills db")
			s.golden(fmt.Sprintf("stopping-%dx%d", size[0], size[1]))
			b.change(func(n *engine.Snapshot) { n.Services[2] = shop().snap.Services[2] })
			s.gone("stopping db")
			b.stopping(0, "api", 2*time.Second) // a swap of the loop: over before it could be read
			s.until("api stopping", func(text string) bool {
				return regexp.MustCompile(`api +stopping`).MatchString(text)
			})
			if text := s.text(); strings.Contains(text, "kills") {
				t.Errorf("a stop that has just begun is announced:\n%s", text)
			}
			s.quit()
		})
	}
}

func TestScreenStaysUntilTheProjectHasStopped(t *testing.T) {
	for _, tt := range []struct {
		keys []string
		want engine.Ending
	}{{[]string{"q", "s"}, engine.EndStop}, {[]string{"ctrl+c", "ctrl+c"}, engine.EndStop},
		{[]string{"D", "d"}, engine.EndDown}, {[]string{"D", "v", "y"}, engine.EndDownVolumes}} {
		t.Run(strings.Join(tt.keys, " "), func(t *testing.T) {
			s, b := openSlowStop(t, 80, 24)
			s.keys(tt.keys...)
			s.wait("stopping db 0s of 10s", "ctrl+c again kills")
			s.keys("ctrl+c", "ctrl+c") // two where one was meant
			s.keys("r", "s", "D", "q", "e", "u", ":")
			s.wait("shop is being stopped")
			b.later(3 * time.Second)
			s.wait("stopping db 3s of 10s; then 5 services")
			if acts := b.acts(); len(acts) != 1 || acts[0] != "stop  (bulkhead ends)" {
				t.Errorf("the engine was told %q", acts)
			}
			b.let <- nil
			if o, err := s.end(); o != tt.want || err != nil {
				t.Errorf("%v, %v; want %v", o, err, tt.want)
			}
		})
	}
}

func TestAnotherCtrlCKillsAndTheNextLeaves(t *testing.T) {
	s, b := openSlowStop(t, 80, 24)
	s.keys("ctrl+c", "ctrl+c")
	s.wait("stopping db 0s of 10s")
	b.later(shownFirst)
	s.wait("stopping db 1s of 10s")
	s.keys("ctrl+c", "ctrl+c")
	s.wait("killing db 1s of 10s", "ctrl+c again leaves")
	if !b.told("kill api,cache,db,gw,mail,web (you pressed ctrl+c)") {
		t.Errorf("the engine was told %q", b.acts())
	}
	b.let <- nil
	if o, err := s.end(); o != engine.EndStop || err == nil || err.Error() != "stop shop: killed by a second ctrl+c" {
		t.Errorf("%v, %v", o, err)
	}

	s, b = openSlowStop(t, 80, 24)
	s.keys("ctrl+c", "ctrl+c")
	s.wait("stopping db")
	for _, next := range []string{"killing db", ""} {
		b.later(shownFirst)
		s.keys("ctrl+c")
		if next != "" {
			s.wait(next)
		}
	}
	if o, err := s.end(); o != engine.EndLeave || err == nil || !strings.Contains(err.Error(),
		"ended before everything had stopped") {
		t.Errorf("%v, %v", o, err)
	}
}

func TestStopThatFailsIsReturned(t *testing.T) {
	s, b := openSlowStop(t, 80, 24)
	s.keys("q", "s")
	s.wait("stopping db")
	refused := errors.New("its pre_stop hook ended with 1")
	b.let <- refused
	if o, err := s.end(); o != engine.EndStop || !errors.Is(err, refused) {
		t.Errorf("%v, %v", o, err)
	}
}

// Keys that come between the wish to leave and the end act on nothing.
func TestKeysAfterTheWishToLeaveActOnNothing(t *testing.T) {
	for range 50 {
		b := shop()
		s := openScreen(t, b, 80, 24)
		s.wait("api")
		s.keys("q", "l", "s", "K", "r")
		s.end()
		if acts := b.acts(); len(acts) > 0 {
			t.Fatalf("keys acted: %q", acts)
		}
	}
}
