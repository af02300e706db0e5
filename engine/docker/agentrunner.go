package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bulkhead/engine/container"
)

// agentRunner is the container.AgentRunner.
type agentRunner struct {
	conn *connection

	tidied atomic.Bool // what an earlier bulkhead left has been cleared away

	mu     sync.Mutex
	loaded string // the image that the engine is known to have
}

var _ container.AgentRunner = (*Runtime)(nil)

const agentImages = "bulkhead-agent" // the name of the agent's image; its tag is a hash of the program

// agentRights are the capabilities of each profile; all others are dropped.
var agentRights = map[container.AgentProfile][]string{
	container.AgentNet:   {"NET_ADMIN"},
	container.AgentFiles: {"SYS_PTRACE", "DAC_OVERRIDE", "CHOWN", "FOWNER"},
	container.AgentDial:  nil,
}

// RunAgent implements container.AgentRunner.
func (a *agentRunner) RunAgent(ctx context.Context, spec container.AgentSpec) (io.ReadWriteCloser, error) {
	what := "run the agent"
	if spec.Service != "" {
		what += " beside " + spec.Service
	}
	if spec.Profile == container.AgentFiles {
		if err := a.ownProcess(ctx, spec.Target); err != nil {
			return nil, err
		}
	}
	if !a.tidied.Swap(true) {
		a.clearUnstarted(ctx, spec.Project, time.Now().Add(-unstartedFor))
	}
	image, err := a.image(ctx, spec.Program)
	if err != nil {
		return nil, err
	}
	made, err := a.create(ctx, spec, image)
	if cerrdefs.IsNotFound(err) { // another version of bulkhead has cleared the image away
		a.forget()
		if _, err := a.image(ctx, spec.Program); err != nil {
			return nil, err
		}
		made, err = a.create(ctx, spec, image)
	}
	if err != nil {
		a.forget()
		return nil, a.conn.wrap(what, err)
	}
	drop := func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		// it goes by itself when it has ended
		_, _ = a.conn.cli.ContainerRemove(tidy, made.ID, client.ContainerRemoveOptions{Force: true})
	}
	io, err := a.conn.cli.ContainerAttach(ctx, made.ID, client.ContainerAttachOptions{Stream: true,
		Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		drop()
		return nil, a.conn.wrap(what, err)
	}
	if _, err := a.conn.cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		io.Close()
		drop()
		return nil, a.conn.wrap(what, err)
	}
	return newAgentStream(io.Conn, io.Reader), nil
}

// create makes an agent's container. One that has to be alone has a name that only one can have, as
// long as no other one is there.
func (a *agentRunner) create(
	ctx context.Context, spec container.AgentSpec, image string,
) (client.ContainerCreateResult, error) {
	alone := spec.Alone != "" && spec.Target != ""
	if alone {
		list, err := a.conn.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
			Filters: labelFilter(labelAgent + "=" + spec.Target)})
		if err != nil {
			return client.ContainerCreateResult{}, err
		}
		alone = !slices.ContainsFunc(list.Items, func(c moby.Summary) bool {
			return strings.HasPrefix(c.Command, "/agent "+spec.Args[0])
		})
	}
	if alone {
		only := spec
		only.Args = append(slices.Clone(spec.Args), spec.Alone)
		opt := agentContainer(only, image)
		opt.Name = strings.Trim(spec.Project+"-agent-"+spec.Service, "-") + "-" + container.ShortID(spec.Target)
		made, err := a.conn.cli.ContainerCreate(ctx, opt)
		if !cerrdefs.IsConflict(err) {
			return made, err
		}
	}
	return a.conn.cli.ContainerCreate(ctx, agentContainer(spec, image))
}

// agentContainer is what an agent's container is made of. It is a one-off of the project, which
// nobody takes for a service, and it has no file that it could write.
func agentContainer(spec container.AgentSpec, image string) client.ContainerCreateOptions {
	pids := int64(256)
	host := &moby.HostConfig{
		AutoRemove: true, ReadonlyRootfs: true, NetworkMode: "none", IpcMode: "none",
		CapDrop: []string{"ALL"}, CapAdd: agentRights[spec.Profile], SecurityOpt: []string{"no-new-privileges"},
		LogConfig: moby.LogConfig{Type: "none"}, Resources: moby.Resources{PidsLimit: &pids},
	}
	switch {
	case spec.Target == "":
	case spec.Profile == container.AgentNet, spec.Profile == container.AgentDial:
		host.NetworkMode = moby.NetworkMode("container:" + spec.Target)
	case spec.Profile == container.AgentFiles:
		host.PidMode = moby.PidMode("container:" + spec.Target)
	}
	labels := map[string]string{labelProject: spec.Project, labelOneOff: oneOff,
		labelVersion: version, labelAgent: spec.Target}
	if spec.Service != "" {
		labels[labelService] = spec.Service
	}
	name := strings.Trim(spec.Project+"-agent-"+spec.Service, "-")
	return client.ContainerCreateOptions{
		Name: name + "-" + strings.ToLower(rand.Text()[:8]),
		Config: &moby.Config{
			Image: image, Entrypoint: append([]string{"/agent"}, spec.Args...), Labels: labels,
			AttachStdin: true, AttachStdout: true, AttachStderr: true, OpenStdin: true, StdinOnce: true,
			StopSignal: "SIGTERM",
		},
		HostConfig: host,
	}
}

// ownProcess refuses a container whose process 1 is not its own: the agent would work on another's.
func (a *agentRunner) ownProcess(ctx context.Context, id string) error {
	res, err := a.conn.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return a.conn.wrap("look at "+container.ShortID(id), err)
	}
	if h := res.Container.HostConfig; h == nil || h.PidMode != "" && h.PidMode != "private" {
		return &container.Error{
			Why: "it shares the processes of another container or of the host, which are never touched", Err: container.ErrUnsupported}
	}
	return nil
}

// Network implements container.AgentRunner.
func (a *agentRunner) Network(ctx context.Context, project, id string) (container.Network, error) {
	const deep = 5 // namespaces that are joined by way of each other
	refuse := func(format string, args ...any) (container.Network, error) {
		return container.Network{}, &container.Error{Why: fmt.Sprintf(format, args...),
			Err: container.ErrUnsupported}
	}
	for range deep {
		res, err := a.conn.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return container.Network{}, a.conn.wrap("look at "+container.ShortID(id), err)
		}
		c := res.Container
		name := strings.TrimPrefix(c.Name, "/")
		switch {
		case c.Config == nil || c.HostConfig == nil || c.State == nil:
			return refuse("the engine does not say how %s was made", name)
		case c.Config.Labels[labelProject] != project:
			return refuse("its network is that of %s, which does not belong to project %s", name, project)
		case c.HostConfig.NetworkMode.IsHost():
			return refuse("%s uses the network of the host, which is never touched", name)
		case c.HostConfig.NetworkMode.IsNone():
			return refuse("%s has no network", name)
		case !c.State.Running:
			return container.Network{}, fmt.Errorf("the network of %s: it does not run: %w", name,
				container.ErrNotFound)
		case c.HostConfig.NetworkMode.IsContainer():
			id = c.HostConfig.NetworkMode.ConnectedContainer()
			continue
		}
		n := container.Network{Owner: c.ID}
		if c.NetworkSettings != nil {
			for _, at := range c.NetworkSettings.Networks {
				if at == nil {
					continue
				}
				n.Networks = append(n.Networks, at.NetworkID)
				for _, addr := range []netip.Addr{at.IPAddress, at.GlobalIPv6Address} {
					if addr.IsValid() {
						n.Addresses = append(n.Addresses, addr.Unmap())
					}
				}
				for _, addr := range []netip.Addr{at.Gateway, at.IPv6Gateway} {
					if addr.IsValid() {
						n.Machine = append(n.Machine, addr.Unmap())
					}
				}
			}
		}
		if slices.ContainsFunc(c.HostConfig.ExtraHosts, func(h string) bool {
			return strings.HasSuffix(h, "host-gateway")
		}) {
			n.Machine = append(n.Machine, a.hostGateway(ctx)...)
		}
		return n, nil
	}
	return refuse("its network is joined by way of more than %d containers", deep)
}

// hostGateway is what an engine that is not configured otherwise takes for host-gateway in extra_hosts: the
// addresses of its default bridge. It is nil where there is none, or nobody says.
func (a *agentRunner) hostGateway(ctx context.Context) (out []netip.Addr) {
	res, err := a.conn.cli.NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{})
	if err != nil {
		return nil // calls by that address are not seen then
	}
	for _, pool := range res.Network.IPAM.Config {
		switch {
		case pool.Gateway.IsValid():
			out = append(out, pool.Gateway.Unmap())
		// an engine that has just made the bridge leaves out that it took the first address
		case pool.Subnet.IsValid():
			out = append(out, pool.Subnet.Masked().Addr().Next().Unmap())
		}
	}
	return out
}

// image makes sure that the engine has the agent's image, and returns its name.
func (a *agentRunner) image(ctx context.Context, program []byte) (string, error) {
	sum := sha256.Sum256(program)
	name := agentImages + ":" + hex.EncodeToString(sum[:6])
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.loaded == name {
		return name, nil
	}
	_, err := a.conn.cli.ImageInspect(ctx, name)
	if cerrdefs.IsNotFound(err) {
		err = a.load(ctx, name, program)
	}
	if err != nil {
		return "", a.conn.wrap("load the agent's image", err)
	}
	a.loaded = name
	return name, nil
}

func (a *agentRunner) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loaded = ""
}

// load makes the image in memory: nothing is pulled.
func (a *agentRunner) load(ctx context.Context, name string, program []byte) error {
	info, err := a.conn.Info(ctx)
	if err != nil {
		return err
	}
	archive, err := agentImage(name, info.Arch, program)
	if err != nil {
		return err
	}
	res, err := a.conn.cli.ImageLoad(ctx, bytes.NewReader(archive), client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res)
	if err = errors.Join(err, res.Close()); err == nil {
		a.clear(ctx, name)
	}
	return err
}

// clear removes the images of other versions of the agent, and their volumes; what a container uses
// the engine keeps.
func (a *agentRunner) clear(ctx context.Context, keep string) {
	_, sum, _ := strings.Cut(keep, ":")
	images, err := a.conn.cli.ImageList(ctx,
		client.ImageListOptions{Filters: make(client.Filters).Add("reference", agentImages)})
	if err == nil {
		for _, img := range images.Items {
			for _, tag := range img.RepoTags {
				if strings.HasPrefix(tag, agentImages+":") && tag != keep {
					// the next version tries again
					_, _ = a.conn.cli.ImageRemove(ctx, tag, client.ImageRemoveOptions{})
				}
			}
		}
	}
	volumes, err := a.conn.cli.VolumeList(ctx,
		client.VolumeListOptions{Filters: labelFilter(labelAgent + "=init")})
	if err != nil {
		return
	}
	for _, v := range volumes.Items {
		if strings.HasPrefix(v.Name, agentVolumes) && v.Name != agentVolumes+sum {
			_, _ = a.conn.cli.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{}) // likewise
		}
	}
}

// unstartedFor is after how long an agent that was made is not going to be started any more. The
// clocks of both machines may differ by a little.
const unstartedFor = 2 * time.Minute

// clearUnstarted removes the agents of a project that were made before a moment and never started:
// bulkhead was killed between the two. One that has started goes by itself when it ends.
func (a *agentRunner) clearUnstarted(ctx context.Context, project string, before time.Time) {
	list, err := a.conn.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
		Filters: labelFilter(labelProject+"="+project, labelAgent).Add("status", "created")})
	if err != nil {
		return // the next one tries again
	}
	for _, c := range list.Items {
		if time.Unix(c.Created, 0).Before(before) {
			// not by force: it may start just now
			_, _ = a.conn.cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{})
		}
	}
}

// agentImage is an archive as `docker save` writes it, with one layer that holds the program alone.
func agentImage(name, arch string, program []byte) ([]byte, error) {
	type file struct {
		name string
		mode int64
		data []byte
	}
	pack := func(files ...file) ([]byte, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, f := range files {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode,
				Size: int64(len(f.data)), ModTime: time.Unix(0, 0)}); err != nil {
				return nil, err
			}
			if _, err := w.Write(f.data); err != nil {
				return nil, err
			}
		}
		err := w.Close()
		return b.Bytes(), err
	}
	layer, err := pack(file{"agent", 0o755, program})
	if err != nil {
		return nil, err
	}
	c, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: goArch(arch)},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/agent"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json",
		"RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, err
	}
	return pack(file{"config.json", 0o644, c}, file{"layer.tar", 0o644, layer},
		file{"manifest.json", 0o644, manifest})
}

// goArch is an architecture as images name it; the engine's info has the kernel's name for it.
func goArch(arch string) string {
	switch arch {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return arch
}

// agentStream is the input and the output of an agent.
type agentStream struct {
	conn net.Conn
	out  *io.PipeReader

	done chan struct{} // closed when the output has ended
}

func newAgentStream(conn net.Conn, from io.Reader) *agentStream {
	r, w := io.Pipe()
	s := &agentStream{conn: conn, out: r, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		var said tailBuffer // on stderr: why it ended
		err := demux(from, func(stream container.Stream, p []byte) error {
			if stream == container.Stderr {
				_, err := said.Write(p)
				return err
			}
			_, err := w.Write(p)
			return err
		})
		if text := said.text(); text != "" {
			err = errors.New(text)
		}
		w.CloseWithError(err)
	}()
	return s
}

func (s *agentStream) Read(p []byte) (int, error)  { return s.out.Read(p) }
func (s *agentStream) Write(p []byte) (int, error) { return s.conn.Write(p) }

// Close ends the agent's input: it undoes everything and ends by itself.
func (s *agentStream) Close() error {
	_ = s.out.Close()
	err := s.conn.Close()
	<-s.done
	return err
}
