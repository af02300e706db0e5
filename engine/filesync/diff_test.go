package filesync

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/journal"
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

func TestCommonFolderOfPaths(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"", "/app/x", "/app/x"}, {"/app/x", "/app/x", "/app/x"}, {"/app/x", "/app/y/z", "/app"},
		{"/app", "/app/y/z", "/app"}, {"/app/y/z", "/app", "/app"},
		{"/app/x", "/apple", "/"}, {"/", "/x", "/"},
	} {
		if got := common(tt.a, tt.b); got != tt.want {
			t.Errorf("common(%q, %q) = %q, want %q", tt.a, tt.b, got, tt.want)
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

// parcelOf compares everything below a rule with what a container has.
func diffOf(r *project.Rule, have Manifest) *Diff {
	return diffAll(&project.Service{Rules: []project.Rule{*r}}, have)
}

// has is what a container has that was given everything below a rule a while ago.
func has(r *project.Rule) Manifest {
	t := scanSync(&project.Service{Rules: []project.Rule{*r}}, nil)
	for at, n := range t {
		n.At += int64(time.Hour)
		t[at] = n
	}
	return t
}

// String lists what a diff sends, and with a minus what it deletes.
func (d *Diff) String() string {
	all := slices.Collect(maps.Keys(d.files))
	for at := range d.deletes {
		all = append(all, "-"+at)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestDiffHoldsOnlyWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	rule := &project.Rule{Action: project.Sync, Path: dir, Target: "/app"}
	same, changed := put(t, dir, "same", "x"), put(t, dir, "changed", "x")
	put(t, dir, "old/deep/file", "x")
	put(t, dir, "kept/file", "x")
	gone := put(t, dir, "kept/gone", "x")
	have := has(rule)
	if p := diffOf(rule, have); !p.empty() {
		t.Errorf("nothing changed, and the diff is %s", p)
	}
	put(t, dir, "changed", "longer")
	fresh := put(t, dir, "sub/fresh", "x")
	for _, f := range []string{filepath.Join(dir, "old"), gone} {
		if err := os.RemoveAll(f); err != nil {
			t.Fatal(err)
		}
	}
	const want = "-/app/kept/gone -/app/old /app/changed /app/sub /app/sub/fresh"
	if p := diffOf(rule, have); p.String() != want {
		t.Errorf("the diff is %s, want %s", p, want)
	}
	p := newDiff(&project.Service{Rules: []project.Rule{*rule}}, have)
	for _, f := range []string{same, changed, fresh, filepath.Join(dir, "sub"),
		filepath.Join(dir, "old"), gone, filepath.Join(dir, "never/seen")} {
		p.add(rule, f)
	}
	if p.finish(); p.String() != want {
		t.Errorf("by notices the diff is %s, want %s", p, want)
	}
}

func TestTieOfSizeAndTimeIsDecidedByContent(t *testing.T) {
	dir := t.TempDir()
	f := put(t, dir, "bin", "content")
	rule := &project.Rule{Action: project.SyncRestart, Path: f, Target: "/bin/x"}
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	set := func(text string, at time.Time) {
		t.Helper()
		put(t, dir, "bin", text)
		if err := os.Chtimes(f, at, at); err != nil {
			t.Fatal(err)
		}
	}
	set("content", old)
	have := has(rule)
	for _, tt := range []struct {
		what, text string
		at         time.Time
		want       string
	}{
		{"touched, with the same content", "content", time.Now().Add(time.Hour), ""},
		{"written again with the same content and time", "content", old, ""},
		{"other content of the same size, with the time set back", "CONTENT", old, "/bin/x"},
		{"another size with the same time", "more content", old, "/bin/x"},
	} {
		set(tt.text, tt.at)
		if p := diffOf(rule, have); p.String() != tt.want {
			t.Errorf("%s: the diff is %q, want %q", tt.what, p, tt.want)
		}
	}

	// Noted right after it was written, a file may be written once more in the
	// same tick: then times say nothing.
	set("content", old)
	have = has(rule)
	n := have["/bin/x"]
	n.At = n.Ctime + int64(time.Millisecond)
	n.Sum = strings.Repeat("0", 64)
	if p := diffOf(rule, Manifest{"/bin/x": n}); p.String() != "/bin/x" {
		t.Errorf("a file that was noted too soon after its change: the diff is %q", p)
	}
	n.At = n.Ctime + int64(time.Minute)
	if p := diffOf(rule, Manifest{"/bin/x": n}); !p.empty() {
		t.Errorf("a file that had been still for long is read again: %q", p)
	}
}

func TestEveryKindOfChangeIsSeen(t *testing.T) {
	dir := t.TempDir()
	rule := &project.Rule{Action: project.Sync, Path: dir, Target: "/app"}
	at := func(name string) string { return filepath.Join(dir, name) }
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, "file", "x")
	put(t, dir, "dir/in/x", "x")
	put(t, dir, "other/x", "x")
	do(os.Symlink("file", at("link")))
	for _, tt := range []struct {
		what string
		do   func()
		want string
	}{
		{"executable bit", func() { do(os.Chmod(at("file"), 0o755)) }, "/app/file"},
		{"setuid bit", func() { do(os.Chmod(at("file"), 0o755|fs.ModeSetuid)) }, "/app/file"},
		{"mode of a folder", func() { do(os.Chmod(at("dir"), 0o700)) }, "/app/dir"},
		{"empty folder", func() { do(os.Mkdir(at("empty"), 0o755)) }, "/app/empty"},
		{"folder removed", func() { do(os.RemoveAll(at("dir"))) }, "-/app/dir"},
		{"folder becomes file", func() {
			do(os.RemoveAll(at("other")))
			put(t, dir, "other", "x")
		}, "/app/other"},
		{"file becomes folder", func() {
			do(os.Remove(at("file")))
			put(t, dir, "file/in", "x")
		}, "/app/file /app/file/in"},
		{"link to elsewhere", func() {
			do(os.Remove(at("link")))
			do(os.Symlink("/no/where", at("link")))
		}, "/app/link"},
		{"link becomes file", func() { do(os.Remove(at("link"))); put(t, dir, "link", "x") }, "/app/link"},
		{"folder becomes a link to one with a file of that name", func() {
			do(os.Rename(at("file"), at("moved")))
			put(t, dir, "moved/in", "other")
			do(os.Symlink("moved", at("file")))
		}, "/app/file /app/moved /app/moved/in"},
		{"link becomes a folder again", func() {
			do(os.Remove(at("file")))
			do(os.Rename(at("moved"), at("file")))
		}, "-/app/moved /app/file /app/file/in"},
	} {
		// What the container has is brought on from step to step, as a sync
		// does it.
		have := has(rule)
		tt.do()
		p := diffOf(rule, have)
		if p.String() != tt.want {
			t.Errorf("%s: the diff is %s, want %s", tt.what, p, tt.want)
		}
		// Notices name all that is there and all that was.
		p = newDiff(&project.Service{Rules: []project.Rule{*rule}}, have)
		disk := p.trees.scanRule(rule).files
		for at := range have {
			file, _ := origin(rule, at)
			disk[file] = FileStat{}
		}
		for file := range disk {
			p.add(rule, file)
		}
		if p.finish(); p.String() != tt.want {
			t.Errorf("%s: by notices the diff is %s, want %s", tt.what, p, tt.want)
		}
	}
}

func TestTwoRulesForOnePathGiveItTwice(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "web/index", "x")
	put(t, dir, "more/index", "y")
	conf := &project.Service{Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/app"},
		{Action: project.Sync, Path: filepath.Join(dir, "web"), Target: "/www"},
		{Action: project.Sync, Path: filepath.Join(dir, "more"), Target: "/www/"},
	}}
	p := diffAll(conf, Manifest{})
	if got, want := p.String(), "/app/more /app/more/index /app/web /app/web/index /www/index"; got != want {
		t.Errorf("the diff is %s, want %s", got, want)
	}
	// What one rule takes away another may still give.
	have := scanSync(conf, nil)
	if err := os.Remove(filepath.Join(dir, "more/index")); err != nil {
		t.Fatal(err)
	}
	p = diffAll(conf, have)
	if got := p.files["/www/index"].file; got != filepath.Join(dir, "web/index") ||
		p.deletes["/www/index"] != "" {
		t.Errorf("the diff is %s, /www/index from %q", p, got)
	}
}

func TestPathsThatAreNotTextOutliveTheProcess(t *testing.T) {
	base := t.TempDir()
	opened := func() (*journal.Journal, *Syncer) {
		j := journal.Open(journal.Options{Base: base, Engine: "e", Project: "p",
			Warn: func(text string) { t.Error(text) }})
		return j, New(nil, j, nil)
	}
	j, y := opened()
	odd := "/app/\xff\n"
	y.records.change("c1", func(has, owes Manifest) {
		has[odd] = FileStat{Mode: 1}
		owes[odd] = FileStat{Link: "\xfe"}
	})
	y.records.outputs.Set("a", journal.Paths{odd})
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	_, y = opened()
	if files, _ := y.records.outputs.Get("a"); !slices.Equal(files, []string{odd}) {
		t.Errorf("prepare writes %q", files)
	}
	if y.records.has("c1")[odd].Mode != 1 || y.records.owes("c1")[odd].Link != "\xfe" || !y.Owes("c1") {
		t.Errorf("has %v, owes %v", y.records.has("c1"), y.records.owes("c1"))
	}
	if y.Forget("c1"); y.Owes("c1") || y.records.has("c1") != nil {
		t.Error("a container that is gone is still known")
	}
}
