package ui

import (
	"reflect"
	"time"
	"unsafe"

	tea "charm.land/bubbletea/v2"
)

// pacer says how often Bubble Tea looks whether there is something to write. Left to itself it does
// so at a fixed rate for as long as it runs, and wakes threads each time. Its rate can be set only
// when it starts (tea.WithFPS), so this reaches for the ticker inside; a version without that field
// goes on at the full rate, and a test fails.
//
// Measured on 2 cores at 80x24, a minute at rest with one service, the whole program: at 60 looks a
// second 440 ms of CPU and 20,700 context switches, at 30 280 ms and 12,100, with the pace below 70
// ms and 2,200. WithFPS(10) would come near, but then a key is answered 50 ms later on average.
type pacer struct {
	program *tea.Program
	now     time.Duration
}

const (
	frames   = 60                     // a second, while something moves: half of one is what a key waits on average
	restPace = 500 * time.Millisecond // between two looks at rest, and while the terminal has no focus
)

// set changes the pace. Only the event loop may call it: it is who makes the ticker.
func (p *pacer) set(d time.Duration) {
	if p.program == nil || p.now == d {
		return
	}
	if t := tickerOf(p.program); t != nil {
		t.Reset(d)
		p.now = d
	}
}

// forget has the pace set again. After a shell it is not known: Bubble Tea starts the ticker again,
// and the goroutine that used it before may stop it only then, after which nothing would be drawn
// any more.
func (p *pacer) forget() { p.now = 0 }

// tickerOf is the ticker of a program's renderer, nil before it runs.
func tickerOf(p *tea.Program) *time.Ticker {
	f := reflect.ValueOf(p).Elem().FieldByName("ticker")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*time.Ticker]() {
		return nil
	}
	return *(**time.Ticker)(unsafe.Pointer(f.UnsafeAddr()))
}

// keepPace slows drawing down while nothing moves or the terminal has no focus.
func (m *Model) keepPace(msg tea.Msg) {
	if _, back := msg.(returnedMsg); back {
		m.pacer.forget()
	}
	switch {
	case m.shell.lent: // the screen is not drawn
	case m.rest.resting() || m.rest.blurred:
		m.pacer.set(restPace)
	default:
		m.pacer.set(time.Second / frames)
	}
}
