package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// scriptedSource is a source whose events a test makes up one by one.
type scriptedSource struct {
	number uint64
	opens  []string // "paths since number"
	stops  int
	fails  error
}

func (s *scriptedSource) latest() uint64 { return s.number }

func (s *scriptedSource) open(paths []string, since uint64, _ chan<- []rawEvent) (func(), error) {
	if s.fails != nil {
		return nil, s.fails
	}
	s.opens = append(s.opens, fmt.Sprintf("%s since %d", strings.Join(paths, " "), since))
	return func() { s.stops++ }, nil
}

// flagsBench is streams on a folder src with a folder known in it, and files that stood there before.
type flagsBench struct {
	*streams
	t   *testing.T
	dir string
}

func newFlagsBench(t *testing.T) *flagsBench {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &flagsBench{streams: newStreams(&scriptedSource{}, linuxDisk), t: t, dir: dir}
	for _, d := range []string{mustMkdir(t, dir, "src"), mustMkdir(t, dir, "src/known")} {
		if err := b.add(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	return b
}

// of returns what becomes of events as "op path", in the form of the op's letters: Create, Gone, Write, Attrib, Lost.
func (b *flagsBench) of(raw ...rawEvent) string {
	var out []string
	for _, e := range b.translate(raw) {
		text := ""
		for i, letter := range "CGWAL" {
			if e.op.has(1 << i) {
				text += string(letter)
			}
		}
		if e.path != "" {
			rel, err := filepath.Rel(b.dir, e.path)
			if err != nil {
				b.t.Fatal(err)
			}
			text += " " + rel
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func (b *flagsBench) at(rel string, flags uint32) rawEvent {
	return rawEvent{path: filepath.Join(b.dir, rel), flags: flags}
}

func (b *flagsBench) want(got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("got %q, want %q", got, want)
	}
}

// All flags of a file's whole life say nothing about which was last.
const wholeLife = flagCreated | flagRemoved | flagModified | flagRenamed | flagInodeMeta

func TestPiledUpFlagsAreDecidedByTheDisk(t *testing.T) {
	b := newFlagsBench(t)
	b.want(b.of(b.at("src/never", wholeLife)), "G src/never")
	mustWrite(t, b.dir, "src/a")
	b.want(b.of(b.at("src/a", wholeLife)), "C src/a")
	b.want(b.of(b.at("src/a", wholeLife)), "") // an attribute, and flags from before
	file, err := os.OpenFile(filepath.Join(b.dir, "src/a"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	b.want(b.of(b.at("src/a", wholeLife)), "W src/a")
	if err := os.Chmod(filepath.Join(b.dir, "src/a"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.want(b.of(b.at("src/a", wholeLife)), "A src/a")
	mustWrite(t, b.dir, "src/b")
	if err := os.Rename(filepath.Join(b.dir, "src/b"), filepath.Join(b.dir, "src/a")); err != nil {
		t.Fatal(err)
	}
	b.want(b.of(b.at("src/b", wholeLife), b.at("src/a", wholeLife)), "G src/b, C src/a")
	if err := os.Remove(filepath.Join(b.dir, "src/a")); err != nil {
		t.Fatal(err)
	}
	b.want(b.of(b.at("src/a", wholeLife)), "G src/a")
}

func TestFirstEventOfAFileGoesByItsFlags(t *testing.T) {
	b := newFlagsBench(t)
	for flags, want := range map[uint32]string{
		flagCreated: "C", flagModified: "W", flagCreated | flagModified: "C", flagInodeMeta: "A",
		flagXattr: "A", flagOwner: "A", flagFinderInfo: "A", flagRenamed: "C",
	} {
		name := fmt.Sprintf("src/%x", flags)
		mustWrite(t, b.dir, name)
		b.want(b.of(b.at(name, flags)), want+" "+name)
	}
}

// A stream may begin with what happened just before it.
func TestWhatStoodThereBeforeIsNoChange(t *testing.T) {
	b := newFlagsBench(t)
	mustWrite(t, b.dir, "src/old")
	mustWrite(t, b.dir, "src/moved")
	b.added[filepath.Join(b.dir, "src")].at = time.Now().Add(time.Hour)
	b.want(b.of(b.at("src/old", flagCreated|flagModified)), "")
	b.want(b.of(b.at("src/moved", flagCreated|flagRenamed)), "C src/moved") // its times are as old as it is
	b.want(b.of(rawEvent{path: "/", flags: flagHistoryDone}), "")
}

func TestFoldersOfAStream(t *testing.T) {
	b := newFlagsBench(t)
	b.want(b.of(b.at("src/known", flagInodeMeta|flagCreated)), "A src/known") // made long ago
	mustMkdir(t, b.dir, "src/new")
	b.want(b.of(b.at("src/new", flagCreated)), "C src/new")
	b.want(b.of(b.at("src/new", flagXattr)), "A src/new")
	if err := os.Rename(filepath.Join(b.dir, "src/new"), filepath.Join(b.dir, "moved")); err != nil {
		t.Fatal(err)
	}
	b.want(b.of(b.at("src/new", flagRenamed|flagCreated), b.at("moved", flagRenamed)), "G src/new")
	// Another folder by the same name, in one event.
	if err := os.Rename(filepath.Join(b.dir, "src/known"), filepath.Join(b.dir, "moved/known")); err != nil {
		t.Fatal(err)
	}
	mustMkdir(t, b.dir, "src/known")
	b.want(b.of(b.at("src/known", flagRemoved|flagCreated)), "CG src/known")
	b.want(b.of(b.at("src/known", flagMount)), "CG src/known")
	if err := os.Remove(filepath.Join(b.dir, "src/known")); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, b.dir, "src/known")
	b.want(b.of(b.at("src/known", flagRemoved|flagCreated)), "CG src/known")
}

// A folder that was moved away and came back before the keeper has heard of either is looked at again: of the
// first it hears that it is gone, and it stops to look at it then.
func TestFolderThatCameBackIsLookedAtAgain(t *testing.T) {
	b := newFlagsBench(t)
	known, away := filepath.Join(b.dir, "src/known"), filepath.Join(b.dir, "away")
	if err := os.Rename(known, away); err != nil {
		t.Fatal(err)
	}
	b.want(b.of(b.at("src/known", flagRenamed)), "G src/known")
	if err := os.Rename(away, known); err != nil {
		t.Fatal(err)
	}
	b.want(b.of(b.at("src/known", flagRenamed)), "CG src/known")
	if err := errors.Join(b.remove(known), b.add(known)); err != nil { // as the keeper does on that
		t.Fatal(err)
	}
	b.want(b.of(b.at("src/known", flagRenamed)), "A src/known")
}

func TestDroppedEventsAreALoss(t *testing.T) {
	b := newFlagsBench(t)
	b.want(b.of(rawEvent{path: "/", flags: flagMustScan | flagUserDropped}), "L")
	b.want(b.of(rawEvent{path: "/", flags: flagMustScan | flagKernelDropped}), "L")
	b.want(b.of(b.at("", flagMustScan)), "L")
	b.want(b.of(b.at("src/known", flagMustScan)), "L")
	b.want(b.of(b.at("src/node_modules", flagMustScan)), "") // nothing in it was added
	b.want(b.of(rawEvent{id: 3, flags: flagWrapped}), "L")
	b.want(b.of(b.at("src", flagRootChanged)), "G src")
}

func TestEventsInIgnoredFoldersCostNoLook(t *testing.T) {
	b := newFlagsBench(t)
	looks := 0
	b.disk.lstat = func(path string) (fs.FileInfo, time.Time, error) { looks++; return linuxDisk.lstat(path) }
	b.want(b.of(b.at("src/node_modules/x/y", flagCreated), b.at("elsewhere", flagModified)), "")
	if looks != 0 {
		t.Errorf("%d looks at the disk", looks)
	}
}

func TestPathsAreSpelledAsTheKeeperKnowsThem(t *testing.T) {
	s := newStreams(&scriptedSource{}, linuxDisk)
	s.bases = []string{"/Users/ann/Shop", "/Users/ann/shop/api", "/private/var/folders/x"}
	for path, want := range map[string]string{
		"/Users/ann/Shop/a":                     "/Users/ann/Shop/a",
		"Users/ann/Shop/a":                      "/Users/ann/Shop/a", // relative to the device
		"/System/Volumes/Data/Users/ann/Shop/a": "/Users/ann/Shop/a",
		"/var/folders/x/y":                      "/private/var/folders/x/y",
		"/private/var/folders/x/y":              "/private/var/folders/x/y",
		"/users/ANN/Shop/A":                     "/Users/ann/Shop/A", // what the user wrote in other cases
		"/Users/ann/shop/api/b":                 "/Users/ann/shop/api/b",
		"/Users/ann/Shopping/a":                 "/Users/ann/Shopping/a",
		"/Users/ann/Shop/":                      "/Users/ann/Shop",
		"/":                                     "/",
	} {
		if got := s.spelled(path); got != want {
			t.Errorf("%s is spelled %s, want %s", path, got, want)
		}
	}
}

// Where cases are one, the old name of a case rename is found on the disk as well.
func TestCaseRenameOnADiskWithoutCases(t *testing.T) {
	b := newFlagsBench(t)
	mustWrite(t, b.dir, "src/README")
	mustWrite(t, b.dir, "src/café")
	b.disk.lstat = func(path string) (fs.FileInfo, time.Time, error) {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			return nil, time.Time{}, err
		}
		for _, e := range entries {
			if strings.EqualFold(strings.ReplaceAll(e.Name(), "é", "e\u0301"),
				strings.ReplaceAll(filepath.Base(path), "é", "e\u0301")) {
				return linuxDisk.lstat(filepath.Join(filepath.Dir(path), e.Name()))
			}
		}
		return nil, time.Time{}, fs.ErrNotExist
	}
	b.want(b.of(b.at("src/readme", flagRenamed), b.at("src/README", flagRenamed)), "G src/readme, C src/README")
	// one name in two spellings of Unicode
	b.want(b.of(b.at("src/cafe\u0301", flagRenamed)), "C src/cafe\u0301")
}

func TestOneStreamCoversAllThatLiesBelow(t *testing.T) {
	dir := t.TempDir()
	src := &scriptedSource{number: 7}
	s := newStreams(src, linuxDisk)
	step := func(want ...string) {
		t.Helper()
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		for i := range src.opens {
			src.opens[i] = strings.ReplaceAll(src.opens[i], dir+"/", "")
		}
		if !slices.Equal(src.opens, want) {
			t.Errorf("streams %q, want %q", src.opens, want)
		}
		src.opens = nil
	}
	add := func(paths ...string) {
		t.Helper()
		for _, p := range paths {
			if err := s.add(mustMkdir(t, dir, p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("a/b", "a", "a/b/c", "z")
	src.number = 9
	step("a z since 7") // from before the first was added
	add("a/d", "a/b/e")
	step()
	// What the stream has handed over counts, and not what the system is at.
	s.translate([]rawEvent{{path: dir + "/a/x", flags: flagCreated, id: 8}})
	src.number = 20
	add("q")
	step("a q z since 8")
	if err := s.remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	step("a/b a/d q z since 8")
	for _, p := range []string{"a/b", "a/b/c", "a/b/e", "a/d", "q", "z"} {
		if err := s.remove(filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if src.stops != 3 {
		t.Errorf("%d streams stopped, want all 3", src.stops)
	}
}

func TestStreamThatDoesNotStartIsPolled(t *testing.T) {
	dir := t.TempDir()
	mustMkdir(t, dir, "sub")
	w := startedOn(t, quick(), func() (kernel, error) {
		return newStreams(&scriptedSource{fails: errors.New("no stream left")}, linuxDisk), nil
	}, Root{Path: dir})
	wantNotice(t, w, "no file notices (no stream left)", "")
	wantPaths(t, w, mustWrite(t, dir, "sub/a"))
	w.SetRoots([]Root{{Path: filepath.Join(dir, "sub")}})
	mustMkdir(t, dir, "sub/new")
	for range 2 {
		wantPaths(t, w, mustWrite(t, dir, "sub/new/b"))
	}
	select {
	case n := <-w.Notices():
		t.Errorf("a second notice: %+v", n)
	default:
	}
}

func TestCheckoutIsOneBatchFromAStream(t *testing.T) {
	k := newWork(t)
	// Streams have no order between them: git's own files may be told of a moment after the first that it writes.
	slow := quick()
	slow.Quiet, slow.Cap = 400*time.Millisecond, time.Minute
	k.w = startedOn(t, slow, func() (kernel, error) { return newStreams(madeUp(t, k.dir), linuxDisk), nil },
		Root{Path: filepath.Join(k.dir, "api")}, Root{Path: filepath.Join(k.dir, "web")})
	k.one(k.files, "git checkout main -> feature", func() { k.git("checkout", "-q", "feature") })
	k.one(k.files, "git checkout feature -> main", func() { k.git("checkout", "-q", "main") })
}
