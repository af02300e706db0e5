package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/project"
)

// The line that stays when the screen is gone: only it says what a signal did to the project.
func TestScreenThatASignalEndsSaysWhatBecameOfTheProject(t *testing.T) {
	for name, c := range map[string]struct {
		key     engine.Ending // what the screen returns
		signal  bool
		plain   bool // there was no screen
		set     func(*session)
		says    string
		running int // containers that run in the end
	}{
		"signal": {signal: true, says: "shop is stopped: a signal ended bulkhead\n"},
		"signal, left": {signal: true, set: func(s *session) {
			s.keep = true
		}, says: "shop runs on: a signal ended bulkhead\n", running: 1},
		"signal that removes": {signal: true, set: func(s *session) {
			s.whenSignalled = engine.EndDownVolumes
		}, says: "shop is removed: a signal ended bulkhead\n"},
		"signal, no screen": {signal: true, plain: true},
		"key that stops":    {key: engine.EndStop},
		"key that leaves": {key: engine.EndLeave,
			says: "shop runs on; `bulkhead` comes back to it, `bulkhead down` removes it\n", running: 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "compose.yaml")
			if err := os.WriteFile(file, []byte("name: shop\nservices: {a: {image: app}}\n"),
				0o600); err != nil {
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
				out := &lockedBuffer{}
				a := newApp(Parts{Stdin: strings.NewReader(""), Stdout: out, Stderr: io.Discard})
				a.conn.rt = rt
				show := func(ctx context.Context, e *engine.Engine, _ string) (engine.Ending, error) {
					if err := e.WaitUp(ctx, engine.Wait{Ready: true}); err != nil {
						t.Error(err)
					}
					if !c.signal {
						return c.key, nil
					}
					a.interrupts.signalled(os.Interrupt)
					<-ctx.Done()
					return engine.EndLeave, nil // as the screen does
				}
				a.screen = show
				s, err := a.open(t.Context(), p, engine.Options{StateDir: state, NoWatch: true},
					sessionOptions{signals: true, shared: true})
				if err != nil {
					t.Fatal(err)
				}
				if c.set != nil {
					c.set(s)
				}
				run := s.screen
				if c.plain {
					run = func(ctx context.Context) (engine.Ending, error) { return show(ctx, s.e, "") }
				}
				if err := s.run(run); err != nil {
					t.Error(err)
				}
				if got := out.String(); got != c.says {
					t.Errorf("stdout: %q, want %q", got, c.says)
				}
				all, err := rt.Instances(t.Context(), "shop")
				if err != nil {
					t.Fatal(err)
				}
				running := 0
				for _, in := range all {
					if in.State == engine.StateRunning {
						running++
					}
				}
				if running != c.running {
					t.Errorf("%d containers run, want %d", running, c.running)
				}
			})
		})
	}
}
