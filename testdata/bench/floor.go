package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many containers the floor creates, starts or stops at a time: more than four gain
// nothing on two cores.
const atOnce = 4

// upCalls and downCalls are what the floor asks the engine for to bring one service up and down
// again: the least that does it. A run whose calls differ is an error, so that a floor never gets
// easier unseen.
var (
	upCalls = []string{"HEAD /_ping", "POST /networks/create", "POST /containers/create",
		"POST /containers/ID/start"}

	downCalls = []string{"POST /containers/ID/stop", "DELETE /containers/ID", "DELETE /networks/NAME"}
)

// floor does the work of a verb by bare calls of the engine, through the client that bulkhead uses.
type floor struct {
	cli *client.Client

	mu    sync.Mutex
	calls []string
}

func newFloor() (*floor, error) {
	f := &floor{}
	cli, err := client.New(client.FromEnv, client.WithHTTPResponseHook(f.note))
	f.cli = cli
	return f, err
}

var ids = regexp.MustCompile(`/v1\.\d+|(/containers/)[0-9a-f]{64}|(/networks/)bench[^/?]*`)

// note writes a call down.
func (f *floor) note(r *http.Response) {
	path := ids.ReplaceAllStringFunc(r.Request.URL.Path, func(s string) string {
		switch {
		case strings.HasPrefix(s, "/containers/"):
			return "/containers/ID"
		case strings.HasPrefix(s, "/networks/"):
			return "/networks/NAME"
		}
		return ""
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Request.Method+" "+path)
}

// took returns the calls since the last time.
func (f *floor) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// stack is what a floor has made.
type stack struct {
	f       *floor
	ctx     context.Context
	name    string
	network string
	ids     []string
}

// start brings n services up, their ports from port on; 0: none. In turn is one after the other.
func (f *floor) start(b *bench, n, port int, inTurn bool) (*stack, error) {
	b.made++
	s := &stack{f: f, ctx: b.ctx, name: fmt.Sprintf("benchfloor%d-%d", b.made, time.Now().UnixNano()),
		ids: make([]string, n)}
	res, err := f.cli.NetworkCreate(b.ctx, s.name, client.NetworkCreateOptions{Driver: "bridge"})
	if err != nil {
		return s, err
	}
	s.network = res.ID
	return s, s.each(inTurn, func(i int) error {
		conf := &container.Config{Image: b.image}
		host := &container.HostConfig{NetworkMode: container.NetworkMode(s.name)}
		if port > 0 {
			inside := network.MustParsePort("8080/tcp")
			conf.ExposedPorts = network.PortSet{inside: {}}
			host.PortBindings = network.PortMap{inside: {{HostIP: netip.MustParseAddr("127.0.0.1"),
				HostPort: fmt.Sprint(port + i)}}}
		}
		c, err := f.cli.ContainerCreate(b.ctx, client.ContainerCreateOptions{Config: conf,
			HostConfig: host, Name: fmt.Sprintf("%s-%d", s.name, i)})
		if err != nil {
			return err
		}
		s.ids[i] = c.ID
		_, err = f.cli.ContainerStart(b.ctx, c.ID, client.ContainerStartOptions{})
		return err
	})
}

// each runs f for every container, as many at a time as the floor does.
func (s *stack) each(inTurn bool, f func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	if inTurn {
		g.SetLimit(1)
	}
	for i := range s.ids {
		g.Go(func() error { return f(i) })
	}
	return g.Wait()
}

// stop takes a stack down.
func (s *stack) stop() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Minute)
	defer cancel()
	err := s.each(false, func(i int) error {
		if s.ids[i] == "" {
			return nil
		}
		if _, err := s.f.cli.ContainerStop(ctx, s.ids[i], client.ContainerStopOptions{}); err != nil {
			return err
		}
		_, err := s.f.cli.ContainerRemove(ctx, s.ids[i], client.ContainerRemoveOptions{Force: true})
		return err
	})
	if s.network != "" {
		if _, nerr := s.f.cli.NetworkRemove(ctx, s.name, client.NetworkRemoveOptions{}); err == nil {
			err = nerr
		}
	}
	return err
}

// fleet measures up and down of n services that answer.
func (f *floor) fleet(b *bench, n int) (up, down time.Duration, err error) {
	port, err := freePorts(n)
	if err != nil {
		return 0, 0, err
	}
	f.took()
	began := time.Now()
	s, err := f.start(b, n, port, false)
	p := &project{b: b, tool: tool{name: "the floor"}}
	for i := 0; err == nil && i < n; i++ {
		err = p.serves(port+i, "/", nil)
	}
	up = time.Since(began)
	upped := f.took()
	began = time.Now()
	if serr := s.stop(); err == nil {
		err = serr
	}
	down = time.Since(began)
	if downed := f.took(); err == nil && n == 1 {
		err = same(upped, upCalls)
		if derr := same(downed, downCalls); err == nil {
			err = derr
		}
	}
	return up, down, err
}

// same compares calls with those that were agreed on. The first stack of a client also negotiates
// the version.
func same(got, want []string) error {
	got = slices.DeleteFunc(got, func(c string) bool { return c == "HEAD /_ping" })
	want = slices.DeleteFunc(slices.Clone(want), func(c string) bool { return c == "HEAD /_ping" })
	if !slices.Equal(got, want) {
		return fmt.Errorf("the floor asked for %q, and %q was agreed on", got, want)
	}
	return nil
}

// list is the engine's list of a project's containers, alone.
func (f *floor) list(ctx context.Context, project string) (time.Duration, error) {
	began := time.Now()
	_, err := f.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
		Filters: make(client.Filters).Add("label", "com.docker.compose.project="+project)})
	return time.Since(began), err
}

// restart copies a new program into a container and restarts it, until that answers.
func (s *stack) restart(p *project, port int, program []byte, version string) (time.Duration, error) {
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	if err := w.WriteHeader(&tar.Header{Name: "server", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return 0, err
	}
	if _, err := w.Write(program); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := s.f.cli.CopyToContainer(s.ctx, s.ids[0],
		client.CopyToContainerOptions{DestinationPath: "/", Content: &file}); err != nil {
		return 0, err
	}
	if _, err := s.f.cli.ContainerRestart(s.ctx, s.ids[0], client.ContainerRestartOptions{}); err != nil {
		return 0, err
	}
	err := p.serves(port, "/", func(got string) bool { return got == version })
	return time.Since(began), err
}
