package engine

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
)

func TestTargetFollowsTheRule(t *testing.T) {
	for _, tt := range []struct{ path, target, file, want string }{
		{"/p/src", "/app", "/p/src/a/b.go", "/app/a/b.go"},
		{"/p/src", "/app/", "/p/src/b.go", "/app/b.go"},
		{"/p/bin/orders", "/orders", "/p/bin/orders", "/orders"},
		{"/p/conf.yaml", "/etc/", "/p/conf.yaml", "/etc/conf.yaml"},
	} {
		r := &project.Rule{Action: project.Sync, Path: tt.path, Target: tt.target}
		if got := target(r, tt.file); got != tt.want {
			t.Errorf("target(%s -> %s, %s) = %s, want %s", tt.path, tt.target, tt.file, got, tt.want)
		}
	}
}

// put writes a file and gives its path.
func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParcelHoldsOnlyWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	rule := &project.Rule{Action: project.Sync, Path: dir, Target: "/app"}
	same, changed, gone := put(t, dir, "same", "x"), put(t, dir, "changed", "x"), filepath.Join(dir, "old/deep")
	have := scanRule(rule)
	have[gone] = fileNote{Size: 1}
	put(t, dir, "changed", "longer")
	fresh := put(t, dir, "sub/fresh", "x")

	p := newParcel()
	p.addAll(rule, have)
	if got := strings.Join(slices.Sorted(maps.Values(p.files)), " "); got != "/app/changed /app/sub/fresh" {
		t.Errorf("files %s", got)
	}
	if got := p.deletes[gone]; got != "/app/old/deep" || len(p.deletes) != 1 {
		t.Errorf("deletes %v", p.deletes)
	}

	p = newParcel()
	for _, f := range []string{same, changed, fresh, filepath.Join(dir, "sub"), filepath.Join(dir, "old")} {
		p.add(rule, f, have)
	}
	if _, ok := p.files[same]; ok || len(p.files) != 2 {
		t.Errorf("files %v; want the changed and the fresh one", p.files)
	}
	if p.deletes[gone] == "" {
		t.Errorf("a folder that is gone must take what was below it along: %v", p.deletes)
	}
}

func TestTouchedFileWithTheSameContentIsNotSentAgain(t *testing.T) {
	dir := t.TempDir()
	f := put(t, dir, "bin", "content")
	rule := &project.Rule{Action: project.SyncRestart, Path: f, Target: "/bin/x"}
	p := newParcel()
	p.addAll(rule, nil)
	sums := map[string]string{}
	var out strings.Builder
	if err := writeTar(&out, p, nil, sums); err != nil {
		t.Fatal(err)
	}
	note := p.notes[f]
	note.Sum = sums[f]
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(f, later, later); err != nil {
		t.Fatal(err)
	}
	p = newParcel()
	p.addAll(rule, table{f: note})
	if !p.empty() {
		t.Errorf("a touched file is sent again: %v", p.files)
	}
	put(t, dir, "bin", "CONTENT")
	p.addAll(rule, table{f: note})
	if len(p.files) != 1 {
		t.Error("a file of the same size with another content is not sent")
	}
}

func TestStateOutlivesTheProcess(t *testing.T) {
	base := t.TempDir()
	s := openStore(base, "EN:GI/NE", "shop")
	id := Identity{ID: "c1", Started: time.Unix(5, 0)}
	if g := s.generation("web", 1, id); g != 1 {
		t.Errorf("first life is generation %d", g)
	}
	id.Started = time.Unix(9, 0)
	if g := s.generation("web", 1, id); g != 2 {
		t.Errorf("second life is generation %d", g)
	}
	s.complete("c9")
	s.setFiles("c1", table{"/x": {Size: 3}})
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	s = openStore(base, "EN:GI/NE", "shop")
	if g := s.generation("web", 1, id); g != 2 {
		t.Errorf("the same life is generation %d after a restart of the program", g)
	}
	if !s.completed()["c9"] || s.files("c1")["/x"].Size != 3 {
		t.Errorf("completed %v, files %v", s.completed(), s.files("c1"))
	}
	if got := Generations(base, "EN:GI/NE", "shop")["c1"]; got != 2 {
		t.Errorf("Generations gives %d", got)
	}
}

func TestWorkIsMergedAndSaysItsCause(t *testing.T) {
	e := &Engine{dir: "/p"}
	s := &service{conf: &project.Service{Name: "a", Extra: project.Extra{Prepare: &project.Prepare{Run: "make", Watch: []string{"/p/lib"}}}}}
	w := e.workFor(s, []string{"/p/lib/x.go", "/p/libother"})
	if !w.prepare || len(w.paths) != 1 || w.cause("/p") != "lib/x.go saved" {
		t.Errorf("work %+v, cause %q", w, w.cause("/p"))
	}
	w.merge(&work{at: w.at.Add(-time.Second), paths: map[string]struct{}{"/p/y": {}}, rebuild: true})
	if !w.prepare || !w.rebuild || w.cause("/p") != "2 files saved" {
		t.Errorf("merged %+v, cause %q", w, w.cause("/p"))
	}
}

func TestBindMountedFilesDoNotRebuildByTheDefaultRule(t *testing.T) {
	conf := &project.Service{Name: "a", Built: true, Rules: []project.Rule{{Action: project.Rebuild, Path: "/p", Default: true}}}
	conf.Config.Build = &types.BuildConfig{Context: "/p"}
	conf.Config.Volumes = []types.ServiceVolumeConfig{{Type: "bind", Source: "/p/src", Target: "/app"}}
	e := &Engine{dir: "/p"}
	for path, want := range map[string]bool{"/p/src/app.py": false, "/p/requirements.txt": true, "/p/src/Dockerfile": true} {
		if got := e.workFor(&service{conf: conf}, []string{path}).rebuild; got != want {
			t.Errorf("%s rebuilds: %v, want %v", path, got, want)
		}
	}
}

func TestContentOfASecretFileCounts(t *testing.T) {
	f := put(t, t.TempDir(), "token", "one")
	conf := &project.Service{Name: "a"}
	conf.Config.Secrets = []types.ServiceSecretConfig{{Source: "token"}}
	p := &project.Project{Compose: &types.Project{}, Secrets: map[string]types.SecretConfig{"token": {File: f}}}
	before := contentHash(p, conf)
	if before == "" || contentHash(p, conf) != before {
		t.Fatalf("hash %q, then %q", before, contentHash(p, conf))
	}
	if err := os.WriteFile(f, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if contentHash(p, conf) == before {
		t.Error("another content has the same hash")
	}
	if got := contentHash(p, &project.Service{Name: "b"}); got != "" {
		t.Errorf("a service without secrets has the hash %q", got)
	}
}
