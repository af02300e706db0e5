package docker

import (
	"context"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func loadFile(t *testing.T, name string) *project.Project {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(context.Background(), project.Options{Files: []string{file},
		Env: []string{"HOME=/home/me"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden compares with testdata/name.json, in which the project's folder is $DIR.
func golden(t *testing.T, name, dir string, got any) {
	t.Helper()
	b, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), dir, "$DIR") + "\n"
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs; run with -update and look at the difference:\n%s", file, text)
	}
}

func specOf(p *project.Project, s *project.Service) container.CreateSpec {
	return container.CreateSpec{
		App: engine.App(p), Service: engine.Wanted(s), Replica: 2,
		Image:   container.Image{Digest: "sha256:abc", Volumes: []string{"/declared", "/data"}},
		Parents: map[string]string{"db": "0123456789ab"},
	}
}

func TestContainerConfigMapsEveryAttribute(t *testing.T) {
	p := loadFile(t, "container.yaml")
	proxy := "http://proxy"
	got := map[string]any{}
	for _, s := range p.Services {
		spec := specOf(p, s)
		if s.Name == "full" {
			spec.Inherit, spec.Content = "old", "content-hash"
		}
		c, err := containerConfig(spec, "the-hash", map[string]*string{"HTTP_PROXY": &proxy, "A": &proxy})
		if err != nil {
			t.Fatal(err)
		}
		got[s.Name] = c
	}
	golden(t, "container", p.Dir, got)
}

func TestHostConfigMapsEveryAttribute(t *testing.T) {
	p := loadFile(t, "host.yaml")
	got := map[string]any{}
	for _, s := range p.Services {
		h, err := hostConfig(specOf(p, s))
		if err != nil {
			t.Fatal(err)
		}
		got[s.Name] = h
	}
	golden(t, "host", p.Dir, got)

	spec := specOf(p, p.Service("full"))
	spec.Parents = nil
	if _, err := hostConfig(spec); err == nil || !strings.Contains(err.Error(),
		"service db has no container yet") {
		t.Errorf("without the parent's container: %v", err)
	}
}

func TestPortsMapToBindings(t *testing.T) {
	p := loadFile(t, "container.yaml")
	m, err := portBindings(p.Service("full").Config.Ports)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "ports", p.Dir, m)
}

func TestNetworksMapByPriorityAndAPI(t *testing.T) {
	p := loadFile(t, "network.yaml")
	names := map[string][]string{"other": {"map-other-1", "map-other-2"}}
	type mapped struct {
		Mode     moby.NetworkMode
		Primary  any
		Later    []any
		Warnings []string
		Error    string `json:",omitempty"`
	}
	got := map[string]any{}
	for _, s := range p.Services {
		for _, api := range []apiVersion{41, 49} {
			m := mapped{}
			var err error
			if m.Warnings, err = limits(engine.Wanted(s), api); err != nil {
				m.Error = err.Error()
			}
			j, err := endpoints(specOf(p, s), linkNames(engine.App(p), s.Config, 2, names), api)
			if err != nil {
				t.Fatal(err)
			}
			m.Mode, m.Primary = j.mode, j.primary
			for _, l := range j.later {
				m.Later = append(m.Later, map[string]any{l.network: l.config})
			}
			got[s.Name+" "+api.String()] = m
		}
	}
	for key, n := range p.Networks {
		opt, err := networkOptions(container.NetworkSpec{Project: p.Name, Key: key, Config: n,
			Hash: "the-hash"})
		if err != nil {
			t.Fatal(err)
		}
		got["network "+key] = opt
	}
	golden(t, "network", p.Dir, got)
}

func TestMountsMapToBindsWhereTheyCan(t *testing.T) {
	p := loadFile(t, "mount.yaml")
	inherit := []moby.MountPoint{
		{Type: mount.TypeVolume, Name: "aaa", Destination: "/followed", RW: true},
		{Type: mount.TypeVolume, Name: "bbb", Destination: "/declared"},
		// declared by name: not taken over
		{Type: mount.TypeVolume, Name: "old-data", Destination: "/data", RW: true},
		// neither image nor service has it
		{Type: mount.TypeVolume, Name: "ccc", Destination: "/undeclared", RW: true},
		// has no content to keep
		{Type: mount.TypeTmpfs, Destination: "/scratch", RW: true},
		{Type: mount.TypeBind, Source: "/abs/path", Destination: "/declared", RW: true}, // is no volume
	}
	binds, all, err := mounts(specOf(p, p.Service("full")), inherit)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "mount", p.Dir, map[string]any{"binds": binds, "mounts": all})
}

func TestSecretsOfSwarmAreRefusedAndReadOnlyIsSaid(t *testing.T) {
	b := &bench{T: t, ctx: context.Background()}
	for compose, want := range map[string]string{
		"services:\n  a: {image: a, secrets: [s]}\nsecrets: {s: {external: true}}\n":                                           "secret s is external, which needs swarm",
		"services:\n  a: {image: a, read_only: true, configs: [s]}\nconfigs: {s: {content: x}}\n":                              "config s cannot be copied into a service with read_only",
		"services:\n  a: {image: a, configs: [{source: s, uid: adam}]}\nconfigs: {s: {content: x}}\n":                          `config s: uid "adam" is not a number`,
		"services:\n  a: {image: a, healthcheck: {test: x, start_interval: 1s}}\n":                                             "start_interval has no effect without start_period",
		"services:\n  a: {image: a, networks: {n: {ipv4_address: x}}}\nnetworks: {n: }\n":                                      `ipv4_address "x" is not an IP address`,
		"services:\n  a: {image: a, umask: 0027}\n":                                                                            "umask needs Docker Engine 29.8 or later",
		"services:\n  a: {image: a, security_opt: [seccomp=./none.json]}\n":                                                    "none.json: no such file",
		"services:\n  a: {image: a, volumes: [{type: volume, source: v, target: /v, volume: {subpath: s}}]}\nvolumes: {v: }\n": "volumes.subpath needs Docker Engine 26 or later",
	} {
		b.load("map", compose)
		s := b.p.Service("a")
		spec := specOf(b.p, s)
		errs := make([]error, 6)
		_, errs[0] = limits(engine.Wanted(s), 41)
		_, errs[1] = containerConfig(spec, "", nil)
		_, errs[2] = hostConfig(spec)
		_, errs[3] = endpoints(spec, nil, 41)
		_, _, errs[4] = mounts(spec, nil)
		_, errs[5] = contents(engine.App(b.p), engine.Wanted(s), time.Time{}, nil)
		said := ""
		for _, err := range errs {
			if err != nil {
				said += err.Error() + "\n"
			}
		}
		if strings.Count(said, "\n") != 1 || !strings.Contains(said, want) {
			t.Errorf("%s says %q, want %q", compose, said, want)
		}
	}
}

// Which images a container mounts is in docker compose's label; an engine that is too old for it says so in one line.
func TestImageVolumesAreLabelledAndNeedAnEngineThatHasThem(t *testing.T) {
	s := &container.Service{Name: "web", VolumeImages: "/a=sha256:1,/b=sha256:2"}
	s.Config.Volumes = []types.ServiceVolumeConfig{{Type: types.VolumeTypeImage, Source: "data",
		Target: "/a", Image: &types.ServiceVolumeImage{SubPath: "sub"}}}
	spec := container.CreateSpec{App: &container.App{Name: "shop"}, Service: s, Replica: 1}
	labels := containerLabels(spec, "hash")
	if got := labels["com.docker.compose.image-volume-digest"]; got != s.VolumeImages {
		t.Errorf("label %q", got)
	}
	if in := instance(moby.InspectResponse{
		Config: &moby.Config{Labels: labels}}); in.VolumeImages != s.VolumeImages {
		t.Errorf("read as %q", in.VolumeImages)
	}
	_, all, err := mounts(spec, nil)
	if err != nil || len(all) != 1 || all[0].Type != mount.TypeImage || all[0].Source != "data" ||
		all[0].ImageOptions.Subpath != "sub" {
		t.Errorf("mounts %+v, %v", all, err)
	}
	if _, err := limits(s, 48); err != nil {
		t.Errorf("with API 1.48: %v", err)
	}
	if _, err := limits(s, 47); err == nil || !strings.Contains(err.Error(),
		"needs Docker Engine 28 or later") || strings.Contains(err.Error(), "\n") {
		t.Errorf("with API 1.47: %v", err)
	}
}

// An engine with IPv6 chooses a random port for each family.
func TestPortsOfBothFamiliesAreOne(t *testing.T) {
	at := func(addr, port string) network.PortBinding {
		b := network.PortBinding{HostPort: port}
		if addr != "" {
			b.HostIP = netip.MustParseAddr(addr)
		}
		return b
	}
	for _, c := range []struct {
		name     string
		bindings []network.PortBinding
		want     []container.Port
	}{
		{"the same on both", []network.PortBinding{at("0.0.0.0", "80"), at("::", "80")},
			[]container.Port{{Published: 80}}},
		{"chosen for each", []network.PortBinding{at("::", "32769"), at("0.0.0.0", "32768")},
			[]container.Port{{Published: 32768}}},
		{"IPv6 alone", []network.PortBinding{at("::", "80")}, []container.Port{{Published: 80}}},
		{"two addresses", []network.PortBinding{at("127.0.0.1", "80"), at("::1", "81")},
			[]container.Port{{Host: "127.0.0.1", Published: 80}, {Host: "::1", Published: 81}}},
		{"two published", []network.PortBinding{at("0.0.0.0", "80"), at("0.0.0.0", "81"),
			at("::", "80"), at("::", "81")}, []container.Port{{Published: 80}, {Published: 81}}},
		{"exposed only", []network.PortBinding{at("", "")}, nil},
	} {
		for i := range c.want {
			c.want[i].Target, c.want[i].Protocol = 53, "udp"
		}
		got := ports(network.PortMap{network.MustParsePort("53/udp"): c.bindings})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
