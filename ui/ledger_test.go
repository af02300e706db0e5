package ui

import (
	"strings"
	"testing"

	"bulkhead/engine"
)

// twoFaults is a screen on the ledgers of two kills, the cursor on the first row.
func twoFaults(t *testing.T, w, h int) *screen {
	s := openScreen(t, shop(), w, h)
	s.b.change(func(n *engine.Snapshot) {
		for _, hit := range []string{"worker", "db"} {
			l := fakeLedger(n, hit, start)
			l.At = start.Add(-1)
			if hit == "db" {
				l.At = start
			}
			n.Ledgers = append(n.Ledgers, l)
		}
	})
	s.keys("5")
	s.wait("5 LEDGER", "db died")
	return s
}

func TestProofBeginsWithWhomTheCursorIsOn(t *testing.T) {
	s := twoFaults(t, 80, 24)
	s.keys("j", "j", "j", "enter")
	text := s.wait("Proof · SIGKILL on db", "api  errors", "container", "process", "4100", "first sign", "+0.04s")
	if strings.Contains(text, "gw  unhealthy") {
		t.Errorf("the proof of api begins with gw:\n%s", text)
	}
	s.keys("g")
	s.wait("db died", "SIGKILL on db", "gw  unhealthy", "healthy -> unhealthy", "4103")
	s.keys("esc")
	s.gone("Proof")
	s.quit()
}

// Another ledger opens above: what is under the cursor stays so.
func TestCursorStaysOnItsRowOfALedger(t *testing.T) {
	s := twoFaults(t, 120, 40)
	s.keys("j", "j")
	s.wait(">! gw")
	s.b.change(func(n *engine.Snapshot) {
		l := fakeLedger(n, "cache", start)
		l.At = start.Add(1)
		n.Ledgers = append(n.Ledgers, l)
	})
	s.wait("cache died")
	s.keys("enter")
	s.wait("Proof · SIGKILL on db")
	s.keys("esc")
	s.gone("Proof")
	s.b.change(func(n *engine.Snapshot) { n.Ledgers = n.Ledgers[2:] }) // it is no longer kept
	s.gone("db died")
	s.keys("enter")
	s.wait("Proof · SIGKILL on cache")
	s.keys("esc")
	s.gone("Proof")
	s.quit()
}
