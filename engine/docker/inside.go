package docker

import (
	"context"
	"errors"
	"io"
	"time"

	moby "github.com/moby/moby/api/types/container"

	"bulkhead/engine/agent"
	"bulkhead/engine/agent/files"
	"bulkhead/engine/container"
)

// inside reaches the files of running containers as their own processes see them: root on the
// engine's machine by itself, everybody else through an agent beside the container.
type inside struct {
	conn *connection
	helpers[*files.Client]
}

func newInside(conn *connection, runner *agentRunner) *inside {
	return &inside{conn: conn, helpers: helpers[*files.Client]{
		conn: conn, runner: runner, profile: container.AgentFiles, verb: "files", program: agent.Program,
		idle: time.Hour, instead: "its files go through the engine",
		dial: files.Dial, agents: map[string]*helper[*files.Client]{},
	}}
}

// root is the files of one running container.
type root interface {
	Unpack(ctx context.Context, below string, r io.Reader, replace bool) error
	Delete(ctx context.Context, below string, names []string) error
	Stat(ctx context.Context, paths []string) (map[string]files.Entry, error)
	Owner(ctx context.Context, name string) (uid, gid int, err error)
}

var _ root = (*files.Client)(nil)

// do calls f with the files of a container that runs. files.ErrNoAccess, with nothing done, means
// that they are out of reach.
func (x *inside) do(ctx context.Context, id string, f func(root) error) error {
	if a := x.running(id); a != nil {
		defer x.release(id, a)
		return f(a.client)
	}
	c, err := x.conn.running(ctx, id)
	if err != nil {
		return files.ErrNoAccess // the engine reaches a stopped one, and says what is wrong with others
	}
	if x.conn.local(ctx) {
		err := f(ownRoot{pid: c.State.Pid, id: c.ID})
		if !errors.Is(err, files.ErrNoAccess) {
			return err
		}
	}
	a, err := x.agent(ctx, c)
	if err != nil {
		return err
	}
	defer x.release(c.ID, a)
	return f(a.client)
}

// agent returns the agent beside a container. Call release when done.
func (x *inside) agent(ctx context.Context, c moby.InspectResponse) (*helper[*files.Client], error) {
	a, err := x.helpers.agent(ctx, c)
	if err != nil && ctx.Err() == nil {
		err = files.ErrNoAccess
	}
	return a, err
}

// entries are files as the port has them.
func entries(all map[string]files.Entry) map[string]container.Entry {
	out := make(map[string]container.Entry, len(all))
	for at, e := range all {
		out[at] = container.Entry{Mode: e.Mode, Size: e.Size, Link: e.Link}
	}
	return out
}
