package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"bulkhead/engine/project"
	"bulkhead/watch"
)

// table is what is known of a set of files, by absolute path on the host. Folders are not in it.
type table map[string]fileNote

// fileNote is what tells one content of a file from another. Sum is known only of what was copied by us.
type fileNote struct {
	Size  int64  `json:"s"`
	Mtime int64  `json:"t"` // nanoseconds
	Mode  uint32 `json:"m"`
	Link  string `json:"l,omitempty"`
	Sum   string `json:"h,omitempty"`
}

// look reads what is known of one file; ok is false when it is not a file or a symlink, or not there.
func look(file string) (fileNote, bool) {
	fi, err := os.Lstat(file)
	if err != nil || fi.IsDir() {
		return fileNote{}, false
	}
	n := fileNote{Size: fi.Size(), Mtime: fi.ModTime().UnixNano(), Mode: uint32(fi.Mode())}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		n.Link, _ = os.Readlink(file) // a link that went away meanwhile is seen as changed by the next notice
	case !fi.Mode().IsRegular():
		return fileNote{}, false
	}
	return n, true
}

// same says whether a file has not changed. Where only the time differs, the content decides, if it is known.
func (n fileNote) same(file string, have fileNote) bool {
	if n.Mode != have.Mode || n.Size != have.Size || n.Link != have.Link {
		return false
	}
	if n.Mtime == have.Mtime {
		return true
	}
	if have.Sum == "" || n.Size > 256<<20 {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false
	}
	return hex.EncodeToString(h.Sum(nil)) == have.Sum
}

// scan lists the files below a path that match; ignored folders are not entered. A path that is not there gives nothing.
func scan(root string, match func(string) bool, ignored func(string, bool) bool) table {
	t := table{}
	// Errors mean that something went away or may not be read; the notice of that comes by itself.
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case d.IsDir():
			if p != root && ignored != nil && ignored(p, true) {
				return filepath.SkipDir
			}
		case match == nil || match(p):
			if n, ok := look(p); ok {
				t[p] = n
			}
		}
		return nil
	})
	return t
}

func scanRule(r *project.Rule) table { return scan(r.Path, r.Match, r.Ignored) }

// copies says whether a rule puts files into the container.
func copies(r *project.Rule) bool {
	return r.Action == project.Sync || r.Action == project.SyncRestart || r.Action == project.SyncExec
}

// scanSync lists the files of all rules that copy.
func scanSync(conf *project.Service) table {
	t := table{}
	for i := range conf.Rules {
		if copies(&conf.Rules[i]) {
			maps.Copy(t, scanRule(&conf.Rules[i]))
		}
	}
	return t
}

// print is one value for a whole table.
func (t table) print() string {
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(t)) {
		n := t[p]
		fmt.Fprintf(h, "%s %d %d %d %s\n", p, n.Size, n.Mtime, n.Mode, n.Link)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// rebuildPrint is a value for the files that a service's rebuild rules name.
func rebuildPrint(conf *project.Service) string {
	t := table{}
	for i := range conf.Rules {
		if conf.Rules[i].Action == project.Rebuild {
			r := &conf.Rules[i]
			maps.Copy(t, scan(r.Path, func(p string) bool { return matches(conf, r, p) }, r.Ignored))
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
	t := scan(dir, func(p string) bool { return !ignore.Match(p, false) }, ignore.Match)
	if n, ok := look(file); ok {
		t[file] = n
	}
	return t.print()
}

// target is where a rule puts a path.
func target(r *project.Rule, file string) string {
	rel, err := filepath.Rel(r.Path, file)
	if err != nil || rel == "." {
		if strings.HasSuffix(r.Target, "/") {
			return path.Join(r.Target, filepath.Base(file))
		}
		return path.Clean(r.Target)
	}
	return path.Join(r.Target, filepath.ToSlash(rel))
}

// parcel is what is to be done to the files of a container: rule by rule, what differs.
type parcel struct {
	files   map[string]string // path on the host -> path in the container
	deletes map[string]string
	notes   table
}

func newParcel() *parcel {
	return &parcel{files: map[string]string{}, deletes: map[string]string{}, notes: table{}}
}

func (p *parcel) empty() bool { return len(p.files) == 0 && len(p.deletes) == 0 }

func (p *parcel) paths() []string {
	out := append(slices.Collect(maps.Keys(p.files)), slices.Collect(maps.Keys(p.deletes))...)
	slices.Sort(out)
	return slices.Compact(out)
}

// add looks at one path that a rule copies, and takes it in when the container has something else. A path that is gone stands for
// all that was below it.
func (p *parcel) add(r *project.Rule, file string, have table) {
	note, there := look(file)
	if there {
		if old, ok := have[file]; !ok || !note.same(file, old) {
			p.files[file], p.notes[file] = target(r, file), note
			delete(p.deletes, file)
		}
		return
	}
	if fi, err := os.Stat(file); err == nil && fi.IsDir() {
		return // what is in a folder is named by itself
	}
	for old := range have {
		if old == file || strings.HasPrefix(old, file+string(filepath.Separator)) {
			p.deletes[old] = target(r, old)
		}
	}
	// What we never saw may be there all the same: it came with the image.
	p.deletes[file] = target(r, file)
}

// addAll compares everything below a rule with what the container has.
func (p *parcel) addAll(r *project.Rule, have table) {
	disk := scanRule(r)
	for file, note := range disk {
		if old, ok := have[file]; !ok || !note.same(file, old) {
			p.files[file], p.notes[file] = target(r, file), note
		}
	}
	for old := range have {
		if _, still := disk[old]; !still && r.Match(old) {
			p.deletes[old] = target(r, old)
		}
	}
}

// send puts a parcel into one container, and notes what it has now.
func (e *Engine) send(ctx context.Context, s *service, r *replica, id string, running bool, p *parcel) error {
	sums := map[string]string{}
	if len(p.files) > 0 {
		if err := e.copyIn(ctx, s, id, p, sums); err != nil {
			return err
		}
	}
	var owed []string
	if len(p.deletes) > 0 {
		gone := slices.Sorted(maps.Values(p.deletes))
		err := e.rt.Delete(ctx, id, gone)
		switch {
		case errors.Is(err, ErrUnsupported) && !running:
			owed = gone // done at the next start
		case err != nil:
			return say(err, "delete in %s", s.name)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	have := e.store.files(id)
	if have == nil {
		have = table{}
	}
	for file, n := range p.notes {
		n.Sum = sums[file]
		have[file] = n
	}
	for file := range p.deletes {
		delete(have, file)
	}
	e.store.setFiles(id, have)
	if r.inst.ID == id {
		r.files = have
	}
	for _, f := range owed {
		if r.owed == nil {
			r.owed = map[string]struct{}{}
		}
		r.owed[f] = struct{}{}
	}
	return nil
}

// copyIn sends the files of a parcel as one tar stream.
func (e *Engine) copyIn(ctx context.Context, s *service, id string, p *parcel, sums map[string]string) error {
	// Owners are asked for before the stream begins: an engine may hold a container's lock while it unpacks.
	owners := map[string][2]int{}
	for _, at := range p.files {
		// One folder's files belong to one owner: the one whom the target has now.
		dir := path.Dir(at)
		if _, ok := owners[dir]; ok {
			continue
		}
		uid, gid, err := e.rt.Owner(ctx, id, at)
		if err != nil {
			return say(err, "copy into %s", s.name)
		}
		owners[dir] = [2]int{uid, gid}
	}
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := guarded("tar", func() error { return writeTar(pw, p, owners, sums) })
		pw.CloseWithError(err)
		done <- err
	}()
	err := e.rt.CopyTo(ctx, id, pr)
	pr.CloseWithError(errors.New("nobody reads")) // lets the writer end when the runtime stopped early
	if werr := <-done; err == nil && werr != nil {
		err = werr
	}
	if err != nil {
		return say(err, "copy into %s", s.name)
	}
	return nil
}

// writeTar writes the files of a parcel, owned by whom owners says for the folder they go to, and notes what they hold.
func writeTar(w io.Writer, p *parcel, owners map[string][2]int, sums map[string]string) error {
	tw := tar.NewWriter(w)
	for _, file := range slices.Sorted(maps.Keys(p.files)) {
		at, note := p.files[file], p.notes[file]
		owner := owners[path.Dir(at)]
		mode := fs.FileMode(note.Mode)
		h := &tar.Header{Name: strings.TrimPrefix(at, "/"), Mode: int64(mode.Perm()), Uid: owner[0], Gid: owner[1], Size: note.Size, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if fi, err := os.Lstat(file); err == nil {
			h.ModTime = fi.ModTime()
		}
		if note.Link != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, note.Link, 0
			if err := tw.WriteHeader(h); err != nil {
				return err
			}
			continue
		}
		if err := writeFile(tw, h, file, sums); err != nil {
			return err
		}
	}
	return tw.Close()
}

// writeFile adds one regular file as it is now. One that went away, or shrinks while it is read, is left to the notice that follows.
func writeFile(tw *tar.Writer, h *tar.Header, file string, sums map[string]string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	h.Size = fi.Size()
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(tw, sum), io.LimitReader(f, h.Size))
	if err != nil {
		return err
	}
	if n < h.Size {
		_, err = io.Copy(tw, io.LimitReader(zeros{}, h.Size-n))
		return err
	}
	sums[file] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// zeros fills up what a file lost while it was read.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{0}, len(p))), nil }

// rememberImageFiles notes what a new container holds of its sync rules' files: what its image was built from, or, for rules with
// initial_sync, nothing.
func (e *Engine) rememberImageFiles(s *service, spec CreateSpec, id string) {
	have := table{}
	note, known := e.store.image(s.name, spec.Image.ID)
	for i := range s.conf.Rules {
		r := &s.conf.Rules[i]
		if !copies(r) || r.InitialSync {
			continue
		}
		if !known {
			// Somebody else built the image: what is on the disk now is taken to be in it, as docker compose does.
			maps.Copy(have, scanRule(r))
			continue
		}
		for file, n := range note.Files {
			if r.Match(file) {
				have[file] = n
			}
		}
	}
	e.store.setFiles(id, have)
}

// catchUp gives a container that does not run what its rules' files have become since it was made or last synced.
func (e *Engine) catchUp(ctx context.Context, s *service, n int, id string) error {
	if e.opts.NoWatch {
		return nil
	}
	have := e.store.files(id)
	if have == nil {
		return nil
	}
	p := e.differences(s, have)
	if p.empty() {
		return nil
	}
	e.mu.Lock()
	r := s.replica(n)
	e.mu.Unlock()
	return e.send(ctx, s, r, id, false, p)
}

// differences compares all sync rules with what a container has.
func (e *Engine) differences(s *service, have table) *parcel {
	p := newParcel()
	for i := range s.conf.Rules {
		if r := &s.conf.Rules[i]; copies(r) && !bound(s.conf, r.Path) {
			p.addAll(r, have)
		}
	}
	return p
}

// settleDeletes carries out the deletions that a stopped container still owes.
func (e *Engine) settleDeletes(ctx context.Context, s *service, n int) error {
	e.mu.Lock()
	r := s.replica(n)
	owed := slices.Sorted(maps.Keys(r.owed))
	id := r.inst.ID
	r.owed = nil
	e.mu.Unlock()
	if len(owed) == 0 {
		return nil
	}
	if err := e.rt.Delete(ctx, id, owed); err != nil {
		return say(err, "delete in %s", s.name)
	}
	return nil
}
