package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/project"
)

// saving is a project of one service with a rule of the given action on src, and a
// bystander.
func saving(action, more string) map[string]string {
	return map[string]string{
		"src/hello.txt": "one",
		"compose.yaml": `
services:
  a: {image: app, develop: {watch: [{path: src, action: ` + action + `, target: /www` + more + `}]}}
  b: {image: app}
`,
	}
}

func TestSyncRestartRestartsThatServiceAlone(t *testing.T) {
	s := watched(t, saving("sync+restart", ""))
	s.up()
	before := s.identities()
	s.write(map[string]string{"src/hello.txt": "two"})
	c := s.change("a", "sync+restart", 0)
	if got := s.file("a", "/www/hello.txt"); got != "two" {
		t.Errorf("after the save: %q", got)
	}
	after := s.identities()
	if after["a/1"].ID != before["a/1"].ID || !after["a/1"].Started.After(before["a/1"].Started) || after["b/1"] != before["b/1"] {
		t.Errorf("identities %v, were %v", after, before)
	}
	if c.Generation != 2 {
		t.Errorf("generation %d, want 2", c.Generation)
	}
	stages := ""
	for _, st := range c.Stages {
		stages += st.Name + " "
	}
	if stages != "detect copy stop start ready total " {
		t.Errorf("stages %q", stages)
	}
}

func TestSyncExecRunsItsCommand(t *testing.T) {
	s := watched(t, saving("sync+exec", `, exec: {command: ["cat", "/www/hello.txt"]}`))
	s.up()
	s.write(map[string]string{"src/hello.txt": "two"})
	s.change("a", "sync+exec", 0)
	s.line("a", "system two") // what the command saw
}

func TestRestartRuleRestarts(t *testing.T) {
	s := watched(t, map[string]string{"conf/x": "1", "compose.yaml": "services:\n  a: {image: app, develop: {watch: [{path: conf, action: restart}]}}\n"})
	s.up()
	before := s.identities()["a/1"]
	s.write(map[string]string{"conf/x": "2"})
	s.change("a", "restart", 0)
	if after := s.identities()["a/1"]; after.ID != before.ID || !after.Started.After(before.Started) {
		t.Errorf("identity %+v, was %+v", after, before)
	}
}

func TestFailedBuildKeepsTheOldContainerAndTheNextSaveTriesAgain(t *testing.T) {
	s := showing(t, rebuilt(""))
	s.up()
	before := s.identities()
	s.write(map[string]string{"a/Dockerfile": "FROM app\nRUN fail the reason\n"})
	n := s.until("failed build", func(n *engine.Snapshot) bool {
		l := find(n, "a").Last
		return l != nil && l.Err != ""
	})
	a := find(n, "a")
	if a.State != engine.StateRunning || !slices.ContainsFunc(a.Stale, func(p string) bool { return strings.HasSuffix(p, "Dockerfile") }) {
		t.Errorf("a is %s, stale %v; want running with the Dockerfile stale", a.State, a.Stale)
	}
	last := n.Builds[len(n.Builds)-1]
	if last.Err == "" || !slices.Contains(last.Lines, "the reason") || !strings.Contains(a.Last.Err, "code: 7") {
		t.Errorf("build error %q, change error %q, lines %q", last.Err, a.Last.Err, last.Lines)
	}
	if after := s.identities(); after["a/1"] != before["a/1"] {
		t.Errorf("a failed build moved the container: %v, was %v", after, before)
	}
	k := len(a.Changes)
	s.rt.Program("mended", program("mended", 0, "", 0))
	s.write(map[string]string{"a/Dockerfile": "FROM app\nCMD [\"mended\"]\n"})
	s.change("a", "rebuild", k)
	s.line("a", "mended")
	if a := find(s.Snapshot(), "a"); len(a.Stale) != 0 || a.Err != "" {
		t.Errorf("after the repair: stale %v, err %q", a.Stale, a.Err)
	}
}

func TestPrepareRunsOnTheHostAndItsWordsAreShown(t *testing.T) {
	s := watched(t, map[string]string{"src/in": "one", "compose.yaml": `
services:
  a:
    image: app
    x-bulkhead: {prepare: {run: "grep -v broken src/in || { echo in is broken; exit 4; }; mkdir -p out; cp src/in out/x", watch: [src]}}
    develop: {watch: [{path: out/x, action: sync+restart, target: /www/x, initial_sync: true}]}
`})
	s.up()
	if got := s.file("a", "/www/x"); got != "one" {
		t.Errorf("after up: %q", got)
	}
	s.write(map[string]string{"src/in": "two"})
	c := s.change("a", "sync+restart", 0)
	if got := s.file("a", "/www/x"); got != "two" || c.Stages[1].Name != "prepare" {
		t.Errorf("after the save: %q, stages %v", got, c.Stages)
	}
	before := s.identities()["a/1"]
	k := len(find(s.Snapshot(), "a").Changes)
	s.write(map[string]string{"src/in": "broken"})
	n := s.until("failed prepare", func(n *engine.Snapshot) bool {
		a := find(n, "a")
		return len(a.Changes) > k && a.Last.Err != ""
	})
	if a := find(n, "a"); !strings.Contains(a.Last.Err, "in is broken") || a.State != engine.StateRunning || len(a.Stale) == 0 {
		t.Errorf("error %q, state %s, stale %v", a.Last.Err, a.State, a.Stale)
	}
	if after := s.identities()["a/1"]; after != before {
		t.Errorf("a failed prepare moved the container: %v, was %v", after, before)
	}
}

func TestManualWatchMarksStaleAndUpApplies(t *testing.T) {
	s := watched(t, saving("sync", ", initial_sync: true"))
	s.up()
	s.do(engine.Command{Verb: engine.VerbWatch, Services: []string{"a"}, Mode: project.Manual})
	s.write(map[string]string{"src/hello.txt": "two"})
	s.until("stale", func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) == 1 })
	if got := s.file("a", "/www/hello.txt"); got != "one" {
		t.Errorf("manual mode synced: %q", got)
	}
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	if got := s.file("a", "/www/hello.txt"); got != "two" {
		t.Errorf("after up: %q", got)
	}
	if a := find(s.Snapshot(), "a"); len(a.Stale) != 0 {
		t.Errorf("still stale: %v", a.Stale)
	}
}

func TestWhatChangedWhileNobodyWatchedIsCaughtUp(t *testing.T) {
	s := showing(t, rebuilt(""))
	s.up()
	s.must(s.stop())
	s.write(map[string]string{"a/text": "version 2"})
	s.up()
	s.line("a", "version 2")
}

// The dry run and up go by one plan: images, networks and what prepare makes are steps of it.
func TestUpRecordsThePlanThatADryRunPrints(t *testing.T) {
	s := watched(t, map[string]string{"made/a": "1", "compose.yaml": `
services:
  made:
    build: {context: made, dockerfile_inline: "FROM app\nCOPY a /a\n"}
    x-bulkhead: {prepare: {run: "true", watch: [made]}}
    develop: {watch: [{path: made, action: rebuild}]}
    volumes: ["data:/data"]
  of: {image: play-made}
  joined: {image: app, network_mode: "service:made"}
volumes: {data: {}}
`})
	for _, want := range []string{`#1 made: prepare (it has not run yet)
#2 made: build (no image)
#3 network default: create (not there)
#4 volume data: create (not there)
#5 made/1: create (no container)
#6 of: await (made builds it)
#7 of/1: create (no container)
#8 joined/1: create (no container)
`, `#1 made: prepare (what it watches changed)
#2 made: build (files changed while nobody watched)
#3 made/1: recreate (image was built again)
#4 of: await (made builds it)
#5 of/1: recreate (made builds its image)
#6 joined/1: recreate (it joins made, which gets a new container)
`} {
		p, err := s.load(t.Context())
		s.must(err)
		steps, err := engine.New(engine.Options{Runtime: s.rt, Project: p, StateDir: s.state}).DryRun(t.Context())
		s.must(err)
		if got := steps.String(); got != want {
			t.Errorf("the dry run:\n%swant:\n%s", got, want)
		}
		s.up()
		if got := s.Snapshot().Plan; got != want {
			t.Errorf("up recorded:\n%swant:\n%s", got, want)
		}
		s.must(s.stop())
		s.stop = nil
		s.write(map[string]string{"made/a": "22"})
	}
}

// A service whose start failed is not thought well again because a save was carried out that did not
// start it: whoever waits for it is told, and the screen goes on saying why.
func TestSaveThatStartsNothingMendsNoFailedStart(t *testing.T) {
	s := watched(t, saving("sync", ""))
	heal := s.rt.Inject(memory.Fault{Method: "Start", Err: errors.New("port 80 is taken")})
	s.run(engine.Options{})
	s.until("the failure", func(n *engine.Snapshot) bool { return find(n, "a").Err != "" })
	s.write(map[string]string{"src/hello.txt": "two"})
	s.change("a", "sync", 1)
	if err := s.WaitUp(t.Context(), engine.Wait{Services: []string{"a"}, Ready: true}); err == nil || !strings.Contains(err.Error(), "port 80 is taken") {
		t.Errorf("who waits for it is told %v", err)
	}
	if a := find(s.Snapshot(), "a"); !strings.Contains(a.Err, "port 80 is taken") {
		t.Errorf("after a save that started nothing the service says %q", a.Err)
	}
	heal()
	s.do(engine.Command{Verb: engine.VerbUp})
	s.ready()
	s.eventually("nothing wrong", func() bool { return find(s.Snapshot(), "a").Err == "" })
}

// What a first sync into a life needs is made ready once all is up, for each life, and only where
// saves are carried out by themselves.
func TestFirstSyncIsPreparedInEveryLife(t *testing.T) {
	files := saving("sync", "")
	files["compose.yaml"] += `  c: {image: app, x-bulkhead: {watch: manual}, develop: {watch: [{path: src, action: sync, target: /www}]}}
`
	s := watched(t, files)
	s.up()
	prepared := func(times int) func() bool {
		return func() bool { return s.rt.Calls("PrepareFiles") == times }
	}
	s.eventually("a's files are prepared", prepared(1))
	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a", "b", "c"}})
	s.ready()
	s.eventually("a's files are prepared in its second life", prepared(2))
}

// A mode of the whole project holds for each service, whatever the service's own is, and whoever comes
// upon a changed file.
func TestModeOfTheProjectHoldsForAll(t *testing.T) {
	s := watched(t, saving("sync", ""))
	s.up()
	s.do(engine.Command{Verb: engine.VerbWatch, Mode: project.Manual})
	s.write(map[string]string{"src/hello.txt": "two"})
	stale := func(n *engine.Snapshot) bool { return len(find(n, "a").Stale) > 0 }
	s.until("a is stale", stale)
	s.do(engine.Command{Verb: engine.VerbWatch, Services: []string{"a"}, Mode: project.Auto})
	s.rt.CutEvents()
	s.until("all was looked at again", func(n *engine.Snapshot) bool {
		return slices.ContainsFunc(n.Records, func(r engine.Record) bool { return r.Notice == "found" }) && n.Phase == engine.PhaseRunning
	})
	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"b"}}) // and whatever follows from that look
	if got := s.file("a", "/www/hello.txt"); got == "two" || !stale(s.Snapshot()) {
		t.Errorf("the project is watched by hand, and a has %q", got)
	}
	s.do(engine.Command{Verb: engine.VerbWatch, Mode: project.Auto})
	s.until("a has it", func(*engine.Snapshot) bool { return s.file("a", "/www/hello.txt") == "two" })
}

// COMPOSE_COMPATIBILITY names containers with underscores, those that take another's place too.
func TestSwapKeepsTheCompatibleName(t *testing.T) {
	s := watched(t, map[string]string{".env": "COMPOSE_COMPATIBILITY=1\n", "Dockerfile": "FROM app\nCOPY x /x\n", "x": "1", "compose.yaml": "services:\n  a: {build: .}\n"})
	s.up()
	before := s.instances()["a/1"]
	s.write(map[string]string{"x": "2"})
	s.change("a", "rebuild", 0)
	s.eventually("the new one has its name", func() bool {
		in := s.instances()["a/1"]
		return in.ID != before.ID && in.Name == before.Name
	})
	if !strings.Contains(before.Name, "_a_") {
		t.Errorf("it is called %s", before.Name)
	}
}

// Of two loads of the Compose file that go on at the same time the one that began later counts.
func TestSlowLoadDoesNotReplaceALaterOne(t *testing.T) {
	s := watched(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n"})
	p, err := s.load(t.Context())
	s.must(err)
	var loads atomic.Int32
	first, release := make(chan struct{}), make(chan struct{})
	e := engine.New(engine.Options{Runtime: s.rt, Project: p, Builder: s.b, StateDir: t.TempDir(), Watch: oneSave,
		Load: func(ctx context.Context) (*project.Project, error) {
			p, err := s.load(ctx)
			if loads.Add(1) == 1 {
				close(first)
				<-release
			}
			return p, err
		}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() { cancel(); <-done }()
	wait := func(what string, is func(*engine.Snapshot) bool) {
		t.Helper()
		changed, stop := e.Subscribe()
		defer stop()
		for limit := time.After(patience); !is(e.Snapshot()); {
			select {
			case <-changed:
			case <-limit:
				t.Fatalf("%s does not come; reload %+v", what, e.Snapshot().Reload)
			}
		}
	}
	wait("the watch", func(n *engine.Snapshot) bool { return n.Watch.On })
	s.write(map[string]string{"compose.yaml": "services:\n  a: {image: app, labels: {x: old}}\n"})
	<-first
	saved := e.Snapshot().Watch.LastAt
	s.write(map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app}\n"})
	wait("the second save", func(n *engine.Snapshot) bool { return n.Watch.LastAt.After(saved) })
	close(release)
	wait("the second save's project", func(n *engine.Snapshot) bool {
		return n.Reload != nil && len(n.Reload.Changes) == 1 && n.Reload.Changes[0].Service == "b"
	})
}
