package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"

	"bulkhead/engine/container"
)

func TestEndpointIsChosenAsDockerDoes(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, host := range map[string]string{"lab": "tcp://lab:2375", "far": "ssh://me@far:2222/run/d.sock"} {
		sum := sha256.Sum256([]byte(name))
		put("contexts/meta/"+hex.EncodeToString(sum[:])+"/meta.json",
			fmt.Sprintf(`{"Name":%q,"Metadata":{},"Endpoints":{"docker":{"Host":%q,"SkipTLSVerify":false}}}`, name, host))
	}
	put("config.json", `{"currentContext":"lab"}`)
	for _, c := range []struct {
		opt           Options
		host, context string // environment
		want, wantIn  string
	}{
		{want: "tcp://lab:2375", wantIn: "lab"},
		{context: "far", want: "ssh://me@far:2222/run/d.sock", wantIn: "far"},
		{host: "tcp://env:1", context: "far", want: "tcp://env:1", wantIn: "default"},
		{context: "default", want: "unix:///var/run/docker.sock", wantIn: "default"},
		{opt: Options{Context: "far"}, host: "tcp://env:1", want: "ssh://me@far:2222/run/d.sock",
			wantIn: "far"},
		{opt: Options{Host: "tcp://opt:1", Context: "far"}, host: "tcp://env:1", want: "tcp://opt:1",
			wantIn: "default"},
	} {
		t.Setenv("DOCKER_HOST", c.host)
		t.Setenv("DOCKER_CONTEXT", c.context)
		c.opt.ConfigDir = dir
		e, err := findEndpoint(c.opt)
		if err != nil || e.host != c.want || e.context != c.wantIn {
			t.Errorf("%+v: %s in %s, %v", c, e.host, e.context, err)
		}
		if strings.HasPrefix(c.want, "ssh://") {
			if got := strings.Join(e.ssh.args,
				" "); got != "-o ConnectTimeout=30 -T -l me -p 2222 -- far docker --host unix:///run/d.sock system dial-stdio" {
				t.Errorf("ssh %s", got)
			}
		}
	}
	t.Setenv("DOCKER_HOST", "")
	if _, err := findEndpoint(Options{ConfigDir: dir, Context: "gone"}); !errors.Is(err,
		container.ErrNoEngine) || !strings.Contains(err.Error(), "docker context ls") {
		t.Errorf("missing context: %v", err)
	}
	t.Setenv("DOCKER_CONTEXT", "")
	put("config.json", `{`)
	if _, err := New(Options{ConfigDir: dir}); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("broken config: %v", err)
	}
	for _, bad := range []string{"ssh://", "ssh://-oProxyCommand=x", "ssh://a:b@c", "ssh://a?x"} {
		u, err := url.Parse(bad)
		if err != nil {
			continue
		}
		if _, err := newSSH(u); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestNoEngineSaysWhereAndWhatToDo(t *testing.T) {
	dir := socketDir(t)
	refused, err := net.Listen("unix", filepath.Join(dir, "refused.sock"))
	if err != nil {
		t.Fatal(err)
	}
	refused.(*net.UnixListener).SetUnlinkOnClose(false)
	refused.Close()
	for host, want := range map[string]string{
		"unix://" + dir + "/none.sock":    "none.sock; start it",
		"unix://" + dir + "/refused.sock": "refused.sock; start it",
		"tcp://127.0.0.1:1":               "check DOCKER_HOST",
	} {
		r, err := New(Options{Host: host, ConfigDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = r.Info(context.Background()); !errors.Is(err, container.ErrNoEngine) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", host, err)
		}
		if _, err = r.Dial(context.Background(), "/grpc", "h2c", nil); !errors.Is(err, container.ErrNoEngine) {
			t.Errorf("dial %s: %v", host, err)
		}
		r.Close()
	}
	r := newRuntime(&connection{end: endpoint{host: "unix:///x.sock", context: "lab"}})
	err = r.wrap("ask", &net.OpError{Op: "dial", Err: fs.ErrPermission})
	if !errors.Is(err, container.ErrNoEngine) || !strings.Contains(err.Error(), "group docker") ||
		!strings.Contains(err.Error(), "context lab") {
		t.Errorf("permission: %v", err)
	}
	if err := r.wrap("ask", context.Canceled); errors.Is(err, container.ErrNoEngine) ||
		!errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := r.wrap("ask", fmt.Errorf("Error response from daemon: %w",
		cerrdefs.ErrConflict)); !errors.Is(err, container.ErrConflict) ||
		strings.Contains(err.Error(), "daemon") {
		t.Errorf("conflict: %v", err)
	}
}

func TestPullTellsProgressAndWhyItFailed(t *testing.T) {
	sum := layers{}
	for _, m := range []jsonstream.Message{
		{Status: "Pulling from x", ID: "latest"},
		{Status: "Pulling fs layer", ID: "a"},
		{Status: "Already exists", ID: "b"},
		{Status: "Downloading", ID: "a", Progress: &jsonstream.Progress{Current: 10, Total: 100}},
		{Status: "Downloading", ID: "c", Progress: &jsonstream.Progress{Current: 5, Total: 50}},
		{Status: "Download complete", ID: "c"},
		{Status: "Extracting", ID: "c", Progress: &jsonstream.Progress{Current: 1, Total: 50}},
		{Status: "Pull complete", ID: "c"},
	} {
		sum.add(m)
	}
	if p := sum.total(); p != (container.PullProgress{Current: 60, Total: 150, Status: "2 of 3 layers"}) {
		t.Errorf("progress: %+v", p)
	}

	r := newRuntime(&connection{end: endpoint{host: "unix:///x.sock", context: "default"}})
	named, err := reference.ParseNormalizedNamed("registry.test/shop/web:1")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`Get "https://registry.test/v2/": dial tcp: lookup registry.test: no such host`:                                                                "cannot reach registry.test",
		"manifest for registry.test/shop/web:1 not found: manifest unknown: manifest unknown":                                                          "no such tag",
		"pull access denied for shop/web, repository does not exist or may require 'docker login': denied: requested access to the resource is denied": "docker login registry.test",
		`Get "https://registry.test/v2/": http: server gave HTTP response to HTTPS client`:                                                             "does not trust",
		"toomanyrequests: You have reached your pull rate limit":                                                                                       "limits anonymous pulls",
		"no matching manifest for linux/riscv64 in the manifest list entries":                                                                          "no image for this platform",
	} {
		err := r.pullError("pull x", named, fmt.Errorf("Error response from daemon: %s", text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
		if missing := want == "no such tag"; missing && !errors.Is(err, container.ErrNotFound) {
			t.Errorf("%s is not ErrNotFound", text)
		}
	}
}

// TestPullSendsStoredCredentials uses an engine that refuses all but the stored password.
func TestPullSendsStoredCredentials(t *testing.T) {
	var header string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if strings.HasSuffix(q.URL.Path, "/images/create") {
			header = q.Header.Get("X-Registry-Auth")
			fmt.Fprintln(w, `{"status":"Downloading","id":"a","progressDetail":{"current":1,"total":2}}`)
		}
	}))
	defer srv.Close()
	dir, bin := t.TempDir(), t.TempDir()
	config := `{"auths":{"one.test":{"auth":"dTE6cDE="}},"credHelpers":{"two.test":"bhdock"}}`
	helper := "#!/bin/sh\nread host\necho '{\"ServerURL\":\"'$host'\",\"Username\":\"u2\",\"Secret\":\"p2\"}'\n"
	for name, content := range map[string]string{dir + "/config.json": config, bin +
		"/docker-credential-bhdock": helper} {
		if err := os.WriteFile(name, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	r, err := New(Options{Host: "tcp://" + strings.TrimPrefix(srv.URL, "http://"), ConfigDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for ref, want := range map[string]string{"one.test/a": `"username":"u1","password":"p1"`,
		"two.test/a": `"username":"u2","password":"p2"`, "three.test/a": "{}"} {
		var last container.PullProgress
		if err := r.Pull(context.Background(), ref, "", func(p container.PullProgress) {
			last = p
		}); err != nil {
			t.Fatal(err)
		}
		if got := decodeAuth(t, header); !strings.Contains(got, want) || last.Total != 2 {
			t.Errorf("%s: sent %s, progress %+v", ref, got, last)
		}
	}
}

func TestPortIsFoundInEveryEnginesWords(t *testing.T) {
	for text, want := range map[string]int{
		"driver failed programming external connectivity on endpoint x (0a): Bind for 0.0.0.0:8080 failed: port is already allocated":                         8080,
		"driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 127.0.0.1:9: bind: address already in use": 9,
		"failed to set up container networking: driver failed: failed to bind host port for 0.0.0.0:80:172.18.0.2:8080/tcp: address already in use":           80,
		"Error starting userland proxy: listen tcp6 [::]:443: bind: address already in use":                                                                   443,
		"Bind for :::7000 failed: port is already allocated":                                                                                                  7000,
	} {
		if !portTaken(text) || portOf(text) != want {
			t.Errorf("%s: %v %d", text, portTaken(text), portOf(text))
		}
	}
	if portTaken("OCI runtime create failed: exec: no such file") {
		t.Error("another error is taken for a port's")
	}
}

func TestHealthEventsAreDecodedAndForeignOnesLeft(t *testing.T) {
	m := events.Message{Type: events.ContainerEventType, Action: "health_status: unhealthy",
		TimeNano: 5_000_000_001, Actor: events.Actor{
			ID: "x", Attributes: map[string]string{labelService: "web", labelNumber: "3", "name": "n"}}}
	e, ok := event(m)
	if !ok || e.Kind != container.EventHealth || e.Health != container.Unhealthy || e.Replica != 3 ||
		e.Time.UnixNano() != 5_000_000_001 {
		t.Errorf("health: %+v %v", e, ok)
	}
	for _, other := range []events.Message{{Type: events.NetworkEventType, Action: "create"},
		{Type: events.ContainerEventType, Action: "exec_start: sh"}, {Type: events.ContainerEventType,
			Action: "attach"}} {
		if e, ok := event(other); ok {
			t.Errorf("%+v became %+v", other, e)
		}
	}
}

func TestMemoryLeavesTheCacheOut(t *testing.T) {
	for name, c := range map[string]struct {
		m    moby.MemoryStats
		want int64
	}{
		"v1": {moby.MemoryStats{Usage: 100, Stats: map[string]uint64{"total_inactive_file": 30,
			"inactive_file": 1}}, 70},
		"v2":      {moby.MemoryStats{Usage: 100, Stats: map[string]uint64{"inactive_file": 40}}, 60},
		"strange": {moby.MemoryStats{Usage: 100, Stats: map[string]uint64{"inactive_file": 140}}, 100},
	} {
		if got := memory(c.m); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestProgramThatCannotBeStartedIsNamed(t *testing.T) {
	const runc = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "
	for text, want := range map[string]string{
		runc + `"serve": executable file not found in $PATH: unknown`:                        `the image has no program "serve"; correct command or entrypoint`,
		runc + `"/bin/x": stat /bin/x: no such file or directory: unknown`:                   `the image has no program "/bin/x"; correct command or entrypoint`,
		runc + `"/run.sh": permission denied: unknown`:                                       "\"/run.sh\" may not be executed in the image; make it executable (`chmod +x`), or correct command or entrypoint",
		`driver failed programming external connectivity: Bind for 0.0.0.0:80 failed`:        "",
		"OCI runtime create failed: runc create failed: unable to apply caps: not permitted": "",
	} {
		got, remedy := noProgram(text)
		if remedy != "" {
			got += "; " + remedy
		}
		if got != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestHostThatIsNoneIsNoEngine(t *testing.T) {
	if _, err := New(Options{Host: "bogus"}); !errors.Is(err, container.ErrNoEngine) ||
		!strings.Contains(err.Error(), "write DOCKER_HOST as") {
		t.Errorf("got %v", err)
	}
}

// Accounts without a home have HOME=/dev/null: they have no settings.
func TestConfigFolderBelowAFileIsEmpty(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONTEXT", "")
	end, err := findEndpoint(Options{ConfigDir: os.DevNull + "/.docker"})
	if err != nil || end.context != "default" {
		t.Fatalf("%+v, %v", end, err)
	}
	if conf, err := end.dockerConfig(); err != nil || conf == nil {
		t.Errorf("config %v, %v", conf, err)
	}
}
