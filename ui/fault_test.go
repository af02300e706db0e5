package ui

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/fault"
)

// The banner of a fault tells what its line in a terminal tells.
func TestBannerTellsWhoHasAFaultTooAndWhatItLeavesAlone(t *testing.T) {
	now := time.Now()
	a := fault.Active{Fault: fault.Fault{Kind: "latency", With: "1s", Service: "api", From: "gw"},
		Until: now.Add(time.Minute), Kept: 2, Sharers: []fault.Sharer{{Service: "log", Network: "gw"}}}
	const want = "latency=1s gw → api (log has it too, in the network of gw; " +
		"2 connections from before are not delayed; --cut cuts them), 1m00s left"
	if got := faultText(&a, now, false); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}

func TestFaultMenuInjectsWhatIsChosenAndHEndsIt(t *testing.T) {
	f := shop()
	s := openScreen(t, f, 80, 24)
	s.keys("F")
	s.wait("Fault on api", "the kernel has no module sch_netem")
	s.keys("d") // not possible here: the menu stays
	s.keys("l")
	s.wait("latency on api", "‹ 500ms ›", "‹ all to api ›", "‹ 1m00s ›")
	s.keys("right", "down", "right", "down", "right")
	s.wait("‹ 50ms ›", "‹ gw → api ›", "‹ 10s ›")
	s.keys("enter")
	s.heard("fault latency=50ms gw → api for 10s (you pressed F)")
	s.wait("fault: latency=50ms gw → api, 10s left", "[H] heal")
	s.keys("H")
	s.heard("heal  (you pressed H)")
	s.gone("fault: latency")
	s.quit()
}

func TestFaultFormSaysWhatIsWrongWithATypedValue(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("F")
	s.wait("Fault on api")
	s.keys("o")
	s.wait("loss on api")
	s.keys("2", "0")
	s.wait("‹ 20▏ ›")
	s.keys("enter")
	s.wait("not a share in percent")
	s.keys("%", "enter")
	s.wait("fault: loss=20% api, 1m00s left")
	s.quit()
}

func TestHealLeavesWhatWasStoppedOrPausedOnPurpose(t *testing.T) {
	f := shop()
	s := openScreen(t, f, 80, 24)
	s.keys("K")
	s.heard("kill api (you pressed K)")
	s.wait("killed 0s ago")
	s.keys("H")
	s.heard("up api (you pressed H)")
	if s.b.told("unpause cache") {
		t.Error("what was paused on purpose was brought back")
	}
	s.quit()
}

func TestLedgerLineSaysWhatTheFaultDidToItsService(t *testing.T) {
	for want, l := range map[string]engine.Ledger{
		"web died":             {Fault: "SIGKILL", Gone: true},
		"web got SIGTERM":      {Fault: "SIGTERM"},
		"web outlived SIGTERM": {Fault: "SIGTERM", Closed: start},
		"web is to restart":    {Fault: "restart"},
		"web crashed":          {Fault: "crash", Kind: "crash", Gone: true},
		"web under latency=1s": {Fault: "latency=1s", Kind: "latency"},
		"web after latency=1s": {Fault: "latency=1s", Kind: "latency", Closed: start, BackIn: time.Second},
		"web is back in 1.0s":  {Fault: "pause", Closed: start, BackIn: time.Second},
	} {
		l.Service = "web"
		got, _, _ := strings.Cut(ledgerLine(&l), ":")
		if got != want {
			t.Errorf("%s: %q, want %q", l.Fault, got, want)
		}
	}
}

// heard waits until the engine was asked for something.
func (s *screen) heard(what string) {
	s.t.Helper()
	s.until("the command "+what, func(string) bool { return s.b.told(what) })
}
