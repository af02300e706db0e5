package build_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"bulkhead/engine/build"
	"bulkhead/engine/container"
)

// line is an engine whose connections can be cut, as by its restart.
type line struct {
	mu    sync.Mutex
	down  bool
	conns []net.Conn
	dials int
}

func (l *line) dial(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials++
	if l.down {
		return nil, errors.New("connection refused")
	}
	c, err := dial(ctx, path, proto, meta)
	if err == nil {
		l.conns = append(l.conns, c)
	}
	return c, err
}

func (l *line) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

func lineBuilder(t *testing.T) (*line, *build.Builder) {
	t.Helper()
	needEngine(t)
	l := &line{}
	b := build.New(build.Options{Dial: l.dial, HasBuildKit: build.ServesBuildKit, DockerConfigDir: t.TempDir()})
	t.Cleanup(func() { b.Close() })
	return l, b
}

func TestBuildWorksAfterTheEngineRestarted(t *testing.T) {
	l, b := lineBuilder(t)
	r := container.BuildRequest{Service: "web", Context: write(t, t.TempDir(), "Dockerfile",
		"FROM scratch\nCOPY f /\n", "f", unique()), Tags: []string{prefix + "restart"}}
	mustBuild(t, b, r)
	for range 3 {
		l.cut(false)
		mustBuild(t, b, r)
	}
}

func TestBuildUnderWayIsRunAgainAfterARestart(t *testing.T) {
	l, b := lineBuilder(t)
	r := container.BuildRequest{
		Service: "web", Context: write(t, t.TempDir(), "f", unique()), Tags: []string{prefix + "midway"},
		DockerfileInline: "FROM " + base(t) + "\nCOPY f /\n" +
			// The first run is cut, and the next one finds what it left.
			"RUN --mount=type=cache,target=/cut,id=" + prefix + unique() +
			" test -e /cut/begun || { touch /cut/begun; echo begun; sleep 3600; }\n",
	}
	var once sync.Once
	_, err := b.Build(t.Context(), r, func(p container.BuildProgress) {
		if slices.Contains(p.Output, "begun") {
			once.Do(func() { l.cut(false) })
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := image(t, prefix+"midway"); !ok {
		t.Error("no image")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dials != 4 {
		t.Errorf("%d dials, want two of /grpc and two of /session", l.dials)
	}
}

func TestPanicsBecomeErrors(t *testing.T) {
	needEngine(t)
	r := container.BuildRequest{Service: "web", Context: write(t, t.TempDir(), "Dockerfile",
		"FROM scratch\nCOPY f /\n", "f", unique())}
	for _, path := range []string{"/grpc", "/session"} {
		b := build.New(build.Options{HasBuildKit: build.ServesBuildKit, DockerConfigDir: t.TempDir(),
			Dial: func(ctx context.Context, p, proto string, meta map[string][]string) (net.Conn, error) {
				if p == path {
					panic("at " + path)
				}
				return dial(ctx, p, proto, meta)
			}})
		_, err := b.Build(t.Context(), r, nil)
		b.Close()
		if err == nil || !strings.Contains(err.Error(), "panic: at "+path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	b := build.New(build.Options{Classic: panicky{}, DockerConfigDir: t.TempDir()})
	defer b.Close()
	if _, err := b.Build(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "panic: old") {
		t.Errorf("classic: %v", err)
	}
}

type panicky struct{}

func (panicky) ClassicBuild(context.Context, container.BuildRequest, io.Reader, string, func(string)) error {
	panic("old")
}

func TestEngineThatIsGoneIsReportedAfterFewTries(t *testing.T) {
	l, b := lineBuilder(t)
	r := container.BuildRequest{Service: "web", Context: write(t, t.TempDir(), "Dockerfile",
		"FROM scratch\nCOPY f /\n", "f", "x"), Tags: []string{prefix + "gone"}}
	mustBuild(t, b, r)
	l.cut(true)
	before := l.dials
	_, err := b.Build(t.Context(), r, nil)
	if !errors.Is(err, container.ErrBuilderUnavailable) || !strings.Contains(err.Error(),
		"connection refused") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	l.mu.Lock()
	t.Logf("%d dials", l.dials-before)
	l.down = false
	l.mu.Unlock()
	mustBuild(t, b, r)
}
