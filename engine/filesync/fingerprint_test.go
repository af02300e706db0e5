package filesync

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// A prepare command runs again when anything that it depends on changed, and
// its environment stays out of the state file.
func TestPrepareFingerprint(t *testing.T) {
	dir, base := t.TempDir(), t.TempDir()
	put(t, dir, "lib/x", "1")
	prepare := func() *project.Service {
		return &project.Service{Extra: project.Extra{Prepare: &project.Prepare{Run: "make",
			Env:   map[string]string{"TOKEN": "hunter2", "MODE": "dev"},
			Watch: []string{filepath.Join(dir, "lib")}}}}
	}
	fingerprint := func(conf *project.Service) string {
		return prepareFingerprint(conf, prepareInputs(conf), nil)
	}
	before := fingerprint(prepare())
	if strings.Contains(before, "hunter2") || fingerprint(prepare()) != before {
		t.Errorf("fingerprints %q and %q", before, fingerprint(prepare()))
	}
	j := journal.Open(journal.Options{Base: base, Engine: "e", Project: "p"})
	New(nil, j, nil).Prepares.Record("a", before)
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(journal.File(base, "e", "p"))
	if err != nil || strings.Contains(string(b), "hunter2") || strings.Contains(string(b), "TOKEN") {
		t.Errorf("the state file holds %s, %v", b, err)
	}
	if got := New(nil, journal.Open(journal.Options{Base: base, Engine: "e", Project: "p"}),
		nil).Prepares.Ran("a"); got != before {
		t.Errorf("after a restart of the program the fingerprint is %q, want %q", got, before)
	}
	for what, change := range map[string]func(p *project.Prepare){
		"another command": func(p *project.Prepare) { p.Run = "make all" },
		"another value":   func(p *project.Prepare) { p.Env["TOKEN"] = "hunter3" },
		"a value that was a name": func(p *project.Prepare) {
			p.Env = map[string]string{"TOKEN": "hunter2\nMODE=dev"}
		},
		"another file": func(*project.Prepare) { put(t, dir, "lib/y", "2") },
	} {
		p := prepare()
		if change(p.Extra.Prepare); fingerprint(p) == before {
			t.Errorf("%s: the fingerprint is the same", what)
		}
		if err := os.RemoveAll(filepath.Join(dir, "lib/y")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangeSinceABuildIsKnownForImagesOfOurs(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "Dockerfile", "FROM scratch")
	put(t, dir, ".dockerignore", "notes")
	put(t, dir, "src/main.go", "1")
	conf := &project.Service{Name: "a", Built: true, Rules: []project.Rule{
		{Action: project.Rebuild, Path: filepath.Join(dir, "src")},
		{Action: project.Sync, Path: filepath.Join(dir, "src"), Target: "/app"}}}
	conf.Config.Build = &types.BuildConfig{Context: dir}
	y := New(nil, journal.Open(journal.Options{}), nil)
	check := func(what, image string, context, rebuild bool) {
		t.Helper()
		if c, r := y.ContextChanged(conf, image), y.RebuildChanged(conf, image); c != context || r != rebuild {
			t.Errorf("%s: context changed: %v, rebuild files changed: %v; want %v, %v", what, c, r,
				context, rebuild)
		}
	}
	check("never seen", "i1", false, false)
	in := y.BuildInputs(conf, "")
	if in.Files["/app/main.go"].Sum == "" {
		t.Errorf("the image has %v", in.Files)
	}
	y.RecordBuild("a", "i1", "", in)
	check("just built", "i1", false, false)
	put(t, dir, "notes", "ignored")
	check("an ignored file", "i1", false, false)
	put(t, dir, "README", "new")
	check("a file of the context", "i1", true, false)
	put(t, dir, "src/main.go", "longer")
	check("a file of a rebuild rule", "i1", true, true)
	y.RecordBuild("a", "i2", "i1", y.BuildInputs(conf, "i1"))
	check("built again", "i2", false, false)
	check("the image before", "i1", false, false)
}
