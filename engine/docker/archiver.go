package docker

import (
	"context"
	"fmt"
	"io"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// archiver is the container.Archiver.
type archiver struct {
	conn *connection
}

var _ container.Archiver = (*Runtime)(nil)

// Entry implements container.Archiver.
func (a *archiver) Entry(ctx context.Context, id, path string) (container.PathEntry, error) {
	res, err := a.conn.cli.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: path})
	if err != nil {
		return container.PathEntry{},
			a.conn.wrap(fmt.Sprintf("look at %s in %s", path, container.ShortID(id)), err)
	}
	return pathEntry(res.Stat), nil
}

func pathEntry(s moby.PathStat) container.PathEntry {
	return container.PathEntry{Name: s.Name, Mode: s.Mode, Size: s.Size, Link: s.LinkTarget}
}

// CopyFrom implements container.Archiver.
func (a *archiver) CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, container.PathEntry, error) {
	res, err := a.conn.copyFrom(ctx, id, path)
	if err != nil {
		return nil, container.PathEntry{}, a.conn.wrap(fmt.Sprintf("copy %s out of %s", path,
			container.ShortID(id)), err)
	}
	return res.Content, pathEntry(res.Stat), nil
}

// CopyInto implements container.Archiver.
func (a *archiver) CopyInto(ctx context.Context, id, dir string, tar io.Reader, owners bool) error {
	err := a.conn.copyInto(ctx, id, client.CopyToContainerOptions{DestinationPath: dir, Content: tar,
		CopyUIDGID: owners})
	return a.conn.wrap(fmt.Sprintf("copy into %s of %s", dir, container.ShortID(id)), err)
}

// Export implements container.Archiver.
func (a *archiver) Export(ctx context.Context, id string) (io.ReadCloser, error) {
	res, err := a.conn.export(ctx, id)
	if err != nil {
		return nil, a.conn.wrap("export "+container.ShortID(id), err)
	}
	return res, nil
}
