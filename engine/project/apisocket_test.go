package project

import (
	"strings"
	"testing"
)

// The hashes are those that docker compose 5.7 labels its containers with.
func TestSocketIsMountedAsDockerComposeDoes(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  plain: {image: busybox, command: [sleep, "1"]}
  socket: {image: busybox, use_api_socket: true, command: [sleep, "1"], environment: {A: "1"}}
  own: {image: busybox, use_api_socket: true, command: [sleep, "1"], environment: {DOCKER_CONFIG: /x}}
`)
	p := load(t, Options{})
	raw := map[string]string{}
	for _, s := range p.Services {
		raw[s.Name] = s.Hash
	}
	if !p.WantsSocket() {
		t.Fatal("nobody asks for the socket")
	}
	for config, want := range map[string]string{
		`{"auths": {}}`: "own e952a8df03d2cd512fc4fa5d62e906c2fca72866f46c1bf53ef807af393579bc plain - socket 0e5df1612816e17b2f67fe2b535035ce071f7ce628cb9dba726e0165797cc8a2",
		"":              "own e952a8df03d2cd512fc4fa5d62e906c2fca72866f46c1bf53ef807af393579bc plain - socket 9c6fdf3d0ec74197336807dfa8f9e6af30b05ff79ea96ee5d000cc51c57f2d16",
	} {
		p := load(t, Options{})
		if err := p.MountSocket(config); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range p.Services {
			hash := s.Hash
			if hash == raw[s.Name] {
				hash = "-"
			}
			got = append(got, s.Name, hash)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("with %q\n%s\nwant\n%s", config, strings.Join(got, " "), want)
		}
		for name, files := range map[string]int{"plain": 0, "own": 0, "socket": min(len(config), 1)} {
			if n := len(p.Service(name).Config.Configs); n != files {
				t.Errorf("%s has %d configs, want %d", name, n, files)
			}
		}
		if ContentHash(p, p.Service("socket")) != "" {
			t.Error("new credentials would replace the container")
		}
		if a := p.Service("socket").Config.Environment["A"]; a == nil || *a != "1" {
			t.Error("its own environment is lost")
		}
	}
}
