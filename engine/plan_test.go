package engine

import (
	"strings"
	"testing"
	"time"
)

// container is a running container that is exactly as wanted; tests change what they are about.
func containerOf(service string, n int) Instance {
	return Instance{
		Identity: Identity{ID: "c" + service, Started: time.Unix(100, 0)}, Service: service, Replica: n, State: StateRunning,
		Hash: "h1", Digest: "sha256:1", Networks: map[string]string{"shop_default": "n1"}, Volumes: []string{"shop_data"}, Created: time.Unix(90, 0),
	}
}

func wanted() want {
	return want{name: "web", replicas: 1, hash: "h1", image: &Image{ID: "sha256:1", Digest: "sha256:1"}, networks: map[string]string{"shop_default": "n1"}, volumes: []string{"shop_data"}}
}

func with(in Instance, f func(*Instance)) Instance {
	f(&in)
	return in
}

func TestPlanSaysWhatAndWhy(t *testing.T) {
	one := containerOf("web", 1)
	tests := map[string]struct {
		want func(*want)
		seen []Instance
		done map[string]bool
		plan string
	}{
		"nothing there":        {seen: nil, plan: "#1 web/1: create (no container)"},
		"as wanted":            {seen: []Instance{one}, plan: "#1 web/1: keep (running)"},
		"other configuration":  {seen: []Instance{with(one, func(i *Instance) { i.Hash = "h0" })}, plan: "#1 web/1: recreate (configuration changed)"},
		"other image":          {seen: []Instance{with(one, func(i *Instance) { i.Digest = "sha256:0" })}, plan: "#1 web/1: recreate (image changed)"},
		"other content":        {want: func(w *want) { w.content = "x" }, seen: []Instance{with(one, func(i *Instance) { i.Content = "y" })}, plan: "#1 web/1: recreate (content of a config or secret changed)"},
		"network missing":      {seen: []Instance{with(one, func(i *Instance) { i.Networks = nil })}, plan: "#1 web/1: recreate (not attached to network shop_default)"},
		"network, not running": {seen: []Instance{with(one, func(i *Instance) { i.Networks, i.State, i.ExitCode = nil, StateExited, 1 })}, plan: "#1 web/1: start (exited 1)"},
		"volume missing":       {seen: []Instance{with(one, func(i *Instance) { i.Volumes = nil })}, plan: "#1 web/1: recreate (volume shop_data is not mounted)"},
		"asked for":            {want: func(w *want) { w.recreate = true }, seen: []Instance{one}, plan: "#1 web/1: recreate (asked for)"},
		"image must be built":  {want: func(w *want) { w.image, w.build = nil, "no image" }, plan: "#1 web: build (no image)\n#2 web/1: create (no container)"},
		"built anew":           {want: func(w *want) { w.build = "web/main.go saved" }, seen: []Instance{one}, plan: "#1 web: build (web/main.go saved)\n#2 web/1: recreate (image is built anew)"},
		"image must be pulled": {want: func(w *want) { w.image, w.pull = nil, "missing" }, plan: "#1 web: pull (missing)\n#2 web/1: create (no container)"},
		"paused":               {seen: []Instance{with(one, func(i *Instance) { i.State = StatePaused })}, plan: "#1 web/1: unpause (paused)"},
		"crashed":              {seen: []Instance{with(one, func(i *Instance) { i.State, i.ExitCode = StateExited, 2 })}, plan: "#1 web/1: start (exited 2)"},
		"stopped with 0":       {seen: []Instance{with(one, func(i *Instance) { i.State = StateExited })}, plan: "#1 web/1: start (exited 0)"},
		"completed by itself":  {seen: []Instance{with(one, func(i *Instance) { i.State = StateExited })}, done: map[string]bool{"cweb": true}, plan: "#1 web/1: keep (completed)"},
		"one-shot, done":       {want: func(w *want) { w.oneShot = true }, seen: []Instance{with(one, func(i *Instance) { i.State = StateExited })}, plan: "#1 web/1: keep (completed)"},
		"one-shot, changed":    {want: func(w *want) { w.oneShot = true }, seen: []Instance{with(one, func(i *Instance) { i.State, i.Hash = StateExited, "h0" })}, plan: "#1 web/1: recreate (configuration changed)"},
		"restarts always":      {want: func(w *want) { w.restarts = true }, seen: []Instance{with(one, func(i *Instance) { i.State = StateExited })}, done: map[string]bool{"cweb": true}, plan: "#1 web/1: start (exited 0)"},
		"one replica too many": {seen: []Instance{one, containerOf("web", 2)}, plan: "#1 web/1: keep (running)\n#2 web/2: remove (1 wanted)"},
		"scaled to nothing":    {want: func(w *want) { w.replicas = 0 }, seen: []Instance{one}, plan: "#1 web/1: remove (0 wanted)"},
		"two for one number":   {seen: []Instance{with(one, func(i *Instance) { i.ID, i.Created = "old", time.Unix(1, 0) }), one}, plan: "#1 web/1: keep (running)\n#2 web/1: remove (second container for this number)"},
		"newest that fits": {seen: []Instance{one, with(one, func(i *Instance) { i.ID, i.Hash, i.Created = "new", "h2", time.Unix(99, 0) })},
			plan: "#1 web/1: keep (running)\n#2 web/1: remove (second container for this number)"},
		"none of two fits": {seen: []Instance{with(one, func(i *Instance) { i.Hash = "h0" }), with(one, func(i *Instance) { i.ID, i.Hash, i.Created = "new", "h2", time.Unix(99, 0) })},
			plan: "#1 web/1: recreate (configuration changed)\n#2 web/1: remove (second container for this number)"},
		"network made again": {want: func(w *want) { w.networks = map[string]string{"shop_default": "n2"} }, seen: []Instance{with(one, func(i *Instance) { i.State, i.ExitCode = StateExited, 1 })},
			plan: "#1 web/1: recreate (network shop_default was made again)"},
		"never started": {want: func(w *want) { w.networks = map[string]string{"shop_default": "n2"} },
			seen: []Instance{with(one, func(i *Instance) { i.State, i.Networks = StateCreated, map[string]string{"shop_default": ""} })}, plan: "#1 web/1: start (created)"},
		"scaled up": {want: func(w *want) { w.replicas = 3 }, seen: []Instance{one}, plan: "#1 web/1: keep (running)\n#2 web/2: create (no container)\n#3 web/3: create (no container)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := wanted()
			if tt.want != nil {
				tt.want(&w)
			}
			got := strings.TrimSuffix(decide(w, seenService{instances: tt.seen, completed: tt.done}).String(), "\n")
			if got != tt.plan {
				t.Errorf("plan:\n%s\nwant:\n%s", got, tt.plan)
			}
		})
	}
}

func TestSlowStageIsMarkedAgainstItsMedian(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	var all []*Change
	for range 3 {
		all = append(all, &Change{Action: "sync", Stages: []Stage{{"copy", ms(100)}, {"detect", ms(40)}}})
	}
	now := &Change{Action: "sync", Stages: []Stage{{"copy", ms(160)}, {"detect", ms(55)}}}
	if got := strings.Join(slow(append(all, now), now), " "); got != "copy" {
		t.Errorf("slow stages: %q, want copy alone (detect is within the noise)", got)
	}
	now.Action = "rebuild"
	if got := slow(append(all, now), now); len(got) != 0 {
		t.Errorf("slow stages of an action without history: %q", got)
	}
}

func TestVerdictCountsTheUntouched(t *testing.T) {
	l := Ledger{Service: "orders", Fault: "SIGKILL", Rows: []LedgerRow{
		{Service: "cart", Replica: 1, Outcome: Untouched}, {Service: "gateway", Replica: 1, Outcome: Errors}, {Service: "web", Replica: 2, Outcome: Died},
	}}
	want := "orders: SIGKILL; gateway errors, web/2 died; 1 untouched (same container id, start time, restart count)"
	if got := l.Verdict(); got != want {
		t.Errorf("verdict %q\nwant    %q", got, want)
	}
}

func TestSignalThatEndsKeepsTheRestartPolicyIdle(t *testing.T) {
	s := &service{conf: testService(func(c *composeService) {})}
	for signal, want := range map[string]bool{"SIGKILL": true, "kill": true, "9": true, "SIGTERM": true, "15": true, "SIGSEGV": false, "HUP": false} {
		if got := ends(signal, s); got != want {
			t.Errorf("ends(%s) = %v, want %v", signal, got, want)
		}
	}
	s = &service{conf: testService(func(c *composeService) { c.StopSignal = "SIGQUIT" })}
	if ends("SIGTERM", s) || !ends("QUIT", s) {
		t.Error("with stop_signal SIGQUIT that signal ends, and SIGTERM does not")
	}
}
