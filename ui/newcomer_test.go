package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine"
	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// troubled is the shop with a service in each kind of trouble.
func troubled() *fake {
	b := shop()
	for i := range b.snap.Services {
		s := &b.snap.Services[i]
		r := &s.Replicas[0]
		switch s.Name {
		case "api": // crashes
			s.State, s.ExitCode, s.Health, s.Last = engine.StateCrashing, 3, engine.HealthNone, nil
			r.State, r.ExitCode, r.Crashes, r.Finished, r.RetryAt = engine.StateCrashing, 3, 6,
				start.Add(-time.Second), start.Add(4*time.Second)
			r.Identity.Started = start.Add(-2 * time.Second)
		case "cache": // was out of memory
			s.State, s.ExitCode, s.ByHand, s.Last = engine.StateExited, 137, false, nil
			r.State, r.ExitCode, r.OOM, r.Finished = engine.StateExited, 137, true, start.Add(-30*time.Second)
		case "db":
			s.Health, s.Last = engine.Unhealthy, nil
			r.Health = engine.Unhealthy
			r.Check = &engine.Check{Output: "looking\nconnection refused\n", ExitCode: 7, Failing: 3,
				Since: start.Add(-time.Minute)}
		case "mail":
			s.State, s.Doing, s.Last, s.WaitsFor, s.Replicas = engine.StateWaiting, "", nil,
				condition.Waits{{Service: "db", Goal: condition.GoalHealthy}}, nil
		case "worker":
			s.ExitCode = 3
			r.ExitCode, r.Finished = 3, start.Add(-12*time.Second)
		}
	}
	return b
}

func TestRowsSayWhyAServiceDoesNotDoWhatItShould(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s := openScreen(t, troubled(), size[0], size[1])
			s.wait("crashing ×6", "exit 3, next try in 4s", "out of memory", "killed 30s ago",
				"exit 7: connection",
				"waiting for db (healthy)", "crashed 12s ago (exit 3)")
			s.golden(fmt.Sprintf("trouble-%dx%d", size[0], size[1]))
			s.quit()
		})
	}
}

func TestInspectSaysWhatTheCheckPrinted(t *testing.T) {
	s := openScreen(t, troubled(), 80, 24)
	s.wait("crashing")
	s.keys("j", "j", "d")
	s.wait("exit 7, failed 3 times in a row, unhealthy for 1m", "looking", "connection refused")
	s.keys("/", "refused")
	s.until("only what holds it", func(text string) bool {
		return strings.Contains(text, "/refused") && !strings.Contains(text, "looking")
	})
	s.keys("esc", "esc")
	s.gone("/refused")
	s.quit()
}

func TestStopSaysTheLastWordsOfWhoStillStops(t *testing.T) {
	b := shop()
	r := &b.snap.Services[2].Replicas[0]
	b.snap.Services[2].State, r.State, r.Since, r.StopBy = engine.StateStopping, engine.StateStopping,
		start.Add(-4*time.Second), start.Add(6*time.Second)
	b.store.Append("db", 1, 1, logs.Stdout, start.Add(-50*time.Millisecond), []byte("finishing job 7"))
	s := openScreen(t, b, 120, 40)
	s.wait("stopping db 4s of 10s; last: db said “finishing job 7” 0s ago")
	s.quit()
}

func TestKeyThatDoesNothingSaysWhereItWorks(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.wait("api")
	s.keys("f")
	s.wait("f belongs to the logs: 2")
	s.keys("j", "j", "u") // the database is as it should be
	s.wait("u: nothing to do now")
	s.quit()
}

func TestPaletteDoesWhatItsWordsSay(t *testing.T) {
	for word, want := range map[string]string{"logs": "2 LOGS", "svc": "▶   SERVICE",
		"events": "3 EVENTS", "theme": "theme: dark", "mouse": "mouse: off", "builds": "4 BUILDS"} {
		t.Run(word, func(t *testing.T) {
			s := openScreen(t, shop(), 80, 24)
			s.wait("api")
			s.keys(":", word, "enter")
			s.wait(want)
			s.keys("1")
			s.quit()
		})
	}
	s := openScreen(t, shop(), 80, 24)
	s.keys(":")
	text := s.wait("> inspect: ")
	for _, harsh := range []string{"kill", "down: ", "quit"} {
		if strings.Contains(text, harsh) {
			t.Errorf("an empty palette begins with %s:\n%s", harsh, text)
		}
	}
	s.keys("esc")
	s.quit()
}

func TestServicesAreFilteredByName(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.wait("worker")
	s.keys("/", "w")
	s.until("only names with a w", func(text string) bool {
		return strings.Contains(text, "/w") && !strings.Contains(text, "● api") &&
			strings.Contains(text, "● web")
	})
	s.keys("enter", "esc")
	s.wait("● api")
	s.quit()
}

func TestLeadsFromAServiceToItsLogs(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.wait("api")
	s.keys("j", "j", "l")
	s.wait("▶2 LOGS", "db · following", "checkpoint complete")
	s.gone("GET /orders")
	s.quit()
}

func TestMenuOfActionsIsClickedAndClosedFromOutside(t *testing.T) {
	s := openScreen(t, shop(), 120, 40)
	s.wait("api")
	s.keys("x")
	text := s.wait("restart", "stop it and start it again")
	y := strings.Count(text[:strings.Index(text, "stop it and start it again")], "\n")
	s.p.Send(tea.MouseClickMsg{X: 20, Y: y, Button: tea.MouseLeft})
	s.until("the restart", func(string) bool { return s.b.told("restart api") })
	s.keys("x")
	s.wait("stop it and start it again")
	s.p.Send(tea.MouseClickMsg{X: 0, Y: 0, Button: tea.MouseLeft})
	s.gone("stop it and start it again")
	s.quit()
}

func TestClickOnAHeadSorts(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	text := s.wait("HEALTH")
	head := strings.Split(text, "\n")[1]
	s.p.Send(tea.MouseClickMsg{X: width(head[:strings.Index(head, "CPU")]) + 1, Y: 1, Button: tea.MouseLeft})
	s.wait("services sorted by CPU")
	s.quit()
}

func TestRestartThatWasAskedForIsNoDeathOnTheTimeline(t *testing.T) {
	b := shop()
	at := func(ago time.Duration) time.Time { return start.Add(-ago) }
	b.snap.Records = []engine.Record{
		{Seq: 1, Time: at(40 * time.Second), Kind: "service", Service: "web",
			State: engine.StateExited, HasExit: true, ExitCode: 2, Cause: "you pressed r"},
		{Seq: 2, Time: at(36 * time.Second), Kind: "service", Service: "web",
			State: engine.StateRunning, Cause: "you pressed r"},
		{Seq: 3, Time: at(20 * time.Second), Kind: "service", Service: "worker",
			State: engine.StateExited, HasExit: true, ExitCode: 1, Cause: engine.EndedByItself},
	}
	b.snap.Builds = nil
	s := openScreen(t, b, 200, 50)
	text := s.wait("TIMELINE")
	lane := func(name string) string {
		for _, l := range strings.Split(text[strings.Index(text, "TIMELINE"):], "\n") {
			if strings.HasPrefix(strings.TrimLeft(l, " >"), name) {
				return l
			}
		}
		return ""
	}
	if l := lane("web"); strings.Contains(l, "╳") || strings.Contains(l, "░") || !strings.Contains(l, "┄") {
		t.Errorf("a restart looks like this: %s", l)
	}
	if l := lane("worker"); !strings.Contains(l, "╳") {
		t.Errorf("a death looks like this: %s", l)
	}
	s.quit()
}

func TestOrphansAreRowsAndGoWithDownWhenAskedFor(t *testing.T) {
	b := shop()
	b.snap.Dir, b.snap.Files = "/home/me/shop", []string{"/home/me/shop/compose.yaml"}
	b.snap.Orphans = []engine.Orphan{{Name: "shop-old-1"},
		{Name: "shop-kafka-1", Files: []string{"/home/me/shop/compose.yaml", "/home/me/shop/extra.yaml"}},
		{Name: "shop-was-1", Files: b.snap.Files}}
	s := openScreen(t, b, 100, 30)
	s.wait("shop-old-1", "orphan", "not in the Compose file; D", "made by extra.yaml; D",
		"no longer in the Compose file; D")
	s.keys("D")
	s.wait("which stay: shop-old-1", "o  orphans too")
	s.keys("o")
	s.wait("These go too")
	s.keys("d")
	if o, err := s.end(); o != engine.EndDownOrphans || err != nil {
		t.Errorf("%v, %v", o, err)
	}
}

func TestPlainTerminalGetsMarksOfASCII(t *testing.T) {
	for _, env := range []string{"LC_ALL=C", "TERM=linux"} {
		s := openScreen(t, shop(), 80, 24, func(o *Options) { o.Environ = append(o.Environ, env) })
		text := s.wait("* api", "x worker", "! gw")
		for _, r := range text {
			if r > 126 {
				t.Fatalf("%s: %q is seen:\n%s", env, r, text)
			}
		}
		s.quit()
	}
}

func TestAlertsRingAreNotedAndCount(t *testing.T) {
	b := shop()
	b.snap.Services[0].Config.Extra.Alerts = []string{"panic|FATAL"}
	b.has = map[string]string{"page me": ""}
	s := openScreen(t, b, 120, 40, func(o *Options) { o.Config.AlertCommand = []string{"page", "me"} })
	s.wait("GET /orders 200 15ms")
	b.write("api", "panic: cannot open config", start.Add(time.Second))
	s.wait("api alert: panic: cannot open config", "!1")
	s.until("the command", func(string) bool {
		return b.told(`ran page me with "api alert: panic: cannot open config"`)
	})
	s.keys("3")
	s.wait("api alert: panic")
	s.quit()
}

func TestLineLeadsToItsSource(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "api", "main.go")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("package main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := shop()
	b.snap.Dir = dir
	b.snap.Services[0].Config.Config.Volumes = []types.ServiceVolumeConfig{{Type: "bind",
		Source: filepath.Join(dir, "api"), Target: "/app"}}
	b.write("api", "\t/app/main.go:42 +0x1d", start)
	s := openScreen(t, b, 120, 40)
	s.wait("/app/main.go:42")
	s.keys("2", "k", "G", "k", "j") // the last line
	s.wait("enter open source")
	s.keys("Y")
	s.wait("copied " + file + ":42")
	s.quit()
}

func TestEchoSaysTheDockerCommands(t *testing.T) {
	s := openScreen(t, shop(), 120, 40)
	s.wait("api")
	s.keys("r", "3")
	s.wait("$ docker restart shop-api-1")
	s.keys("ctrl+e")
	s.wait("The same with docker", "docker kill shop-api-1", "docker exec -it shop-api-1 sh",
		"start     docker start shop-api-1", "unpause   docker unpause shop-api-1")
	s.quitOver()
}

// quitOver closes what lies over the panes, and quits.
func (s *screen) quitOver() {
	s.t.Helper()
	s.keys("esc")
	s.gone("The same with docker")
	s.quit()
}

func TestFloodGetsAHintToMuteIt(t *testing.T) {
	b := shop()
	for i := range 1000 {
		b.store.Append("db", 1, 1, logs.Stdout, start.Add(-time.Duration(i)*2*time.Millisecond),
			[]byte("flood"))
	}
	s := openScreen(t, b, 120, 40)
	s.wait("db writes", "lines a second", "[-] mutes the selected one")
	s.quit()
}

func TestFirstMinutesShowWhatIsUnderWay(t *testing.T) {
	b := shop()
	b.store = logs.New(logs.Options{})
	b.snap.Services[0].State, b.snap.Services[0].WaitsFor,
		b.snap.Services[0].Last = engine.StateWaiting, condition.Waits{{Service: "db", Goal: condition.GoalHealthy}}, nil
	s := openScreen(t, b, 80, 24)
	s.wait("mail build 3/7, 2 cached", "go: downloading golang.org/x/sys", "waiting for db (healthy)",
		"K kills the selected service", "u brings back", "/ in the logs searches")
	s.golden("first-minutes-80x24")
	s.quit()
}

func TestFailedBuildIsReadByKeyboard(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.b.change(func(n *engine.Snapshot) {
		bld := n.Builds[1]
		bld.Ended, bld.Err, bld.Why = start,
			"build mail: /home/me/shop/mail/Dockerfile:4: RUN go vet: exit code 1",
			"/home/me/shop/mail/Dockerfile:4: RUN go vet: exit code 1"
		bld.File, bld.Line, bld.Around = "/home/me/shop/mail/Dockerfile", 4,
			[]container.SourceLine{{Number: 3, Text: "COPY . ."},
				{Number: 4, Text: "RUN go vet ./...", Failed: true}, {Number: 5, Text: "CMD [\"/mail\"]"}}
		bld.Lines = nil
		for i := range 40 {
			bld.Lines = append(bld.Lines, fmt.Sprintf("# step %d of the compiler", i))
		}
		bld.Lines = append(bld.Lines, "/home/me/shop/mail/main.go:12:2: undefined: smtpp "+
			strings.Repeat("and so on ", 10)+"the end")
		n.Builds = []engine.Build{n.Builds[0], bld}
		n.Services[4].State, n.Services[4].Err, n.Services[4].Doing = engine.StateBroken, bld.Err, ""
		n.Services[4].ErrShort, n.Services[4].ErrNamed = bld.Why, true
	})
	s.wait("mail/Dockerfile:4: mail/main.go:12:2: undefined")
	s.keys("4")
	s.wait("✗ ./mail/Dockerfile:4", ">   4 | RUN go vet ./...", "COPY . .")
	s.golden("build-error-80x24")
	s.keys("enter", "w", "pgdown", "pgdown", "pgdown")
	s.wait("undefined: smtpp", "the end", "zoomed")
	s.keys("/", "step 7", "enter")
	s.wait("# step 7 of the compiler", "1 of 1 line")
	s.keys("esc", "y")
	s.wait("copied the output of build mail")
	s.quit()
}

func TestFailureFoldsAwayAndStaysInTheEvents(t *testing.T) {
	b := shop()
	api := &b.snap.Services[0]
	api.Err, api.State = "create api: no space left on device", engine.StateBroken
	api.ErrShort, api.ErrNamed = api.Err, true
	s := openScreen(t, b, 80, 24)
	s.wait(" create api: no space left on device")
	s.keys("esc")
	s.gone("\n create api: no space left")
	s.quit()
}

func TestPresetsOfKeysKeepWhatDestroys(t *testing.T) {
	for _, tt := range []struct{ preset, action, key string }{
		{"lazydocker", "its-logs", "m"}, {"lazydocker", "shell", "E"}, {"lazydocker", "actions", "x"},
		{"lazydocker", "kill", "K"}, {"lazydocker", "down", "D"},
		{"k9s", "shell", "s"}, {"k9s", "inspect", "d"}, {"k9s", "its-logs", "l"},
		{"k9s", "kill", "K"}, {"k9s", "quit", "q"},
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte("keys: "+tt.preset+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		km, err := newKeymap(c, defaultActions())
		if err != nil {
			t.Fatal(err)
		}
		for i := range km.actions {
			if a := &km.actions[i]; a.name == tt.action && a.keys[0] != tt.key {
				t.Errorf("%s: %s has %v, want %s first", tt.preset, a.name, a.keys, tt.key)
			}
		}
	}
}

func TestColoursOfServicesCanBeSet(t *testing.T) {
	s := openScreen(t, shop(), 80, 24, func(o *Options) {
		o.Config.Colors = map[string]string{"api": "#123456"}
	})
	s.wait("GET /orders 200 15ms")
	s.until("the colour", func(string) bool { return strings.Contains(s.styled(), "{#123456}api") })
	s.quit()
	if err := (Config{Colors: map[string]string{"api": "pinkish"}}).check(); err == nil ||
		!strings.Contains(err.Error(), "is not a colour") {
		t.Errorf("%v", err)
	}
}

// A banner that has no room for its second row says that it goes on.
func TestBannerWithoutRoomSaysThatItGoesOn(t *testing.T) {
	b := shop()
	b.snap.Services[0].State, b.snap.Services[0].Err = engine.StateBroken,
		strings.Repeat("much is wrong here ", 8)
	b.snap.Services[0].ErrShort = b.snap.Services[0].Err
	b.snap.Services[0].Last = nil
	s := openScreen(t, b, 80, 24)
	s.wait("much is wrong here")
	s.keys("f") // where that works is said in the row above
	s.until("one row of it, that goes on", func(text string) bool {
		rows := strings.Split(text, "\n")
		i := slices.IndexFunc(rows, func(r string) bool { return strings.HasPrefix(r, " api: much is wrong") })
		return i == len(rows)-2 && strings.HasSuffix(rows[i], "…")
	})
}
