package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bulkhead/engine/hostfile"
	"bulkhead/engine/project"
	"bulkhead/watch"
)

// table is what is known of a set of files: by absolute path on the host, or, for what a container holds, by path in the container.
type table map[string]fileNote

// fileNote is what tells one state of a file from another. A folder has a mode alone.
type fileNote struct {
	Size  int64  `json:"s"`
	Mtime int64  `json:"t"`           // nanoseconds
	Ctime int64  `json:"c"`           // nanoseconds; 0 where the system does not tell when a file was last changed in any way
	Ino   uint64 `json:"i,omitempty"` // 0 where the system does not tell
	Mode  uint32 `json:"m"`           // as fs.FileMode
	Link  string `json:"l,omitempty"`
	Sum   string `json:"h,omitempty"` // SHA-256 of the content; "" when unknown
	At    int64  `json:"a,omitempty"` // when this was noted, nanoseconds
	// Seen says that this stood in the container itself, as what it is: it was found there, or put there. A link in its place is not
	// the image's.
	Seen bool `json:"v,omitempty"`
}

// racy is how long before it was noted a file must have been still for its times to be trusted: two changes within one tick of a
// file system's clock look like one. The coarsest clocks (FAT) have ticks of two seconds.
const racy = 2 * time.Second

// note makes a note of a file, a folder or a symbolic link; ok is false for what is none of these.
func note(file string, fi fs.FileInfo) (n fileNote, ok bool) {
	n = fileNote{Mode: uint32(fi.Mode()), At: time.Now().UnixNano()}
	switch {
	case fi.IsDir():
		return n, true
	case fi.Mode()&fs.ModeSymlink != 0:
		n.Link, _ = os.Readlink(file) // a link that went away meanwhile is seen as changed by the next notice
		return n, true
	case fi.Mode().IsRegular():
		n.Size, n.Mtime, n.Ctime, n.Ino = fi.Size(), fi.ModTime().UnixNano(), changed(fi), inode(fi)
		return n, true
	}
	return fileNote{}, false
}

// look makes a note of what stands at a path. The error is that of the system, or nil for what can be neither copied nor built.
func look(file string) (n fileNote, ok bool, err error) {
	fi, err := os.Lstat(file)
	if err != nil {
		return fileNote{}, false, err
	}
	n, ok = note(file, fi)
	return n, ok, nil
}

// gone says whether an error means that a path is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || notAFolder(err) }

func (n fileNote) mode() fs.FileMode { return fs.FileMode(n.Mode) }
func (n fileNote) isDir() bool       { return n.mode().IsDir() }

// same says whether a file is still what have notes of it, and gives the note to keep from now on. Times decide where they can be
// trusted. Where they cannot (only they differ, or they tie too soon after a change), the content does, and where that is not known,
// the file counts as changed.
func (n fileNote) same(file string, have fileNote) (bool, fileNote) {
	if n.Mode != have.Mode || n.Size != have.Size || n.Link != have.Link {
		return false, n
	}
	if !n.mode().IsRegular() {
		return true, have
	}
	// Whatever is done to a file, setting its times back included, moves the time of its last change. But another one, made within the
	// same tick of the clock, may have come into its place with a folder that was renamed.
	if n.Ino == have.Ino && n.Mtime == have.Mtime && n.Ctime == have.Ctime && n.Ctime != 0 && have.At-have.Ctime > int64(racy) {
		return true, have
	}
	if have.Sum == "" {
		return false, n
	}
	sum, err := sumOf(file)
	if err != nil || sum != have.Sum {
		return false, n
	}
	n.Sum, n.Seen = sum, have.Seen
	return true, n
}

// sumOf reads a file whole.
func sumOf(file string) (string, error) {
	f, err := hostfile.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return sumFrom(f)
}

func sumFrom(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// lookFor is look at a path of a rule: where that is the rule's own, it stands for what it leads to when it is a link.
func lookFor(r *project.Rule, file string) (n fileNote, ok bool, err error) {
	if file != r.Path {
		return look(file)
	}
	fi, err := os.Stat(file)
	if err != nil {
		return fileNote{}, false, err
	}
	n, ok = note(file, fi)
	return n, ok, nil
}

// walk is filepath.WalkDir, but a root that is a link stands for what it leads to.
func walk(root string, f fs.WalkDirFunc) {
	fi, err := os.Lstat(root)
	if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		_ = filepath.WalkDir(root, f) // f itself returns no error
		return
	}
	if fi, err = os.Stat(root); err != nil {
		_ = f(root, nil, err)
		return
	}
	d := fs.FileInfoToDirEntry(fi)
	if f(root, d, nil) != nil || !fi.IsDir() {
		return
	}
	names, err := os.ReadDir(root)
	if err != nil {
		_ = f(root, d, err)
	}
	for _, d := range names {
		_ = filepath.WalkDir(filepath.Join(root, d.Name()), f)
	}
}

// scan lists what matches below a path: files, links and folders, the path itself too unless it is a folder. Ignored folders are not
// entered. A path that is not there gives nothing; blind are folders and files that could not be looked at.
func scan(root string, match func(string) bool, ignored func(string, bool) bool) (t table, blind []string) {
	t = table{}
	walk(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if !gone(err) {
				blind = append(blind, p)
			}
			return nil
		case d.IsDir() && p == root:
			return nil
		case d.IsDir() && ignored != nil && ignored(p, true):
			return filepath.SkipDir
		case match != nil && !match(p):
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			return nil // it went away meanwhile, and the notice of that comes by itself
		}
		if n, ok := note(p, fi); ok {
			t[p] = n
		}
		return nil
	})
	return t, blind
}

// scanRule lists what a rule names, without what editors put beside it for a moment.
func scanRule(r *project.Rule) (table, []string) {
	return scan(r.Path, func(p string) bool { return r.Match(p) && !watch.Ephemeral(p) }, r.Ignored)
}

// copies says whether a rule puts files into the container.
func copies(r *project.Rule) bool {
	return r.Action == project.Sync || r.Action == project.SyncRestart || r.Action == project.SyncExec
}

// hashed is the size up to which files are read to know their content before anything has been sent.
const hashed = 16 << 20

// scanSync lists what all rules that copy name, by where it goes. before is what was known until now: what it says of the content of
// files that are still the same is not read again.
func scanSync(conf *project.Service, before table) table {
	t := table{}
	for i := range conf.Rules {
		r := &conf.Rules[i]
		if !copies(r) {
			continue
		}
		disk, _ := scanRule(r)
		for file, n := range disk {
			at := target(r, file)
			if have, ok := before[at]; ok && have.Sum != "" {
				if same, kept := n.same(file, have); same {
					kept.Seen = false // nobody looked into the image
					t[at] = kept
					continue
				}
			}
			if n.mode().IsRegular() && n.Size <= hashed {
				n.Sum, _ = sumOf(file) // without it, the file is sent once more than it need be
			}
			t[at] = n
		}
	}
	return t
}

// print is one value for a whole table. Folders do not count.
func (t table) print() string {
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(t)) {
		if n := t[p]; !n.isDir() {
			fmt.Fprintf(h, "%s %d %d %d %s\n", p, n.Size, n.Mtime, n.Mode, n.Link)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// escaped begins the name of a path that JSON cannot hold as it is; real ones begin with a slash, or a drive's letter.
const escaped = "\x00"

// MarshalJSON keeps paths that are not UTF-8.
func (t table) MarshalJSON() ([]byte, error) {
	plain := make(map[string]fileNote, len(t))
	for p, n := range t {
		n.Link = escape(n.Link)
		plain[escape(p)] = n
	}
	return json.Marshal(plain)
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (t *table) UnmarshalJSON(b []byte) error {
	var plain map[string]fileNote
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	*t = make(table, len(plain))
	for p, n := range plain {
		n.Link = unescape(n.Link)
		(*t)[unescape(p)] = n
	}
	return nil
}

func escape(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return escaped + hex.EncodeToString([]byte(s))
}

func unescape(s string) string {
	if x, ok := strings.CutPrefix(s, escaped); ok {
		if b, err := hex.DecodeString(x); err == nil {
			return string(b)
		}
	}
	return s
}

// rebuildPrint is a value for the files that a service's rebuild rules name.
func rebuildPrint(conf *project.Service) string {
	t := table{}
	for i := range conf.Rules {
		if conf.Rules[i].Action == project.Rebuild {
			r := &conf.Rules[i]
			found, _ := scan(r.Path, func(p string) bool { return matches(conf, r, p) }, r.Ignored)
			maps.Copy(t, found)
		}
	}
	return t.print()
}

// dockerfile is the path of a service's Dockerfile.
func dockerfile(conf *project.Service) string {
	if conf.Config.Build == nil {
		return ""
	}
	file := conf.Config.Build.Dockerfile
	if file == "" {
		file = "Dockerfile"
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(conf.Config.Build.Context, file)
	}
	return file
}

// contextPrint is a value for a service's whole build context; "" for a context that is not a folder.
func contextPrint(conf *project.Service) string {
	dir := conf.Config.Build.Context
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return ""
	}
	file := dockerfile(conf)
	patterns, err := watch.ReadIgnoreFile(file + ".dockerignore")
	if err != nil || len(patterns) == 0 {
		if patterns, err = watch.ReadIgnoreFile(filepath.Join(dir, ".dockerignore")); err != nil {
			patterns = nil
		}
	}
	ignore, err := watch.NewIgnore(dir, patterns)
	if err != nil {
		return "" // the build says what is wrong with the patterns
	}
	t, _ := scan(dir, func(p string) bool { return !ignore.Match(p, false) }, ignore.Match)
	if n, ok, err := look(file); ok && err == nil {
		t[file] = n
	}
	return t.print()
}
