package project

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const commanding = `
-- .env --
LEVEL=from-dotenv
HOME_OF=dotenv
-- compose.yaml --
name: shop
services:
  web:
    image: busybox
    labels: {t: "${TOOL}"}
    x-bulkhead:
      prepare:
        run: |
          ${TOOL} build --level ${LEVEL} --or ${OTHER:-none}
        env: {TOKEN: "${TOKEN}", PLAIN: make, LEVEL: "${LEVEL}"}
  db:
    provider:
      type: demo
      options: {name: "${NAME_OF_DB}", size: [s, l]}
  app: {image: busybox, depends_on: [db]}
`

// What a person agrees to has the values of the project's own files, and the names of what the
// shell has set.
func TestHostCommandsNameWhatTheShellHasSet(t *testing.T) {
	write(t, commanding)
	p := load(t, Options{Env: []string{"TOOL=make", "TOKEN=hunter2", "NAME_OF_DB=x"}})
	got := ""
	for _, c := range p.HostCommands() {
		got += fmt.Sprintf("%s %s %s: %s %q\n", c.Place, c.Kind, c.Service, c.Command, c.Env)
	}
	want := `compose.yaml:13 provider db: demo compose --project-name=shop up --name=${NAME_OF_DB} --size=s --size=l db ["HOME_OF=dotenv" "LEVEL=from-dotenv"]
compose.yaml:8 prepare web: ${TOOL} build --level from-dotenv --or none ["LEVEL=from-dotenv" "PLAIN=make" "TOKEN=${TOKEN}"]
`
	if got != want {
		t.Errorf("host commands:\n%swant:\n%s", got, want)
	}
	web := p.Service("web").Extra.Prepare
	if web.Run != "make build --level from-dotenv --or none" || web.Env["TOKEN"] != "hunter2" {
		t.Errorf("what runs: %q %v", web.Run, web.Env)
	}
	if db := p.Service("db"); db.Image != "" || db.Replicas != 0 || !db.Provided() {
		t.Errorf("a provider has an image %q and %d replicas", db.Image, db.Replicas)
	}
	if len(p.Warnings) != 0 {
		t.Errorf("warnings: %s", lines(p.Warnings))
	}
}

// Another value in the shell is the same command; another value in .env is another one.
func TestHostCommandsChangeWithTheProjectAlone(t *testing.T) {
	commands := func(dotenv string, env ...string) string {
		write(t, strings.Replace(commanding, "LEVEL=from-dotenv", "LEVEL="+dotenv, 1))
		return fmt.Sprint(load(t, Options{Env: env}).HostCommands())
	}
	one := commands("1", "TOOL=make", "TOKEN=a")
	if two := commands("1", "TOOL=ninja", "TOKEN=b"); one != two {
		t.Errorf("the shell's values count:\n%s\n%s", one, two)
	}
	if two := commands("2", "TOOL=make", "TOKEN=a"); one == two {
		t.Error("a value of .env does not count")
	}
	if two := commands("1", "TOOL=make", "TOKEN=a", "OTHER=x"); one == two {
		t.Error("a default that no longer holds does not count")
	}
}

func TestHostCommandsOfExtendedAndAliasedServices(t *testing.T) {
	write(t, `
-- compose.yaml --
x-common: &common {prepare: {run: "echo ${WHO}"}}
services:
  a: {image: x, x-bulkhead: *common}
  b: {extends: {file: base.yaml, service: base}}
-- base.yaml --
services:
  base: {image: x, x-bulkhead: {prepare: {run: "ls ${WHO}"}}}
`)
	var got []string
	for _, c := range load(t, Options{Env: []string{"WHO=me"}}).HostCommands() {
		got = append(got, c.Service+": "+c.Command)
	}
	if want := []string{"a: echo ${WHO}", "b: ls ${WHO}"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
