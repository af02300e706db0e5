package ui

import (
	"fmt"
	"sort"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// env is what the root shares with the parts of the screen: what there is to show and how, and what
// a part may ask for. Parts keep a pointer to it. Only the root writes snap, now, st and the
// layout.
type env struct {
	opts    Options
	backend Backend
	jobs    *jobs
	keys    *keymap
	status  *status

	panes []paneLine // in the order of their digits

	snap        snapshot
	unavailable map[string]string // why faults are not possible here, by their kinds; nil before it was asked
	now         time.Time         // of snap
	st          styles

	w, h  int
	f     frame
	focus paneID
	tab   paneID // what main shows: logs, events, builds or ledger
	zoom  bool   // the focused pane has the screen for itself

	overAt rect    // where it was drawn last
	over   overlay // what lies over the panes and takes the keys; nil: nothing
}

// focusPane focuses a pane and shows it.
func (e *env) focusPane(p paneID) {
	e.focus = p
	switch {
	case p == paneServices:
	case p == paneEvents && e.f.strip && !e.zoom:
	default:
		e.tab = p
	}
}

func (e *env) zoomLabel() string {
	if e.zoom {
		return "all panes"
	}
	return "zoom"
}

// keyOf is the key that an action goes by, for causes and hints.
func (e *env) keyOf(action string) string {
	for i := range e.keys.actions {
		if e.keys.actions[i].name == action {
			return e.keys.actions[i].firstKey()
		}
	}
	return ""
}

// fromHere is keyOf for a hint beside the focused pane: where that pane has the key for another
// matter, the digit of the services comes first.
func (e *env) fromHere(action string) string {
	key := e.keyOf(action)
	if all := e.keysOf(action); len(all) > 0 {
		if a := e.keys.find(all[0], e.focus); a != nil && a.name != action {
			return fmt.Sprintf("%d %s", e.digit(paneServices), key)
		}
	}
	return key
}

// keysOf are all keys of an action, as tea.KeyPressMsg spells them.
func (e *env) keysOf(action string) []string {
	for i := range e.keys.actions {
		if e.keys.actions[i].name == action {
			return e.keys.actions[i].keys
		}
	}
	return nil
}

// focusMark stands before the title of the pane that has the focus.
func (e *env) focusMark(p paneID) string {
	if e.focus == p {
		return "▶"
	}
	return " "
}

// namePaint is the colour of a service's name before log lines: neighbours in the list have different ones.
func (e *env) namePaint(service string) paint {
	if p, ok := e.st.own[service]; ok {
		return p
	}
	all := e.snap.Services
	i, _ := sort.Find(len(all), func(i int) int { return strings.Compare(service, all[i].Name) })
	return e.st.names[i%len(e.st.names)]
}

// ruled continues a title with a rule.
func (e *env) ruled(title string, w int) string {
	if n := w - width(title); n > 0 {
		return title + e.st.line.s(strings.Repeat("─", n))
	}
	return cut(title, w)
}

// status is what happened last, in the line above the footer; it stays until the next key.
type status struct {
	text string
	bad  bool

	service string    // whose failed command it is about
	at      time.Time // of that failure

	twice bool // says that a second ctrl+c stops, and holds only while it does

	notes []note
	clock func() time.Time
}

// note is a line of the screen's own for the events pane: an error, or a docker command.
type note struct {
	at      time.Time
	text    string
	bad     bool
	command bool // text is a docker command
}

// String returns the note as the events show it.
func (n *note) String() string {
	if n.command {
		return "$ " + n.text
	}
	return n.text
}

// keptNotes is how many errors the events pane keeps.
const keptNotes = 100

// set shows a line until the next key.
func (s *status) set(text string) {
	s.clear()
	s.text = logs.CleanLine(text)
}

// fail shows an error until the next key, and keeps it for the events pane.
func (s *status) fail(text string) {
	s.set(text)
	s.bad = true
	s.keep(note{text: s.text, bad: true})
}

// keepCommand keeps a docker command for the events pane and for the echo.
func (s *status) keepCommand(line string) {
	s.keep(note{text: logs.CleanLine(line), command: true})
}

// keep keeps a note for the events pane; its time is now.
func (s *status) keep(n note) {
	n.at = s.clock()
	s.notes = append(s.notes, n)
	s.notes = s.notes[max(len(s.notes)-keptNotes, 0):]
}

// failCommand shows that a command for a service did not work, until the next key or until the
// service did it after all.
func (s *status) failCommand(service, text string) {
	s.fail(text)
	s.service, s.at = service, s.clock()
}

func (s *status) clear() { *s = status{notes: s.notes, clock: s.clock} }

// outdated says whether what the line is about was done since.
func (s *status) outdated(snap snapshot) bool {
	if s.service == "" && s.bad && snap.Reload != nil && snap.Reload.At.After(s.at) && !s.at.IsZero() {
		return true // of a Compose file that has changed again
	}
	svc := snap.service(s.service)
	return svc != nil && svc.Last != nil && svc.Last.Err == "" && svc.Last.Ended.After(s.at)
}

// receiver is a part of the screen that gets messages of its own, mostly of work that it started.
type receiver interface {
	// receive takes a message in; ok is false where it is for somebody else.
	receive(msg tea.Msg) (cmd tea.Cmd, ok bool)
}
