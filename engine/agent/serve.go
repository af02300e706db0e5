package agent

import (
	"context"
	"fmt"
	"time"
)

// Server carries out what bulkhead asks of an agent, one request after the other, and undoes nothing
// by itself: that is for whoever calls Run.
type Server[T any] struct {
	// Next reads a request. It is called again when Do has returned, so that both may share a buffer.
	Next func() (T, error)
	// Do carries a request out. Its error is that of the answer: nobody is there any more.
	Do func(T) error
	// Beat says that the agent is there, each Beat.
	Beat func() error
	// Wake, where it is set, has Woken called between two requests.
	Wake  <-chan struct{}
	Woken func()
}

// Run returns when the input ends, an answer cannot be written, or ctx ends; with an error when
// nothing was heard for Silence. A read of stdin cannot be interrupted: the goroutine that calls Next
// may end with the process only.
func (s Server[T]) Run(ctx context.Context) error {
	requests, done, ended := make(chan T), make(chan struct{}), make(chan struct{})
	defer close(ended)
	go func() {
		defer close(requests)
		for {
			q, err := s.Next()
			if err != nil {
				return
			}
			select {
			case requests <- q:
			case <-ended:
				return
			}
			select {
			case <-done:
			case <-ended:
				return
			}
		}
	}()
	silence := time.NewTimer(Silence)
	defer silence.Stop()
	beat := time.NewTicker(Beat)
	defer beat.Stop()
	for {
		select {
		case q, ok := <-requests:
			if !ok || s.Do(q) != nil {
				return nil
			}
			silence.Reset(Silence) // only now: it may have taken long
			done <- struct{}{}
		case <-s.Wake:
			s.Woken()
		case <-beat.C:
			if s.Beat() != nil {
				return nil
			}
		case <-silence.C:
			return fmt.Errorf("nothing was heard for %v", Silence)
		case <-ctx.Done():
			return nil
		}
	}
}
