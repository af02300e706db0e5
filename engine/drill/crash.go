package drill

import (
	"context"
	"slices"
	"time"
)

// crashed notes that the program of a service ended, and its container is the one that it was.
func (r *row) crashed(service string, at time.Time, text string) {
	r.sign(service, sign{at: at, outcome: Died, kind: kindIdentity, text: text, crash: true})
}

// noteCrashes notes whose restart policy was at work since the last look.
func (d *Drill) noteCrashes(stands []Stand) {
	for _, s := range stands {
		key := s.key()
		was, known := d.lives[key]
		d.lives[key] = s.Identity
		if known && was.ID == s.Identity.ID {
			for range s.Identity.Restarts - was.Restarts {
				d.book.addCrash(s.Service, time.Now())
			}
		}
	}
}

// crashersAlone looks, after a row, whether those who crashed in it do so anyway: who crashes every 25
// seconds seldom does in a baseline of ten. It concerns those who need not the service that was hit, whose
// restart policy was at work before, and who did not live for long; they are watched for half as long
// again as they lived. All is healed by then.
func (r *row) crashersAlone(ctx context.Context) error {
	var suspects []string
	var long time.Duration
	for _, b := range r.before {
		i := slices.IndexFunc(r.signs[b.Service], func(s sign) bool { return s.crash })
		if i < 0 || b.Identity.Restarts == 0 || r.bases[b.Service].crashes > 0 ||
			r.d.needs(r.services, b.Service, r.hit.Name) {
			continue
		}
		lived := r.signs[b.Service][i].at.Sub(b.Identity.Started)
		if lived*3/2 <= max(r.d.o.Settle, DefaultSettle) {
			suspects, long = append(suspects, b.Service), max(long, lived*3/2)
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	r.phase(PhaseAlone, long)
	from := time.Now()
	err := r.observe(ctx, long, func() bool {
		return !slices.ContainsFunc(suspects, func(s string) bool {
			return r.d.book.tally(s, "", span{from, time.Now().Add(1)}).crashes == 0
		})
	})
	r.alone = span{from, time.Now().Add(1)}
	return err
}
