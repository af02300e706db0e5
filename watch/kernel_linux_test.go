package watch

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// quick are times for tests that wait for many batches.
func quick() Options {
	return Options{Quiet: 15 * time.Millisecond, Cap: 100 * time.Millisecond, Poll: 25 * time.Millisecond}
}

// started is a running watcher whose roots are registered.
func started(t testing.TB, opt Options, roots ...Root) *Watcher {
	t.Helper()
	return startedOn(t, opt, newKernel, roots...)
}

// startedOn does so with another kernel.
func startedOn(t testing.TB, opt Options, own func() (kernel, error), roots ...Root) *Watcher {
	t.Helper()
	w := runOn(t, opt, own)
	w.SetRoots(roots)
	select {
	case <-w.Ready():
	case <-time.After(patience):
		t.Fatal("never ready")
	}
	return w
}

// wantPaths takes batches until all paths have come.
func wantPaths(t testing.TB, w *Watcher, paths ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, p := range paths {
		missing[p] = true
	}
	limit := time.After(patience)
	for len(missing) > 0 {
		select {
		case b := <-w.Batches():
			for _, p := range b.Paths {
				delete(missing, p)
			}
		case <-limit:
			for p := range missing {
				t.Fatalf("%d of %d paths are not reported, such as %s", len(missing), len(paths), p)
			}
		}
	}
}

func wantNotice(t testing.TB, w *Watcher, text, remedy string) {
	t.Helper()
	select {
	case n := <-w.Notices():
		if !strings.Contains(n.Text, text) || !strings.Contains(n.Remedy, remedy) {
			t.Errorf("notice %+v; want text with %q and remedy with %q", n, text, remedy)
		}
	case <-time.After(patience):
		t.Fatalf("no notice with %q", text)
	}
}

func mustMkdir(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustWrite(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.WriteFile(path, []byte(time.Now().String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// inotifyWatches asks the kernel how many watches this process has.
func inotifyWatches(t testing.TB) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue // the descriptor that listed the folder
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "inotify wd:") {
				n++
			}
		}
		f.Close()
	}
	return n
}

// An ignored folder is not walked: nobody asks whether what is in it is ignored as well.
func TestIgnoredFoldersCostNoWatchAndNoLook(t *testing.T) {
	root := t.TempDir()
	for i := range 50 {
		mustWrite(t, mustMkdir(t, root, "node_modules", strconv.Itoa(i), "0"), "file")
	}
	mustMkdir(t, root, "src/api")
	ig, err := NewIgnore(root, []string{"**/node_modules"})
	if err != nil {
		t.Fatal(err)
	}
	before := inotifyWatches(t)
	inside := filepath.Join(root, "node_modules") + "/"
	var asked, looked atomic.Int32
	w := started(t, Options{}, Root{Path: root, Ignore: func(path string, dir bool) bool {
		asked.Add(1)
		if strings.HasPrefix(path, inside) {
			looked.Add(1)
		}
		return ig.Match(path, dir)
	}})
	if asked.Load() == 0 || looked.Load() > 0 {
		t.Errorf("asked for %d paths, %d of them in the ignored folder; want some, and none in it",
			asked.Load(), looked.Load())
	}
	// The root, src, src/api, and the folder above the root.
	if n := inotifyWatches(t) - before; n != 4 {
		t.Errorf("%d kernel watches, want 4", n)
	}
	mustWrite(t, root, "node_modules/0/new")
	wantPaths(t, w, mustWrite(t, root, "src/api/a"))
}

// linkSource is a file to make many names of, which is faster than many files.
func linkSource(t *testing.T, root string) string {
	return mustWrite(t, root, "source")
}

func TestReplacedRootsReleaseTheirWatches(t *testing.T) {
	root := t.TempDir()
	for i := range 20 {
		mustMkdir(t, root, "a", strconv.Itoa(i))
		mustMkdir(t, root, "b", strconv.Itoa(i))
	}
	before := inotifyWatches(t)
	w := started(t, quick(), Root{Path: filepath.Join(root, "a")}, Root{Path: root})
	w.SetRoots([]Root{{Path: filepath.Join(root, "b")}})
	deadline := time.Now().Add(patience)
	// b, the 20 in it, and the folder above b.
	for ; inotifyWatches(t)-before != 22; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d kernel watches, want 22", inotifyWatches(t)-before)
		}
	}
	wantPaths(t, w, mustWrite(t, root, "b/7/x"))
	w.SetRoots(nil)
	for ; inotifyWatches(t) != before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d kernel watches left without roots", inotifyWatches(t)-before)
		}
	}
}

func TestReadingGoesOnWhileNobodyTakesBatches(t *testing.T) {
	root := t.TempDir()
	source := linkSource(t, root)
	w := started(t, quick(), Root{Path: root})
	var want []string
	for i := range 17 {
		dir := mustMkdir(t, root, strconv.Itoa(i))
		for j := range 1000 { // in all more than the kernel's queue holds
			want = append(want, filepath.Join(dir, strconv.Itoa(j)))
			if err := os.Link(source, want[len(want)-1]); err != nil {
				t.Fatal(err)
			}
		}
		// Overflow of the kernel's queue is another test.
		for ; queued(t) > 0; time.Sleep(time.Millisecond) {
		}
	}
	missing := map[string]bool{}
	for _, p := range want {
		missing[p] = true
	}
	limit := time.After(patience)
	for len(missing) > 0 {
		select {
		case b := <-w.Batches():
			if b.Lost {
				t.Fatal("notices were lost while the receiver slept")
			}
			for _, p := range b.Paths {
				delete(missing, p)
			}
		case <-limit:
			t.Fatalf("%d of %d files are not reported", len(missing), len(want))
		}
	}
}

func TestOverflowIsReportedAndNewFoldersAreFound(t *testing.T) {
	root := t.TempDir()
	kernel, err := newKernel()
	if err != nil {
		t.Fatal(err)
	}
	in, changes := newInbox(), newMailbox[change]()
	k := newKeeper(quick(), newPoller(time.Hour, in), changes, func(Notice) {})
	k.reg.kernel = kernel
	ctx := t.Context()
	k.setRoots(ctx, []Root{{Path: root}})

	// Nobody reads, until the kernel's queue is full for sure.
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(limit)))
	if err != nil || n > 100_000 {
		t.Skipf("the kernel's queue is too long to fill: %s %v", limit, err)
	}
	source := linkSource(t, root)
	for i := range n + 8192 { // fsnotify takes some thousand before it waits
		if err := os.Link(source, filepath.Join(root, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(root, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	deep := mustMkdir(t, root, "late/deep")

	ended := make(chan error, 1)
	go func() { ended <- kernel.read(in) }()
	wait := func(what string, is func(change) bool) {
		t.Helper()
		limit := time.After(patience)
		for {
			for _, c := range changes.take() {
				if is(c) {
					return
				}
			}
			select {
			case <-in.wake:
				for _, e := range in.take() {
					k.handle(ctx, e)
				}
			case <-limit:
				t.Fatalf("no change that is %s", what)
			}
		}
	}
	wait("a loss", func(c change) bool { return c.path == "" })
	file := mustWrite(t, deep, "file")
	wait("the file in the folder that came unseen", func(c change) bool { return c.path == file })
	if err := kernel.close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRootsMayChangeAtAnyTime(t *testing.T) {
	root := t.TempDir()
	mustMkdir(t, root, "a/b")
	w := run(t, quick())
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				w.SetRoots([]Root{{Path: filepath.Join(root, "a")},
					{Path: filepath.Join(root, strconv.Itoa(i))}})
			}
		}
	}()
	// a is in every set, so that nothing in it may be missed.
	<-w.Ready()
	for i := range 50 {
		wantPaths(t, w, mustWrite(t, root, "a/b", strconv.Itoa(i)))
	}
	close(stop)
	<-ended
}

func TestRunEndsTheChannelsAndRunsOnce(t *testing.T) {
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.SetRoots([]Root{{Path: t.TempDir()}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	<-w.Ready()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, ok := <-w.Batches(); ok {
		t.Error("Batches is open after Run")
	}
	if _, ok := <-w.Notices(); ok {
		t.Error("Notices is open after Run")
	}
	if err := w.Run(t.Context()); err == nil {
		t.Error("a second Run works")
	}
}

func TestForcedPollingIsTold(t *testing.T) {
	opt := quick()
	opt.ForcePoll = true
	w := started(t, opt, Root{Path: t.TempDir()})
	wantNotice(t, w, "looked at every 25ms", "")
}

func TestSilentFilesystems(t *testing.T) {
	for magic, want := range map[int64]string{
		0x6969: "nfs", 0x517b: "smb", 0xff534d42: "smb", 0xfe534d42: "smb", 0x01021997: "9p",
		0x65735546:  "fuse",
		-0x00acb2be: "smb", // 0xff534d42 where the number is signed and 32 bits wide
		0xef53:      "", 0x9123683e: "", 0x58465342: "", 0x01021994: "", 0x794c7630: "",
	} {
		if got := silentType(magic); got != want {
			t.Errorf("type %#x is %q, want %q", magic, got, want)
		}
	}
	if got := silent("/proc"); got != "" {
		t.Errorf("/proc is %q", got)
	}
}

// inNamespace runs the test again, as root of a user namespace with its own
// inotify limits and mounts. It returns true in the process that is in it.
func inNamespace(t *testing.T) bool {
	const mark = "BULKHEAD_WATCH_TEST_NAMESPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Skipf("no user namespace, and so no limits and mounts of its own: %v", err)
	}
	switch {
	case err == nil && strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skipf("in a namespace of its own: %s", out)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("in a namespace of its own: %v\n%s", err, out)
	}
	return false
}

// What sends no notices is found by itself, also where it is mounted in a tree
// that does.
func TestSilentFolderInATreeIsPolledAndTold(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	root := t.TempDir()
	far := mustMkdir(t, root, "far")
	allowed(t, syscall.Mount("far", far, "tmpfs", 0, ""))
	t.Cleanup(func() {
		if err := syscall.Unmount(far, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	mustMkdir(t, far, "sub")
	mustMkdir(t, root, "near")
	w, err := New(quick())
	if err != nil {
		t.Fatal(err)
	}
	// No server is here: this disk in memory plays one.
	w.silent = func(path string) string {
		if _, in := below(far, path); in {
			return "nfs"
		}
		return ""
	}
	before := inotifyWatches(t)
	begin(t, w)
	w.SetRoots([]Root{{Path: root}})
	<-w.Ready()
	wantNotice(t, w, far+" is on nfs", "local disk")
	if n := inotifyWatches(t) - before; n != 3 { // the root, near, and the folder above
		t.Errorf("%d kernel watches, want 3", n)
	}
	wantPaths(t, w, mustWrite(t, far, "sub/a"), mustWrite(t, root, "near/b"))
	mustMkdir(t, far, "new/deep")
	wantPaths(t, w, mustWrite(t, far, "new/deep/c"))
}

// allowed ends a test that this machine does not let do what root of a user namespace may: some give
// such namespaces away without any rights, or with a /proc that is read only.
func allowed(t *testing.T, err error) {
	t.Helper()
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		t.Skipf("root of a user namespace may not do this here: %v", err)
	case err != nil:
		t.Fatal(err)
	}
}

func setLimit(t *testing.T, limit string, n int) {
	t.Helper()
	allowed(t, os.WriteFile("/proc/sys/user/"+limit, []byte(strconv.Itoa(n)), 0))
}

func TestWhatExceedsTheWatchLimitIsPolled(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	setLimit(t, "max_inotify_watches", 5)
	root := t.TempDir()
	for i := range 20 {
		mustMkdir(t, root, strconv.Itoa(i), "sub")
	}
	w := started(t, quick(), Root{Path: root})
	wantNotice(t, w, "limit of file watches", "sudo sysctl fs.inotify.max_user_watches=")
	if n := inotifyWatches(t); n != 5 {
		t.Errorf("%d kernel watches, want all 5", n)
	}
	var want []string
	for i := range 20 {
		want = append(want, mustWrite(t, root, strconv.Itoa(i), "sub", "file"))
	}
	wantPaths(t, w, want...)
	mustMkdir(t, root, "7/sub/new/deep")
	wantPaths(t, w, mustWrite(t, root, "7/sub/new/deep/file"))

	setLimit(t, "max_inotify_watches", 1000)
	wantNotice(t, w, "for all folders again", "")
	if n := inotifyWatches(t); n != 44 { // 20 of two, one of two, the root, and the folder above
		t.Errorf("%d kernel watches, want 44", n)
	}
	for i, p := range want {
		want[i] = mustWrite(t, p)
	}
	wantPaths(t, w, want...)
}

func TestWithoutInotifyInstanceEverythingIsPolled(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	setLimit(t, "max_inotify_instances", 0)
	root := t.TempDir()
	mustMkdir(t, root, "sub")
	w := started(t, quick(), Root{Path: root})
	wantNotice(t, w, "no file notices", "sudo sysctl fs.inotify.max_user_instances=")
	wantPaths(t, w, mustWrite(t, root, "sub/file"))
}

// The kernel has one watch for a folder, whatever paths lead to it.
func TestBindMountIsReportedByBothItsNames(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	top := t.TempDir()
	one, two := mustMkdir(t, top, "one"), mustMkdir(t, top, "two")
	mustMkdir(t, one, "sub")
	allowed(t, syscall.Mount(one, two, "", syscall.MS_BIND, ""))
	t.Cleanup(func() {
		if err := syscall.Unmount(two, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := started(t, quick(), Root{Path: one}, Root{Path: two})
	mustWrite(t, one, "sub/a")
	wantPaths(t, w, filepath.Join(one, "sub/a"), filepath.Join(two, "sub/a"))
	mustMkdir(t, two, "new/deep")
	mustWrite(t, one, "new/deep/b")
	wantPaths(t, w, filepath.Join(one, "new/deep/b"), filepath.Join(two, "new/deep/b"))
	// The other name inherits the watch.
	w.SetRoots([]Root{{Path: two}})
	wantLost(t, w)
	wantPaths(t, w, mustWrite(t, two, "new/deep/c"))
}

func wantLost(t *testing.T, w *Watcher) {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case b := <-w.Batches():
			if b.Lost {
				return
			}
		case <-limit:
			t.Fatal("no batch says that notices were lost")
		}
	}
}
