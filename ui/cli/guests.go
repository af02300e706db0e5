package cli

import (
	"sync"
	"time"
)

// gate counts those who are inside, and lets nobody in once it is closed. The zero value is open and empty.
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed once it is closed and nobody is inside; nil while it is open
}

// enter lets one in, who has to leave; false where the gate is closed.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.closed {
		close(g.empty)
	}
}

// close lets nobody in any more. empty is closed once nobody is inside.
func (g *gate) close() (empty <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed, g.empty = true, make(chan struct{})
		if g.inside == 0 {
			close(g.empty)
		}
	}
	return g.empty
}

func (g *gate) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// close refuses further commands of other terminals. A nil control has none.
func (c *control) close() (empty <-chan struct{}) {
	if c == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return c.guests.close()
}

// guestLimit is how long a session that has nothing left to do stays for commands of other terminals that it
// carries out. What takes longer is cut off, and its terminal does it again by itself.
const guestLimit = 2 * time.Minute

// awaitGuests waits until the commands of other terminals are done, or a signal comes.
func (s *session) awaitGuests() {
	defer s.a.console.notifyAfter(slowAnswer, s.p.Name+
		": waiting for a command from another terminal; ctrl+c ends this one")()
	limit := time.NewTimer(guestLimit)
	defer limit.Stop()
	select {
	case <-s.control.close():
	case <-s.ran:
	case <-s.a.interrupts.first:
	case <-limit.C:
	}
}
