//go:build unix

package hostcmd

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// provider writes a program "demo" into a folder that is the only one on PATH beside the system's.
func provider(t *testing.T, script string) *Provider {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	return &Provider{Type: "demo", Project: "shop", Service: "db",
		Options: map[string][]string{"name": {"x"}, "size": {"s", "l"}}, Dir: dir,
		Terms: Terms{Kind: "provider", Command: "demo"}, Config: map[string]string{"hello": "you"}}
}

func TestProviderIsAskedAsComposeAsks(t *testing.T) {
	p := provider(t, `
[ "$2" = metadata ] && exit 1
echo "$*" >>args
printf '{"type":"info","message":"making it"}\n{"type":"setenv","message":"URL=http://demo:1"}\n{"type":"rawsetenv","message":"PLAIN=a=b"}\n{"type":"get-service-config"}\n'
read answer
printf '{"type":"debug","message":"got %s"}\n' "$(echo "$answer" | tr -d '"')"
echo to stderr >&2
`)
	var printed []string
	vars, err := p.Do(t.Context(), trusting(), "up", func(line string) { printed = append(printed, line) })
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(vars.Prefixed, map[string]string{"URL": "http://demo:1"}) ||
		!maps.Equal(vars.Raw, map[string]string{"PLAIN": "a=b"}) {
		t.Errorf("variables %+v", vars)
	}
	slices.Sort(printed)
	if want := []string{"got {hello:you}", "making it", "to stderr"}; !slices.Equal(printed, want) {
		t.Errorf("said %q, want %q", printed, want)
	}
	if _, err := p.Do(t.Context(), trusting(), "stop", func(string) {}); err != nil {
		t.Error(err)
	}
	args, err := os.ReadFile(filepath.Join(p.Dir, "args"))
	if want := "compose --project-name=shop up --name=x --size=s --size=l db\n"; err != nil ||
		string(args) != want {
		t.Errorf("called with %q, want %q (%v): a provider without stop is not asked to", args, want, err)
	}
}

func TestProviderGetsTheOptionsThatItKnows(t *testing.T) {
	p := provider(t, `
[ "$2" = metadata ] && { echo '{"description":"d","up":{"parameters":[{"name":"name","required":true}]},"stop":{"parameters":[]}}'; exit; }
echo "$*" >>args
`)
	for _, verb := range []string{"up", "stop"} {
		if _, err := p.Do(t.Context(), trusting(), verb, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	args, _ := os.ReadFile(filepath.Join(p.Dir, "args"))
	if want := "compose --project-name=shop up --name=x db\ncompose --project-name=shop stop db\n"; string(args) != want {
		t.Errorf("called with %q, want %q", args, want)
	}
	delete(p.Options, "name")
	if _, err := p.Do(t.Context(), trusting(), "up", func(string) {}); err == nil ||
		!strings.Contains(err.Error(), `"name" is missing`) {
		t.Errorf("%v", err)
	}
}

func TestProviderThatFailsOrIsNotThere(t *testing.T) {
	p := provider(t, "")
	for script, want := range map[string]string{
		`printf '{"type":"error","message":"no quota"}\n'; exec sleep 1000`: "provider demo: no quota",
		`echo hello`: "what it says is not JSON",
		`printf '{"type":"setenv","message":"nothing"}'`:                             "KEY=value was expected",
		`printf '{"type":"dance"}'`:                                                  `"dance", which is not known`,
		`echo sorry >&2; exit 3`:                                                     "exit status 3: sorry",
		`printf '{"type":"info","message":"'; yes zzzzzzzzzzzzzzzzzzzz | tr -d '\n'`: "more than 1 MB",
		`printf '{"type":"get-service-config"}'; exec sleep 0`:                       "",
	} {
		if err := os.WriteFile(filepath.Join(p.Dir, "demo"),
			[]byte("#!/bin/sh\n[ \"$2\" = metadata ] && exit 1\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := p.Do(t.Context(), trusting(), "up", func(string) {})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	if _, err := p.Do(t.Context(), nil, "up", func(string) {}); !errors.As(err, new(*UntrustedError)) {
		t.Errorf("without a yes: %v", err)
	}
	p.Type = "no-such-provider"
	if _, err := p.Do(t.Context(), trusting(), "up", func(string) {}); !errors.Is(err,
		ErrNoProvider) || !strings.Contains(err.Error(), `provider "no-such-provider"`) {
		t.Errorf("%v", err)
	}
}
