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
		"attributes": {Dir: "/srv/app", Profiles: []string{"*"}, Env: []string{"HOME_DIR=/home/u", "FROM_ENV=e", "PASS=secret"}},
		"sources":    {Env: []string{}},
		"platform":   {Env: []string{"DOCKER_DEFAULT_PLATFORM=linux/amd64"}},
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
