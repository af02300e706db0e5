package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine"
)

// Delete implements engine.Runtime. In a running container of an engine on this machine, as root, it needs no program;
// elsewhere it runs the image's rm. A stopped container's files are out of reach: engine.ErrUnsupported.
func (r *Runtime) Delete(ctx context.Context, id string, paths []string) error {
	what := "delete files in " + short(id)
	for i, p := range paths {
		if !path.IsAbs(p) || path.Clean(p) == "/" {
			return fmt.Errorf("%s: %q is not an absolute path below /", what, p)
		}
		paths = slices.Clone(paths)
		paths[i] = path.Clean(p)
	}
	if len(paths) == 0 {
		return nil
	}
	c, err := r.running(ctx, id)
	if errors.Is(err, errNotRunning) {
		return fmt.Errorf("%s: %w: it does not run, and a stopped container's files cannot be deleted", what, engine.ErrUnsupported)
	}
	if err != nil {
		return err
	}
	if info, err := r.Info(ctx); err == nil && info.Local {
		err := deleteIn(c.State.Pid, c.ID, paths)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errNoAccess) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	// As the image's user rm may have no right to what an earlier sync put in as root.
	var said bytes.Buffer
	code, err := r.Exec(ctx, id, engine.ExecOptions{
		Cmd: append([]string{"rm", "-rf", "--"}, paths...), User: "0", Stdout: &said, Stderr: &said,
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case code == 126 || code == 127:
		return fmt.Errorf("%s: %w: the image has no rm, and this engine's files are out of reach; rebuild instead", what, engine.ErrUnsupported)
	case code != 0:
		return fmt.Errorf("%s: rm ended with %d: %s", what, code, strings.TrimSpace(said.String()))
	}
	return nil
}

var (
	errNotRunning = errors.New("it does not run")
	// errNoAccess means that the container's processes are not ours to look at.
	errNoAccess = errors.New("no access to the container's processes")
)

// running inspects a container; errNotRunning when there is no process.
func (r *Runtime) running(ctx context.Context, id string) (container.InspectResponse, error) {
	res, err := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return container.InspectResponse{}, r.wrap("inspect "+short(id), err)
	}
	c := res.Container
	if c.State == nil || c.State.Pid == 0 {
		return c, errNotRunning
	}
	return c, nil
}

// Owner implements engine.Runtime.
func (r *Runtime) Owner(ctx context.Context, id, name string) (uid, gid int, err error) {
	what := fmt.Sprintf("find the owner of %s in %s", name, short(id))
	if !path.IsAbs(name) {
		return 0, 0, fmt.Errorf("%s: it is not an absolute path", what)
	}
	name = path.Clean(name)
	if info, err := r.Info(ctx); err == nil && info.Local {
		c, err := r.running(ctx, id)
		if err == nil {
			uid, gid, err = ownerIn(c.State.Pid, c.ID, name)
		}
		if err == nil {
			return uid, gid, nil
		}
	}
	for {
		uid, gid, err := r.archiveOwner(ctx, id, name)
		if err == nil {
			return uid, gid, nil
		}
		if !cerrdefs.IsNotFound(err) || name == "/" {
			return 0, 0, r.wrap(what, err)
		}
		name = path.Dir(name)
	}
}

// archiveOwner reads the first header of a path's archive and leaves the rest.
func (r *Runtime) archiveOwner(ctx context.Context, id, name string) (uid, gid int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, err := r.cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: name})
	if err != nil {
		return 0, 0, err
	}
	defer res.Content.Close()
	h, err := tar.NewReader(res.Content).Next()
	if err != nil {
		return 0, 0, fmt.Errorf("read the archive of %s: %w", name, err)
	}
	return h.Uid, h.Gid, nil
}

// HandlesStop implements engine.Runtime. It is known for engines on this machine.
func (r *Runtime) HandlesStop(ctx context.Context, id string) (handles, known bool) {
	info, err := r.Info(ctx)
	if err != nil || !info.Local {
		return false, false
	}
	c, err := r.running(ctx, id)
	if err != nil {
		return false, false
	}
	signal := ""
	if c.Config != nil {
		signal = c.Config.StopSignal
	}
	return handlesStop(c.State.Pid, c.ID, signal)
}

// DialInstance implements engine.Runtime. The host reaches containers by their addresses where a rootful engine runs on it.
func (r *Runtime) DialInstance(ctx context.Context, id string, port int) (net.Conn, error) {
	what := fmt.Sprintf("dial port %d of %s", port, short(id))
	info, err := r.Info(ctx)
	if err != nil {
		return nil, err
	}
	if !info.Local || info.Rootless {
		return nil, fmt.Errorf("%s: %w: the host does not reach containers by their addresses here", what, engine.ErrUnsupported)
	}
	host, err := r.address(ctx, id, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return conn, nil
}

// address finds where a container listens, also when it shares another one's network.
func (r *Runtime) address(ctx context.Context, id string, depth int) (string, error) {
	c, err := r.running(ctx, id)
	if err != nil {
		return "", err
	}
	if c.HostConfig != nil {
		if c.HostConfig.NetworkMode.IsHost() {
			return "127.0.0.1", nil
		}
		if c.HostConfig.NetworkMode.IsContainer() && depth < 5 {
			return r.address(ctx, c.HostConfig.NetworkMode.ConnectedContainer(), depth+1)
		}
	}
	if c.NetworkSettings != nil {
		var all []string
		for _, n := range c.NetworkSettings.Networks {
			if n != nil && n.IPAddress.IsValid() {
				all = append(all, n.IPAddress.String())
			} else if n != nil && n.GlobalIPv6Address.IsValid() {
				all = append(all, n.GlobalIPv6Address.String())
			}
		}
		if len(all) > 0 {
			return slices.Min(all), nil
		}
	}
	return "", fmt.Errorf("%w: it is on no network", engine.ErrUnsupported)
}
