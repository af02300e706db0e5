package project

import (
	"bytes"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/sirupsen/logrus"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// write makes the files of a txtar text in a new folder, and makes that the current one.
func write(t *testing.T, text string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse([]byte(text)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

// load loads from the current folder with an environment of its own.
func load(t *testing.T, o Options) *Project {
	t.Helper()
	if o.Env == nil {
		o.Env = []string{}
	}
	p, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(p *Project) string {
	var list []string
	for _, s := range p.Services {
		list = append(list, s.Name)
	}
	return strings.Join(list, " ")
}

func lines(warnings []Warning) string {
	var list []string
	for _, w := range warnings {
		list = append(list, w.String())
	}
	return strings.Join(list, "\n")
}

// Each case in testdata/errors is a txtar archive of the files in it, with the one line that Load must fail with as
// its comment. -update rewrites the lines.
func TestBadFileIsOneLineWithPlaceAndRemedy(t *testing.T) {
	cases, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(cases) < 50 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for i, c := range cases {
		if cases[i], err = filepath.Abs(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(c), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(c)
			if err != nil {
				t.Fatal(err)
			}
			write(t, string(txtar.Format(archive)))
			_, err = Load(t.Context(), Options{Env: []string{"A=1"}})
			var e *LoadError
			if !errors.As(err, &e) {
				t.Fatalf("%v is no LoadError", err)
			}
			if e.Remedy == "" || strings.Contains(e.Error(), "\n") {
				t.Errorf("no remedy, or several lines: %q", e.Error())
			}
			want := strings.TrimSpace(string(archive.Comment))
			if *update {
				archive.Comment = []byte(e.Error() + "\n\n")
				if err := os.WriteFile(c, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if e.Error() != want {
				t.Errorf("got  %s\nwant %s", e, want)
			}
		})
	}
}

func TestBadOptionsAreLoadErrors(t *testing.T) {
	const files = `
-- compose.yaml --
services:
  gateway: {image: x}
  fixed: {image: x, container_name: fixed}
  multi: {build: {context: ., platforms: [linux/arm64]}}
  debug: {image: x, profiles: [debug], depends_on: [tracer]}
  tracer: {image: x, profiles: [trace], networks: [nowhere]}
`
	for want, o := range map[string]Options{
		`no service "gatway"; did you mean gateway?`:                                                             {Services: []string{"gatway"}},
		`no service "zzz"; there are: fixed, gateway, multi`:                                                     {Scale: map[string]int{"zzz": 1}},
		`scale gateway=-1: less than 0; give 0 or more`:                                                          {Scale: map[string]int{"gateway": -1}},
		`compose.yaml:3: fixed has a container_name, so it cannot run 2 times; remove container_name`:            {Scale: map[string]int{"fixed": 2}},
		`"My Shop" is not a project name; write myshop`:                                                          {Name: "My Shop"},
		`none.yaml: no such file; name an existing Compose file with -f`:                                         {Files: []string{"none.yaml"}},
		`..: is a folder; name the Compose file in it`:                                                           {Files: []string{".."}},
		`none.yaml: no such file or directory; correct COMPOSE_FILE`:                                             {Env: []string{"COMPOSE_FILE=none.yaml"}},
		`none.env: no such env file; make it, or correct --env-file`:                                             {EnvFiles: []string{"none.env"}},
		`compose.yaml:6: services.tracer: no network "nowhere"; write nowhere: below networks: at the top level`: {Services: []string{"debug"}},
		`compose.yaml:4: services.multi.build.platforms does not have linux/amd64, which DOCKER_DEFAULT_PLATFORM asks for; add it to the list`: {
			Env: []string{"DOCKER_DEFAULT_PLATFORM=linux/amd64"}},
	} {
		t.Run(want, func(t *testing.T) {
			dir := write(t, files)
			if o.Env == nil {
				o.Env = []string{}
			}
			_, err := Load(t.Context(), o)
			var e *LoadError
			if !errors.As(err, &e) {
				t.Fatalf("%v is no LoadError", err)
			}
			if got := strings.ReplaceAll(e.Error(), filepath.Dir(dir)+":", "..:"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestNoFileSaysWhereItLooked(t *testing.T) {
	dir := write(t, "")
	_, err := Load(t.Context(), Options{Env: []string{}})
	if want := "no Compose file in " + dir +
		" or the folders above it; write a compose.yaml, or name a file with -f"; err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestProjectIsFoundAboveAndMergedWithItsOverride(t *testing.T) {
	dir := write(t, `
-- shop/compose.yaml --
services:
  web: {image: "web:${TAG}", env_file: [web.env, {path: gone.env, required: false}], volumes: ["./src:/src"], build: .}
  db: {image: db, networks: [back], volumes: ["data:/d"]}
networks: {back: {}, unused: {}}
volumes: {data: {}, other: {external: true}}
-- shop/compose.override.yaml --
services:
  web: {environment: {ADDED: "1"}}
-- shop/.env --
TAG=7
-- shop/web.env --
FROM=file
-- shop/deep/er/x --
`)
	t.Chdir(filepath.Join(dir, "shop/deep/er"))
	p := load(t, Options{})
	shop := filepath.Join(dir, "shop")
	web := p.Service("web")
	if p.Name != "shop" || p.Dir != shop || names(p) != "db web" || web.Image != "web:7" ||
		web.Replicas != 1 || !web.Built {
		t.Errorf("name %s dir %s services %s web %+v", p.Name, p.Dir, names(p), web)
	}
	if env := web.Config.Environment; *env["ADDED"] != "1" || *env["FROM"] != "file" ||
		web.Config.EnvFiles != nil {
		t.Errorf("environment %v, env files %v", env, web.Config.EnvFiles)
	}
	if want := []string{filepath.Join(shop, "compose.yaml"),
		filepath.Join(shop, "compose.override.yaml")}; !slices.Equal(p.Files, want) {
		t.Errorf("files %v", p.Files)
	}
	if got := slices.Sorted(maps.Keys(p.Networks)); !slices.Equal(got, []string{"back", "default"}) ||
		p.Networks["back"].Name != "shop_back" {
		t.Errorf("networks %v", p.Networks)
	}
	if len(p.Volumes) != 1 || p.Volumes["data"].Name != "shop_data" || p.EnvFiles != nil {
		t.Errorf("volumes %v, env files %v", p.Volumes, p.EnvFiles)
	}
	if web.Place != "compose.yaml:2" {
		t.Errorf("place %q", web.Place)
	}
	for _, want := range []string{"compose.yaml", "compose.override.yaml", "compose.override.yml",
		"compose.bulkhead.yaml", ".env",
		"web.env", "gone.env", ".dockerignore"} {
		if !slices.Contains(p.Inputs, filepath.Join(shop, want)) {
			t.Errorf("%s is not among the inputs %v", want, p.Inputs)
		}
	}
}

func TestInputsNameIncludedAndExtendedFiles(t *testing.T) {
	dir := write(t, `
-- compose.yaml --
include: ["${PART}/compose.yaml"]
services:
  web: {extends: {file: lib/base.yaml, service: base}}
-- part/compose.yaml --
include: [{path: ../more.yaml, env_file: more.env}]
services:
  api: {image: "api:${TAG}", credential_spec: {file: x}}
-- part/.env --
TAG=in-part
-- part/more.env --
-- more.yaml --
services: {more: {image: more}}
-- lib/base.yaml --
services:
  base: {extends: {file: root.yaml, service: root}, credential_spec: {file: y}}
-- lib/root.yaml --
services:
  root: {image: root}
`)
	p := load(t, Options{Env: []string{"PART=part"}})
	if names(p) != "api more web" || p.Service("api").Image != "api:in-part" ||
		p.Service("web").Image != "root" {
		t.Errorf("%s %s %s", names(p), p.Service("api").Image, p.Service("web").Image)
	}
	if got := p.Service("api").Place; got != "part/compose.yaml:3" {
		t.Errorf("place %s", got)
	}
	for _, want := range []string{"part/compose.yaml", "part/.env", "part/more.env", "more.yaml",
		"lib/base.yaml", "lib/root.yaml"} {
		if !slices.Contains(p.Inputs, filepath.Join(dir, want)) {
			t.Errorf("%s is not among the inputs %v", want, p.Inputs)
		}
	}
	want := "part/compose.yaml:3: services.api.credential_spec is not carried out\nlib/base.yaml:2: services.web.credential_spec is not carried out"
	if got := lines(p.Warnings); got != want {
		t.Errorf("warnings\n%s\nwant\n%s", got, want)
	}
}

func TestStdinIsAFile(t *testing.T) {
	dir := write(t, "")
	p := load(t, Options{Files: []string{"-"},
		Stdin: strings.NewReader("name: piped\nservices: {a: {image: x}}")})
	if p.Name != "piped" || p.Dir != dir || !slices.Equal(p.Files, []string{"-"}) ||
		p.Service("a").Place != "-:2" {
		t.Errorf("%+v", p)
	}
	_, err := Load(t.Context(), Options{Files: []string{"-"},
		Stdin: strings.NewReader("services: {a: {imag: x}}")})
	if want := "-:1: services.a.imag: no such attribute; did you mean image?"; err == nil ||
		err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	dir := write(t, `
-- a.yaml --
services: {a: {build: ., command: "${V}"}, p: {image: x, profiles: [p]}}
-- b.yaml --
services: {a: {user: b}}
-- .env --
V=dotenv
-- other.env --
V=other
`)
	p := load(t, Options{Env: []string{"COMPOSE_FILE=a.yaml:b.yaml", "COMPOSE_PROJECT_NAME=envname",
		"COMPOSE_PROFILES=p", "COMPOSE_ENV_FILES=other.env"}})
	if p.Name != "envname" || len(p.Files) != 2 || names(p) != "a p" ||
		p.Service("a").Config.Command[0] != "other" {
		t.Errorf("%s %v %s %s", p.Name, p.Files, names(p), p.Service("a").Config.Command)
	}
	if !slices.Equal(p.EnvFiles, []string{filepath.Join(dir, "other.env")}) ||
		!slices.Equal(p.Profiles, []string{"p"}) {
		t.Errorf("%v %v", p.EnvFiles, p.Profiles)
	}
	p = load(t, Options{Files: []string{"a.yaml"}, Env: []string{"COMPOSE_DISABLE_ENV_FILE=1"}, Name: "flag"})
	if p.Name != "flag" || p.Service("a").Image != "flag-a" || !slices.Equal(p.Disabled, []string{"p"}) {
		t.Errorf("%s %s %v", p.Name, p.Service("a").Image, p.Disabled)
	}
	if got, want := lines(p.Warnings),
		"a.yaml:1: variable V is not set, so it is empty; set it in the environment or in .env, or write ${V:-}"; got != want {
		t.Errorf("warnings %s", got)
	}
}

// A file of the format raw has no variables, so none of them is missing.
func TestRawEnvFileHasNoVariables(t *testing.T) {
	write(t, `
-- compose.yaml --
services: {a: {image: x, env_file: [{path: raw.env, format: raw}], command: echo $$X}}
-- raw.env --
RAW=a $X b
`)
	p := load(t, Options{})
	if v := p.Service("a").Config.Environment["RAW"]; v == nil || *v != "a $X b" || len(p.Warnings) > 0 {
		t.Errorf("%v, warnings %s", v, lines(p.Warnings))
	}
}

func TestNamedServiceBringsWhatItNeeds(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  web: {image: x, depends_on: {api: {condition: service_started}, trace: {condition: service_started, required: false}}}
  api: {image: x, depends_on: [db], networks: [back]}
  db: {image: x, networks: [back]}
  other: {image: x, volumes: ["data:/d"], env_file: missing.env}
  trace: {image: x, profiles: [debug]}
  shell: {image: x, profiles: [tools], depends_on: [trace]}
networks: {back: {}}
volumes: {data: {}}
`)
	p := load(t, Options{Services: []string{"web"}})
	if names(p) != "api db web" || !slices.Equal(p.Unselected, []string{"other"}) ||
		!slices.Equal(p.Disabled, []string{"shell", "trace"}) {
		t.Errorf("enabled %s, unselected %v, disabled %v", names(p), p.Unselected, p.Disabled)
	}
	if len(p.Volumes) != 0 || len(p.Service("web").DependsOn) != 1 {
		t.Errorf("volumes %v, web depends on %v", p.Volumes, p.Service("web").DependsOn)
	}
	want := [][]string{{"db"}, {"api"}, {"web"}}
	if got := p.Order(); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("order %v", got)
	}
	if p := load(t, Options{Services: []string{"shell"}}); names(p) != "shell trace" {
		t.Errorf("a service in a profile needs one in another: %s", names(p))
	}
	if p.Service("none") != nil {
		t.Error("a service that is not there was found")
	}
}

func TestScaleIsNotHashed(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  a: {image: x, deploy: {replicas: 2}}
  b: {image: x, scale: 0}
`)
	one, two := load(t, Options{}), load(t, Options{Scale: map[string]int{"a": 5, "b": 1}})
	if a := one.Service("a"); a.Replicas != 2 || one.Service("b").Replicas != 0 ||
		two.Service("a").Replicas != 5 || a.Hash != two.Service("a").Hash {
		t.Errorf("%+v %+v", a, two.Service("a"))
	}
}

func TestSameBuildHasSameKey(t *testing.T) {
	write(t, `
-- compose.yaml --
services:
  a: {build: {context: ., tags: [one]}, image: a}
  b: {build: .}
  c: {build: {context: ., target: dev}}
  d: {image: x}
`)
	p := load(t, Options{})
	a, b, c, d := p.Service("a"), p.Service("b"), p.Service("c"), p.Service("d")
	if a.BuildKey == "" || a.BuildKey != b.BuildKey || a.BuildKey == c.BuildKey || d.BuildKey != "" || d.Built {
		t.Errorf("%s %s %s %q", a.BuildKey, b.BuildKey, c.BuildKey, d.BuildKey)
	}
}

func TestUnsupportedIsNamedOnceWithItsPlace(t *testing.T) {
	write(t, `
-- compose.yaml --
version: "3"
services:
  web:
    image: x
    storage_opt: {size: 1G}
    deploy: {mode: global, placement: {constraints: [a]}, labels: {a: b}}
    labels: {any: thing}
    models: [m]
    pre_start:
      - command: a
    credential_spec: {file: a}
    volumes:
      - {type: npipe, source: a, target: /a}
      - {type: npipe, source: b, target: /b}
    secrets: [s]
  off: {image: x, profiles: [off], credential_spec: {file: a}}
models: {m: {model: x}}
secrets: {s: {external: true}, unused: {external: true}}
x-any: {thing: 1}
`)
	const want = `compose.yaml:17: models is not carried out: no model is pulled or run
compose.yaml:18: secrets.s.external is not carried out: only the contents of file and environment are handed to containers
compose.yaml:11: services.web.credential_spec is not carried out
compose.yaml:6: services.web.deploy.labels is not carried out: containers get the labels of the service
compose.yaml:6: services.web.deploy.mode is not carried out: a service runs as many containers as scale or deploy.replicas says
compose.yaml:6: services.web.deploy.placement is not carried out: there is no swarm that it could speak to
compose.yaml:8: services.web.models is not carried out
compose.yaml:12: services.web.volumes is not carried out: only bind, volume, tmpfs and image mounts are
compose.yaml:1: version is obsolete and has no effect; remove it`
	for range 2 { // compose-go itself says some of it only once in a process
		if got := lines(load(t, Options{}).Warnings); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestEveryAttributeIsCarriedOutOrWarnedAbout(t *testing.T) {
	known := strings.Fields(carried)
	var left []string
	for _, a := range attributes([]string{"services", "any"}) {
		if !slices.Contains(known, a) {
			left = append(left, a)
		}
	}
	for _, a := range known {
		if !slices.Contains(attributes([]string{"services", "any"}), a) {
			t.Errorf("%s is no attribute", a)
		}
	}
	if got := strings.Join(left, " "); got != "credential_spec models pull_refresh_after" {
		t.Errorf("warned about: %s", got)
	}
}

func TestConfigShowsTheWholeProject(t *testing.T) {
	write(t, `
-- compose.yaml --
services: {web: {image: x, environment: {A: b}, secrets: [s]}}
secrets: {s: {environment: PASS}}
-- compose.bulkhead.yaml --
services: {web: {x-bulkhead: {swap: overlap}}}
`)
	p := load(t, Options{Env: []string{"PASS=hidden"}})
	y, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	j, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A: b", "swap: overlap"} {
		if !strings.Contains(string(y), want) {
			t.Errorf("%s is not in\n%s", want, y)
		}
	}
	if !strings.Contains(string(j), `"A": "b"`) || strings.Contains(string(y)+string(j), "hidden") {
		t.Errorf("%s", j)
	}
}

// What compose-go logs must come as warnings: a line on stderr would tear the screen.
func TestNothingIsWrittenToStderr(t *testing.T) {
	write(t, "-- compose.yaml --\nservices: {a: {image: \"x${NONE}\"}}\n-- compose.yml --\nservices: {}\n")
	logger := logrus.StandardLogger()
	var out bytes.Buffer
	was := logger.Out
	logger.SetOutput(&out)
	defer logger.SetOutput(was)
	p := load(t, Options{})
	if out.Len() > 0 || logger.Out != &out {
		t.Errorf("logged %q, and afterwards to another place: %t", out.String(), logger.Out != &out)
	}
	if got := lines(p.Warnings); !strings.Contains(got, "Found multiple config files") ||
		!strings.Contains(got, "variable NONE is not set") {
		t.Errorf("warnings %s", got)
	}
}
