package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

const overlaps = `, healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 5s, retries: 3}, x-bulkhead: {swap: overlap}`

// readyFirst has a first generation that is ready at once; the next ones are when
// somebody makes /tmp/ready.
func readyFirst(p *memory.Process) int {
	text, _ := p.ReadFile("/text")
	p.Print("%s", text)
	if strings.HasSuffix(text, "1") {
		p.WriteFile("/tmp/ready", "")
	}
	p.Wait()
	return 0
}

func overlapScene(t *testing.T, files map[string]string) *scene {
	s := watched(t, files)
	s.rt.Program("show", memory.Program{Handles: []string{"TERM"}, Run: readyFirst})
	return s
}

func TestOldGenerationServesUntilTheNewOneIsReady(t *testing.T) {
	s := overlapScene(t, rebuilt(overlaps))
	s.up()
	old := s.identities()["a/1"].ID
	s.write(map[string]string{"a/text": "version 2"})
	s.line("a", "stdout version 2")
	if in, err := s.rt.Inspect(t.Context(), old); err != nil || in.State != engine.StateRunning {
		t.Errorf("the old one is %s (%v) while the new one is not ready", in.State, err)
	}
	ready := time.Now()
	all, err := s.rt.Instances(t.Context(), s.name)
	s.must(err)
	for _, in := range all {
		if in.Service == "a" && in.ID != old {
			_, err := s.rt.Exec(t.Context(), in.ID, container.ExecOptions{Cmd: []string{"touch", "/tmp/ready"}})
			s.must(err)
		}
	}
	s.change("a", "rebuild", 0)
	s.line("a", "run 1 ended")
	if before := s.ended(old); before.Before(ready) {
		t.Errorf("the old one ended at %v, before the new one was ready at %v\n%s", before, ready, s.dump())
	}
	s.eventually("the old one gone", func() bool {
		all, err := s.rt.Instances(context.Background(), s.name)
		return err == nil && len(all) == 2
	})
}

// ended is when a container's life ended, by the runtime's events.
func (s *scene) ended(id string) (at time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	_ = s.rt.Events(ctx, s.name, time.Unix(0, 0), func(e container.Event) { // it ends by cancel
		if e.ID == id && e.Kind == container.EventDied {
			at = e.Time
			cancel()
		}
	})
	cancel()
	return at
}

func TestOverlapIsRefusedWhereTwoCannotBe(t *testing.T) {
	for name, one := range map[string]struct {
		more, docker string
		want         []string
	}{
		"container name":  {overlaps + ", container_name: fixed", "", []string{"container_name", "swap: replace"}},
		"volume of image": {overlaps, "VOLUME /data\n", []string{"the volume /data of its image"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := rebuilt(one.more)
			files["a/Dockerfile"] += one.docker
			s := overlapScene(t, files)
			s.up()
			before := s.identities()["a/1"]
			s.write(map[string]string{"a/text": "version 2"})
			n := s.until("refusal", func(n *engine.Snapshot) bool { l := find(n, "a").Last; return l != nil && l.Err != "" })
			for _, w := range one.want {
				if got := find(n, "a").Last.Err; !strings.Contains(got, w) {
					t.Errorf("refusal %q, want %s", got, w)
				}
			}
			if after := s.identities()["a/1"]; after != before {
				t.Errorf("a refused swap moved the container: %+v, was %+v", after, before)
			}
		})
	}
}

func TestStartThatFailsBringsTheOldOneBack(t *testing.T) {
	s := showing(t, rebuilt(""))
	s.up()
	s.write(map[string]string{"a/Dockerfile": "FROM app\nCMD [\"/no/such/program\"]\n"})
	n := s.until("failed start", func(n *engine.Snapshot) bool { l := find(n, "a").Last; return l != nil && l.Err != "" })
	if a := find(n, "a"); !strings.Contains(a.Last.Err, "/no/such/program") || a.State != engine.StateRunning {
		t.Errorf("error %q, state %s", a.Last.Err, a.State)
	}
	s.until("old generation running again", func(n *engine.Snapshot) bool { return find(n, "a").Replicas[0].Generation == 2 })
	if ids := s.identities(); len(ids) != 2 {
		t.Errorf("containers %v: the one that did not start must be gone", ids)
	}
}

func TestServiceThatKnowsNoStopSignalIsSwappedAtOnce(t *testing.T) {
	s := showing(t, rebuilt(""))
	s.up()
	old := s.identities()["a/1"].ID
	var got []string
	signals := make(chan struct{})
	since := time.Now()
	go func() {
		defer close(signals)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_ = s.rt.Events(ctx, s.name, since, func(e container.Event) { // it ends by cancel
			switch {
			case e.ID != old:
			case e.Kind == container.EventKilled:
				got = append(got, e.Signal)
			case e.Kind == container.EventDied:
				cancel()
			}
		})
	}()
	s.write(map[string]string{"a/text": "version 2"})
	c := s.change("a", "rebuild", 0)
	<-signals
	if !slices.Equal(got, []string{"9"}) || !strings.Contains(c.Note, "killed at once") {
		t.Errorf("the old container got the signals %v, want SIGKILL alone; note %q", got, c.Note)
	}
}
