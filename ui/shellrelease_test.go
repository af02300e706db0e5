package ui

import (
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
)

// slowHolder is a program whose event loop takes a while for the keys that were read: that many releases give up.
type slowHolder struct{ giveUp, releases int }

func (h *slowHolder) ReleaseTerminal() error {
	h.releases++
	if h.releases <= h.giveUp {
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

func (h *slowHolder) RestoreTerminal() error { return nil }
func (h *slowHolder) Send(tea.Msg)           {}

func TestReleaseWaitsForTheKeysThatWereRead(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		synctest.Test(t, func(t *testing.T) {
			h := &slowHolder{giveUp: n}
			if err := (&shellOpener{program: h}).release(t.Context()); err != nil || h.releases != n+1 {
				t.Errorf("%d releases of which %d gave up, %v", h.releases, n, err)
			}
		})
	}
}
