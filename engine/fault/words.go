package fault

import (
	"fmt"

	"bulkhead/engine/container"
)

// Remarks are what a reader has to know of a fault in force beside its words: what it
// leaves alone. "" mostly.
func (a *Active) Remarks() string {
	return a.keptWords()
}

// keptWords says that connections from before go on as they were, "" where none do.
func (a *Active) keptWords() string {
	k := KindOf(a.Fault.Kind)
	if a.Kept == 0 || k == nil {
		return ""
	}
	m, is := k.method.(traffic)
	if !is || m.spares == "" {
		return ""
	}
	text, them := fmt.Sprintf("%d connections from before are not %s", a.Kept, m.spares), "them"
	if a.Kept == 1 {
		text, them = "1 connection from before is not "+m.spares, "it"
	}
	if !a.Fault.Cut {
		text += "; --cut cuts " + them
	}
	return text
}

// Told is a note in words; without Text there is nothing to tell.
type Told struct {
	Action string // "inject", "heal", "change", "trouble"
	What   string // without the service: "latency=500ms healed"
	Text   string // as a line of its own: "web → orders: latency=500ms for 1m00s"
	Err    string // of trouble: why
}

// Words are the note for people.
func (n *Note) Words() (t Told) {
	f := &n.Fault.Fault
	t.Text = f.Edge() + ": " + f.Words()
	switch n.What {
	case Injected:
		t.Action, t.What = "inject", f.Words()
		if !n.Fault.Momentary {
			t.Text += " for " + container.Brief(f.Lasts())
		}
		if f.Why != "" {
			t.Text += " (" + f.Why + ")"
		}
		if more := n.Fault.Remarks(); more != "" {
			t.Text += "; " + more
		}
	case Healed:
		t.Action, t.What = "heal", f.Words()+" healed"
		t.Text += " healed"
	case Changed:
		t.Action, t.What = "change", n.Text
		t.Text += ": " + n.Text
	case Trouble, Failed:
		t.Action, t.What, t.Err = "trouble", f.Words()+" does not work", n.Text
		t.Text += ": " + n.Text
	default:
		return Told{}
	}
	return t
}
