package docker

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// Info implements container.Runtime.
func (r *Runtime) Info(ctx context.Context) (container.Info, error) {
	r.mu.Lock()
	known := r.info
	r.mu.Unlock()
	if known.ID != "" {
		return known, nil
	}
	api, err := r.version(ctx)
	if err != nil {
		return container.Info{}, err
	}
	r.mu.Lock()
	buildKit := r.picks == build.BuilderBuildKit
	r.mu.Unlock()
	var res client.SystemInfoResult
	questions := []func(context.Context) error{
		func(ctx context.Context) (err error) { res, err = r.cli.Info(ctx, client.InfoOptions{}); return err },
	}
	if !buildKit {
		questions = append(questions, func(ctx context.Context) error { buildKit = r.servesBuildKit(ctx); return nil })
	}
	if err := each(ctx, len(questions), len(questions), func(ctx context.Context, i int) error { return questions[i](ctx) }); err != nil {
		return container.Info{}, r.wrap("ask the engine who it is", err)
	}
	i := res.Info
	info := container.Info{
		ID: i.ID, Name: "docker", Version: i.ServerVersion, API: api.String(),
		Context: r.end.context, Host: r.end.host, OS: i.OSType, Arch: i.Architecture,
		NCPU: i.NCPU, MemTotal: i.MemTotal,
		BuildKit: buildKit,
		Rootless: slices.ContainsFunc(i.SecurityOptions, func(o string) bool { return strings.Contains(o, "rootless") }),
		Cgroup:   i.CgroupVersion,
	}
	if info.ID == "" {
		info.ID = i.Name // Podman's service has none
	}
	if info.Cgroup == "" && i.OSType == "linux" {
		info.Cgroup = "1" // API 1.40 knows no other
	}
	// A virtual machine may be behind a local socket, and bulkhead may run in a container itself: then the kernel or the
	// host name differs.
	host, err := os.Hostname()
	info.Local = err == nil && r.end.unix() && i.OSType == "linux" && runtime.GOOS == "linux" && i.Name == host && i.KernelVersion == kernelRelease()
	r.mu.Lock()
	r.info = info
	r.mu.Unlock()
	return info, nil
}

// servesBuildKit tries the door: engines before 23.0 name the old builder as their choice in a ping, and serve BuildKit all the same.
func (r *Runtime) servesBuildKit(ctx context.Context) bool {
	conn, err := r.cli.DialHijack(ctx, "/grpc", "h2c", nil)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
