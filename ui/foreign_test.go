package ui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/ui/internal/hostile"
)

// hostileShop is the shop in which every text of every kind tries to command the terminal.
func hostileShop() *fake {
	f := shop()
	f.snap.Builds[0].Err, f.snap.Builds[0].Ended = "exit code 1", start
	f.snap.Ledgers = []engine.Ledger{fakeLedger(&f.snap, "db", start)}
	f.snap.Warnings, f.snap.Orphans = []string{"w"}, []engine.Orphan{{Name: "old", Files: []string{"old.yaml"}}}
	hostile.Fill(&f.snap)
	f.snap.Services[0].State, f.snap.Services[0].Wanted = engine.StateBroken, 2
	f.fails = errors.New("refused " + hostile.Text)
	f.exec = func(context.Context, engine.ExecOptions) (int, error) {
		return 0, errors.New("no " + hostile.Text)
	}
	for _, s := range f.snap.Services {
		for _, stream := range []logs.Stream{logs.Stdout, logs.Stderr} {
			f.store.Append(s.Name, 1, 3, stream, start, []byte("ERROR line "+hostile.Log))
		}
		f.store.Separator(s.Name, 1, 3, start, "ended "+hostile.Log)
	}
	return f
}

// Every action, in every pane, on terminals of three sizes: nothing foreign commands the terminal,
// and no row is broken by it.
func TestForeignTextCommandsNoTerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
		for _, p := range paneIDs() {
			t.Run(fmt.Sprintf("%dx%d/%s", size[0], size[1], p), func(t *testing.T) {
				f := hostileShop()
				m, err := newModel(t.Context(), Options{Backend: f, Now: f.clock}, make(chan struct{}))
				if err != nil {
					t.Fatal(err)
				}
				m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				look := func(what string) {
					t.Helper()
					m.dirty = true
					v := m.View()
					checkRows(t, v.Content, size[0], size[1])
					if bad := hostile.Check(v.Content+v.WindowTitle, true); bad != "" {
						t.Errorf("%s: %s", what, bad)
					}
				}
				for i := range m.e.keys.actions {
					a := &m.e.keys.actions[i]
					if a.run == nil || !a.can() || strings.HasPrefix(a.name, "timeline") {
						continue
					}
					m.e.focusPane(p)
					a.run()
					m.settle()
					look(a.name)
					for range 3 {
						m.Update(tea.KeyPressMsg{Code: tea.KeyDown})
						look(a.name + ", further down")
					}
					m.e.over, m.log.search.box.open, m.ports.picking = nil, false, false
				}
				m.Update(doneMsg{services: []string{f.snap.Services[1].Name}, what: "stop",
					err: m.e.backend.Do(t.Context(), engine.Command{})})
				look("failed command")
				_, err = m.e.backend.Exec(t.Context(), "api", 0, engine.ExecOptions{})
				m.Update(returnedMsg{msg: shellDoneMsg{target: target{service: "api"}, err: err}})
				look("failed shell")
				m.Update(savedMsg{err: errors.New("save " + hostile.Text)})
				look("failed save")
				m.Update(tea.PasteMsg{Content: hostile.Text})
			})
		}
	}
}

// tee keeps what is written to the terminal.
type tee struct {
	w   io.Writer
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *tee) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.all.Write(p)
	o.mu.Unlock()
	return o.w.Write(p)
}

func (o *tee) text() string { o.mu.Lock(); defer o.mu.Unlock(); return o.all.String() }

// The bytes of the whole program, with the window's title, the notes and what Bubble Tea makes of it all.
func TestForeignTextIsNoCommandInTheBytesOfTheScreen(t *testing.T) {
	var out *tee
	f := hostileShop()
	s := openScreen(t, f, 120, 40, func(o *Options) {
		out = &tee{w: o.Stdout}
		o.Stdout, o.Config.Notify = out, "osc9"
	})
	s.wait("api")
	for _, keys := range [][]string{{"1"}, {"2"}, {"3"}, {"4"}, {"5"}, {"i"}, {"d"}, {"F"}, {":"},
		{"X"}, {"q"}, {"D"}, {"?"}} {
		s.keys(keys...)
		s.p.Send(tea.WindowSizeMsg{Width: 120, Height: 40})
		time.Sleep(2 * time.Second / frames) // a frame is drawn by the clock
		s.keys("esc")
	}
	s.p.Send(tea.BlurMsg{})
	f.change(func(n *engine.Snapshot) {
		r := engine.Record{Seq: 1000, Time: start, Kind: "service", HasExit: true, ExitCode: 1,
			State: engine.StateExited, Cause: engine.EndedByItself}
		hostile.Fill(&r.Service)
		r.Err = hostile.Text
		n.Records = append(n.Records[:len(n.Records):len(n.Records)], r)
	})
	end := time.Now().Add(time.Minute)
	for !strings.Contains(out.text(), "\x1b]9;bulkhead") {
		if time.Now().After(end) {
			t.Fatal("no note was sent")
		}
		time.Sleep(time.Millisecond)
	}
	s.cancel()
	s.end()
	if bad := hostile.Check(out.text(), false); bad != "" {
		t.Error(bad)
	}
}
