package plan

import (
	"bulkhead/engine/project"
)

// Outlook is what is known of one service before up does anything.
type Outlook struct {
	Want  Want
	Seen  Seen
	Maker string // the enabled service that builds its image, if it builds it now; "" where none does
}

// First returns what up is going to do, as far as that can be known before anything is done: the
// steps of its services, those first that others depend on, and gone, the removal of orphans. A service
// that is not in by is left out.
func First(p *project.Project, by map[string]Outlook, gone Plan) Plan {
	var out Plan
	fresh := map[string]bool{} // services whose first container is going to be another one
	made := map[string]bool{}  // networks and volumes
	for _, level := range p.Order() {
		for _, name := range level {
			o, ok := by[name]
			if !ok {
				continue
			}
			w := o.Want
			if o.Maker != "" {
				if maker := by[o.Maker]; maker.Want.builds() {
					w.Renews = o.Maker + " builds its image"
				} else {
					w.First = Plan(w.First).without(Await)
				}
			}
			for _, parent := range p.Service(name).Parents() {
				if fresh[parent] {
					w.Renews = "it joins " + parent + ", which gets a new container"
				}
			}
			first := true
			for _, s := range Decide(w, o.Seen) {
				switch {
				case s.Resource != "" && made[s.Resource]:
					continue // another service has it made
				case s.Resource != "":
					made[s.Resource] = true
				case s.Op != Remove && s.Replica > 0:
					fresh[name] = fresh[name] || first && (s.Op == Create || s.Op == Recreate || s.Op == Overlap)
					first = false
				}
				out = append(out, s)
			}
		}
	}
	return append(out, gone...)
}
