package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

func TestExecGivesStreamsAndExitCodes(t *testing.T) {
	b := open(t, sleeper)
	id := b.start("web")
	var out, errs bytes.Buffer
	code, err := b.rt.Exec(b.ctx, id, engine.ExecOptions{
		Cmd: []string{"sh", "-c", "cat; echo $A $(id -u) $(pwd) >&2; exit 7"},
		Env: []string{"A=b"}, User: "1234", Dir: "/tmp",
		Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || code != 7 || out.String() != "hello" || errs.String() != "b 1234 /tmp\n" {
		t.Errorf("code %d, err %v, out %q, stderr %q", code, err, out.String(), errs.String())
	}
	if code, err := b.rt.Exec(b.ctx, id, engine.ExecOptions{Cmd: []string{"no-such-program"}}); err != nil || code != 127 && code != 126 {
		t.Errorf("missing program: %d, %v", code, err)
	}

	sizes := make(chan engine.Size, 1)
	sizes <- engine.Size{Width: 101, Height: 33}
	out.Reset()
	in, typing := io.Pipe()
	go func() { // answers once the terminal has its size, so that the shell sees it
		io.WriteString(typing, "while [ \"$(stty size)\" != '33 101' ]; do true; done; echo si''ze; exit 3\n")
	}()
	code, err = b.rt.Exec(b.ctx, id, engine.ExecOptions{Cmd: []string{"sh"}, TTY: true, Stdin: in, Stdout: &out, Resize: sizes})
	in.Close()
	if err != nil || code != 3 || !strings.Contains(out.String(), "size\r\n") {
		t.Errorf("terminal: code %d, err %v, out %q", code, err, out.String())
	}

	ctx, cancel := context.WithTimeout(b.ctx, 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := b.rt.Exec(ctx, id, engine.ExecOptions{Cmd: []string{"sleep", "30"}}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("canceled after %v: %v", time.Since(began), err)
	}
	b.ok(b.rt.Stop(b.ctx, id, 0))
	if _, err := b.rt.Exec(b.ctx, id, engine.ExecOptions{Cmd: []string{"true"}}); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("exec in a stopped one: %v", err)
	}
}

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
	b.ok(b.rt.CopyTo(b.ctx, id, pack())) // into a stopped one
	owner("/app/a", 33, 44)
	owner("/app/none/at/all", 11, 22)
	if err := b.rt.Delete(b.ctx, id, []string{"/app/a"}); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("delete in a stopped one: %v", err)
	}
	b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
	b.ok(b.rt.CopyTo(b.ctx, id, pack()))
	owner("/app/a", 33, 44)
	owner("/app/none/at/all", 11, 22)
	owner("/", 0, 0)
	uid, gid, err := b.rt.archiveOwner(b.ctx, id, "/app/a") // as for an engine elsewhere
	if err != nil || uid != 33 || gid != 44 {
		t.Errorf("owner by archive: %d:%d, %v", uid, gid, err)
	}

	// A link that leads out of the container must not.
	outside := t.TempDir()
	root := func(cmd string) string {
		t.Helper()
		var out bytes.Buffer
		if code, err := b.rt.Exec(b.ctx, id, engine.ExecOptions{Cmd: []string{"sh", "-c", cmd}, User: "0", Stdout: &out, Stderr: &out}); err != nil || code != 0 {
			t.Fatalf("%s: %d, %v: %s", cmd, code, err, out.String())
		}
		return out.String()
	}
	root("ln -s " + outside + " /app/escape; ln -s ../../../../../.. /app/up; touch /scratch/s")
	keep := outside + "/keep"
	writeFile(t, keep)
	b.ok(b.rt.Delete(b.ctx, id, []string{"/app/escape/keep", "/app/up" + keep, "/app/a", "/app/deep", "/app/nothing/here", "/vol/v", "/scratch/s"}))
	if got := root("ls /app /vol /scratch"); strings.Join(strings.Fields(got), " ") != "/app: b escape up /scratch: /vol:" {
		t.Errorf("left: %q", got)
	}
	mustExist(t, keep)
	for _, bad := range []string{"/", "relative", "/app/../.."} {
		if err := b.rt.Delete(b.ctx, id, []string{bad}); err == nil {
			t.Errorf("delete of %q was done", bad)
		}
	}
}

func TestStatsAreReadWhileRunning(t *testing.T) {
	b := open(t, "services:\n  web:\n    image: IMAGE\n    command: [sh, -c, 'while true; do true; done']\n    mem_limit: 64m\n")
	id := b.start("web")
	first, err := b.rt.Stats(b.ctx, id)
	b.ok(err)
	if first.MemLimit != 64<<20 || first.Pids < 1 || first.Mem <= 0 {
		t.Errorf("stats: %+v", first)
	}
	b.until("it has used more CPU time", func() bool {
		s, err := b.rt.Stats(b.ctx, id)
		b.ok(err)
		return s.CPU > first.CPU && s.Read.After(first.Read)
	})
	b.ok(b.rt.Stop(b.ctx, id, 0))
	if _, err := b.rt.Stats(b.ctx, id); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("stats of a stopped one: %v", err)
	}
}
