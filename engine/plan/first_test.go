package plan

import (
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

func TestFirstPlanFollowsWhatComesBefore(t *testing.T) {
	service := func(name, network string, deps ...string) *project.Service {
		s := &project.Service{Name: name, DependsOn: types.DependsOnConfig{}}
		for _, d := range deps {
			s.DependsOn[d] = types.ServiceDependency{Condition: "service_started", Required: true}
		}
		s.Config.NetworkMode = network
		return s
	}
	p := &project.Project{Services: []*project.Service{
		service("api", ""), service("joined", "service:api", "api"), service("runs", ""),
	}}
	network := DecideResource(ResourceSeen{Service: "api", Name: "network front"})
	volume := DecideResource(ResourceSeen{Service: "runs", Name: "volume data",
		Found: container.Found{There: true, Outdated: true}})
	outlook := func(name, maker string, first ...Step) Outlook {
		w := wanted()
		w.Name, w.First = name, first
		return Outlook{Want: w, Seen: Seen{Instances: []container.Instance{running(name, 1)}}, Maker: maker}
	}
	build := Step{Service: "api", Op: Build, Reason: "no image"}
	await := Step{Service: "runs", Op: Await, Reason: "api builds it"}
	by := map[string]Outlook{
		"api":    outlook("api", "", build, network),
		"joined": outlook("joined", ""),
		"runs":   outlook("runs", "api", await, network, volume),
	}
	orphan := container.Instance{Identity: container.Identity{ID: "o", Started: time.Unix(1, 0)},
		Service: "gone", Replica: 1}
	want := `#1 api: build (no image)
#2 network front: create (not there)
#3 api/1: recreate (image was built again)
#4 runs: await (api builds it)
#5 volume data: recreate (configuration changed)
#6 runs/1: recreate (api builds its image)
#7 joined/1: recreate (it joins api, which gets a new container)
#8 gone/1: remove (orphan)
`
	if got := First(p, by, Orphans(p, []container.Instance{orphan})).String(); got != want {
		t.Errorf("plan:\n%swant:\n%s", got, want)
	}
	by["api"] = outlook("api", "")
	want = `#1 api/1: keep (running)
#2 network front: create (not there)
#3 volume data: recreate (configuration changed)
#4 runs/1: keep (running)
#5 joined/1: keep (running)
`
	if got := First(p, by, nil).String(); got != want {
		t.Errorf("where nothing is built:\n%swant:\n%s", got, want)
	}
}

func TestSecondNetworkOfANameGoes(t *testing.T) {
	seen := ResourceSeen{Service: "api", Name: "network front", Found: container.Found{There: true, Doubled: true}}
	if got, want := (Plan{DecideResource(seen)}).String(),
		"#1 network front: remove (a second one has its name)\n"; got != want {
		t.Errorf("plan:\n%swant:\n%s", got, want)
	}
	seen.Found.Outdated = true
	if got := DecideResource(seen); got.Op != Recreate {
		t.Errorf("one that is outdated, too: %v", got)
	}
}
