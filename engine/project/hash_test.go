package project

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files `hashes` in testdata/hash hold what docker compose 5.6.0 prints for
// `config --hash '*'` with the environment and options below, so that this test needs no docker.
func TestHashEqualsDockerCompose(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	for name, o := range map[string]Options{
		"attributes": {Dir: "/srv/app", Profiles: []string{"*"}, Env: []string{"HOME_DIR=/home/u",
			"FROM_ENV=e", "PASS=secret"}},
		"sources":  {Env: []string{}},
		"platform": {Env: []string{"DOCKER_DEFAULT_PLATFORM=linux/amd64"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", "hash", name)
			want, err := os.ReadFile(filepath.Join(dir, "hashes"))
			if err != nil {
				t.Fatal(err)
			}
			if name == "sources" {
				t.Chdir(dir) // files are found, an override among them
			} else {
				o.Files = []string{filepath.Join(dir, "compose.yaml")}
			}
			p, err := Load(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, s := range p.Services {
				fmt.Fprintf(&got, "%s %s\n", s.Name, s.Hash)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%swant\n%s", got.String(), want)
			}
		})
	}
}

// The hashes are the config-hash labels that docker compose 5.6.0 put on what it made of this file.
func TestNetworkAndVolumeHashesEqualDockerCompose(t *testing.T) {
	write(t, `
-- compose.yaml --
name: projpkg-nethash
services:
  a: {image: projpkg-scratch:1, command: [x], networks: [front, back], volumes: ["data:/d", "plain:/p"]}
networks:
  front: {internal: true, driver_opts: {com.docker.network.bridge.name: projpkg0}, labels: {a: b}}
  back: {}
volumes:
  data: {labels: {c: d}, driver_opts: {type: tmpfs, device: tmpfs, o: size=10m}}
  plain:
`)
	p := load(t, Options{})
	for name, want := range map[string]string{
		"front": "a07f3899411a1163d343eb78ada1e0ef4de1dff4f4444c352a415293cc057eca",
		"back":  "30fa6ff4573258317e6756ecbacfdcd379dddcad4840a114e569468d4e351dbc",
	} {
		if got, err := NetworkHash(p.Networks[name]); err != nil || got != want {
			t.Errorf("network %s: %s, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{
		"data":  "91d6da132a6b42f80d78452b69f34965baeb8950b6631e4f065463027cec1516",
		"plain": "a9ea319f8235244765f1f0c121d731eff6a1b7fcbc7e0b790a2e17a7c41bdea2",
	} {
		if got, err := VolumeHash(p.Volumes[name]); err != nil || got != want {
			t.Errorf("volume %s: %s, %v", name, got, err)
		}
	}
	if got := p.Service("a").Hash; got != "ec280db21b048b67b454d3db4ea11b696649f93e07d85853e8ca5d39aed09818" {
		t.Errorf("service: %s", got)
	}
}
