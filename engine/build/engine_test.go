package build_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bulkhead/engine/build"
	"bulkhead/engine/container"
)

// patience is how long a test waits for a thing before it fails: far longer than the slowest
// machine needs. No test judges how long a thing took.
const patience = 3 * time.Minute

// Tests build on the real engine of this machine. Everything they make is named bhbuild-<pid>-… and
// removed at the end.

var prefix = fmt.Sprintf("bhbuild-%d-", os.Getpid())

func TestMain(m *testing.M) {
	code := m.Run()
	removeImages()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func socket() string {
	if s, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		return s
	}
	return "/var/run/docker.sock"
}

// dial opens a hijacked connection the way the engine's clients do.
func dial(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket())
	if err != nil {
		return nil, err
	}
	var req bytes.Buffer
	fmt.Fprintf(&req, "POST %s HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: %s\r\n", path, proto)
	if err := http.Header(meta).Write(&req); err != nil {
		return nil, err
	}
	req.WriteString("\r\n")
	if _, err := conn.Write(req.Bytes()); err != nil {
		conn.Close()
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		conn.Close()
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return hijacked{Conn: conn, r: r}, nil
}

type hijacked struct {
	net.Conn
	r *bufio.Reader
}

func (h hijacked) Read(p []byte) (int, error) { return h.r.Read(p) }

// ask makes one plain request to the engine.
func ask(method, path string, into any) (int, error) {
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _,
		_ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket())
	}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://engine"+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(data, into)
	}
	return resp.StatusCode, err
}

func removeImages() {
	var all []struct {
		ID       string `json:"Id"`
		RepoTags []string
	}
	if _, err := ask("GET", "/images/json", &all); err != nil {
		return // no engine: there is nothing of ours on it
	}
	made.Range(func(id, _ any) bool {
		ask("DELETE", "/images/"+id.(string), nil) // what still has a name of ours goes below
		return true
	})
	for _, img := range all {
		for _, tag := range img.RepoTags {
			if strings.HasPrefix(tag, prefix) {
				ask("DELETE", "/images/"+tag, nil)
			}
		}
	}
}

// needEngine skips where no engine answers, unless the environment says that there has to be one.
func needEngine(t testing.TB) {
	t.Helper()
	code, err := ask("GET", "/_ping", nil)
	if err == nil && code == http.StatusOK {
		return
	}
	msg := fmt.Sprintf("no Docker engine answers at %s (status %d, %v); .ci/engine starts one",
		socket(), code, err)
	if os.Getenv("CI") != "" || os.Getenv("BULKHEAD_ENGINE") == "required" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

func newBuilder(t testing.TB) *build.Builder {
	t.Helper()
	needEngine(t)
	b := build.New(build.Options{Dial: dial, HasBuildKit: build.ServesBuildKit, DockerConfigDir: t.TempDir()})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// write makes files below a folder: name, content, name, content, …
func write(t testing.TB, dir string, files ...string) string {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// image returns the engine's view of an image; ok is false where there is none.
func image(t testing.TB, name string) (id string, labels map[string]string, ok bool) {
	t.Helper()
	var img struct {
		ID     string `json:"Id"`
		Config struct{ Labels map[string]string }
	}
	code, err := ask("GET", "/images/"+name+"/json", &img)
	if err != nil {
		t.Fatal(err)
	}
	return img.ID, img.Config.Labels, code == http.StatusOK
}

// base returns the name of an image that has a shell, made once.
func base(t testing.TB) string {
	t.Helper()
	name := prefix + "base"
	makeBase.Do(func() {
		box, err := exec.LookPath("busybox")
		if err != nil {
			baseErr = fmt.Errorf("busybox is not on the PATH; .ci/engine installs busybox-static")
			return
		}
		data, err := os.ReadFile(box)
		if err != nil {
			baseErr = err
			return
		}
		dir := write(t, t.TempDir(), "busybox", string(data))
		if err := os.Chmod(filepath.Join(dir, "busybox"), 0o755); err != nil {
			baseErr = err
			return
		}
		_, baseErr = newBuilder(t).Build(t.Context(), container.BuildRequest{
			Service: "base", Context: dir, Tags: []string{name},
			DockerfileInline: "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\n",
		}, nil)
	})
	if baseErr != nil {
		t.Fatalf("image with a shell: %v", baseErr)
	}
	return name
}

var (
	made     sync.Map // ids of images, some of which have lost their name to a later build
	makeBase sync.Once
	baseErr  error
)
