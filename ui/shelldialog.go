package ui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// opening is what lies over the panes from the key that asks for a shell until the shell is over.
// Whatever is typed before the shell has the terminal is meant for the shell: it is kept for it,
// and nothing on the screen acts on it.
type opening struct {
	noCursor
	e      *env
	target target
	cancel context.CancelFunc // ends the search for a shell
	keys   *keyboard          // of the shell
	typed  int                // keys

	ready    bool // a shell was found, and the terminal is being handed over
	canceled bool // after ready: the terminal comes back at once
}

// key implements overlay.
func (o *opening) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if k.String() == "esc" {
		return nil, o.interrupt()
	}
	o.feed(keyBytes(k))
	return nil, false
}

// interrupt implements interrupter. It ends the opening; closed is false where the terminal is on
// its way already, and has to come back first.
func (o *opening) interrupt() (closed bool) {
	o.cancel()
	o.canceled = true
	return !o.ready
}

func (o *opening) feed(text string) {
	o.typed += len([]rune(text))
	o.keys.feed(text)
}

// paste keeps text for the shell. Line breaks are what enter sends.
func (o *opening) paste(text string) {
	o.feed(strings.NewReplacer("\r\n", "\r", "\n", "\r").Replace(text))
}

// render implements overlay.
func (o *opening) render(w, h int) []string {
	lines := []string{" opening a shell in " + o.target.String() + ", esc cancels"}
	if o.typed > 0 {
		lines = append(lines, o.e.st.dim.s(" "+plural(o.typed, "key")+" typed ahead for it"))
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
	tea.KeyEnter: "\r", tea.KeyTab: "\t", tea.KeyBackspace: "\x7f", tea.KeySpace: " ",
	tea.KeyUp: "\x1b[A", tea.KeyDown: "\x1b[B",
	tea.KeyRight: "\x1b[C", tea.KeyLeft: "\x1b[D", tea.KeyHome: "\x1b[H", tea.KeyEnd: "\x1b[F",
	tea.KeyDelete: "\x1b[3~",
	tea.KeyInsert: "\x1b[2~", tea.KeyPgUp: "\x1b[5~", tea.KeyPgDown: "\x1b[6~",
}

// lostShell lies over the panes when a shell ended that the user did not leave, as when its
// container was replaced: what is typed on was meant for it, and acts on nothing until esc.
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
