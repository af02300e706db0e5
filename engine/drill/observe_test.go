package drill

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine/container"
)

// A service has not failed where nobody could ask it: that is blindness, and no evidence.
func TestProbeThatCouldNotBeAskedIsNoAnswer(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 5},
		{errors.New("it answers 503 Service Unavailable"), 5},
		{fmt.Errorf("no agent runs beside it: %w", container.ErrUnsupported), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := &observer{book: &book{all: map[string]*series{}}, timeout: time.Minute}
			ctx, cancel := context.WithTimeout(t.Context(), 5*probeEvery+probeEvery/2)
			defer cancel()
			o.ask(ctx, "s", false, probeEvery, func(context.Context) error { return c.err })
			n := 0
			if s := o.book.all["s"]; s != nil {
				n = len(s.answers)
			}
			if n != c.want {
				t.Errorf("%v: %d answers, want %d", c.err, n, c.want)
			}
		})
	}
}
