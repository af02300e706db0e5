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
	"os"
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
	u, err := y.pack(ctx, t, d)
	if err == nil {
		err = y.copyOver(ctx, t, u)
	}
	if err != nil {
		return nil, container.WrapErr(err, "copy into %s", t.Service.Name)
	}
	left = u.left()
	if len(u.refused) > 0 && len(u.entries)+len(d.deletes) == 0 {
		return nil, &Refused{Service: t.Service.Name, Left: left}
	}
	owed, err := y.deleteOrOwe(ctx, t, d)
	if err != nil {
		return nil, err
	}
	y.recordSent(t.ID, u, owed)
	return left, nil
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
	u.unreadable = slices.Clone(u.diff.unreadable)
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
	})
}

// upload is a diff on its way as one tar stream.
type upload struct {
	diff       *Diff
	entries    []entry
	dirs       map[string]entry  // folders that entries need, by path in the container
	replace    bool              // a file takes a folder's place, or the other way round
	sent       Manifest          // what the container has got, by path there
	unreadable []string          // paths on the host
	refused    map[string]string // paths on the host: why they are not copied
}

// left lists what is not copied, in the order of paths.
func (u *upload) left() (left []LeftOut) {
	for _, file := range u.unreadable {
		left = append(left, LeftOut{Path: file})
	}
	for file, why := range u.refused {
		left = append(left, LeftOut{Path: file, Why: why})
	}
	slices.SortFunc(left, func(a, b LeftOut) int { return strings.Compare(a.Path, b.Path) })
	return left
}

// refuse leaves an item out, because of what stands in the container. The
// others go.
func (u *upload) refuse(it item, format string, args ...any) {
	if u.refused == nil {
		u.refused = map[string]string{}
	}
	u.refused[it.file] = fmt.Sprintf(format, args...)
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
	file     string // on the host; "" for a folder that has to be there for what lies in it
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
func (y *Syncer) ownerFor(ctx context.Context, t Target, top, file string) (uid, gid int, err error) {
	if t.Service.Extra.SyncOwner == project.HostOwner {
		fi, err := os.Lstat(file)
		if err != nil {
			return 0, 0, nil // it went away; so nothing is sent of it
		}
		h, err := tar.FileInfoHeader(fi, "")
		if err != nil {
			return 0, 0, err
		}
		return h.Uid, h.Gid, nil
	}
	// An entrypoint may hand the target to another user, so what is known holds
	// for one life.
	key := ownerKey{id: t.ID, started: t.Started.UnixNano(), top: top}
	if o, ok := y.records.owner(key); ok {
		return o[0], o[1], nil
	}
	if uid, gid, err = y.rt.User(ctx, t.ID); err != nil {
		return 0, 0, err
	}
	if uid == 0 {
		if uid, gid, err = y.rt.Owner(ctx, t.ID, top); err != nil {
			return 0, 0, err
		}
	}
	y.records.setOwner(key, [2]int{uid, gid})
	return uid, gid, nil
}

// copyIn sends what is packed, if anything is, as one tar stream.
func (y *Syncer) copyIn(ctx context.Context, t Target, u *upload) error {
	if len(u.entries) == 0 {
		return nil
	}
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		buf := bufio.NewWriterSize(pw, 256<<10) // the pipe hands over every write by itself
		err := guarded(func() error { return u.write(buf) })
		if err == nil {
			err = buf.Flush()
		}
		pw.CloseWithError(err)
		done <- err
	}()
	err := y.rt.CopyTo(ctx, t.ID, pr, u.replace)
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
func (u *upload) write(w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, en := range u.entries {
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
	for bit, number := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
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
// and one that is written to while it is read is recorded so that it counts as
// changed: the notice of that follows, and then it is sent again.
func (u *upload) writeFile(tw *tar.Writer, h *tar.Header, en entry) error {
	f, err := hostfile.Open(en.file) // a pipe in its place would hold the lane up for ever
	if gone(err) {
		return nil
	}
	if err != nil {
		u.unreadable = append(u.unreadable, en.file)
		return nil
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		u.unreadable = append(u.unreadable, en.file)
		return nil
	}
	n, _ := statOf(en.file, fi)
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
		u.unreadable = append(u.unreadable, en.file)
	}
	if read < h.Size {
		_, err := io.Copy(tw, io.LimitReader(zeros{}, h.Size-read)) // the header has promised so much
		return err
	}
	again, err := f.Stat()
	if err != nil || again.Size() != fi.Size() || !again.ModTime().Equal(fi.ModTime()) || changed(again) != changed(fi) {
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
