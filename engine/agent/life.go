package agent

import (
	"context"
	"errors"
	"time"
)

// GreetingLimit is how long an agent may take to greet.
const GreetingLimit = 20 * time.Second

// ErrEnded means that an agent ended while it was asked something, or before: mostly because the
// container did.
var ErrEnded = errors.New("the agent beside the container ended")

// Greeting waits up to GreetingLimit for what an agent says first. ended is closed when nothing more
// comes from it; what it said before that counts.
func Greeting[T any](ctx context.Context, greeting <-chan T, ended <-chan struct{}) (first T, err error) {
	ctx, cancel := context.WithTimeout(ctx, GreetingLimit)
	defer cancel()
	select {
	case first = <-greeting:
		return first, nil
	case <-ended:
	case <-ctx.Done():
		return first, ctx.Err()
	}
	select {
	case first = <-greeting: // why it ends
		return first, nil
	default:
		return first, ErrEnded
	}
}

// KeepBeating lets an agent know that bulkhead is there, until ended is closed or beat fails: then
// the agent's output ends, too.
func KeepBeating(ended <-chan struct{}, beat func() error) {
	tick := time.NewTicker(Beat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ended:
			return
		}
		if beat() != nil {
			return
		}
	}
}
