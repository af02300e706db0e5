package ui

import (
	"reflect"
	"time"
	"unsafe"

	tea "charm.land/bubbletea/v2"
)

// pacer says how often Bubble Tea looks whether there is something to write. Left to itself it does so frames times a second for as long
// as it runs, and wakes two threads each time: on a screen at rest that is most of what the program costs. There is no option for it, so
// this reaches for the ticker inside. A version without that field goes on at the full rate; a test tells.
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

// forget has the pace set again. After tea.Exec it is not known: Bubble Tea starts the ticker again, and the goroutine that used it before
// may stop it only then, after which nothing would be drawn any more.
func (p *pacer) forget() { p.now = 0 }

// tickerOf is the ticker of a program's renderer, nil before it runs.
func tickerOf(p *tea.Program) *time.Ticker {
	f := reflect.ValueOf(p).Elem().FieldByName("ticker")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*time.Ticker]() {
		return nil
	}
	return *(**time.Ticker)(unsafe.Pointer(f.UnsafeAddr()))
}

// keepPace slows drawing down while nothing moves or nobody looks, and takes it up again.
func (m *Model) keepPace() {
	if m.rest.resting() || m.rest.blurred {
		m.pacer.set(restPace)
	} else {
		m.pacer.set(time.Second / frames)
	}
}
