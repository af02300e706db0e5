//go:build !linux

package docker

import (
	"context"
	"io"

	"bulkhead/engine/agent/files"
	"bulkhead/engine/agent/supervisor"
	"bulkhead/engine/container"
)

// Off Linux the engine runs in a virtual machine, whose processes and files cannot
// be seen from here.

func kernelRelease() string { return "" }

type ownRoot struct {
	pid int
	id  string
}

func (ownRoot) Unpack(context.Context, string, io.Reader, bool) error { return files.ErrNoAccess }

func (ownRoot) Delete(context.Context, string, []string) error { return files.ErrNoAccess }

func (ownRoot) Stat(context.Context, []string) (map[string]files.Entry, error) {
	return nil, files.ErrNoAccess
}

func (ownRoot) Owner(context.Context, string) (uid, gid int, err error) {
	return 0, 0, files.ErrNoAccess
}

func askDirectly(context.Context, int, string, func(supervisor.End), ...string) (supervisor.Report, error) {
	return supervisor.Report{}, files.ErrNoAccess
}

func handlesStop(int, string, string) (handles, known bool) { return false, false }

func listener(int) string { return "" }

type cgroupStats struct{}

func findCgroup(int, string, bool) (*cgroupStats, error) { return nil, errNoAccess }

func (*cgroupStats) read(string) (container.Stats, error) { return container.Stats{}, errNotRunning }
