package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A few lines that ask for terabytes, or for millions of ports, are an error at once.
func TestWhatGrowsBeyondAllLimitsIsRefused(t *testing.T) {
	var doubling strings.Builder
	fmt.Fprintf(&doubling, "A0=%s\n", strings.Repeat("x", 16))
	for i := 1; i <= 40; i++ {
		fmt.Fprintf(&doubling, "A%d=${A%d}${A%d}\n", i, i-1, i-1)
	}
	many := func(line string) string { return strings.Repeat(line, 30) }
	wide := "services:\n  a:\n    image: x\n    environment:\n" +
		strings.Repeat("      - \"${BIG}${BIG}${BIG}${BIG}${BIG}${BIG}${BIG}${BIG}\"\n", 12)
	for _, tt := range []struct {
		what, want string
		files      map[string]string
	}{
		{".env", ".env: variables grow beyond 64 MB", map[string]string{".env": doubling.String()}},
		{"env_file", "e: variables grow beyond 64 MB", map[string]string{"e": doubling.String(),
			"compose.yaml": "services: {a: {image: x, env_file: e}}"}},
		{"label_file", "e: variables grow beyond 64 MB", map[string]string{"e": doubling.String(),
			"compose.yaml": "services: {a: {image: x, label_file: e}}"}},
		{"include's .env", ".env: variables grow beyond 64 MB", map[string]string{"in/.env": doubling.String(),
			"in/c.yaml":    "services: {b: {image: x}}",
			"compose.yaml": "include: [in/c.yaml]\nservices: {a: {image: x}}"}},
		{"include's env_file", "e: variables grow beyond 64 MB", map[string]string{"e": doubling.String(),
			"in/c.yaml":    "services: {b: {image: x}}",
			"compose.yaml": "include: [{path: in/c.yaml, env_file: e}]\nservices: {a: {image: x}}"}},
		{"the Compose file", "variables grow beyond 64 MB", map[string]string{".env": "BIG=" +
			strings.Repeat("x", 1<<20), "compose.yaml": wide}},
		{"an included Compose file", "variables grow beyond 64 MB", map[string]string{".env": "BIG=" +
			strings.Repeat("x", 1<<20),
			"in/c.yaml":    strings.ReplaceAll(wide, "  a:", "  b:"),
			"compose.yaml": "include: [in/c.yaml]\nservices: {a: {image: x}}"}},
		{"lines of .env", ".env: has more than 50000 lines",
			map[string]string{".env": strings.Repeat("A=${B}\n", 200_000)}},
		{"lines of an env_file", "e: has more than 50000 lines",
			map[string]string{"e": strings.Repeat("A=1\n", 200_000),
				"compose.yaml": "services: {a: {image: x, env_file: e}}"}},
		{"lines of a label_file", "e: has more than 50000 lines",
			map[string]string{"e": strings.Repeat("A=1\n", 200_000),
				"compose.yaml": "services: {a: {image: x, label_file: e}}"}},
		{"ports", "compose.yaml:5: services.a.ports: more than 16384 ports", map[string]string{
			"compose.yaml": "services:\n  a:\n    image: x\n    ports:\n" +
				many("      - \"1-65535:1-65535\"\n")}},
		{"ports that are filled in", "compose.yaml:1: services.a.ports: more than 16384 ports",
			map[string]string{
				".env":         "R=1-65535",
				"compose.yaml": "services: {a: {image: x, ports: ['127.0.0.1:$R:$R/udp']}, b: {image: x, ports: ['80']}}"}},
		{"a long name", "compose.yaml:1: services.a.zzzz",
			map[string]string{"compose.yaml": "services: {a: {image: x, " +
				strings.Repeat("z", 1<<20) + ": 3}}"}},
	} {
		var all strings.Builder
		fmt.Fprint(&all, "-- compose.yaml --\nservices: {a: {image: x}}\n")
		for name, text := range tt.files {
			fmt.Fprintf(&all, "-- %s --\n%s\n", name, text) // the last of a name is the one that stays
		}
		write(t, all.String())
		_, err := Load(t.Context(), Options{Env: []string{}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %.300v, want %s", tt.what, err, tt.want)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", tt.what, len(err.Error()))
		}
	}
	write(t, "-- compose.yaml --\nservices: {a: {image: x, ports: ['8000-8010:8000-8010', '9000']}}\n")
	if p := load(t, Options{}); len(p.Service("a").Config.Ports) != 12 {
		t.Errorf("a few ports: %v", p.Service("a").Config.Ports)
	}
}

// A link that leads out of the project is followed when the project names it so from the start, and
// not when something put it there between two loads.
func TestWhatIsReachedDoesNotGrowByAReload(t *testing.T) {
	compose := "services: {a: {image: x, develop: {watch: [{path: src, action: sync, target: /s}]}}}\n"
	dir := write(t, "-- project/compose.yaml --\n"+compose+
		"-- project/src/f --\n-- home/key --\n-- project/other/f --\n")
	t.Chdir("project")
	src := filepath.Join(dir, "project", "src")
	link := func(to string) {
		if err := errors.Join(os.RemoveAll("src"), os.Symlink(to, "src")); err != nil {
			t.Fatal(err)
		}
	}
	before := load(t, Options{})
	link("../home")
	after := load(t, Options{})
	if to, err := after.Service("a").Reach(src); err != nil || to != filepath.Join(dir, "home") {
		t.Errorf("loaded with the link: %s, %v", to, err)
	}
	after.Inherit(before)
	var outside *OutsideError
	if _, err := after.Service("a").Reach(src); !errors.As(err, &outside) {
		t.Errorf("after a reload: %v", err)
	}
	link("other")
	if to, err := after.Service("a").Reach(src); err != nil || to != filepath.Join(dir, "project", "other") {
		t.Errorf("a link that stays inside: %s, %v", to, err)
	}
}
