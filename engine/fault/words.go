package fault

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/engine/container"
)

// Sharer is a service that has a fault too, because it lives in the network namespace of one that the
// fault is done to.
type Sharer struct {
	Service string `json:"service"`
	Network string `json:"network"` // the service whose network it is
}

// Remarks are what a reader has to know of a fault in force beside its words: who else has it, and
// what it leaves alone. "" mostly.
func (a *Active) Remarks() string {
	var out []string
	for _, s := range a.Sharers {
		out = append(out, fmt.Sprintf("%s has it too, in the network of %s", s.Service, s.Network))
	}
	if kept := a.keptWords(); kept != "" {
		out = append(out, kept)
	}
	return strings.Join(out, "; ")
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

// sharers are the services that have a fault too, sorted: those in the network of one of its ends.
func (f *Fault) sharers(places []place) (out []Sharer) {
	end := func(p *place) bool {
		return p.Service == f.Service && (f.Replica == 0 || p.Replica == f.Replica) ||
			p.Service != "" && (p.Service == f.From || p.Service == f.To)
	}
	for i := range places {
		p := &places[i]
		if p.err != nil || p.Service == f.Service || end(p) {
			continue
		}
		n := slices.IndexFunc(places, func(o place) bool { return o.err == nil && o.site == p.site && end(&o) })
		if n >= 0 {
			out = append(out, Sharer{Service: p.Service, Network: places[n].Service})
		}
	}
	slices.SortFunc(out, func(a, b Sharer) int { return strings.Compare(a.Service, b.Service) })
	return slices.Compact(out)
}
