package plan

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine/container"
)

// running is a running container that is exactly as wanted; tests change what they are about.
func running(service string, n int) container.Instance {
	return container.Instance{
		Identity: container.Identity{ID: "c" + service, Started: time.Unix(100, 0)}, Service: service,
		Replica: n, State: container.StateRunning,
		Hash: "h1", Digest: "sha256:1", Networks: map[string]string{"shop_default": "n1"},
		Volumes: []string{"shop_data"}, Created: time.Unix(90, 0),
	}
}

func wanted() Want {
	return Want{Name: "web", Replicas: 1, Hash: "h1", Image: &container.Image{ID: "sha256:1",
		Digest: "sha256:1"}, Networks: map[string]string{"shop_default": "n1"}, Volumes: []string{"shop_data"}}
}

func with(in container.Instance, f func(*container.Instance)) container.Instance {
	f(&in)
	return in
}

func TestPlanSaysWhatAndWhy(t *testing.T) {
	one := running("web", 1)
	tests := map[string]struct {
		want func(*Want)
		seen []container.Instance
		done map[string]bool
		plan string
	}{
		"nothing there": {seen: nil, plan: "#1 web/1: create (no container)"},
		"as wanted":     {seen: []container.Instance{one}, plan: "#1 web/1: keep (running)"},
		"other configuration": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Hash = "h0"
		})}, plan: "#1 web/1: recreate (configuration changed)"},
		"other image": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Digest = "sha256:0"
		})}, plan: "#1 web/1: recreate (image changed)"},
		"other content": {want: func(w *Want) {
			w.Content = "x"
		}, seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Content = "y"
		})}, plan: "#1 web/1: recreate (content of a config or secret changed)"},
		"network missing": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Networks = nil
		})}, plan: "#1 web/1: recreate (not attached to network shop_default)"},
		"network, not running": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Networks, i.State, i.ExitCode = nil, container.StateExited, 1
		})}, plan: "#1 web/1: start (exited 1)"},
		"network missing while it restarts": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Networks, i.State = nil, container.StateRestarting
		})}, plan: "#1 web/1: recreate (not attached to network shop_default)"},
		"volume missing": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Volumes = nil
		})}, plan: "#1 web/1: recreate (volume shop_data is not mounted)"},
		"asked for": {want: func(w *Want) {
			w.Recreate = Every
		}, seen: []container.Instance{one}, plan: "#1 web/1: recreate (asked for)"},
		"image must be built": {want: func(w *Want) {
			w.Image, w.First = nil, []Step{{Service: "web", Op: Build, Reason: "no image"}}
		}, plan: "#1 web: build (no image)\n#2 web/1: create (no container)"},
		"built again": {want: func(w *Want) {
			w.First = []Step{{Service: "web", Op: Build, Reason: "web/main.go saved"}}
		}, seen: []container.Instance{one},
			plan: "#1 web: build (web/main.go saved)\n#2 web/1: recreate (image was built again)"},
		"image must be pulled": {want: func(w *Want) {
			w.Image, w.First = nil, []Step{{Service: "web", Op: Pull, Reason: "missing"}}
		}, plan: "#1 web: pull (missing)\n#2 web/1: create (no container)"},
		"overlaps": {want: func(w *Want) {
			w.Overlap = true
		}, seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Hash = "h0"
		})}, plan: "#1 web/1: overlap (configuration changed)"},
		"none to overlap": {want: func(w *Want) {
			w.Overlap = true
		}, seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Hash, i.State = "h0", container.StateExited
		})}, plan: "#1 web/1: recreate (configuration changed)"},
		"paused": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State = container.StatePaused
		})}, plan: "#1 web/1: unpause (paused)"},
		"crashed": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State, i.ExitCode = container.StateExited, 2
		})}, plan: "#1 web/1: start (exited 2)"},
		"stopped with 0": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State = container.StateExited
		})}, plan: "#1 web/1: start (exited 0)"},
		"completed by itself": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State = container.StateExited
		})}, done: map[string]bool{"cweb": true}, plan: "#1 web/1: keep (completed)"},
		"one-shot, done": {want: func(w *Want) {
			w.OneShot = true
		}, seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State = container.StateExited
		})}, plan: "#1 web/1: keep (completed)"},
		"one-shot, changed": {want: func(w *Want) {
			w.OneShot = true
		}, seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State, i.Hash = container.StateExited, "h0"
		})}, plan: "#1 web/1: recreate (configuration changed)"},
		"restarts always": {want: func(w *Want) {
			w.Restarts = true
		}, seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State = container.StateExited
		})}, done: map[string]bool{"cweb": true}, plan: "#1 web/1: start (exited 0)"},
		"one replica too many": {seen: []container.Instance{one, running("web", 2)},
			plan: "#1 web/1: keep (running)\n#2 web/2: remove (1 wanted)"},
		"scaled to nothing": {want: func(w *Want) {
			w.Replicas = 0
		}, seen: []container.Instance{one}, plan: "#1 web/1: remove (0 wanted)"},
		"two for one number": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.ID, i.Created = "old", time.Unix(1, 0)
		}), one}, plan: "#1 web/1: keep (running)\n#2 web/1: remove (second container for this number)"},
		"newest that fits": {seen: []container.Instance{one, with(one, func(i *container.Instance) {
			i.ID, i.Hash, i.Created = "new", "h2", time.Unix(99, 0)
		})},
			plan: "#1 web/1: keep (running)\n#2 web/1: remove (second container for this number)"},
		"none of two fits": {seen: []container.Instance{with(one, func(i *container.Instance) {
			i.Hash = "h0"
		}), with(one, func(i *container.Instance) { i.ID, i.Hash, i.Created = "new", "h2", time.Unix(99, 0) })},
			plan: "#1 web/1: recreate (configuration changed)\n#2 web/1: remove (second container for this number)"},
		"network made again": {want: func(w *Want) {
			w.Networks = map[string]string{"shop_default": "n2"}
		}, seen: []container.Instance{with(one, func(i *container.Instance) {
			i.State, i.ExitCode = container.StateExited, 1
		})},
			plan: "#1 web/1: recreate (network shop_default was made again)"},
		"never started": {want: func(w *Want) { w.Networks = map[string]string{"shop_default": "n2"} },
			seen: []container.Instance{with(one, func(i *container.Instance) {
				i.State, i.Networks = container.StateCreated, map[string]string{"shop_default": ""}
			})}, plan: "#1 web/1: start (created)"},
		"scaled up": {want: func(w *Want) {
			w.Replicas = 3
		}, seen: []container.Instance{one},
			plan: "#1 web/1: keep (running)\n#2 web/2: create (no container)\n#3 web/3: create (no container)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := wanted()
			if tt.want != nil {
				tt.want(&w)
			}
			got := strings.TrimSuffix(Decide(w, Seen{Instances: tt.seen, Completed: tt.done}).String(), "\n")
			if got != tt.plan {
				t.Errorf("plan:\n%s\nwant:\n%s", got, tt.plan)
			}
		})
	}
}

// What is there stays, whatever its number: docker compose counts on, and nothing is replaced for that.
func TestNumbersOfWhatIsThereStay(t *testing.T) {
	at := func(n int, hash string) container.Instance {
		return with(running("web", n), func(i *container.Instance) { i.ID, i.Hash = i.ID+string(rune('0'+n)), hash })
	}
	for name, c := range map[string]struct {
		replicas int
		seen     []container.Instance
		plan     string
	}{
		"counted on":      {2, []container.Instance{at(2, "h1"), at(3, "h1")}, "#1 web/2: keep (running)\n#2 web/3: keep (running)\n"},
		"the only one":    {1, []container.Instance{at(2, "h1")}, "#1 web/2: keep (running)\n"},
		"one is missing":  {3, []container.Instance{at(2, "h1"), at(3, "h1")}, "#1 web/1: create (no container)\n#2 web/2: keep (running)\n#3 web/3: keep (running)\n"},
		"one too many":    {2, []container.Instance{at(1, "h1"), at(2, "h1"), at(4, "h1")}, "#1 web/1: keep (running)\n#2 web/2: keep (running)\n#3 web/4: remove (2 wanted)\n"},
		"the one that is": {1, []container.Instance{at(1, "h0"), at(4, "h1")}, "#1 web/4: keep (running)\n#2 web/1: remove (1 wanted)\n"},
		"none is":         {1, []container.Instance{at(3, "h0"), at(4, "h0")}, "#1 web/3: recreate (configuration changed)\n#2 web/4: remove (1 wanted)\n"},
	} {
		w := wanted()
		w.Replicas = c.replicas
		if got := Decide(w, Seen{Instances: c.seen}).String(); got != c.plan {
			t.Errorf("%s: plan:\n%swant:\n%s", name, got, c.plan)
		}
	}
}
