package drill

import (
	"slices"
	"time"

	"bulkhead/engine/container"
)

// recovered says whether the service that was hit is ready again, and so is everybody else who was
// well before.
func (r *row) recovered() bool {
	if len(r.ailing()) > 0 {
		r.steady = time.Time{}
		return false
	}
	if r.steady.IsZero() {
		r.steady = time.Now()
	}
	return time.Since(r.steady) >= steadyFor
}

// steadyFor is how long everybody has to be well until that counts: what ends right after its start
// has not recovered.
const steadyFor = 500 * time.Millisecond

// ailment is why somebody has not recovered.
type ailment struct{ service, what string }

// ailing lists who was well before the fault and is not now.
func (r *row) ailing() []ailment {
	stands, _ := r.d.s.Stands()
	var out []ailment
	for _, b := range r.before {
		if r.unseen[b.Service] && b.Service != r.hit.Name {
			continue
		}
		what := standing(b, stands)
		if b.Service == r.hit.Name {
			if what != "" {
				r.up = time.Time{}
			} else if r.up.IsZero() {
				r.up = time.Now()
			}
		}
		if what == "" {
			what = r.failing(b.Service)
		}
		if what != "" {
			out = append(out, ailment{service: b.Service, what: what})
		} else if b.Service == r.hit.Name && r.out.BackInMS == nil {
			r.back(b)
		}
	}
	if r.out.BackBy != "policy" && slices.ContainsFunc(out, func(a ailment) bool {
		return a.service == r.hit.Name
	}) {
		r.out.BackInMS = nil // it was back for a moment only
	}
	return out
}

// back notes that the service that was hit is back: since it stands as it did and answers, which is seen a
// moment later.
func (r *row) back(b Stand) {
	since := r.up
	if at := r.d.book.answersSince(b.Service, r.healed); at.After(since) {
		since = at
	}
	back := since.Sub(r.healed).Milliseconds()
	r.out.BackInMS, r.out.BackBy = &back, "running"
	if b.Health != container.HealthNone && b.Health != container.HealthUnknown {
		r.out.BackBy = "healthy"
	}
	r.event(since, b.Service, "ready", r.out.BackBy)
}

// standing says why a replica does not stand as it did before, as b; "" when it does.
func standing(b Stand, stands []Stand) string {
	i := slices.IndexFunc(stands, func(s Stand) bool {
		return s.Service == b.Service && s.Replica == b.Replica
	})
	switch {
	case i < 0:
		return "is gone"
	case !stands[i].Live:
		return "is " + stands[i].State.String()
	case stands[i].Health == container.Unhealthy && b.Health != container.Unhealthy:
		return "is unhealthy"
	case !stands[i].Ready && b.Ready:
		return "is not ready"
	}
	return ""
}

// failing says how a service still fails those who ask it since the fault was taken away, though it did
// not before; "" when it answers as it did, or nobody asks it.
func (r *row) failing(service string) string {
	base, now := r.bases[service], time.Now()
	lately := span{from: now.Add(-quietFor), to: now}
	if lately.from.Before(r.healed) {
		lately.from = r.healed
	}
	f := facts{service: service, injected: r.healed, base: base,
		hold: r.d.book.tally(service, r.hit.Name, lately)}
	if base.asked > 0 {
		if f.hold.asked == 0 && r.d.book.waits(service, r.healed) {
			return "does not answer"
		}
		if t := f.answers(); t.found {
			return "still fails: " + t.evidence[0].Text
		}
	}
	if t := f.calls(); t.found {
		return "still fails: " + t.evidence[0].Text
	}
	return ""
}
