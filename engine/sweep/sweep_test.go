package sweep_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/sweep"
)

// scene is a project "shop" of the service web on a runtime in memory.
type scene struct {
	*testing.T
	rt *memory.Runtime
	st *state.State
	sw sweep.Sweeper
}

func open(t *testing.T) *scene {
	rt := memory.New()
	t.Cleanup(func() { rt.Close() })
	rt.Put("app", memory.Image{Command: []string{"loop"}})
	p := &project.Project{Name: "shop", Services: []*project.Service{{Name: "web", Image: "app"}}}
	st := state.New(p, state.Options{Logs: logs.New(logs.Options{})})
	return &scene{T: t, rt: rt, st: st,
		sw: sweep.Sweeper{Project: "shop", Runtime: container.Completed(rt), State: st}}
}

// start runs a container of a service.
func (s *scene) start(service string) string {
	s.Helper()
	img, err := s.rt.Image(s.Context(), "app", "")
	s.ok(err)
	of := &container.Service{Name: service, Image: "app"}
	of.Config.Name, of.Config.NetworkMode = service, "none"
	spec := container.CreateSpec{App: &container.App{Name: "shop"}, Service: of, Replica: 1, Image: img}
	id, err := s.rt.Create(s.Context(), spec)
	s.ok(err)
	s.ok(s.rt.Start(s.Context(), spec, id))
	return id
}

func (s *scene) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// notices are the texts that were recorded.
func (s *scene) notices() string {
	var all []string
	for _, r := range s.st.Snapshot().Records {
		all = append(all, r.Text)
	}
	return strings.Join(all, "\n")
}

func TestStrangersAreNamedAndLeftAlone(t *testing.T) {
	s := open(t)
	s.start("web")
	s.start("gone")
	s.ok(s.sw.Strays(t.Context(), command.Command{Verb: command.Down}))
	all, err := s.rt.Instances(t.Context(), "shop")
	s.ok(err)
	if len(all) != 2 {
		t.Errorf("%d containers are left, want both", len(all))
	}
	if got := s.notices(); !strings.Contains(got, "shop-gone-1: left alone") ||
		strings.Contains(got, "shop-web-1") {
		t.Errorf("notices:\n%s", got)
	}
}

func TestKillReachesOnlyWhatTheFileDoesNotName(t *testing.T) {
	s := open(t)
	kept, stray := s.start("web"), s.start("gone")
	s.ok(s.sw.Kill(t.Context(), command.Command{Orphans: true, Services: []string{"web"}}))
	for id, want := range map[string]bool{kept: true, stray: false} {
		runs := func() bool {
			in, err := s.rt.Inspect(t.Context(), id)
			s.ok(err)
			return in.State == container.StateRunning
		}
		for end := time.Now().Add(time.Minute); !want && runs() && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // the end of a process is seen a little later
		}
		if runs() != want {
			t.Errorf("%s runs: %v, want %v", id, !want, want)
		}
	}
}

func TestVolumesGoOnlyWhenAskedFor(t *testing.T) {
	s := open(t)
	_, _, err := s.rt.EnsureNetwork(t.Context(), container.NetworkSpec{Project: "shop", Key: "front",
		Config: types.NetworkConfig{Name: "shop_front"}, Hash: "one"})
	s.ok(err)
	_, err = s.rt.EnsureVolume(t.Context(), container.VolumeSpec{Project: "shop", Key: "data",
		Config: types.VolumeConfig{Name: "shop_data"}, Hash: "one"})
	s.ok(err)
	s.ok(s.sw.Rest(t.Context(), command.Command{Verb: command.Down}))
	if got := s.notices(); got != "network shop_front removed" {
		t.Errorf("a plain down:\n%s", got)
	}
	s.ok(s.sw.Rest(t.Context(), command.Command{Verb: command.Down, Volumes: true}))
	if got := strings.Split(s.notices(), "\n"); !slices.Contains(got, "volume shop_data removed") {
		t.Errorf("with volumes:\n%s", got)
	}
}
