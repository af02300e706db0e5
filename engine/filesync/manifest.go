package filesync

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
	"bulkhead/watch"
)

// Manifest is what is known of a set of files: by absolute path on the host,
// or, for what a container holds, by path in the container.
type Manifest map[string]FileStat

// FileStat is what tells one state of a file from another. A folder has a mode
// alone.
type FileStat struct {
	Size  int64 `json:"s"`
	Mtime int64 `json:"t"` // nanoseconds
	// nanoseconds, of the last change of any kind; 0 where the system does not say
	Ctime int64  `json:"c"`
	Ino   uint64 `json:"i,omitempty"` // 0 where the system does not say
	Mode  uint32 `json:"m"`           // as fs.FileMode
	Link  string `json:"l,omitempty"`
	Sum   string `json:"h,omitempty"` // SHA-256 of the content; "" when unknown
	At    int64  `json:"a,omitempty"` // when this was recorded, nanoseconds
	// Seen says that this stood in the container itself, as what it is: it was
	// found there, or put there. A link in its place is not the image's.
	Seen bool `json:"v,omitempty"`
}

// racy is how long before it was recorded a file must have been still for its
// times to be trusted: two changes within one tick of a file system's clock
// look like one. The coarsest clocks (FAT) have ticks of two seconds.
const racy = 2 * time.Second

// statOf records a file, a folder or a symbolic link, but not where that leads
// to; ok is false for anything else.
func statOf(fi fs.FileInfo) (n FileStat, ok bool) {
	n = FileStat{Mode: uint32(fi.Mode()), At: time.Now().UnixNano()}
	switch {
	case fi.IsDir(), fi.Mode()&fs.ModeSymlink != 0:
		return n, true
	case fi.Mode().IsRegular():
		n.Size, n.Mtime, n.Ctime, n.Ino = fi.Size(), fi.ModTime().UnixNano(), changed(fi), inode(fi)
		return n, true
	}
	return FileStat{}, false
}

// gone says whether an error means that a path is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

func (n FileStat) mode() fs.FileMode { return fs.FileMode(n.Mode) }
func (n FileStat) isDir() bool       { return n.mode().IsDir() }

// same says whether a file is still what have records of it, and returns the
// record to keep from now on. Times decide where they can be trusted. Where
// they cannot (only they differ, or they tie too soon after a change), the
// content does, and where that is not known, the file counts as changed.
func (n FileStat) same(tr *tree, file string, have FileStat) (bool, FileStat) {
	if n.Mode != have.Mode || n.Size != have.Size || n.Link != have.Link {
		return false, n
	}
	if !n.mode().IsRegular() {
		return true, have
	}
	// Whatever is done to a file, setting its times back included, moves the
	// time of its last change. But another one, made within the same tick of
	// the clock, may have come into its place with a folder that was renamed.
	still := n.Ino == have.Ino && n.Mtime == have.Mtime && n.Ctime == have.Ctime
	if still && n.Ctime != 0 && have.At-have.Ctime > int64(racy) {
		return true, have
	}
	if have.Sum == "" {
		return false, n
	}
	sum, err := tr.sumOf(file)
	if err != nil || sum != have.Sum {
		return false, n
	}
	n.Sum, n.Seen = sum, have.Seen
	return true, n
}

// maxHashed is the size up to which files are read to know their content before
// anything has been sent.
const maxHashed = 16 << 20

// withSum adds the content's sum to the record of a regular file that is not
// too large.
func (n FileStat) withSum(tr *tree, file string) FileStat {
	if n.mode().IsRegular() && n.Size <= maxHashed {
		n.Sum, _ = tr.sumOf(file) // without it, the file is sent once more than it need be
	}
	return n
}

// sumOf reads a file whole.
func (t *tree) sumOf(file string) (string, error) {
	f, err := t.open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() // only opened for reading
	return sumFrom(f)
}

func sumFrom(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// listing is what stands at and below a path of the host.
type listing struct {
	files      Manifest
	unreadable map[string]error  // what could not be looked at, and why; see whyNot
	odd        map[string]string // what is neither file, folder nor link: its kind
}

// scan lists what matches in a tree: files, links and folders, the path itself
// too unless it is a folder. Ignored folders are not entered.
func (t *tree) scan(match func(string) bool, ignored func(string, bool) bool) listing {
	l := newListing()
	t.walk(func(p, rel string, fi fs.FileInfo, err error) (enter bool) {
		var n FileStat
		kind := ""
		if err == nil {
			switch {
			case fi.IsDir() && p == t.path:
				return true
			case fi.IsDir() && ignored != nil && ignored(p, true):
				return false
			case match != nil && !match(p):
				return true
			}
			n, kind, err = t.statOf(rel, fi)
		}
		switch {
		case err != nil && gone(err): // it went away meanwhile, and the notice of that comes by itself
		case err != nil:
			l.unreadable[p] = err
		case kind != "":
			l.odd[p] = kind
		default:
			l.files[p] = n
		}
		return true
	})
	return l
}

func newListing() listing {
	return listing{files: Manifest{}, unreadable: map[string]error{}, odd: map[string]string{}}
}

// scan lists what matches at and below a path that the project names; for one
// that is not there the listing is empty.
func (t *trees) scan(path string, match func(string) bool, ignored func(string, bool) bool) listing {
	tr, err := t.of(path)
	if err == nil {
		return tr.scan(match, ignored)
	}
	l := newListing()
	if !gone(err) {
		l.unreadable[path] = err
	}
	return l
}

// whyNot says why a path of a service's project cannot be read, "" when that is a
// matter of permissions, whose remedy the lane knows. Where there is no remedy that
// could be named, the system's own words have to do.
func whyNot(conf *project.Service, file string, err error) string {
	if outside := (*project.OutsideError)(nil); errors.As(err, &outside) {
		return outside.Path + " " + outside.Reason() + ", so nothing of it is copied; " + outside.Suggestion()
	}
	if errors.Is(err, errTooDeep) {
		return fmt.Sprintf("what lies in %s is nested too deeply for a container, so it is not copied",
			brief(project.Relative(conf.Dir, file)))
	}
	if errors.Is(err, fs.ErrPermission) {
		return ""
	}
	if in := (*fs.PathError)(nil); errors.As(err, &in) {
		err = in.Err
	}
	return fmt.Sprintf("%s cannot be read, so it is not copied: %v", project.Relative(conf.Dir, file), err)
}

// brief cuts a path to what a line has room for.
func brief(file string) string {
	const most = 240
	if len(file) <= most {
		return file
	}
	return strings.ToValidUTF8(file[:most], "") + "…"
}

// scanRule lists what a rule names, without what editors put beside it for a
// moment.
func (t *trees) scanRule(r *project.Rule) listing {
	return t.scan(r.Path, func(p string) bool { return r.Match(p) && !watch.Ephemeral(p) }, r.Ignored)
}

// scanSync lists what all rules that copy name, by where it goes. before is
// what was known until now: what it says of the content of files that are still
// the same is not read again.
func scanSync(conf *project.Service, before Manifest) Manifest {
	all := newTrees(conf)
	defer all.close()
	t := Manifest{}
	for i := range conf.Rules {
		r := &conf.Rules[i]
		if !r.Action.Syncs() {
			continue
		}
		tr, err := all.of(r.Path)
		if err != nil {
			continue
		}
		for file, n := range all.scanRule(r).files {
			at := target(r, file)
			if have, ok := before[at]; ok && have.Sum != "" {
				if same, kept := n.same(tr, file, have); same {
					kept.Seen = false // nobody looked into the image
					t[at] = kept
					continue
				}
			}
			t[at] = n.withSum(tr, file)
		}
	}
	return t
}

// MarshalJSON keeps paths that are not UTF-8.
func (t Manifest) MarshalJSON() ([]byte, error) {
	plain := make(map[string]FileStat, len(t))
	for p, n := range t {
		n.Link = journal.EscapePath(n.Link)
		plain[journal.EscapePath(p)] = n
	}
	return json.Marshal(plain)
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (t *Manifest) UnmarshalJSON(b []byte) error {
	var plain map[string]FileStat
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	*t = make(Manifest, len(plain))
	for p, n := range plain {
		n.Link = journal.UnescapePath(n.Link)
		(*t)[journal.UnescapePath(p)] = n
	}
	return nil
}
