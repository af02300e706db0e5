package watch

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/patternmatcher"
)

func TestIgnoreTable(t *testing.T) {
	// Verdicts: "-" seen, "f" ignored but something below may be seen, so that
	// a folder of that name must be walked, "x" ignored with all below.
	for _, tt := range []struct{ patterns, want string }{
		{"node_modules", "node_modules=x node_modules/a=x sub/node_modules=- node_modules2=-"},
		{"**/node_modules", "node_modules=x sub/node_modules=x sub/deep/node_modules/x/y=x sub=-"},
		{"**/node_modules/", "node_modules=x sub/node_modules=x"},
		{"/dist/", "dist=x dist/a=x sub/dist=-"},
		{"./dist", "dist=x"},
		{"  dist  ", "dist=x"},
		{"dist/", "dist=x dist/a/b=x"},
		{"*", "a=x a/b=x .hidden=x"},
		{"**", "a=x a/b=x"},
		{". / dist", "dist=x a=-"},
		{"* !src", "docs=x docs/a=x src=- src/a=- src/a/b=- src2=x"},
		{"* !src/api", "docs=x src=f src/web=x src/api=- src/api/a=- src/a.go=x"},
		{"* !src/*/keep", "src=f src/a=f src/a/keep=- src/a/other=x docs=x"},
		{"* !**/*.go", "docs=f docs/deep=f main.go=- docs/deep/main.go=- docs/readme=f"},
		{"**/*.log !keep.log", "a.log=x sub/keep.log=x keep.log=-"},
		{"docs !docs/README.md", "docs=f docs/README.md=- docs/a=x docs/a/b=x"},
		{"!docs/README.md docs", "docs=x docs/README.md=x"},
		{"docs !docs/keep docs/keep/tmp", "docs=f docs/keep=- docs/keep/a=- docs/keep/tmp=x docs/keep/tmp/a=x"},
		{"docs !docs", "docs=- docs/a=-"},
		{"* !src **/secret", "src=- src/secret=x src/a/secret/b=x"},
		{"* ! src", "docs=x src=-"},
		{"* !/src/", "docs=x src=- src/a=-"},
		{"*.md", "a.md=x sub/a.md=-"},
		{"a?c", "abc=x ac=- a/c=-"},
		{"[ab].txt", "a.txt=x c.txt=-"},
		{"* ![ab]/c", "a=f a/c=- z=f"},
		{`\!important`, "!important=x important=-"},
		{"sub/../dist", "dist=x sub=-"},
		{".git", ".git=x .git/HEAD=x .gitignore=- sub/.git=-"},
		{"a.b", "a.b=x axb=-"},
		{"", "a=-"},
	} {
		var patterns []string
		for p := range strings.SplitSeq(strings.ReplaceAll(tt.patterns, "! ", "!\x00"), " ") {
			patterns = append(patterns, strings.ReplaceAll(p, "\x00", " "))
		}
		if strings.HasPrefix(tt.patterns, "  ") {
			patterns = []string{tt.patterns}
		}
		ig, err := NewIgnore("/p", patterns)
		if err != nil {
			t.Errorf("%q: %v", tt.patterns, err)
			continue
		}
		for w := range strings.FieldsSeq(tt.want) {
			path, want, _ := strings.Cut(w, "=")
			got := "-"
			if file := ig.Match("/p/"+path, false); file {
				got = "f"
				if ig.Match("/p/"+path, true) {
					got = "x"
				}
			} else if ig.Match("/p/"+path, true) {
				got = "folder alone"
			}
			if got != want {
				t.Errorf("%q: %s is %s, want %s", tt.patterns, path, got, want)
			}
		}
	}
}

func TestIgnoreNeverMatchesItsRootOrOutside(t *testing.T) {
	ig, err := NewIgnore("/p/app", []string{"*", "**"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/p/app", "/p", "/", "/p/application", "/p/app2/x", "/q", "/p/app/../x"} {
		if ig.Match(path, false) || ig.Match(path, true) {
			t.Errorf("%s is ignored", path)
		}
	}
}

func TestIgnoreNamesTheBadPattern(t *testing.T) {
	for _, bad := range []string{"[", "a/[b", "!", " ! ", "[]a]"} {
		if _, err := NewIgnore("/p", []string{"fine", bad}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: error %v does not name it", bad, err)
		}
	}
}

func TestIgnoreIsForManyGoroutines(t *testing.T) {
	ig, err := NewIgnore("/p", []string{"*", "!src/**/*.go", "**/[ab]*", "!z?"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if ig.Match("/p/src/x/y.go", false) || !ig.Match("/p/src/b.go", false) {
					t.Error("wrong verdict")
				}
			}
		})
	}
	wg.Wait()
}

func TestEphemeralFilesByTheirName(t *testing.T) {
	for _, name := range []string{
		".main.go.swp", ".main.go.swo", ".main.go.swx", ".main.go.swpx", ".swp", "4913", "5036", "main.go~",
		"main.go___jb_tmp___", "main.go___jb_old___", ".#main.go", "#main.go#", ".main.go.kate-swp",
		"settings.json.vsctmp", "sedA1b2C3", "sedabcdeF", "server-go-tmp-umask", ".DS_Store",
		".goutputstream-A1B2C3",
		".nfs000000000012345600000001", ".fuse_hidden0000000100000001", ".~lock.book.odt#", ".subl3f2.tmp",
	} {
		if !Ephemeral("/p/sub/" + name) {
			t.Errorf("%s is not ephemeral", name)
		}
	}
	for _, name := range []string{
		"main.go", ".env", ".swift", "a.swp", ".app.swagger", ".x.swf2", "4912", "49130", "~", "#",
		"##", "sedentary", "sedation",
		"sed-A1b2C", "sedA1b2C3.go", ".nfsrc", "vim.swo", ".gitignore", "Makefile", "tmp", "jb_tmp",
	} {
		if Ephemeral("/p/4913~/" + name) {
			t.Errorf("%s is ephemeral", name)
		}
	}
}

// FuzzIgnore holds three things for any patterns: no panic, the same verdict
// as the library gives for the whole list, and that a folder which may be
// skipped has nothing seen below it.
func FuzzIgnore(f *testing.F) {
	for _, s := range []struct{ patterns, path string }{
		{"*\n!src", "src/a"},
		{"**/node_modules/", "a/node_modules/b"},
		{"docs\n!docs/README.md\n# no comment here", "docs/README.md"},
		{"a**b\n!a/[^x]/b", "a/x/b"},
		{"\\!x\n!!x", "!x"},
		{"!\\*\n*", "a//b/../c"},
	} {
		f.Add(s.patterns, s.path)
	}
	f.Fuzz(func(t *testing.T, patterns, path string) {
		lines := strings.Split(patterns, "\n")
		ig, err := NewIgnore("/p", lines)
		if err != nil {
			return
		}
		path = filepath.Join("/p", filepath.Join("/", path))
		if path == "/p" || strings.ContainsRune(path, 0) {
			return
		}
		seen := !ig.Match(path, false)
		for dir := filepath.Dir(path); dir != "/p"; dir = filepath.Dir(dir) {
			if seen && ig.Match(dir, true) {
				t.Errorf("%q: %s may be skipped, but %s is seen", lines, dir, path)
			}
		}
		if !seen && ig.Match(path, true) && !ig.Match(path+"/below", false) {
			t.Errorf("%q: %s may be skipped, but %s/below is seen", lines, path, path)
		}
		var clean []string
		for i, p := range ig.patterns {
			text := p.matcher.Patterns()[0].String()
			if text[0] == '!' {
				return // the library cannot say this without an escape
			}
			if clean = append(clean, text); p.exception {
				clean[i] = "!" + text
			}
		}
		whole, err := patternmatcher.New(clean)
		if err != nil {
			return // two marks, which the library refuses
		}
		rel, _ := below("/p", path)
		if ignored, err := whole.MatchesOrParentMatches(rel); err == nil && ignored == seen {
			t.Errorf("%q: %s: seen %v, but the library says ignored %v", clean, rel, seen, ignored)
		}
	})
}
