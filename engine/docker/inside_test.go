package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"bulkhead/engine/container"
)

func TestExecGivesStreamsAndExitCodes(t *testing.T) {
	b := open(t, sleeper)
	id := b.start("web")
	var out, errs bytes.Buffer
	code, err := b.rt.Exec(b.ctx, id, container.ExecOptions{
		Cmd: []string{"sh", "-c", "cat; echo $A $(id -u) $(pwd) >&2; exit 7"},
		Env: []string{"A=b"}, User: "1234", Dir: "/tmp",
		Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || code != 7 || out.String() != "hello" || errs.String() != "b 1234 /tmp\n" {
		t.Errorf("code %d, err %v, out %q, stderr %q", code, err, out.String(), errs.String())
	}
	if code, err := b.rt.Exec(b.ctx, id,
		container.ExecOptions{Cmd: []string{"no-such-program"}}); err != nil || code != 127 && code != 126 {
		t.Errorf("missing program: %d, %v", code, err)
	}

	sizes := make(chan container.Size, 1)
	sizes <- container.Size{Width: 101, Height: 33}
	out.Reset()
	in, typing := io.Pipe()
	go func() { // answers once the terminal has its size, so that the shell sees it
		io.WriteString(typing, "while [ \"$(stty size)\" != '33 101' ]; do true; done; echo si''ze; exit 3\n")
	}()
	code, err = b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"sh"}, TTY: true, Stdin: in,
		Stdout: &out, Resize: sizes})
	in.Close()
	if err != nil || code != 3 || !strings.Contains(out.String(), "size\r\n") {
		t.Errorf("terminal: code %d, err %v, out %q", code, err, out.String())
	}

	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	_, err = b.rt.Exec(ctx, id,
		container.ExecOptions{Cmd: []string{"sh", "-c", "echo it runs; exec sleep 3600"},
			Stdout: writerFunc(func(p []byte) (int, error) {
				cancel() // it runs
				return len(p), nil
			})})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	b.ok(b.rt.Stop(b.ctx, id, 0))
	if _, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"true"}}); !errors.Is(err,
		container.ErrConflict) {
		t.Errorf("exec in a stopped one: %v", err)
	}
}

// By the detach keys a person leaves a command, which runs on; what was typed before them it got.
func TestDetachKeysLeaveACommandRunning(t *testing.T) {
	b := open(t, sleeper)
	id := b.start("web")
	for _, c := range []struct{ config, keys string }{{"{}", "\x10\x11"},
		{`{"detachKeys": "ctrl-x,y"}`, "\x18y"}} {
		dir := t.TempDir()
		b.ok(os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.config), 0o600))
		rt, err := New(Options{ConfigDir: dir})
		b.ok(err)
		defer rt.Close()
		typed, keyboard := io.Pipe()
		left, read := make(chan error, 1), make(chan struct{})
		var said strings.Builder
		once := sync.OnceFunc(func() { close(read) })
		go func() {
			_, err := rt.Exec(b.ctx, id, container.ExecOptions{
				Cmd: []string{"sh", "-c", "read a; echo got $a; sleep 999"}, TTY: true, Stdin: typed,
				Stdout: writerFunc(func(p []byte) (int, error) {
					if said.Write(p); strings.Contains(said.String(), "got word") {
						once()
					}
					return len(p), nil
				}),
			})
			left <- err
		}()
		_, err = io.WriteString(keyboard, "word\n")
		b.ok(err)
		select {
		case <-read:
		case err := <-left:
			t.Fatalf("%s: ended with %v; %q", c.config, err, said.String())
		}
		_, err = io.WriteString(keyboard, c.keys)
		b.ok(err)
		if err := <-left; !errors.Is(err, container.ErrDetached) {
			t.Errorf("%s: left with %v", c.config, err)
		}
		if out, _ := b.run(id, "busybox", "ps"); !strings.Contains(out, "sleep 999") {
			t.Errorf("%s: the command has ended:\n%s", c.config, out)
		}
		keyboard.Close()
	}
}

// writerFunc is a function that is written to.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func tarOf(t *testing.T, headers ...tar.Header) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		h.Typeflag = tar.TypeReg
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}

func TestCopyKeepsOwnersAndDeleteStaysInside(t *testing.T) {
	b := open(t, "services:\n  web:\n    image: VOLUME\n    volumes: [/vol]\n    tmpfs: [/scratch]\n")
	id := b.create("web")
	pack := func() io.Reader {
		return tarOf(t,
			tar.Header{Name: "app/", Mode: 0o755, Uid: 11, Gid: 22},
			tar.Header{Name: "app/a", Mode: 0o640, Uid: 33, Gid: 44},
			tar.Header{Name: "app/b", Mode: 0o644, Uid: 33, Gid: 44},
			tar.Header{Name: "app/deep/er/c", Mode: 0o644},
			tar.Header{Name: "vol/v", Mode: 0o644},
		)
	}
	owner := func(path string, wantUID, wantGID int) {
		t.Helper()
		uid, gid, err := b.rt.Owner(b.ctx, id, path)
		if err != nil || uid != wantUID || gid != wantGID {
			t.Errorf("owner of %s: %d:%d, %v; want %d:%d", path, uid, gid, err, wantUID, wantGID)
		}
	}
	b.ok(b.rt.CopyTo(b.ctx, id, "/", pack(), false)) // into a stopped one
	owner("/app/a", 33, 44)
	owner("/app/none/at/all", 11, 22)
	if err := b.rt.Delete(b.ctx, id, "/app", []string{"/app/a"}); !errors.Is(err, container.ErrUnsupported) {
		t.Errorf("delete in a stopped one: %v", err)
	}
	b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
	b.ok(b.rt.CopyTo(b.ctx, id, "/", pack(), false))
	owner("/app/a", 33, 44)
	owner("/app/none/at/all", 11, 22)
	owner("/", 0, 0)
	h, _, err := b.rt.archived(b.ctx, id, "/app/a") // as for an engine elsewhere
	if err != nil || h.Uid != 33 || h.Gid != 44 {
		t.Errorf("owner by archive: %+v, %v", h, err)
	}

	// No link leads out: not of the container, and not of the folder that files are deleted in.
	outside := t.TempDir()
	root := func(cmd string) string {
		t.Helper()
		var out bytes.Buffer
		if code, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"sh", "-c", cmd},
			User: "0", Stdout: &out, Stderr: &out}); err != nil || code != 0 {
			t.Fatalf("%s: %d, %v: %s", cmd, code, err, out.String())
		}
		return out.String()
	}
	keep := outside + "/keep"
	writeFile(t, keep)
	for how, del := range map[string]func(below string, names ...string) error{
		"from outside": func(below string, names ...string) error {
			paths := make([]string, len(names))
			for i, n := range names {
				paths[i] = path.Join(below, n)
			}
			return b.rt.Delete(b.ctx, id, below, paths)
		},
		"by rm": func(below string, names ...string) error {
			return b.rt.runRM(b.ctx, id, "delete", below, names)
		},
	} {
		b.ok(b.rt.CopyTo(b.ctx, id, "/", pack(), false))
		root("cd /app; rm -f a; mkdir -p /else/in odd; touch /else/f /else/in/f; touch 'odd/-rf' 'odd/a b' \"odd/$(printf 'x\\ny')\" \"odd/$(printf '\\377')\" odd/stays;" +
			"ln -sfn " + outside +
			" escape; ln -sfn ../../../../../.. up; ln -sfn /else link; touch /scratch/s; ln -sfn /app /way; ln -sfn / /up")
		b.ok(del("/app", "escape/keep", "up"+keep, "a", "deep", "nothing/here", "link/f", "link/in",
			"odd/-rf", "odd/a b", "odd/x\ny"))
		if err := del("/app", "odd/\xff"); how == "from outside" {
			b.ok(err)
		} else if !errors.Is(err, container.ErrUnsupported) {
			t.Errorf("a name that is not UTF-8, by rm: %v", err)
		}
		root("rm -f \"/app/odd/$(printf '\\377')\"")
		b.ok(del("/vol", "v"))
		b.ok(del("/scratch", "s"))
		b.ok(del("/way", "b"))
		b.ok(del("/up/else", "in/f")) // on the way to the folder links are followed
		if got := root("ls /else/in"); got != "" {
			t.Errorf("%s: left in /else/in: %q", how, got)
		}
		b.ok(del("/", "else/in"))
		if got := root("ls /app /app/odd /vol /scratch /else"); strings.Join(strings.Fields(got),
			" ") != "/app: b escape link odd up /app/odd: stays /else: f /scratch: /vol:" {
			t.Errorf("%s: left: %q", how, got)
		}
		mustExist(t, keep)
	}
	b.ok(b.rt.Delete(b.ctx, id, "/app", []string{"/app/escape"}))
	mustExist(t, keep)
	for _, bad := range []string{"/", "relative", "/app", "/app/..", "/app/../..", "/else/f"} {
		if err := b.rt.Delete(b.ctx, id, "/app", []string{bad}); err == nil {
			t.Errorf("delete of %q in /app was done", bad)
		}
	}
}

func TestFilesAreLookedAtRunningOrNot(t *testing.T) {
	b := open(t, sleeper)
	id := b.create("web")
	link := tarOf(t, tar.Header{Name: "app/", Mode: 0o750}, tar.Header{Name: "app/d/",
		Mode: 0o701 | 0o1000}, tar.Header{Name: "app/f", Mode: 0o640})
	b.ok(b.rt.CopyTo(b.ctx, id, "/", link, false))
	for range 2 {
		got, err := b.rt.Stat(b.ctx, id, []string{"/", "/app", "/app/d", "/app/f", "/app/none",
			"/app/f/below", "/none/at/all"})
		b.ok(err)
		want := map[string]fs.FileMode{"/app": fs.ModeDir | 0o750,
			"/app/d": fs.ModeDir | fs.ModeSticky | 0o701, "/app/f": 0o640}
		if len(got) != 4 || !got["/"].Mode.IsDir() {
			t.Errorf("stat: %v", got)
		}
		for p, mode := range want {
			if got[p].Mode != mode {
				t.Errorf("mode of %s: %v, want %v", p, got[p].Mode, mode)
			}
		}
		var listed []string
		b.ok(b.rt.List(b.ctx, id, "/app", func(p string, e container.Entry, _ io.Reader) error {
			listed = append(listed, p)
			return nil
		}))
		if slices.Sort(listed); strings.Join(listed, " ") != "/app /app/d /app/f" {
			t.Errorf("list: %q", listed)
		}
		listed = nil
		b.ok(b.rt.List(b.ctx, id, "/", func(p string, e container.Entry, _ io.Reader) error {
			listed = append(listed, p)
			return nil
		}))
		if !slices.Contains(listed, "/") || !slices.Contains(listed, "/app/f") {
			t.Errorf("list of all: %q", listed)
		}
		if err := b.rt.List(b.ctx, id, "/none", nil); !errors.Is(err, container.ErrNotFound) {
			t.Errorf("list of nothing: %v", err)
		}
		b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
	}
}

func TestStatsAreReadWhileRunning(t *testing.T) {
	b := open(t,
		"services:\n  web:\n    image: IMAGE\n    command: [sh, -c, 'while true; do true; done']\n    mem_limit: 64m\n")
	id := b.start("web")
	first, err := b.rt.Stats(b.ctx, id)
	b.ok(err)
	if first.MemLimit != 64<<20 || first.Mem <= 0 {
		t.Errorf("stats: %+v", first)
	}
	b.until("it has used more CPU time", func() bool {
		s, err := b.rt.Stats(b.ctx, id)
		b.ok(err)
		return s.CPU > first.CPU && s.Read.After(first.Read)
	})
	b.ok(b.rt.Stop(b.ctx, id, 0))
	if _, err := b.rt.Stats(b.ctx, id); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("stats of a stopped one: %v", err)
	}
}

// What the kernel's counters say is what the engine says of them.
func TestStatsOfThisMachineAgreeWithTheEngine(t *testing.T) {
	needLocal(t)
	b := open(t,
		"services:\n  web: {image: IMAGE, command: [sh, -c, 'while true; do echo x; sleep 0.1; done'], mem_limit: 64m}\n  host: {image: IMAGE, command: [sleep, '600'], network_mode: host}\n")
	for _, service := range []string{"web", "host"} {
		id := b.start(service)
		before, err := b.rt.askStats(b.ctx, id)
		b.ok(err)
		got, ok := b.rt.localStats(b.ctx, id)
		if !ok {
			t.Fatalf("%s: its counters cannot be read from here", service)
		}
		after, err := b.rt.askStats(b.ctx, id)
		b.ok(err)
		if got.CPU < before.CPU || got.CPU > after.CPU {
			t.Errorf("%s: CPU %s, and the engine says %s to %s", service, got.CPU, before.CPU, after.CPU)
		}
		if got.NetRx < before.NetRx || got.NetRx > after.NetRx || got.NetTx < before.NetTx ||
			got.NetTx > after.NetTx {
			t.Errorf("%s: network %d, %d, and the engine says %d, %d", service, got.NetRx, got.NetTx,
				after.NetRx, after.NetTx)
		}
		if d := got.Mem - after.Mem; d < -4<<20 || d > 4<<20 {
			t.Errorf("%s: memory %d, and the engine says %d", service, got.Mem, after.Mem)
		}
		if service == "web" && got.MemLimit != 64<<20 {
			t.Errorf("%s: limit %d", service, got.MemLimit)
		}
		b.ok(b.rt.Stop(b.ctx, id, 0))
		b.ok(b.rt.Start(b.ctx, b.spec(service), id))
		got, ok = b.rt.localStats(b.ctx, id)
		after, err = b.rt.askStats(b.ctx, id)
		b.ok(err)
		if !ok || got.CPU > after.CPU {
			t.Errorf("%s: the next life's CPU is read as %s (%v), and the engine says %s", service,
				got.CPU, ok, after.CPU)
		}
	}
}
