package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// patience is how long a test may take before it fails: far longer than the slowest machine needs.
// No test judges how long a thing took.
const patience = 10 * time.Minute

// Tests that need an engine use the one of this machine. All they make is named bhdock-<pid>-… and removed at the end.

var prefix = fmt.Sprintf("bhdock-%d", os.Getpid())

// live is the engine that the tests share.
var live struct {
	once sync.Once
	rt   *Runtime
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if live.rt != nil {
		removeImages(live.rt)
		live.rt.Close()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func engineForTest() {
	live.rt, live.err = New(Options{})
	if live.err != nil {
		return
	}
	if _, live.err = live.rt.Info(context.Background()); live.err != nil {
		return
	}
	live.err = importImages(live.rt)
}

func testImage(name string) string { return prefix + "-" + name }

// runtimeForTest gives the shared engine, or skips where none is and none has to be.
func runtimeForTest(t *testing.T) *Runtime {
	t.Helper()
	live.once.Do(engineForTest)
	if live.err != nil {
		if !errors.Is(live.err, container.ErrNoEngine) || os.Getenv("CI") != "" ||
			os.Getenv("BULKHEAD_ENGINE") == "required" {
			t.Fatal(live.err)
		}
		t.Skip(live.err)
	}
	return live.rt
}

// importImages makes two images from the host's static busybox: one with a shell and its tools, and one that declares
// a volume, too.
func importImages(r *Runtime) error {
	path, err := exec.LookPath("busybox")
	var busybox []byte
	if err == nil {
		busybox, err = os.ReadFile(path)
	}
	if err != nil {
		return fmt.Errorf("the tests make their images of busybox-static: %w", err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, dir := range []string{"bin", "etc", "tmp", "data", "run"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	passwd := "root:x:0:0::/:/bin/sh\nadam:x:1234:5678::/:/bin/sh\n"
	for name, content := range map[string]string{"bin/busybox": string(busybox), "etc/passwd": passwd} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755,
			Size: int64(len(content))}); err != nil {
			return err
		}
		if _, err := io.WriteString(w, content); err != nil {
			return err
		}
	}
	for _, tool := range strings.Fields(
		"sh sleep echo cat ls rm mkdir touch stat id env yes head stty nc nslookup seq true false printf tr wget httpd chown chmod ln kill") {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + tool,
			Linkname: "busybox"}); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	res, err := r.cli.ImageImport(context.Background(), client.ImageImportSource{Source: &buf,
		SourceName: "-"}, testImage("tools"),
		client.ImageImportOptions{Changes: []string{"ENV PATH=/bin", `CMD ["sleep", "600"]`}})
	if err != nil {
		return err
	}
	defer res.Close()
	if _, err := io.Copy(io.Discard, res); err != nil {
		return err
	}
	return classicBuild(r, "volume",
		"VOLUME /data\nSTOPSIGNAL SIGUSR1\nUSER adam\nHEALTHCHECK CMD [\"true\"]\n", func(string) {})
}

// classicBuild makes a test image on top of the tools.
func classicBuild(r *Runtime, name, dockerfile string, out func(string)) error {
	dockerfile = "FROM " + testImage("tools") + "\n" + dockerfile
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "Dockerfile", Mode: 0o644,
		Size: int64(len(dockerfile))}); err != nil {
		return err
	}
	if _, err := io.WriteString(w, dockerfile); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	req := container.BuildRequest{
		Service: name, Tags: []string{testImage(name)},
		Labels: map[string]string{labelProject: testImage(name), labelService: "web"},
		Args:   map[string]string{"CODE": "9"},
	}
	return r.ClassicBuild(context.Background(), req, &buf, "Dockerfile", out)
}

func removeImages(r *Runtime) {
	for _, name := range []string{"tools", "volume"} {
		if _, err := r.cli.ImageRemove(context.Background(), testImage(name),
			client.ImageRemoveOptions{Force: true}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// bench is one project on the real engine.
type bench struct {
	*testing.T
	rt   *Runtime
	p    *project.Project
	ctx  context.Context
	tell []string // what Options.Warn got
	mu   sync.Mutex
}

// open loads a Compose file, in which IMAGE and VOLUME stand for the tests' images, and makes its networks and volumes.
func open(t *testing.T, compose string) *bench {
	t.Helper()
	shared := runtimeForTest(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b := &bench{T: t, ctx: ctx}
	rt, err := New(Options{Warn: func(line string) {
		b.mu.Lock()
		b.tell = append(b.tell, line)
		b.mu.Unlock()
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.rt = rt
	name := strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, prefix+"-"+strings.TrimPrefix(t.Name(), "Test"))
	b.load(name, compose)
	t.Cleanup(func() {
		cancel()
		ctx := context.Background()
		list, _ := shared.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
			Filters: labelFilter(labelProject + "=" + name)})
		for _, c := range list.Items {
			shared.Remove(ctx, c.ID, true, true)
		}
		if _, err := shared.RemoveNetworks(ctx, name, nil); err != nil {
			t.Error(err)
		}
		if _, err := shared.RemoveVolumes(ctx, name, nil); err != nil {
			t.Error(err)
		}
		rt.Close()
	})
	for key := range b.p.Networks {
		if _, _, err := b.rt.EnsureNetwork(ctx, b.network(key)); err != nil {
			t.Fatal(err)
		}
	}
	for key := range b.p.Volumes {
		if _, err := b.rt.EnsureVolume(ctx, b.volume(key)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bench) load(name, compose string) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "compose.yaml")
	compose = strings.NewReplacer("IMAGE", testImage("tools"), "VOLUME", testImage("volume")).Replace(compose)
	if err := os.WriteFile(file, []byte(compose), 0o644); err != nil {
		b.Fatal(err)
	}
	var err error
	if b.p, err = project.Load(b.ctx, project.Options{Files: []string{file}, Name: name}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) network(key string) container.NetworkSpec {
	b.Helper()
	hash, err := project.NetworkHash(b.p.Networks[key])
	b.ok(err)
	return container.NetworkSpec{Project: b.p.Name, Key: key, Config: b.p.Networks[key], Hash: hash}
}

func (b *bench) volume(key string) container.VolumeSpec {
	b.Helper()
	hash, err := project.VolumeHash(b.p.Volumes[key])
	b.ok(err)
	return container.VolumeSpec{Project: b.p.Name, Key: key, Config: b.p.Volumes[key], Hash: hash}
}

func (b *bench) spec(service string) container.CreateSpec {
	b.Helper()
	s := b.p.Service(service)
	if s == nil {
		b.Fatalf("no service %s", service)
	}
	img, err := b.rt.Image(b.ctx, s.Image, "")
	if err != nil {
		b.Fatal(err)
	}
	return container.CreateSpec{App: engine.App(b.p), Service: engine.Wanted(s), Replica: 1,
		Image: img, Hash: s.Hash}
}

func (b *bench) create(service string) string {
	b.Helper()
	id, err := b.rt.Create(b.ctx, b.spec(service))
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func (b *bench) start(service string) string {
	b.Helper()
	id := b.create(service)
	b.ok(b.rt.Start(b.ctx, b.spec(service), id))
	return id
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) inspect(id string) container.Instance {
	b.Helper()
	in, err := b.rt.Inspect(b.ctx, id)
	b.ok(err)
	return in
}

// run executes a command and gives its output and exit code.
func (b *bench) run(id string, cmd ...string) (string, int) {
	b.Helper()
	var out bytes.Buffer
	code, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: cmd, Stdout: &out, Stderr: &out})
	b.ok(err)
	return out.String(), code
}

// until waits for something that is not announced.
func (b *bench) until(what string, f func() bool) {
	b.Helper()
	for !f() {
		if !pause(b.ctx, 5*time.Millisecond) {
			b.Fatalf("waited in vain until %s", what)
		}
	}
}

func (b *bench) warnings() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.tell...)
}

// socketDir is a folder for sockets: unlike that of t.TempDir, its path is as short as one has to be.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func writeFile(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustExist(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

func decodeAuth(t *testing.T, header string) string {
	t.Helper()
	b, err := base64.URLEncoding.DecodeString(header)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
