package engine_test

import (
	"maps"
	"testing"

	"bulkhead/engine"
)

// outcomes counts what stands in the builds by kind and outcome: "prepare", "build", "prepare
// superseded" and so on.
func outcomes(n *engine.Snapshot) map[string]int {
	out := map[string]int{}
	for _, b := range n.Builds {
		kind := b.Kind
		switch {
		case b.Canceled && kind == "build":
			continue // a busy machine may notice what prepare wrote after its end: then the build begins once more
		case b.Canceled:
			kind += " superseded"
		case b.Err != "":
			kind += " failed"
		}
		out[kind]++
	}
	return out
}

// preparing is a project whose prepare writes into the build context, as slowly as a compiler, and
// again and again.
func preparing(watch string) map[string]string {
	return map[string]string{
		"src/text": "version 1", "Dockerfile": "FROM app\nCOPY bin/text /text\nCMD [\"show\"]\n",
		"compose.yaml": `
services:
  a:
    build: .
    x-bulkhead:
      prepare: {run: "mkdir -p bin; for i in 1 2 3; do cp src/text bin/text; sleep 0.5; done", watch: ` + watch + `}
`}
}

func TestPrepareIsNotItsOwnTrigger(t *testing.T) {
	s := showing(t, preparing("[src, Dockerfile]"))
	s.up()
	s.line("a", "version 1")
	want := func(what string, w map[string]int) {
		t.Helper()
		s.idle("a")
		if got := outcomes(s.Snapshot()); !maps.Equal(got, w) {
			t.Errorf("after %s: %v, want %v\n%s", what, got, w, s.dump())
		}
	}
	want("the start", map[string]int{"prepare": 1, "build": 1})
	s.write(map[string]string{"src/text": "version 2"})
	s.line("a", "version 2")
	want("a save of what prepare reads", map[string]int{"prepare": 2, "build": 2})
	s.write(map[string]string{"Dockerfile": "FROM app\nCOPY bin/text /text\nCOPY bin/text /more\nCMD [\"show\"]\n"})
	s.until("the new image's container", func(n *engine.Snapshot) bool { return find(n, "a").Generation == 3 })
	want("a save of the Dockerfile", map[string]int{"prepare": 3, "build": 3})
	if got := s.file("a", "/more"); got != "version 2" {
		t.Errorf("the last image has %q, want what prepare made", got)
	}
	if c := find(s.Snapshot(), "a").Changes; len(c) != 3 {
		t.Errorf("%d changes, want the start and one for each save: %+v", len(c), c)
	}
}

// Where what prepare writes lies among what it watches, its first run of all is repeated once, since
// somebody may have saved something meanwhile; from there on it is known what its outputs are.
func TestPrepareThatWatchesItsOutputsLearnsThem(t *testing.T) {
	s := showing(t, preparing("[.]"))
	s.up()
	s.line("a", "version 1")
	s.idle("a")
	if got, want := outcomes(s.Snapshot()), map[string]int{"prepare": 2, "build": 1}; !maps.Equal(got, want) {
		t.Errorf("after the start: %v, want %v\n%s", got, want, s.dump())
	}
	s.write(map[string]string{"src/text": "version 2"})
	s.line("a", "version 2")
	s.idle("a")
	if got, want := outcomes(s.Snapshot()), map[string]int{"prepare": 3, "build": 2}; !maps.Equal(got, want) {
		t.Errorf("after a save: %v, want %v\n%s", got, want, s.dump())
	}
	s.must(s.stop())
	s.up()
	s.idle("a")
	if got := outcomes(s.Snapshot()); len(got) > 0 {
		t.Errorf("when nothing changed while bulkhead was away: %v", got)
	}
}

func TestSaveWhilePrepareRunsIsCarriedOut(t *testing.T) {
	for name, watch := range map[string]string{"what it reads": "[src]", "all": "[.]"} {
		t.Run(name, func(t *testing.T) {
			s := showing(t, preparing(watch))
			s.run(engine.Options{})
			s.until("prepare runs", func(n *engine.Snapshot) bool { return find(n, "a").Doing == "preparing" })
			s.write(map[string]string{"src/text": "version 2"})
			s.line("a", "version 2")
			if got := outcomes(s.Snapshot()); got["build"] > 2 {
				t.Errorf("%v", got)
			}
		})
	}
}
