package ui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/fault"
	"bulkhead/ui/duration"
)

// faultKeys are the keys of faults in the menu.
var faultKeys = map[string]string{
	"kill": "k", "crash": "c", "signal": "g", "stop": "s", "pause": "p", "cpu": "u", "memory": "m",
	"partition": "x", "latency": "l",
	"jitter": "t", "bandwidth": "b", "reset": "r", "loss": "o", "dns": "n", "delay": "d", "shape": "h",
}

// faultTimes are how long a fault may last, in the order in which the form offers them; 0 is until
// a person undoes it, for what one key undoes.
var faultTimes = []time.Duration{time.Minute, 10 * time.Second, 30 * time.Second, 5 * time.Minute,
	15 * time.Minute, time.Hour, 0}

// unavailableMsg says why faults are not possible here, by their kinds.
type unavailableMsg map[string]string

// askFault opens the menu of faults, and has the engine find out what is possible here.
func (v *verbs) askFault() tea.Cmd {
	names, replica := v.sel.targets()
	if len(names) == 0 {
		return nil
	}
	v.e.over = &faultMenu{v: v, kinds: fault.Kinds(), services: names, replica: replica}
	return v.e.findLacks()
}

// findLacks has the engine find out which faults are possible, once.
func (e *env) findLacks() tea.Cmd {
	backend := e.backend
	if e.unavailable != nil {
		return nil
	}
	return e.jobs.do("find out which faults are possible", func(ctx context.Context) tea.Msg {
		unavailable, err := backend.FaultsLacking(ctx)
		if err != nil {
			return nil // the fault itself says what is wrong
		}
		return unavailableMsg(unavailable)
	})
}

// lacking says why faults of a kind are not possible here, "" where they are, as far as that is known.
func (e *env) lacking(k *fault.Kind) string {
	return cmp.Or(k.Lacking(e.snap.Caps), e.unavailable[k.Name])
}

// faultMenu picks a kind of fault.
type faultMenu struct {
	noCursor
	v        *verbs
	kinds    []fault.Kind
	services []string
	replica  int
	at       int
}

// key implements overlay.
func (m *faultMenu) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	s := k.String()
	for i := range m.kinds {
		if faultKeys[m.kinds[i].Name] == s {
			m.at = i
			return nil, m.pick()
		}
	}
	switch s {
	case "up", "shift+tab":
		m.at = (m.at + len(m.kinds) - 1) % len(m.kinds)
	case "down", "j", "tab":
		m.at = (m.at + 1) % len(m.kinds)
	case "enter", "space":
		return nil, m.pick()
	case "esc", "q", "ctrl+c":
		return nil, true
	}
	return nil, false
}

// pick goes on to the form of the kind under the cursor.
func (m *faultMenu) pick() (closed bool) {
	k := &m.kinds[m.at]
	if why := m.v.e.lacking(k); why != "" {
		return false
	}
	f := &faultForm{menu: m, kind: k}
	if k.Value != "" {
		f.fields = append(f.fields, fieldValue)
	}
	if k.Scope == fault.ScopeEdge && len(m.services) == 1 {
		f.edges = m.edges()
		f.fields = append(f.fields, fieldEdge)
	}
	if k.Name != "crash" {
		f.fields = append(f.fields, fieldTime)
	}
	f.times = slices.Clone(faultTimes)
	if !undoable(k.Name) {
		f.times = f.times[:len(f.times)-1]
	}
	m.v.e.over = f
	return true
}

// undoable says whether one key undoes a fault, so that it may last until a person presses that.
func undoable(kind string) bool { return kind == "kill" || kind == "stop" || kind == "pause" }

// edges are those of the service that the menu was opened for.
func (m *faultMenu) edges() []fault.Fault {
	own := m.services[0]
	out := []fault.Fault{{}}
	s := m.v.e.snap.service(own)
	add := func(f fault.Fault) {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	for _, declared := range []bool{true, false} {
		for i := range m.v.e.snap.Services {
			if o := &m.v.e.snap.Services[i]; o.Name != own && slices.Contains(o.DependsOn, own) == declared {
				add(fault.Fault{From: o.Name})
			}
		}
		for i := range m.v.e.snap.Services {
			if o := &m.v.e.snap.Services[i]; o.Name != own && s != nil && slices.Contains(s.DependsOn,
				o.Name) == declared {
				add(fault.Fault{To: o.Name})
			}
		}
	}
	return out
}

// render implements overlay.
func (m *faultMenu) render(w, h int) []string {
	st := &m.v.e.st
	inner := min(76, w-2)
	var rows []string
	for i := range m.kinds {
		k := &m.kinds[i]
		text := k.Help
		name := st.key.s(faultKeys[k.Name]) + "  " + fit(k.Name, 10)
		if why := m.v.e.lacking(k); why != "" {
			name = st.dim.s(faultKeys[k.Name] + "  " + fit(k.Name, 10))
			text = oneLine(why)
		}
		row := "   " + name + st.dim.s(cut(text, max(inner-17, 1)))
		if i == m.at {
			row = st.selected.over(fit(" > "+row[3:], inner))
		}
		rows = append(rows, row)
	}
	rows = window(rows, m.at, h-3)
	rows = append(rows, st.dim.s(" enter next   esc close   the ledger ("+m.v.e.keyOf("ledger")+
		") shows who else suffers"))
	return box(st, "Fault on "+strings.Join(m.services, ", "), rows, inner, h)
}

// window is the part of rows that has room and holds the row at.
func window(rows []string, at, room int) []string {
	if room >= len(rows) || room < 1 {
		return rows
	}
	first := min(max(at-room/2, 0), len(rows)-room)
	return rows[first : first+room]
}

// faultField is one line of the form.
type faultField uint8

const (
	fieldValue faultField = iota
	fieldEdge
	fieldTime
)

// faultForm asks how strong, on which edge, and for how long.
type faultForm struct {
	noCursor
	menu   *faultMenu
	kind   *fault.Kind
	fields []faultField
	at     int // in fields

	value, edge, time int // what is chosen of each
	typed             string
	edges             []fault.Fault
	times             []time.Duration
	wrong             string // why what is there cannot be done
}

// key implements overlay.
func (f *faultForm) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	f.wrong = ""
	n := max(len(f.fields), 1)
	switch k.String() {
	case "up", "shift+tab":
		f.at = (f.at + n - 1) % n
	case "down", "tab":
		f.at = (f.at + 1) % n
	case "left":
		f.change(-1)
	case "right", "space":
		f.change(1)
	case "enter":
		return f.inject()
	case "esc":
		f.menu.v.e.over = f.menu
		return nil, true
	case "ctrl+c":
		return nil, true
	case "backspace":
		if r := []rune(f.typed); len(r) > 0 {
			f.typed = string(r[:len(r)-1])
		}
	default:
		if k.Text != "" && f.field() == fieldValue && len(f.typed) < 40 {
			f.typed += k.Text
		}
	}
	return nil, false
}

func (f *faultForm) field() faultField {
	if len(f.fields) == 0 {
		return fieldTime
	}
	return f.fields[f.at]
}

// change goes to another choice of the line under the cursor.
func (f *faultForm) change(by int) {
	turn := func(at *int, n int) { *at = (*at + by + n) % max(n, 1) }
	switch f.field() {
	case fieldValue:
		if f.typed == "" {
			turn(&f.value, len(f.kind.Values))
		}
		f.typed = ""
	case fieldEdge:
		turn(&f.edge, len(f.edges))
	case fieldTime:
		turn(&f.time, len(f.times))
	}
}

// with is the value as it is written.
func (f *faultForm) with() string {
	if f.typed != "" {
		return f.typed
	}
	if len(f.kind.Values) > 0 {
		return f.kind.Values[f.value]
	}
	return ""
}

// inject sends the fault, and closes the form.
func (f *faultForm) inject() (tea.Cmd, bool) {
	v := f.menu.v
	words := f.kind.Name
	if with := f.with(); with != "" {
		words += "=" + with
	}
	if f.times[f.time] == 0 {
		verb := engine.Verb(f.kind.Name)
		return v.send(words+" "+strings.Join(f.menu.services, ", "), v.e.keyOf("fault"),
			engine.Command{Verb: verb, Services: f.menu.services, Replica: f.menu.replica}), true
	}
	var cmds []tea.Cmd
	for _, s := range f.menu.services {
		one, err := fault.Parse(words, s)
		if err == nil {
			if len(f.edges) > 0 {
				one.From, one.To = f.edges[f.edge].From, f.edges[f.edge].To
			}
			one.Replica, one.For = f.menu.replica, f.times[f.time]
			err = one.Check()
		}
		if err != nil {
			f.wrong = oneLine(err.Error())
			return nil, false
		}
		cmds = append(cmds, v.send("fault "+one.String(), v.e.keyOf("fault"),
			engine.Command{Verb: engine.VerbFault, Fault: &one}))
	}
	return tea.Batch(cmds...), true
}

// render implements overlay.
func (f *faultForm) render(w, h int) []string {
	st := &f.menu.v.e.st
	own := strings.Join(f.menu.services, ", ")
	inner := min(64, w-2)
	rows := []string{" " + st.dim.s(cut(f.kind.Help, inner-2)), ""}
	for i, line := range f.fields {
		name, text := "", ""
		switch line {
		case fieldValue:
			name, text = "value", f.with()
			switch {
			case f.typed != "":
				text += "▏"
			case text == "":
				text = f.none()
			}
		case fieldEdge:
			name, text = "calls", edgeText(f.edges[f.edge], own)
		case fieldTime:
			name, text = "for", "until you undo it ("+f.menu.v.e.keyOf("up")+")"
			if d := f.times[f.time]; d > 0 {
				text = duration.Left(d)
			}
		}
		row := fmt.Sprintf("   %s  ‹ %s ›", fit(name, 6), text)
		if i == f.at {
			row = st.selected.over(fit(" > "+row[3:], inner))
		}
		rows = append(rows, row)
	}
	rows = append(rows, "")
	if f.wrong != "" {
		for _, row := range wrapped(f.wrong, inner-2) {
			rows = append(rows, " "+st.fail.s(row))
		}
	}
	hint := " enter injects   ←/→ changes   esc back"
	if slices.Contains(f.fields, fieldValue) {
		hint = " enter injects   ←/→ changes, or type a value   esc back"
	}
	rows = append(rows, st.dim.s(hint))
	return box(st, f.kind.Name+" on "+own, rows, inner, h)
}

// none is what a value that is left out means.
func (f *faultForm) none() string {
	switch f.kind.Name {
	case "partition":
		return "calls in one direction"
	case "reset":
		return "all"
	case "crash":
		return "SEGV"
	}
	return "-"
}

func edgeText(f fault.Fault, own string) string {
	switch {
	case f.From != "":
		return f.From + " → " + own
	case f.To != "":
		return own + " → " + f.To
	}
	return "all to " + own
}
