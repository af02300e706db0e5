package ui

import (
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/ui/duration"
)

// What the screen learns from the logs for other parts than the log pane.

// lastWords is what who stops for longer than a second said last since its stop began; "" for nothing.
func (p *logPane) lastWords() string {
	var slow *engine.Replica
	name := ""
	for i := range p.e.snap.Services {
		s := &p.e.snap.Services[i]
		if r := stoppingReplica(s); r != nil && p.e.now.Sub(r.Since) >= time.Second &&
			(slow == nil || r.StopBy.After(slow.StopBy)) {
			slow, name = r, s.Name
		}
	}
	if slow == nil {
		return ""
	}
	v := p.filter.store.View(logs.Filter{Services: []string{name}, Replica: slow.Number, Since: slow.Since})
	first, end := v.Bounds()
	for ord := end - 1; ord >= first && ord > end-50; ord-- {
		if l, ok := v.Line(ord); ok && l.Stream != logs.System {
			text := string(logs.Plain(nil, l.Text))
			if short, ok := compact(l.Text); ok {
				text = short
			}
			return name + " said " + quote(oneLine(text)) + " " + duration.Age(p.e.now.Sub(l.Time)) + " ago"
		}
	}
	return ""
}

// quote puts a text that may be long between quotation marks.
func quote(text string) string { return "“" + cut(text, 60) + "”" }

const (
	// floodRate is from how many lines a second on one service hides the others.
	floodRate = 100
	// floodSpan is over how long that is looked at.
	floodSpan = 3 * time.Second
)

// flooding is the service whose lines leave nothing to be seen of the others where those of all are
// shown, with its lines a second; "" for none.
func (p *logPane) flooding() (string, int64) {
	if p.filter.want.Services != nil || len(p.e.snap.Services) < 2 || narrows(&p.filter.want) {
		return "", 0
	}
	if p.flood.at.Unix() == p.e.now.Unix() {
		return p.flood.name, p.flood.rate
	}
	p.flood.at, p.flood.name, p.flood.rate = p.e.now, "", 0
	for i := range p.e.snap.Services {
		name := p.e.snap.Services[i].Name
		if p.mutes.names[name] {
			continue
		}
		lines, _ := p.filter.store.Rates(name, p.e.now, time.Second, int(floodSpan/time.Second))
		sum := int64(0)
		for _, n := range lines {
			sum += int64(n)
		}
		if rate := sum / int64(floodSpan/time.Second); rate >= floodRate && rate > p.flood.rate {
			p.flood.name, p.flood.rate = name, rate
		}
	}
	return p.flood.name, p.flood.rate
}

// floodSeen is what was found of who floods, once a second.
type floodSeen struct {
	at   time.Time
	name string
	rate int64
}
