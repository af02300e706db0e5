package ui

import (
	"context"
	"reflect"
	"strings"
	"time"
	"unsafe"

	tea "charm.land/bubbletea/v2"
	"github.com/muesli/cancelreader"
)

// opening is what lies over the panes from the key that asks for a shell until the shell has the terminal. Whatever is typed meanwhile is
// meant for the shell: it is kept for it, and nothing on the screen acts on it.
type opening struct {
	noCursor
	e      *env
	target target
	cancel context.CancelFunc // ends the search for a shell
	typed  strings.Builder    // as a terminal would have sent it

	ready    bool // a shell was found, and the terminal is being handed over
	canceled bool // after ready: the terminal comes back at once
}

// key implements overlay.
func (o *opening) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s := k.String(); s == "esc" {
		return nil, o.stop()
	}
	o.typed.WriteString(keyBytes(k))
	return nil, false
}

// interrupt implements interrupter.
func (o *opening) interrupt() bool { return o.stop() }

// stop gives the opening up; closed is false where the terminal is on its way already, and has to come back first.
func (o *opening) stop() (closed bool) {
	o.cancel()
	o.canceled = true
	return !o.ready
}

// paste keeps text for the shell. Line breaks are what enter sends.
func (o *opening) paste(text string) {
	o.typed.WriteString(strings.NewReplacer("\r\n", "\r", "\n", "\r").Replace(text))
}

// render implements overlay.
func (o *opening) render(w, h int) []string {
	lines := []string{" opening a shell in " + o.target.String() + ", esc cancels"}
	if n := len([]rune(o.typed.String())); n > 0 {
		lines = append(lines, o.e.st.dim.s(" "+plural(n, "key")+" typed ahead for it"))
	}
	inner := 0
	for _, l := range lines {
		inner = max(inner, width(l)+1)
	}
	return box(&o.e.st, "Shell", lines, min(inner, w-2), h)
}

// keyBytes is what a terminal sends to a program for a key; "" for keys that have no such form.
func keyBytes(k tea.KeyPressMsg) string {
	out := k.Text
	switch {
	case out != "" && k.Mod&^tea.ModShift == 0:
	case k.Mod&tea.ModCtrl != 0 && (k.Code >= 'a' && k.Code <= 'z' || k.Code >= '[' && k.Code <= '_'):
		out = string(k.Code & 0x1f)
	case k.Mod&tea.ModCtrl != 0 && (k.Code == tea.KeySpace || k.Code == '@'):
		out = "\x00"
	case k.Code == tea.KeyTab && k.Mod&tea.ModShift != 0:
		return "\x1b[Z"
	case plainKeys[k.Code] != "":
		out = plainKeys[k.Code]
	case out == "" && k.Code >= ' ' && k.Code < tea.KeyExtended && k.Mod == tea.ModAlt:
		out = string(k.Code)
	}
	if out != "" && k.Mod&tea.ModAlt != 0 {
		out = "\x1b" + out
	}
	return out
}

// plainKeys are the sequences of keys without a character of their own, as a terminal sends them in its usual modes.
var plainKeys = map[rune]string{
	tea.KeyEnter: "\r", tea.KeyTab: "\t", tea.KeyBackspace: "\x7f", tea.KeySpace: " ", tea.KeyUp: "\x1b[A", tea.KeyDown: "\x1b[B",
	tea.KeyRight: "\x1b[C", tea.KeyLeft: "\x1b[D", tea.KeyHome: "\x1b[H", tea.KeyEnd: "\x1b[F", tea.KeyDelete: "\x1b[3~",
	tea.KeyInsert: "\x1b[2~", tea.KeyPgUp: "\x1b[5~", tea.KeyPgDown: "\x1b[6~",
}

// drainInput stops Bubble Tea from reading the terminal, and returns once every key that it has read is on its way to Update. It must not
// run in the event loop, which takes those keys. Without it they would wait there while the shell runs, and then act on services. There is
// no method for it that leaves the screen as it is, so this reaches for the two fields inside; a test tells whether they are there. The
// end of tea.Exec begins to read again.
func drainInput(ctx context.Context, p *tea.Program) {
	reader, done := inputOf(p)
	if reader == nil || done == nil {
		return
	}
	var enough <-chan time.Time
	if !reader.Cancel() {
		enough = time.After(time.Second) // a read that cannot be interrupted: the next key ends it
	}
	select {
	case <-done: // however long Update takes for what was read
	case <-enough:
	case <-ctx.Done():
	}
}

// inputOf finds what reads a program's input, and what is closed when it has ended; nil where this Bubble Tea has them no more.
func inputOf(p *tea.Program) (reader cancelreader.CancelReader, done chan struct{}) {
	if p == nil {
		return nil, nil
	}
	v := reflect.ValueOf(p).Elem()
	r, d := v.FieldByName("cancelReader"), v.FieldByName("readLoopDone")
	if r.IsValid() && r.Type() == reflect.TypeFor[cancelreader.CancelReader]() {
		reader = *(*cancelreader.CancelReader)(unsafe.Pointer(r.UnsafeAddr()))
	}
	if d.IsValid() && d.Type() == reflect.TypeFor[chan struct{}]() {
		done = *(*chan struct{})(unsafe.Pointer(d.UnsafeAddr()))
	}
	return reader, done
}

// nothing gives the terminal back as soon as it has it; it implements tea.ExecCommand.
type nothing struct{ shell }

func (*nothing) Run() error { return nil }

// lostShell lies over the panes when a shell ended that nobody left, as when its container was replaced: what is typed on was meant for
// it, and acts on nothing until esc.
type lostShell struct {
	noCursor
	e      *env
	target target
}

// key implements overlay.
func (l *lostShell) key(k tea.KeyPressMsg) (tea.Cmd, bool) { return nil, k.String() == "esc" }

// render implements overlay.
func (l *lostShell) render(w, h int) []string {
	text := " the shell in " + l.target.String() + " has ended, esc goes back "
	return box(&l.e.st, "Shell", []string{text}, min(width(text), w-2), h)
}
