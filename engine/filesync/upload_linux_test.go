package filesync

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkhead/engine/project"
)

// asNobody runs f with the rights to files that an ordinary user has, also
// where the tests run as root.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread() // the rights are those of one thread
		defer runtime.UnlockOSThread()
		unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0)
		defer unix.RawSyscall(unix.SYS_SETFSUID, 0, 0, 0)
	}
	f()
}

func TestWhatCannotBeReadIsSaidAndTheRestGoes(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	rule := &project.Rule{Action: project.Sync, Path: dir, Target: "/app"}
	put(t, dir, "closed/file", "x")
	put(t, dir, "open", "x")
	secret := put(t, dir, "secret", "x")
	have := has(rule)
	put(t, dir, "open", "new")
	put(t, dir, "secret", "new")
	if err := errors.Join(os.Chmod(filepath.Join(dir, "closed"), 0), os.Chmod(secret, 0)); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(dir, "closed"), 0o755)
	asNobody(t, func() {
		p := diffOf(rule, have)
		if want := "/app/closed /app/open /app/secret"; p.String() != want ||
			len(p.unreadable) != 1 || !errors.Is(p.unreadable[filepath.Join(dir, "closed")], fs.ErrPermission) {
			t.Errorf("the diff is %s, want %s; could not look at %v", p, want, p.unreadable)
		}
		u := &upload{sent: Manifest{}, trees: p.trees, unreadable: map[string]error{}}
		for _, at := range []string{"/app/open", "/app/secret"} {
			u.entries = append(u.entries, entry{at: at, file: p.files[at].file, rule: rule,
				stat: p.files[at].stat})
		}
		var out bytes.Buffer
		if err := u.write(&out, u.entries); err != nil || len(u.unreadable) != 1 ||
			!errors.Is(u.unreadable[secret], fs.ErrPermission) {
			t.Errorf("error %v, unread %v", err, u.unreadable)
		}
		if _, ok := u.sent["/app/secret"]; ok || len(u.sent) != 1 {
			t.Errorf("noted as sent: %v", u.sent)
		}
		if got := unpacked(t, &out)["app/open"]; got != "new" {
			t.Errorf("the file that can be read holds %q", got)
		}
	})
}

func unpacked(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	all := map[string]string{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = string(b)
	}
}

func TestFileThatChangesWhileItIsSentCountsAsChanged(t *testing.T) {
	dir := t.TempDir()
	rule := &project.Rule{Action: project.Sync, Path: dir, Target: "/app"}
	// Three writes of the stream lie between the look and the last byte; in
	// each, something happens to the file.
	const size = 3 << 20
	for what, do := range map[string]func(f string) error{
		"shrinks":  func(f string) error { return os.Truncate(f, 10) },
		"grows":    func(f string) error { return os.Truncate(f, 2*size) },
		"vanishes": os.Remove,
		"stays":    func(string) error { return nil },
	} {
		f := put(t, dir, what, string(bytes.Repeat([]byte("x"), size)))
		put(t, dir, "z after "+what, "after")
		diff := diffOf(rule, Manifest{})
		u := &upload{sent: Manifest{}, trees: diff.trees, unreadable: map[string]error{}}
		for at, it := range diff.files {
			u.entries = append(u.entries, entry{at: at, file: it.file, rule: it.rule, stat: it.stat})
		}
		slices.SortFunc(u.entries, func(a, b entry) int { return bytes.Compare([]byte(a.at), []byte(b.at)) })
		var out bytes.Buffer
		w := &meddler{w: &out, after: size / 3, do: func() error { return do(f) }}
		if err := u.write(w, u.entries); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		files := unpacked(t, &out)
		if files["app/z after "+what] != "after" {
			t.Errorf("%s: the file behind it holds %q", what, files["app/z after "+what])
		}
		n, noted := u.sent["/app/"+what]
		if whole := n.Sum != ""; !noted || whole != (what == "stays") {
			t.Errorf("%s: noted: %v, as sent whole: %v", what, noted, whole)
		}
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
}

// meddler does something once so many bytes have been written.
type meddler struct {
	w     io.Writer
	after int
	do    func() error
}

func (m *meddler) Write(p []byte) (int, error) {
	if m.after -= len(p); m.after < 0 && m.do != nil {
		if err := m.do(); err != nil {
			return 0, err
		}
		m.do = nil
	}
	return m.w.Write(p)
}
