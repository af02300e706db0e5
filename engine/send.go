package engine

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
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/hostfile"
	"bulkhead/engine/project"
)

// send puts a parcel into one container, and notes what it has now. What cannot be read on the host, or must not be written in the
// container, is left as it is there: left lists it by path on the host, and a warning says why. When there is nothing else to do, the
// error is a refusal.
func (e *Engine) send(ctx context.Context, s *service, id string, p *parcel) (left []string, err error) {
	l := &load{sent: table{}}
	l.unread = append(l.unread, p.blind...)
	if !p.empty() {
		if err := e.pack(ctx, s, id, p, l); err != nil {
			return nil, err
		}
	}
	err = e.copyIn(ctx, s, id, l)
	if errors.Is(err, ErrConflict) {
		// A folder stands where a file is to be. Which one is asked only now, because it hardly ever happens.
		if err := e.guardFolders(ctx, s, id, p, l); err != nil {
			return nil, err
		}
		l.unread = slices.Clone(p.blind)
		err = e.copyIn(ctx, s, id, l)
	}
	if err != nil {
		return nil, err
	}
	why := slices.Compact(slices.Sorted(maps.Values(l.refused)))
	if len(why) > 0 && len(l.entries)+len(p.deletes) == 0 {
		return nil, &refusal{"copy into " + s.name + ": " + why[0], slices.Collect(maps.Keys(l.refused))}
	}
	var owed []string
	if len(p.deletes) > 0 {
		all := slices.Sorted(maps.Keys(p.deletes))
		err := e.deleteAll(ctx, s, id, all, p.have)
		switch {
		case errors.Is(err, ErrUnsupported) && e.halted(ctx, id):
			owed = all // done at the next start
		case err != nil:
			return nil, say(err, "delete in %s", s.name)
		}
	}
	e.noteSent(id, p, l, owed)
	for _, file := range l.unread {
		e.warn(fmt.Sprintf("%s: %s cannot be read, so it is not copied; mend its permissions and save it again", s.name, relative(e.dir, file)))
	}
	for _, text := range why {
		e.warn("copy into " + s.name + ": " + text)
	}
	return slices.AppendSeq(l.unread, maps.Keys(l.refused)), nil
}

// noteSent notes what a container has after a parcel was sent; owed are the deletions that wait for its next start.
func (e *Engine) noteSent(id string, p *parcel, l *load, owed []string) {
	e.store.change(id, func(have, owes table) {
		for at, n := range l.sent {
			have[at] = n
			delete(owes, at)
			ancestors(at, func(dir string) bool { delete(owes, dir); return true }) // what else was in it is owed by itself
		}
		maps.Copy(have, p.renewed)
		for _, at := range owed {
			owes[at] = have[at]
			for _, below := range within(have, at) {
				owes[below] = have[below]
			}
		}
		for at := range p.deletes {
			delete(have, at)
		}
		for _, at := range p.forgotten {
			delete(have, at)
		}
	})
}

// refusal is the error of a copy of which nothing can be done, because of what stands in the container.
type refusal struct {
	text  string
	paths []string // on the host
}

func (r *refusal) Error() string { return r.text }

// keep notes what comparing a parcel has taught, whether it is sent or not.
func (e *Engine) keep(id string, p *parcel) {
	renewed, forgotten := p.renewed, p.forgotten
	if !p.empty() {
		forgotten = nil // what is sent makes it so
	}
	if len(renewed)+len(forgotten) == 0 {
		return
	}
	e.store.change(id, func(have, _ table) {
		maps.Copy(have, renewed)
		for _, at := range forgotten {
			delete(have, at)
		}
	})
}

// within lists the paths of a table below a folder.
func within(t table, dir string) (all []string) {
	for at := range t {
		if _, ok := inside(dir, at); ok {
			all = append(all, at)
		}
	}
	return all
}

// halted says whether a container does not run, so that what cannot be deleted now can be at its next start.
func (e *Engine) halted(ctx context.Context, id string) bool {
	in, err := e.rt.Inspect(ctx, id)
	return err == nil && in.State != StateRunning && in.State != StatePaused
}

// deleteAll deletes paths in a container, each below the target of its rule. known is what is noted of them, and of what is below them.
func (e *Engine) deleteAll(ctx context.Context, s *service, id string, paths []string, known table) error {
	by := map[string][]string{}
	for _, at := range paths {
		if t, ok := topOf(s.conf, at); ok {
			by[t] = append(by[t], at)
		}
	}
	w := e.ways(ctx, id, known)
	for _, t := range slices.Sorted(maps.Keys(by)) {
		real, err := w.deletions(t, by[t])
		if err != nil {
			return err
		}
		by[t] = real
	}
	for _, t := range slices.Sorted(maps.Keys(by)) {
		if len(by[t]) == 0 {
			continue
		}
		if err := e.rt.Delete(ctx, id, t, by[t]); err != nil {
			return err
		}
	}
	return nil
}

// topOf is the folder below which a path was put by a rule: the rule's target, or the one that the single file of a rule is in. ok is false
// when no rule puts anything there any more.
func topOf(conf *project.Service, at string) (dir string, ok bool) {
	for i := range conf.Rules {
		r := &conf.Rules[i]
		if !copies(r) {
			continue
		}
		t := path.Clean(r.Target)
		if _, in := inside(t, at); in && len(t) > len(dir) {
			dir, ok = t, true
		}
		if at == target(r, r.Path) && !ok {
			dir, ok = path.Dir(at), true
		}
	}
	return dir, ok
}

// load is a parcel on its way as one tar stream.
type load struct {
	entries []entry
	replace bool              // a file takes a folder's place, or the other way round
	sent    table             // what the container has got, by path there
	unread  []string          // paths on the host
	refused map[string]string // paths on the host: why they are not copied
}

// refuse leaves an item out, because of what stands in the container. The others go.
func (l *load) refuse(it item, format string, args ...any) {
	if l.refused == nil {
		l.refused = map[string]string{}
	}
	l.refused[it.file] = fmt.Sprintf(format, args...)
}

// note notes that an entry went into the stream. What is written through a link does not stand in its place itself.
func (l *load) note(en entry, n fileNote) {
	n.Seen = en.to == ""
	l.sent[en.at] = n
}

// entry is one header of the stream, and what follows it.
type entry struct {
	at       string
	to       string // where it is written, when links of the image lead there from at; "" otherwise
	file     string // on the host; "" for a folder that has to be there for what lies in it
	note     fileNote
	uid, gid int
}

// dest is where an entry is written.
func (en entry) dest() string {
	if en.to != "" {
		return en.to
	}
	return en.at
}

// ownerFor says whom a file is to belong to in the container: the user that the service runs as; where that is root, whom the target
// belongs to, or what it will be made in; with sync_owner: host, whom it belongs to on the host.
func (e *Engine) ownerFor(ctx context.Context, s *service, id, top, file string) (uid, gid int, err error) {
	if s.conf.Extra.SyncOwner == project.HostOwner {
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
	e.mu.Lock()
	started := time.Time{}
	if r := s.byID(id); r != nil {
		started = r.inst.Started
	}
	e.mu.Unlock()
	// An entrypoint may give the target away, so what is known holds for one life.
	key := ownerKey{id: id, started: started.UnixNano(), top: top}
	if o, ok := e.store.owner(key); ok {
		return o[0], o[1], nil
	}
	if uid, gid, err = e.rt.User(ctx, id); err != nil {
		return 0, 0, err
	}
	if uid == 0 {
		if uid, gid, err = e.rt.Owner(ctx, id, top); err != nil {
			return 0, 0, err
		}
	}
	e.store.setOwner(key, [2]int{uid, gid})
	return uid, gid, nil
}

// copyIn sends what is packed, if anything is, as one tar stream.
func (e *Engine) copyIn(ctx context.Context, s *service, id string, l *load) error {
	if len(l.entries) == 0 {
		return nil
	}
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		buf := bufio.NewWriterSize(pw, 256<<10) // the pipe hands over every write by itself
		err := guarded("tar", func() error { return l.write(buf) })
		if err == nil {
			err = buf.Flush()
		}
		pw.CloseWithError(err)
		done <- err
	}()
	err := e.rt.CopyTo(ctx, id, pr, l.replace)
	pr.CloseWithError(errors.New("nobody reads")) // lets the writer end when the runtime stopped early
	if werr := <-done; err == nil && werr != nil {
		err = werr
	}
	if err != nil {
		return say(err, "copy into %s", s.name)
	}
	return nil
}

// write writes the stream, and notes what went into it.
func (l *load) write(w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, en := range l.entries {
		if err := l.writeEntry(tw, en); err != nil {
			return err
		}
	}
	return tw.Close()
}

func (l *load) writeEntry(tw *tar.Writer, en entry) error {
	h := &tar.Header{Name: strings.TrimPrefix(en.dest(), "/"), Uid: en.uid, Gid: en.gid, Format: tar.FormatPAX, ModTime: time.Unix(0, en.note.At)}
	mode := en.note.mode()
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
		h.Typeflag, h.Linkname = tar.TypeSymlink, en.note.Link
	default:
		h.Typeflag = tar.TypeReg
		return l.writeFile(tw, h, en)
	}
	if en.file != "" {
		l.note(en, en.note)
	}
	return tw.WriteHeader(h)
}

// writeFile adds one regular file as it is now. One that went away is left out, and one that is written to while it is read is noted so that
// it counts as changed: the notice of that follows, and then it is sent again.
func (l *load) writeFile(tw *tar.Writer, h *tar.Header, en entry) error {
	f, err := hostfile.Open(en.file) // a pipe in its place would hold the lane up for ever
	if gone(err) {
		return nil
	}
	if err != nil {
		l.unread = append(l.unread, en.file)
		return nil
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		l.unread = append(l.unread, en.file)
		return nil
	}
	n, _ := note(en.file, fi)
	n.Mode = en.note.Mode
	h.Size, h.ModTime = fi.Size(), fi.ModTime()
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	l.note(en, fileNote{Mode: n.Mode, Size: -1})
	sum := sha256.New()
	src := &source{r: io.LimitReader(f, h.Size)}
	read, err := io.Copy(io.MultiWriter(tw, sum), src)
	if err != nil && src.err == nil {
		return err
	}
	if src.err != nil {
		l.unread = append(l.unread, en.file)
	}
	if read < h.Size {
		_, err := io.Copy(tw, io.LimitReader(zeros{}, h.Size-read)) // the header has promised so much
		return err
	}
	if again, err := f.Stat(); err != nil || again.Size() != fi.Size() || !again.ModTime().Equal(fi.ModTime()) || changed(again) != changed(fi) {
		return nil
	}
	n.Sum = hex.EncodeToString(sum.Sum(nil))
	l.note(en, n)
	return nil
}

// source keeps a file's own error apart from that of whom it is copied to.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// zeros fills up what a file lost while it was read.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{0}, len(p))), nil }

// settleDeletes carries out the deletions that a container still owes from when it did not run.
func (e *Engine) settleDeletes(ctx context.Context, s *service, id string) error {
	owes := e.store.owes(id)
	if len(owes) == 0 {
		return nil
	}
	all := slices.Sorted(maps.Keys(owes))
	if err := e.deleteAll(ctx, s, id, all, owes); err != nil {
		return say(err, "delete in %s", s.name)
	}
	e.store.change(id, func(_, owes table) {
		for _, at := range all {
			delete(owes, at)
		}
	})
	return nil
}
