package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bulkhead/engine/docker"
)

// changed are services of one project before and after somebody edited its files, each in one way. What docker
// compose replaces, bulkhead has to replace too, and the other way round: else the two recreate each other's
// containers for ever.
var changed = []struct{ service, before, after string }{
	{"same", "environment: {A: '1'}", "environment: {A: '1'}"},
	{"environment", "environment: {A: '1'}", "environment: {A: '2'}"},
	{"envfile", "env_file: [e.env]", "env_file: [e.env]"},
	{"label", "labels: {a: '1'}", "labels: {a: '2'}"},
	{"healthcheck", "healthcheck: {test: ['CMD', 'true']}", "healthcheck: {test: ['CMD', 'false']}"},
	{"command", "", "command: [sleep, '5']"},
	{"ports", "ports: ['127.0.0.1::80']", "ports: ['127.0.0.1::81']"},
	{"restart", "restart: 'no'", "restart: always"},
	{"grace", "stop_grace_period: 1s", "stop_grace_period: 2s"},
	{"develop", "develop: {watch: [{path: a, action: rebuild}]}",
		"develop: {watch: [{path: b, action: rebuild}]}"},
	{"depends", "", "depends_on: [same]"},
	{"buildargs", "build: {context: ., args: {A: '1'}}", "build: {context: ., args: {A: '2'}}"},
	{"pullpolicy", "", "pull_policy: missing"},
	{"profile", "", "profiles: [any]"},
	{"extension", "x-any: 1", "x-any: 2"},
	{"scale", "scale: 1", "deploy: {replicas: 1}"},
	{"network", "networks: [default]", "networks: [default, more]"},
	{"redefined", "networks: [redefined]", "networks: [redefined]"},
	{"volume", "", "volumes: ['data:/data']"},
	{"anonymous", "", "volumes: [/data]"},
	{"secretfile", "secrets: [file]", "secrets: [file]"},
	{"secretenv", "secrets: [env]", "secrets: [env]"},
	{"inline", "configs: [inline]", "configs: [inline]"},
	{"configfile", "configs: [file]", "configs: [file]"},
	{"joined", "network_mode: 'service:environment'", "network_mode: 'service:environment'"},
	{"ipc", "ipc: 'service:environment'", "ipc: 'service:environment'"},
	{"volumesfrom", "volumes_from: [environment]", "volumes_from: [environment]"},
	{"stays", "network_mode: 'service:same'", "network_mode: 'service:same'"},
	{"socket", "use_api_socket: true", "use_api_socket: true"},
	{"limits", "deploy: {resources: {limits: {memory: 64M}}}", "deploy: {resources: {limits: {memory: 65M}}}"},
}

// counts are the services whose contents count for bulkhead, and that docker compose goes by in no way.
var counts = []string{"configfile", "inline", "secretenv", "secretfile"}

// changedProject is the Compose file and what it names, at one of the two times.
func changedProject(after bool) map[string]string {
	time, text := "1", "services:\n"
	if after {
		time = "2"
	}
	for _, c := range changed {
		own := c.before
		if after {
			own = c.after
		}
		text += "  " + c.service + ":\n    image: interop-box\n"
		for line := range strings.Lines(own) {
			text += "    " + line
		}
		text += "\n"
	}
	text += `networks:
  more: {}
  redefined: {labels: {a: "` + time + `"}}
volumes: {data: {}}
secrets: {file: {file: ./secret}, env: {environment: SECRET}}
configs: {inline: {content: "` + time + `"}, file: {file: ./config}}
`
	return map[string]string{"compose.yaml": text, "e.env": "A=" + time + "\n", "secret": time, "config": time,
		".env": "SECRET=" + time + "\n", "Dockerfile": "FROM interop-box\nARG A\n"}
}

// replaces lists what one tool replaces after another one made the containers.
func replaces(t *testing.T, first, second string) []string {
	dir := t.TempDir()
	project := "interop-" + strings.ToLower(filepath.Base(first)[:2]+filepath.Base(second)[:2]) +
		"-" + strconv.Itoa(os.Getpid())
	t.Cleanup(func() { sweep(t, project) })
	rt, err := docker.New(docker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	ids := func() map[string]string {
		all, err := rt.Instances(t.Context(), project)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, in := range all {
			out[in.Service] = in.ID
		}
		return out
	}
	step := func(tool string, after bool) map[string]string {
		for name, text := range changedProject(after) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c := exec.Command(tool, "-p", project, "--profile", "any", "create", "--no-build", "-y")
		if strings.HasSuffix(tool, "bulkhead") {
			c.Args = slices.DeleteFunc(c.Args, func(a string) bool { return a == "-y" })
		}
		c.Dir, c.Env = dir, append(os.Environ(), "DOCKER_CONFIG="+t.TempDir())
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
		}
		return ids()
	}
	before := step(first, false)
	now := step(second, true)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if now[name] != before[name] {
			out = append(out, name)
		}
	}
	if len(before) != len(changed) || len(now) != len(changed) {
		t.Errorf("%d containers were made and %d are there, of %d services", len(before), len(now),
			len(changed))
	}
	return out
}

func TestBothToolsReplaceTheSameContainers(t *testing.T) {
	t.Parallel()
	needEngine(t)
	compose := dockerCompose()
	if compose == "" {
		t.Skip("no docker compose 5.7 on this machine; .ci/compose builds it")
	}
	interopImage(t)
	bulkhead, err := exec.LookPath("bulkhead")
	if err != nil {
		t.Fatal(err)
	}
	want := replaces(t, compose, compose)
	if len(want) < 10 || slices.Contains(want, "same") {
		t.Fatalf("docker compose replaces %v", want)
	}
	t.Logf("docker compose replaces %v", want)
	for _, p := range [][2]string{{bulkhead, compose}, {compose, bulkhead}, {bulkhead, bulkhead}} {
		want := slices.Clone(want)
		if p == [2]string{bulkhead, bulkhead} { // of what docker compose made it knows no contents
			want = append(want, counts...)
			slices.Sort(want)
			want = slices.Compact(want)
		}
		if got := replaces(t, p[0], p[1]); !slices.Equal(got, want) {
			t.Errorf("%s and then %s: replaced\n%v\nwant\n%v", filepath.Base(p[0]),
				filepath.Base(p[1]), got, want)
		}
	}
}

// interopImage makes the image that the services run.
func interopImage(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile(busybox(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"busybox":      string(program),
		"Dockerfile":   "FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT [\"/bin/busybox\"]\nCMD [\"sleep\", \"1000\"]\n",
		"compose.yaml": "services: {box: {image: interop-box, build: .}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	project := "interop-box-" + strconv.Itoa(os.Getpid())
	t.Cleanup(func() {
		c := exec.Command("bulkhead", "-p", project, "down", "--rmi", "all")
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
		}
	})
	c := exec.Command("bulkhead", "-p", project, "build")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
}
