package docker

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

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
	p, err := project.Load(context.Background(), project.Options{Files: []string{file}, Env: []string{"HOME=/home/me"}})
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
	if _, err := hostConfig(spec); err == nil || !strings.Contains(err.Error(), "service db has no container yet") {
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
		opt, err := networkOptions(container.NetworkSpec{Project: p.Name, Key: key, Config: n, Hash: "the-hash"})
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
		{Type: mount.TypeVolume, Name: "old-data", Destination: "/data", RW: true},      // declared by name: not taken over
		{Type: mount.TypeVolume, Name: "ccc", Destination: "/undeclared", RW: true},     // neither image nor service has it
		{Type: mount.TypeTmpfs, Destination: "/scratch", RW: true},                      // has no content to keep
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
