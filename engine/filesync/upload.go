package filesync

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/hostfile"
	"bulkhead/engine/project"
)

// Send brings a diff into its container, and records what that has now. What
// cannot be read on the host, or must not be written in the container, is left
// as it is there and returned. When nothing else is to be done, the error is a
// *Refused.
func (y *Syncer) Send(ctx context.Context, t Target, d *Diff) (left []LeftOut, err error) {
	defer d.trees.close()
	y.report(d, d.unreadable)
	u, err := y.packSettled(ctx, t, d)
	if err == nil && len(u.entries)+len(d.deletes) > 0 {
		y.records.intend(t.ID, u)
		defer func() { y.settle(t.ID, u, err) }()
		err = y.copyOver(ctx, t, u)
	}
	if some := (*container.NotWritten)(nil); errors.As(err, &some) {
		err = nil
		u.notWritten(some)
	}
	if err != nil {
		return nil, container.WrapErr(err, "copy into %s", t.Service.Name)
	}
	y.report(d, u.unreadable) // of what was read only now, too
	left = u.left()
	if len(u.refused)+len(u.failed) > 0 && len(u.sent)+len(d.deletes) == 0 {
		return nil, &Refused{Service: t.Service.Name, Left: left}
	}
	owed, err := y.deleteOrOwe(ctx, t, d)
	if err != nil {
		return nil, err
	}
	y.recordSent(t.ID, u, owed)
	return left, nil
}

// settle notes what became of an upload, unless that was recorded.
func (y *Syncer) settle(id string, u *upload, err error) {
	switch refused := (*Refused)(nil); {
	case errors.As(err, &refused):
		y.records.j.Settle(filesOf(id)) // nothing was changed
	case err != nil:
		y.records.doubt(id, u.touches())
	}
}

// notWritten takes out what did not reach its place.
func (u *upload) notWritten(some *container.NotWritten) {
	u.failed = map[string]string{}
	for _, en := range u.entries {
		if err := some.Files[en.dest()]; err != nil {
			delete(u.sent, en.at)
			u.failed[u.diff.files[en.at].file] = fmt.Sprintf("%s: %v", en.dest(), err)
		}
	}
	delete(u.failed, "") // a folder on the way; what lies in it is there by itself
}

// settling is how often, and with which pauses, a link that stands in the way is
// looked at again: what the container runs may just be moving things. A folder, a
// volume or a tmpfs that does is not looked at again: it stays.
const (
	settling      = 8
	settlingPause = 10 * time.Millisecond
)

// packSettled is pack once more for as long as links stand in the way that may
// be gone in a moment.
func (y *Syncer) packSettled(ctx context.Context, t Target, d *Diff) (*upload, error) {
	for n := 1; ; n++ {
		u, err := y.pack(ctx, t, d)
		if err != nil || !u.passing || n == settling {
			return u, err
		}
		select {
		case <-time.After(time.Duration(n) * settlingPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// copyOver sends what is packed, and leaves out what would take the place of a
// folder that did not come from here.
func (y *Syncer) copyOver(ctx context.Context, t Target, u *upload) error {
	err := y.copyIn(ctx, t, u)
	if !errors.Is(err, container.ErrConflict) {
		return err
	}
	// A folder stands where a file is to be. Which one is asked only now,
	// because it hardly ever happens.
	if err := y.guardFolders(ctx, t, u); err != nil {
		return err
	}
	u.unreadable = maps.Clone(u.diff.unreadable)
	return y.copyIn(ctx, t, u)
}

// recordSent records what a container has after a diff was sent; owed are the
// deletions that wait for its next start.
func (y *Syncer) recordSent(id string, u *upload, owed []string) {
	d := u.diff
	y.records.change(id, func(has, owes Manifest) {
		for at, n := range u.sent {
			has[at] = n
			delete(owes, at)
			// What else was in the folders on the way is owed by itself.
			ancestors(at, func(dir string) bool { delete(owes, dir); return true })
		}
		maps.Copy(has, d.renewed)
		for _, at := range owed {
			owes[at] = has[at]
			for _, below := range within(has, at) {
				owes[below] = has[below]
			}
		}
		for at := range d.deletes {
			delete(has, at)
		}
		for _, at := range d.forgotten {
			delete(has, at)
		}
		for at, by := range d.replaced {
			if _, sent := u.sent[by]; sent { // else the folder stands as it was
				delete(has, at)
			}
		}
	})
	y.records.j.Settle(filesOf(id))
}

// upload is a diff on its way as one tar stream.
type upload struct {
	diff       *Diff
	entries    []entry
	dirs       map[string]entry // folders that entries need, by path in the container
	replace    bool             // a file takes a folder's place, or the other way round
	sent       Manifest         // what the container has got, by path there
	trees      *trees
	unreadable map[string]error  // paths on the host that could not be read, and why
	refused    map[string]string // paths on the host: why they are not copied
	passing    bool              // what some were refused for may be gone in a moment
	failed     map[string]string // paths on the host: why they did not reach their places
	later      []string          // paths on the host: they are copied once the container runs
}

// left lists what is not copied, in the order of paths.
func (u *upload) left() (left []LeftOut) {
	for file, err := range u.unreadable {
		why := whyNot(u.diff.conf, file, err)
		left = append(left, LeftOut{Path: file, Why: why, Said: why != ""})
	}
	for file, why := range u.refused {
		left = append(left, LeftOut{Path: file, Why: why})
	}
	for file, why := range u.failed {
		left = append(left, LeftOut{Path: file, Why: why, Again: true})
	}
	for _, file := range u.later {
		left = append(left, LeftOut{Path: file, Said: true, Again: true})
	}
	slices.SortFunc(left, func(a, b LeftOut) int { return strings.Compare(a.Path, b.Path) })
	return left
}

// refusal says why an item is not written in the container; none is one without
// a text.
type refusal struct {
	why  string
	link bool // a link stands in the way: it may just be on the move
}

// byLink is a refusal because of a link.
func byLink(format string, args ...any) refusal {
	return refusal{why: fmt.Sprintf(format, args...), link: true}
}

// byOther is a refusal because of anything else.
func byOther(format string, args ...any) refusal { return refusal{why: fmt.Sprintf(format, args...)} }

func (r refusal) refuses() bool { return r.why != "" }

// refuse leaves an item out, because of what stands in the container. The
// others go.
func (u *upload) refuse(it item, r refusal) {
	if u.refused == nil {
		u.refused = map[string]string{}
	}
	u.refused[it.file] = r.why
	u.passing = u.passing || r.link
}

// record records that an entry went into the stream. What is written through a
// link does not stand in its place itself.
func (u *upload) record(en entry, n FileStat) {
	n.Seen = en.to == ""
	u.sent[en.at] = n
}

// entry is one header of the stream, and what follows it.
type entry struct {
	at       string
	to       string // where it is written, when links of the image lead there from at; "" otherwise
	below    string // the folder of the container that it may not be written outside of
	file     string // on the host; "" for a folder that has to be there for what lies in it
	rule     *project.Rule
	stat     FileStat
	uid, gid int
}

// dest is where an entry is written.
func (en entry) dest() string {
	if en.to != "" {
		return en.to
	}
	return en.at
}

// ownerFor returns whom a file is to belong to in the container: the user that
// the service runs as; where that is root, whom the target belongs to, or what
// it will be made in; with sync_owner: host, whom it belongs to on the host.
func (y *Syncer) ownerFor(ctx context.Context, t Target, all *trees, it item) (uid, gid int, err error) {
	top := it.top
	if t.Service.Extra.SyncOwner == project.HostOwner {
		tr, err := all.of(it.rule.Path)
		if err != nil {
			return 0, 0, nil // it went away; so nothing is sent of it
		}
		rel, err := tr.inRoot(it.file)
		if err != nil {
			return 0, 0, err
		}
		fi, err := tr.root.Lstat(rel)
		if err != nil {
			return 0, 0, nil
		}
		h, err := tar.FileInfoHeader(fi, "")
		if err != nil {
			return 0, 0, err
		}
		return h.Uid, h.Gid, nil
	}
	// An entrypoint may hand the target to another user, so what is known holds
	// for one life.
	key, started := ownerKey{id: t.ID, top: top}, t.Started.UnixNano()
	if o, ok := y.records.owner(key, started); ok {
		return o.uid, o.gid, nil
	}
	if uid, gid, err = y.rt.User(ctx, t.ID); err != nil {
		return 0, 0, err
	}
	if uid == 0 {
		if uid, gid, err = y.rt.Owner(ctx, t.ID, top); err != nil {
			return 0, 0, err
		}
	}
	y.records.setOwner(key, owner{started: started, uid: uid, gid: gid})
	return uid, gid, nil
}

// copyIn sends what is packed, as one tar stream for each folder that nothing
// may be written outside of.
func (y *Syncer) copyIn(ctx context.Context, t Target, u *upload) error {
	by := map[string][]entry{}
	for _, en := range u.entries {
		by[en.below] = append(by[en.below], en)
	}
	all := &container.NotWritten{Files: map[string]error{}}
	for _, below := range slices.Sorted(maps.Keys(by)) {
		err := y.stream(ctx, t, u, below, by[below])
		if some := (*container.NotWritten)(nil); errors.As(err, &some) {
			maps.Copy(all.Files, some.Files)
		} else if err != nil {
			return err
		}
	}
	if len(all.Files) > 0 {
		return all
	}
	return nil
}

// stream sends entries as one tar stream.
func (y *Syncer) stream(ctx context.Context, t Target, u *upload, below string, entries []entry) error {
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		buf := bufio.NewWriterSize(pw, 256<<10) // the pipe hands over every write by itself
		err := guarded(func() error { return u.write(buf, entries) })
		if err == nil {
			err = buf.Flush()
		}
		pw.CloseWithError(err)
		done <- err
	}()
	err := y.rt.CopyTo(ctx, t.ID, below, pr, u.replace)
	pr.CloseWithError(errors.New("nobody reads")) // lets the writer end when the runtime stopped early
	if werr := <-done; err == nil && werr != nil {
		err = werr
	}
	return err
}

// guarded turns a panic of f into an error with its stack: one in a goroutine
// would leave the terminal raw.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("tar: panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// write writes the stream, and records what went into it.
func (u *upload) write(w io.Writer, entries []entry) error {
	tw := tar.NewWriter(w)
	for _, en := range entries {
		if err := u.writeEntry(tw, en); err != nil {
			return err
		}
	}
	return tw.Close()
}

func (u *upload) writeEntry(tw *tar.Writer, en entry) error {
	h := &tar.Header{
		Name: strings.TrimPrefix(en.dest(), "/"), Uid: en.uid, Gid: en.gid, Format: tar.FormatPAX,
		ModTime: time.Unix(0, en.stat.At),
	}
	mode := en.stat.mode()
	h.Mode = int64(mode.Perm())
	if runtime.GOOS == "windows" && !mode.IsDir() {
		h.Mode = 0o755 // Windows has no executable bit, and what lacks it cannot be run in the container
	}
	for bit, number := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000,
		fs.ModeSticky: 0o1000} {
		if mode&bit != 0 {
			h.Mode |= number
		}
	}
	switch {
	case mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, en.stat.Link
	default:
		h.Typeflag = tar.TypeReg
		return u.writeFile(tw, h, en)
	}
	if en.file != "" {
		u.record(en, en.stat)
	}
	return tw.WriteHeader(h)
}

// writeFile adds one regular file as it is now. One that went away is left out,
// as is one in whose place something else stands by now: the notice of that
// follows. One that is written to while it is read is recorded so that it counts
// as changed, and then it is sent again.
func (u *upload) writeFile(tw *tar.Writer, h *tar.Header, en entry) error {
	tr, err := u.trees.of(en.rule.Path)
	if err != nil {
		return nil
	}
	f, err := tr.open(en.file)
	if err != nil {
		if kind := (*hostfile.KindError)(nil); !gone(err) && !errors.As(err, &kind) {
			u.unreadable[en.file] = err
		}
		return nil
	}
	defer f.Close() // only opened for reading
	fi, err := f.Stat()
	if err != nil {
		u.unreadable[en.file] = err
		return nil
	}
	n, _ := statOf(fi)
	n.Mode = en.stat.Mode
	h.Size, h.ModTime = fi.Size(), fi.ModTime()
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	u.record(en, FileStat{Mode: n.Mode, Size: -1})
	sum := sha256.New()
	src := &sourceFile{r: io.LimitReader(f, h.Size)}
	read, err := io.Copy(io.MultiWriter(tw, sum), src)
	if err != nil && src.err == nil {
		return err
	}
	if src.err != nil {
		u.unreadable[en.file] = src.err
	}
	if read < h.Size {
		_, err := io.Copy(tw, io.LimitReader(zeros{}, h.Size-read)) // the header has promised so much
		return err
	}
	again, err := f.Stat()
	if err != nil || again.Size() != fi.Size() || !again.ModTime().Equal(fi.ModTime()) ||
		changed(again) != changed(fi) {
		return nil
	}
	n.Sum = hex.EncodeToString(sum.Sum(nil))
	u.record(en, n)
	return nil
}

// sourceFile keeps a file's own error apart from that of whom it is copied to.
type sourceFile struct {
	r   io.Reader
	err error
}

func (s *sourceFile) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// zeros fills up what a file lost while it was read.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{0}, len(p))), nil }
