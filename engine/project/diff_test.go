package project

import (
	"fmt"
	"strings"
	"testing"
)

func diffText(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s", c.Service, c.Kind)
		for _, r := range c.Reasons {
			fmt.Fprintf(&b, " | %s", r)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestDiffSaysWhatToDoAndWhy(t *testing.T) {
	const before = `
services:
  same: {image: x}
  env: {image: x, environment: {PORT: "8080", GONE: "1", EMPTY: ""}}
  args: {image: x, command: [serve, --port, "1"], healthcheck: {test: [CMD, a], interval: 5s}}
  image: {image: "x:1"}
  rules: {build: a, develop: {watch: [{path: a, action: rebuild}]}}
  deps: {image: x, depends_on: [same]}
  scaled: {image: x, deploy: {replicas: 2}}
  built: {build: {context: a, args: {V: "1"}}}
  net: {image: x, networks: [front]}
  vol: {image: x, volumes: ["data:/d"]}
  conf: {image: x, configs: [c], secrets: [s]}
  unbuilt: {build: a}
  removed: {image: x}
  many: {build: a, environment: {A: "1"}, scale: 1}
networks: {front: {}}
volumes: {data: {}}
configs: {c: {content: one}}
secrets: {s: {environment: S}}
`
	const after = `
services:
  same: {image: x, pull_policy: missing, profiles: []}
  env: {image: x, environment: {PORT: "8081", NEW: "2", EMPTY: full}}
  args: {image: x, command: [serve, --port, "2"], healthcheck: {test: [CMD, a], interval: 10s}}
  image: {image: "x:2"}
  rules: {build: a, develop: {watch: [{path: b, action: rebuild}]}, x-bulkhead: {watch: manual}}
  deps: {image: x, depends_on: [image]}
  scaled: {image: x, deploy: {replicas: 3}}
  built: {build: {context: a, args: {V: "2"}}}
  net: {image: x, networks: [front]}
  vol: {image: x, volumes: ["data:/e"]}
  conf: {image: x, configs: [c], secrets: [s]}
  unbuilt: {image: y}
  added: {image: x}
  many: {build: {context: a, target: dev}, environment: {A: "2"}, scale: 2}
networks: {front: {internal: true}}
volumes: {data: {}}
configs: {c: {content: two}}
secrets: {s: {environment: S}}
`
	dir := write(t, "-- a.yaml --\n"+before+"-- b.yaml --\n"+after)
	one := load(t, Options{Name: "p", Files: []string{"a.yaml"}, Env: []string{"S=hidden1"}})
	two := load(t, Options{Name: "p", Files: []string{"b.yaml"}, Env: []string{"S=hidden2"}})
	want := strings.ReplaceAll(`added added
args recreate | command: [serve --port 1] -> [serve --port 2] | healthcheck.interval: 5s -> 10s
built build | build.args.V: 1 -> 2
conf recreate | configs.c: changed | secrets.s: changed
deps rules | depends_on.image.condition: set to service_started | depends_on.image.required: set to true | depends_on.same.condition: removed | depends_on.same.required: removed
env recreate | environment.EMPTY: "" -> full | environment.GONE: removed | environment.NEW: set to 2 | environment.PORT: 8080 -> 8081
image recreate | image: x:1 -> x:2
many recreate | environment.A: 1 -> 2
many rescale | scale: 1 -> 2
many build | build.target: set to dev
net recreate | networks.front.internal: set to true
removed removed
rules rules | develop.watch.0.path: DIR/a -> DIR/b | x-bulkhead.watch: set to manual
same rules | pull_policy: "" -> missing
scaled rescale | scale: 2 -> 3
unbuilt recreate | build: removed | image: p-unbuilt -> y
vol recreate | volumes.0.target: /d -> /e
`, "DIR", dir)
	if got := diffText(Diff(one, two)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Diff(one, one); len(got) != 0 {
		t.Errorf("a project differs from itself: %v", got)
	}
}

func TestDiffOfARenamedProjectIsAllOfIt(t *testing.T) {
	write(t, "-- compose.yaml --\nservices: {a: {image: x}}\n")
	got := diffText(Diff(load(t, Options{Name: "one"}), load(t, Options{Name: "two"})))
	if want := "a removed | project: one -> two\na added | project: one -> two\n"; got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestDiffPrintsNoSecret(t *testing.T) {
	const file = `
services:
  a:
    image: x
    environment:
      DB_PASSWORD: hunter%[1]d
      API_KEY: hunter%[1]d
      GITHUB_TOKEN: hunter%[1]d
      URL: postgres://me:hunter%[1]d@db/x
      NEW_SECRET%[1]d: hunter
    command: serve --password=hunter%[1]d --api-token hunter%[1]d
    secrets: [s]
    labels: {long: "%[2]s%[1]d"}
secrets: {s: {environment: S}}
`
	long := strings.Repeat("x", 200)
	write(t, "-- a.yaml --\n"+fmt.Sprintf(file, 1, long)+"-- b.yaml --\n"+fmt.Sprintf(file, 2, long))
	one := load(t, Options{Name: "p", Files: []string{"a.yaml"}, Env: []string{"S=hunter1"}})
	two := load(t, Options{Name: "p", Files: []string{"b.yaml"}, Env: []string{"S=hunter2"}})
	want := `a recreate | command: changed | environment.API_KEY: changed | environment.DB_PASSWORD: changed | environment.GITHUB_TOKEN: changed` +
		` | environment.NEW_SECRET1: removed | environment.NEW_SECRET2: set to *** | environment.URL: changed | labels.long: changed | secrets.s: changed` + "\n"
	if got := diffText(Diff(one, two)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
