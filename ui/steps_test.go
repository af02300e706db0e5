package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"

	"bulkhead/engine"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
)

func TestKillTellsWhoSufferedAndOffersToBringBack(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.b.change(func(n *engine.Snapshot) {
		n.Services[6].State, n.Services[6].ByHand = engine.StateRunning, false
	})
	s.wait("● worker")
	s.keys("G", "K")
	s.wait("worker died: api, gw degraded; 4 untouched", "[u] bring back", "✗ worker  exited 137",
		"killed 0s ago")
	if !s.b.told("kill worker (you pressed K)") {
		t.Error("the engine did not hear who killed")
	}
	s.golden("killed-80x24")
	s.keys("5")
	s.wait("5 LEDGER", "unhealthy", "same", "+2.3s healthy -> unhealthy")
	s.golden("ledger-80x24")
	s.keys("u")
	s.wait("worker is back in 1.2s", "● worker  running")
	s.gone("[u] bring back")
	s.quit()
}

func TestRestartKeepsSelection(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("j", "j", "r")
	s.wait("> ● db")
	s.b.change(func(n *engine.Snapshot) {
		n.Services = append([]engine.Service{{Name: "aaa", State: engine.StateWaiting}}, n.Services...)
	})
	s.wait("aaa", "> ● db")
	if !s.b.told("restart db (you pressed r)") {
		t.Error("the engine did not hear of the restart")
	}
	s.b.change(func(n *engine.Snapshot) { n.Services = append(n.Services[:3:3], n.Services[4:]...) })
	s.wait("> ◐ gw") // what stands in its place now
	s.quit()
}

func TestVerbsGoToAllMarkedServices(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("space", "j", "space")
	s.wait("*  ● api", "*  ● db", "api, db · following")
	s.gone("rendered /cart")
	s.keys("r")
	s.wait("restart api, db")
	if !s.b.told("restart api,db") {
		t.Error("not both were restarted")
	}
	s.keys("esc")
	s.wait("all services", "rendered /cart")
	s.quit()
}

func TestSearchFindsCountsAndNarrows(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("2", "/", "refused|502")
	s.wait("/refused|502", "2 of 9 lines")
	s.keys("enter")
	s.wait(">12:04:29 gw", "scrolled back")
	s.keys("x")
	s.gone("GET /orders")
	s.wait("connection refused", "502", "2 of 9 lines, only these")
	s.keys("!")
	s.gone("connection refused")
	s.wait("GET /orders", "without these")
	s.keys("esc")
	s.wait("GET /orders", "connection refused", "scrolled back")
	s.keys("esc")
	s.wait("following")
	s.quit()
}

func TestScrollingStopsFollowingUntilAskedAgain(t *testing.T) {
	b := shop()
	for i := range 200 {
		b.write("db", fmt.Sprintf("line %d of many", i), start.Add(time.Duration(i)*time.Millisecond))
	}
	s := openScreen(t, b, 80, 24)
	s.wait("line 199 of many", "following")
	s.keys("2", "k", "k")
	if text := s.wait("scrolled back", ">12:04:31 db     line 197"); strings.Contains(text, "0 below") {
		t.Errorf("nothing is below:\n%s", text)
	}
	s.keys("ctrl+u")
	s.wait(">12:04:31 db     line 191", "scrolled back")
	b.write("db", "a line that comes later", start.Add(time.Second))
	s.wait(">12:04:31 db     line 191", "1 below")
	s.keys("g")
	s.wait(">12:04:21 api    INFO  GET /orders 200 14ms")
	s.keys("f")
	s.wait("a line that comes later", "following")
	s.quit()
}

func TestWheelScrollsThePaneUnderIt(t *testing.T) {
	b := shop()
	for i := range 100 {
		b.write("db", fmt.Sprintf("line %d of many", i), start.Add(time.Duration(i)*time.Millisecond))
	}
	s := openScreen(t, b, 80, 24)
	s.wait("line 99 of many")
	s.p.Send(tea.MouseWheelMsg{X: 40, Y: 18, Button: tea.MouseWheelUp})
	s.gone("line 99 of many")
	s.wait("line 96 of many", "3 below", "> ● api") // the focus stays with the services
	s.p.Send(tea.MouseClickMsg{X: 10, Y: 5, Button: tea.MouseLeft})
	s.wait("> ◐ gw")
	s.p.Send(tea.MouseClickMsg{X: 20, Y: 9, Button: tea.MouseLeft})
	s.wait("3 EVENTS", "you pressed p")
	s.quit()
}

func TestSurvivesEverySizeAndComesBack(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	before := s.wait("GET /orders 200 15ms")
	for _, size := range [][2]int{{1, 1}, {2, 2}, {5, 3}, {20, 6}, {59, 13}, {300, 10}, {10, 100}} {
		s.resize(size[0], size[1])
		s.keys("j", "k", "2", "k", "3", "4", "5", "?", "esc", "i", "esc", "d", "esc", ":", "esc", "X",
			"esc", "f", "1", "g")
	}
	s.resize(59, 13)
	s.wait("1 SVC", "api")
	s.keys("2", "f")
	s.wait("2 LOGS", "GET /orders")
	s.gone("STATE")
	s.keys("1")
	s.resize(80, 24)
	s.until("the first screen again", func(text string) bool { return text == before })
	s.quit()
}

func TestQuitAsksAndSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		keys []string
		want engine.Ending
	}{
		{[]string{"q", "l"}, engine.EndLeave}, {[]string{"q", "s"}, engine.EndStop},
		{[]string{"q", "down", "enter"}, engine.EndStop}, {[]string{"ctrl+c", "ctrl+c"}, engine.EndStop},
		{[]string{"D", "d"}, engine.EndDown}, {[]string{"D", "v", "y"}, engine.EndDownVolumes},
		{[]string{"q", "esc", "D", "v", "c", "q", "c", "q", "l"}, engine.EndLeave},
	} {
		t.Run(strings.Join(tt.keys, " "), func(t *testing.T) {
			s := openScreen(t, shop(), 80, 24)
			s.wait("api")
			s.keys(tt.keys...)
			if o, err := s.end(); o != tt.want || err != nil {
				t.Errorf("%v, %v; want %v", o, err, tt.want)
			}
			if s.IsAltScreen() || s.CursorHidden() {
				t.Error("the terminal was not given back")
			}
		})
	}
	s := openScreen(t, shop(), 80, 24)
	s.keys("q")
	s.wait("shop has 6 services running", "leave them running", "stop them")
	s.golden("quit-80x24")
	s.keys("ctrl+c")
	s.wait("ctrl+c again stops shop")
	s.keys("j")
	s.gone("ctrl+c again")
}

func TestEndOfContextGivesTheTerminalBack(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.wait("api")
	s.cancel()
	if o, err := s.end(); o != engine.EndLeave || err != nil {
		t.Errorf("%v, %v", o, err)
	}
	if s.IsAltScreen() {
		t.Error("still on the alternate screen")
	}
}

func TestPanicInACommandGivesTheTerminalBack(t *testing.T) {
	b := shop()
	b.panik = true
	s := openScreen(t, b, 80, 24)
	s.wait("api")
	s.keys("r")
	_, err := s.end()
	if err == nil || !strings.Contains(err.Error(), "restart api: panic: the backend fell over") {
		t.Errorf("the error is %v", err)
	}
	if s.IsAltScreen() {
		t.Error("still on the alternate screen")
	}
}

func TestFailedCommandShowsUntilTheNextKeyAndStaysInEvents(t *testing.T) {
	b := shop()
	b.fails = errors.New("restart api: no such container")
	s := openScreen(t, b, 80, 24)
	s.wait("api")
	s.keys("r")
	s.wait(" restart api: no such container")
	s.keys("j")
	s.gone("no such container")
	s.keys("3")
	s.wait("restart api: no such container")
	s.quit()
}

func TestPaletteFindsActionsForAnyService(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys(":", "pause web")
	s.wait("> pause web")
	s.golden("palette-80x24")
	s.keys("enter")
	s.wait("> ● web")
	s.until("the pause", func(string) bool { return b(s, "pause web") })
	s.quit()
}

func b(s *screen, what string) bool { return s.b.told(what) }

func TestHelpListsEveryKey(t *testing.T) {
	s := openScreen(t, shop(), 120, 40)
	s.keys("?")
	s.wait("Keys", "restart with all that depend on it")
	s.golden("help-120x40")
	s.keys("G")
	s.wait("ctrl+c twice stops")
	s.keys("?")
	s.gone("ctrl+c twice stops")
	s.quit()
}

func TestInspectMasksSecrets(t *testing.T) {
	s := openScreen(t, shop(), 100, 60)
	s.keys("i")
	text := s.wait("REPLICA 1", "shop-api-1", "CONFIGURATION", "DB_PASSWORD")
	if strings.Contains(text, "hunter2") || !strings.Contains(text, "LOG: debug") {
		t.Error("secrets show, or what is none does not")
	}
	s.golden("inspect-100x60")
	s.keys("esc")
	s.gone("REPLICA 1")
	s.keys("c")
	s.wait("Dependencies", "└─ ✗ worker exited 1")
	s.keys("c")
	s.gone("Dependencies ")
	s.quit()
}

func TestFailedBuildShowsItsStepAndOutput(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.b.change(func(n *engine.Snapshot) {
		bld := n.Builds[1]
		bld.Ended, bld.Err = start, "RUN go vet ./...: exit code 1"
		bld.Steps = append(bld.Steps[:3:3], engine.BuildStep{Name: "[4/7] RUN go vet ./...",
			Began: start.Add(-time.Second), Ended: start, Err: "exit code 1"})
		bld.Lines = []string{"# shop/mail", "mail/main.go:12:2: undefined: smtpp"}
		n.Builds = []engine.Build{n.Builds[0], bld}
		n.Services[4].State, n.Services[4].Doing = engine.StateRunning, ""
		n.Services[4].Last = &engine.Change{Action: "rebuild", Began: start.Add(-6 * time.Second),
			Ended: start, Err: "[4/7] RUN go vet ./...: exit code 1"}
	})
	s.wait("build mail: mail/main.go:12:2: undefined: smtpp", "[4] builds", "4 builds!", "rebuild failed")
	s.keys("4")
	s.wait("✗ [4/7] RUN go vet ./...", "undefined: smtpp")
	s.golden("build-failed-80x24")
	s.quit()
}

func TestServiceThatCameUpAfterAllIsNotShownAsFailed(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	last := func(recovered time.Time) {
		s.b.change(func(n *engine.Snapshot) {
			n.Services[4].Last = &engine.Change{Action: "up", Began: start.Add(-27 * time.Second),
				Ended: start.Add(-19 * time.Second), Err: "not yet there", Recovered: recovered}
		})
	}
	last(time.Time{})
	s.wait("up: not yet there", "up failed")
	last(start)
	s.gone("not yet there")
	s.gone("up failed")
	s.wait("up      27.0s")
	s.quit()
}

func TestReplicasOpenAndAreKilledOneByOne(t *testing.T) {
	b := shop()
	b.snap.Services[5].Wanted = 2
	r := b.snap.Services[5].Replicas[0]
	r.Number = 2
	b.snap.Services[5].Replicas = append(b.snap.Services[5].Replicas, r)
	s := openScreen(t, b, 80, 24)
	s.wait("web     running 2/2")
	s.keys("G", "k", "right", "j", "j")
	s.wait("● 1", "> └ ● 2")
	s.keys("left")
	s.gone("└ ● 2")
	s.wait("> ● web")
	s.quit()
}

func TestWatchModeCyclesForOneAndAll(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("w")
	s.wait("watch api: manual", "[manual]")
	s.keys("w")
	s.wait("[off]")
	s.keys("w")
	s.gone("[off]")
	s.quit()
}

func TestPortsOpenByDigit(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("o")
	s.wait("opened http://localhost:8080")
	s.keys("G", "o") // the worker publishes none
	s.wait("open 1 api :8080   2 db :5432")
	s.keys("4")
	s.wait("opened http://localhost:3000")
	s.quit()
	if !s.b.told("open http://localhost:3000") {
		t.Error("the browser was not asked")
	}
}

func TestNoBrowserMeansTheAddressIsCopied(t *testing.T) {
	s := openScreen(t, shop(), 80, 24, func(o *Options) {
		o.OpenURL = func(string) error {
			return errors.New("none")
		}
	})
	s.keys("o")
	s.wait("no browser here; copied http://localhost:8080")
	s.quit()
}

func TestShellGetsTheTerminalAndGivesItBack(t *testing.T) {
	bk := shop()
	bk.exec = func(ctx context.Context, o engine.ExecOptions) (int, error) {
		if !o.TTY {
			if o.Cmd[0] == "bash" {
				return 127, nil
			}
			return 0, nil
		}
		fmt.Fprintf(o.Stdout, "%s at %v$ ", o.Cmd[0], <-o.Resize)
		for buf, typed := make([]byte, 100), ""; ; {
			n, err := o.Stdin.Read(buf)
			typed += string(buf[:n]) // answers of the terminal to questions of before may come first
			if err != nil || strings.HasSuffix(typed, "x") {
				bk.note("typed " + typed[max(len(typed)-1, 0):])
				return 0, err
			}
		}
	}
	s := openScreen(t, bk, 80, 24)
	s.wait("api")
	s.keys("e")
	s.wait("sh in api; exit or ctrl+d comes back", "sh at {80 24}$")
	io.WriteString(s.InputPipe(), "x")
	s.wait("back from api", "SERVICE")
	if !bk.told("typed x") {
		t.Error("the shell did not get the key")
	}
	s.keys("j")
	s.wait("> ‖ cache")
	s.quit()
}

func TestImageWithoutShellIsToldInOneLine(t *testing.T) {
	s := openScreen(t, shop(), 100, 24)
	s.keys("e")
	s.wait("api has no shell (tried bash, sh); use an image")
	s.quit()
}

func TestMarksAndErrorJumps(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("2", "m")
	s.wait("─── MARK 12:04:31")
	s.keys("E")
	s.wait(">12:04:29 gw     ERROR")
	s.keys("t")
	s.wait("timestamps: relative", "-1s gw")
	s.keys("p", "w")
	s.wait(`"status": 200`)
	s.keys("p")
	s.wait(`{"level":"info","msg":"GET /orders"`)
	s.keys("p")
	s.wait("INFO  GET /orders status=200 dur_ms=14")
	s.quit()
}

func TestNoColourStillTellsEverything(t *testing.T) {
	s := openScreen(t, shop(), 80, 24, func(o *Options) {
		o.Environ = append(o.Environ, "NO_COLOR=1")
		o.program = o.program[:1] // the profile is to be found out
	})
	s.wait("GET /orders 200 15ms")
	s.golden("shop-80x24")
	if raw := s.Render(); strings.Contains(raw, "\x1b[3") || strings.Contains(raw, "\x1b[9") {
		t.Errorf("colours in %q", raw)
	}
	s.quit()
}

func TestFocusTellsTheEngineWhetherSomebodyLooks(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.p.Send(tea.BlurMsg{})
	s.until("blur", func(string) bool { return s.b.told("attention false") })
	s.p.Send(tea.FocusMsg{})
	s.until("focus", func(string) bool { return s.b.told("attention true") })
	s.quit()
}

func TestFailureRingsOnlyWhileNobodyLooks(t *testing.T) {
	bells := make(chan struct{}, 10)
	s := openScreen(t, shop(), 80, 24, func(o *Options) { o.Config.Notify = "bell" })
	s.SetCallbacks(vt.Callbacks{Bell: func() { bells <- struct{}{} }})
	s.wait("api")
	fail := func(seq uint64) {
		s.b.change(func(n *engine.Snapshot) {
			n.Records = append(n.Records[:len(n.Records):len(n.Records)],
				engine.Record{Seq: seq, Time: start, Kind: "build", Service: "mail",
					Err: fmt.Sprintf("broken %d", seq)})
		})
	}
	s.keys("3")
	fail(100)
	s.wait("broken 100")
	s.p.Send(tea.BlurMsg{})
	fail(101)
	s.wait("broken 101")
	select {
	case <-bells:
	case <-time.After(patience):
		t.Error("no bell while nobody looked")
	}
	if len(bells) > 0 {
		t.Error("it rang for what somebody saw")
	}
	s.quit()
}

func TestFailureLineGoesWhenTheServiceIsMended(t *testing.T) {
	b := shop()
	b.fails = errors.New("rebuild api: the compiler says no")
	s := openScreen(t, b, 80, 24)
	s.keys("b")
	s.wait("the compiler says no")
	b.change(func(n *engine.Snapshot) {
		n.Services[0].Last = &engine.Change{Action: "sync", Began: start.Add(time.Hour),
			Ended: start.Add(2 * time.Hour)}
	})
	s.gone("the compiler says no")
	s.quit()
}

func TestEventsTellOfNewerOnesAndEscGoesToThem(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("3", "j", "j")
	s.wait("2 newer, esc goes to them")
	s.keys("esc")
	s.gone("newer")
	s.quit()
}

func TestCauseLineStaysWhileTheTroubleLasts(t *testing.T) {
	s := openScreen(t, shop(), 120, 40)
	s.wait("gw unhealthy 2.3 s after worker died with code 1 (likely cause: gw needs worker)",
		"likely cause: worker died with code 1, 2.3 s")
	s.b.change(func(n *engine.Snapshot) { n.Services[3].Health = engine.Healthy })
	s.gone("gw unhealthy 2.3 s after")
	s.quit()
}

func TestCauseLineSaysThatAServiceWasChangedItself(t *testing.T) {
	s := openScreen(t, shop(), 120, 40)
	s.b.change(func(n *engine.Snapshot) {
		r := &n.Records[len(n.Records)-1]
		r.Likely = &engine.Likely{Service: "gw", Kind: fault.Rebuilt,
			What: "was rebuilt (main.go saved)", Before: 3 * time.Second,
			Path: []string{"gw"}, Cause: "main.go saved", Line: "no such table"}
		n.Seq++
	})
	s.wait(`gw unhealthy 3.0 s after it was rebuilt (main.go saved) (likely); logged "no such table"`)
	s.quit()
}

func TestTimelineCursorMovesTheLogs(t *testing.T) {
	b := shop()
	for i := range 300 {
		b.write("db", fmt.Sprintf("line %d of many", i), start.Add(-time.Duration(300-i)*time.Second))
	}
	s := openScreen(t, b, 200, 50)
	s.wait("GET /orders 200 15ms")
	s.keys("3")
	s.wait("←/→ moves the logs there")
	s.keys("<", "<", "left")
	text := s.wait("TIMELINE  logs at 12:03:58", "▼", "esc follows again", "line 26")
	if strings.Contains(text, "GET /orders 200 15ms") {
		t.Error("the logs stayed at the end")
	}
	s.golden("timeline-cursor-200x50")
	s.keys("right")
	s.wait("logs at 12:03:59")
	s.keys("esc")
	s.wait("GET /orders 200 15ms", "following")
	s.gone("▼")
	s.keys("left", "right", "right")
	s.gone("▼")
	s.wait("following")
	s.quit()
}

func TestChangesAreComparedWithTheirMedian(t *testing.T) {
	s := openScreen(t, shop(), 100, 60)
	s.keys("i")
	s.wait("ok +1.99 slow copy", "rule sync ./api/src -> /app/src", "median   sync", "of 5",
		"failed: [4/7] RUN go vet")
	s.keys("esc", "j", "j", "j", "i")
	s.wait("stale        ./gw/main.go   [u] applies them, [B] all that is stale", "./gw/route.go")
	s.keys("esc")
	s.quit()
}

// paneIDs lists the panes of a screen.
func paneIDs() []paneID {
	m := &Model{e: &env{}}
	m.makeParts(logs.New(logs.Options{}))
	return m.e.paneIDs()
}
