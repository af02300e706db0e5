package ui

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/fault"
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
	text := s.wait("Proof · SIGKILL on db", "api  errors", "container", "process", "4100",
		"first sign", "+0.04s")
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
	// While another pane has the keys, the latest ledger is seen.
	s.keys("j", "j")
	s.wait(">! gw")
	s.keys("1")
	s.b.change(func(n *engine.Snapshot) {
		for i, hit := range []string{"web", "web", "web", "web", "mail"} {
			l := fakeLedger(n, hit, start)
			l.At = start.Add(time.Duration(2 + i))
			n.Ledgers = append(n.Ledgers, l)
		}
	})
	s.wait("mail died")
	s.quit()
}

func TestFirstSignsReadAsTheLogsDo(t *testing.T) {
	const slog = "time=2026-11-27T12:00:24Z level=WARN msg=\"orders is down\" service=orders"
	for want, sign := range map[string]fault.Sign{
		"healthy -> unhealthy":                  {Text: "healthy -> unhealthy"},
		"WARN  orders is down service=orders …": {Text: slog + ` err="orders: Pos`, Cut: true},
		"WARN  orders is down service=orders":   {Text: slog},
		"ERROR no table":                        {Text: `{"level":"error","msg":"no table"}`},
		"connection refused by a b c…":          {Text: "connection refused by a b c", Cut: true},
		"…":                                     {Cut: true},
	} {
		if got := signText(sign); got != want {
			t.Errorf("%q: %q, want %q", sign, got, want)
		}
	}
}
