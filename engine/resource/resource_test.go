package resource_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/project"
	"bulkhead/engine/resource"
)

// shop is a project of a network and a volume, with a service that uses both.
func shop(driver string) (*project.Project, *project.Service) {
	s := &project.Service{Name: "web"}
	s.Config.Networks = map[string]*types.ServiceNetworkConfig{"front": nil}
	s.Config.Volumes = []types.ServiceVolumeConfig{{Type: "volume", Source: "data", Target: "/data"}}
	return &project.Project{Name: "shop", Services: []*project.Service{s},
		Networks: types.Networks{"front": {Name: "shop_front", Driver: driver}},
		Volumes:  types.Volumes{"data": {Name: "shop_data"}}}, s
}

// created is a store on a runtime in memory, and what it made.
func created(t *testing.T) (*resource.Store, *memory.Runtime, func() []string) {
	rt := memory.New()
	t.Cleanup(func() { rt.Close() })
	var mu sync.Mutex
	var made []string
	s := resource.New(container.Completed(rt), func(what string) { mu.Lock(); defer mu.Unlock(); made = append(made, what) },
		func(_, _, _ string) {})
	return s, rt, func() []string {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(made)
		return made
	}
}

func TestWhatThePlanNamesIsMadeOnce(t *testing.T) {
	s, _, made := created(t)
	p, web := shop("")
	steps, err := s.Plan(t.Context(), p, web)
	if want := "#1 network front: create (not there)\n#2 volume data: create (not there)\n"; err != nil || steps.String() != want {
		t.Errorf("plan:\n%swant:\n%s%v", steps, want, err)
	}
	if got := made(); len(got) > 0 {
		t.Errorf("a plan made %v", got)
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			ids, err := s.Provide(t.Context(), p, web, true)
			if err != nil || ids["shop_front"] == "" {
				t.Errorf("networks %v, %v", ids, err)
			}
		})
	}
	wg.Wait()
	if got := made(); !slices.Equal(got, []string{"network front created", "volume data created"}) {
		t.Errorf("made %q", got)
	}
	if steps, err := s.Plan(t.Context(), p, web); err != nil || len(steps) > 0 {
		t.Errorf("a second plan:\n%s%v", steps, err)
	}
}

func TestNetworkOfAnotherConfigurationIsMadeAgain(t *testing.T) {
	s, _, _ := created(t)
	p, web := shop("")
	before, err := s.Provide(t.Context(), p, web, true)
	if err != nil {
		t.Fatal(err)
	}
	p, web = shop("overlay")
	s.Forget()
	steps, err := s.Plan(t.Context(), p, web)
	if want := "#1 network front: recreate (configuration changed)\n"; err != nil || steps.String() != want {
		t.Errorf("plan:\n%swant:\n%s%v", steps, want, err)
	}
	if after, err := s.Provide(t.Context(), p, web, true); err != nil ||
		after["shop_front"] == before["shop_front"] {
		t.Errorf("network %v was %v, %v", after, before, err)
	}
}

func TestNetworkThatIsGoneIsFoundMissingOnlyWhenLookedForAgain(t *testing.T) {
	s, rt, made := created(t)
	p, web := shop("")
	for _, cached := range []bool{false, true, false} {
		if _, err := s.Provide(t.Context(), p, web, cached); err != nil {
			t.Fatal(err)
		}
		rt.RemoveNetwork("shop_front")
	}
	if got := made(); !slices.Equal(got, []string{"network front created", "network front created",
		"volume data created"}) {
		t.Errorf("made %q", got)
	}
}

func TestMissingExternalNetworkIsAnErrorEachTime(t *testing.T) {
	s, rt, _ := created(t)
	p, web := shop("")
	front := p.Networks["front"]
	front.External = true
	p.Networks["front"] = front
	for range 2 {
		if _, err := s.Provide(context.Background(), p, web, true); !errors.Is(err, container.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	}
	rt.AddNetwork("shop_front")
	if _, err := s.Provide(context.Background(), p, web, true); err != nil {
		t.Errorf("once it is there: %v", err)
	}
}
