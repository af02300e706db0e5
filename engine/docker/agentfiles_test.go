package docker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/agent"
	"bulkhead/engine/agent/files"
	"bulkhead/engine/container"
	"bulkhead/engine/internal/tartest"
)

// helpers are the agents beside a container, as the engine lists them.
func (b *bench) helpers(target string) (ids []string) {
	b.Helper()
	list, err := b.rt.cli.ContainerList(b.ctx, client.ContainerListOptions{All: true,
		Filters: labelFilter(labelAgent + "=" + target)})
	b.ok(err)
	for _, c := range list.Items {
		ids = append(ids, c.ID)
	}
	return ids
}

// One agent beside a container writes, looks and deletes for as long as it is needed, with these
// rights alone, in an image without any program; it goes with the container or with us.
func TestFilesAreReachedByOneAgent(t *testing.T) {
	if !agent.Built() {
		t.Skip(agent.ErrNotBuilt)
	}
	b := open(t,
		"services:\n  a: {image: IMAGE, user: '1234', read_only: false, volumes: [/vol]}\n  host: {image: IMAGE, pid: host}\n")
	in := b.rt.fileWriter.inside
	id := b.start("a")
	if _, code := b.run(id, "id"); code != 0 {
		t.Fatalf("id ends with %d", code)
	}
	b.ok(b.rt.sendArchive(b.ctx, id, tartest.Of(t, "bin/busybox", "no program any more"), false))
	for range 2 {
		b.ok(throughAgent(b.ctx, in, id, func(f root) error {
			return errors.Join(f.Unpack(b.ctx, "/app", tartest.Of(t, "app/x", "x", "app/y", "y"),
				false), f.Unpack(b.ctx, "/vol", tartest.Of(t, "vol/v", "v"), false),
				f.Delete(b.ctx, "/app", []string{"y"}))
		}))
	}
	there, err := b.rt.Stat(b.ctx, id, []string{"/app/x", "/app/y", "/vol/v"})
	if b.ok(err); len(there) != 2 || there["/app/x"].Size != 1 || there["/vol/v"].Size != 1 {
		t.Errorf("there is %v", there)
	}
	all := b.helpers(id)
	if len(all) != 1 {
		t.Fatalf("agents %v", all)
	}
	res, err := b.rt.cli.ContainerInspect(b.ctx, all[0], client.ContainerInspectOptions{})
	b.ok(err)
	c := res.Container
	h := c.HostConfig
	rights := make([]string, 0, 4)
	for _, r := range h.CapAdd {
		rights = append(rights, strings.TrimPrefix(r, "CAP_"))
	}
	slices.Sort(rights)
	if !slices.Equal(rights, []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "SYS_PTRACE"}) ||
		!slices.Equal(h.CapDrop, []string{"ALL"}) || h.Privileged {
		t.Errorf("capabilities %v, without %v", h.CapAdd, h.CapDrop)
	}
	if !h.ReadonlyRootfs || len(h.Binds)+len(h.Mounts)+len(c.Mounts) > 0 || !h.NetworkMode.IsNone() ||
		string(h.PidMode) != "container:"+id ||
		!slices.Contains(h.SecurityOpt, "no-new-privileges") || c.Config.Labels[labelOneOff] != oneOff {
		t.Errorf("its container: %+v", h)
	}
	if _, err := in.conn.running(b.ctx, all[0]); err != nil {
		t.Error(err)
	}
	// A new life of the container has an agent of its own.
	b.ok(b.rt.Stop(b.ctx, id, 0))
	b.until("the agent is gone", func() bool { return len(b.helpers(id)) == 0 })
	if err := throughAgent(b.ctx, in, id, func(f root) error { return nil }); !errors.Is(err, errNotRunning) {
		t.Errorf("beside a stopped container: %v", err)
	}
	// Where process 1 is not the container's own the agent stays away.
	id = b.start("host")
	if err := throughAgent(b.ctx, in, id, func(f root) error {
		return nil
	}); !errors.Is(err, files.ErrNoAccess) {
		t.Errorf("beside pid: host: %v", err)
	}
	if all := b.helpers(id); len(all) != 0 {
		t.Errorf("beside pid: host there are %v", all)
	}
	b.ok(b.rt.CopyTo(b.ctx, id, "/app", tartest.Of(t, "app/x", "x"), false))
}

// Where files are reached through an agent it is started before the first write, and not where they
// are reached without.
func TestFilesAgentIsStartedAhead(t *testing.T) {
	if !agent.Built() {
		t.Skip(agent.ErrNotBuilt)
	}
	b := open(t, sleeper)
	id := b.start("web")
	b.rt.PrepareFiles(b.ctx, id)
	info, err := b.rt.Info(b.ctx)
	b.ok(err)
	if all := b.helpers(id); info.Local && os.Geteuid() == 0 && len(all) != 0 {
		t.Errorf("root needs no agent on the engine's own machine, and has %v", all)
	}
	b.elsewhere()
	b.rt.PrepareFiles(b.ctx, id)
	before := b.helpers(id)
	b.ok(b.rt.CopyTo(b.ctx, id, "/app", tartest.Of(t, "app/x", "x"), false))
	if now := b.helpers(id); len(before) != 1 || !slices.Equal(now, before) {
		t.Errorf("agents %v, before the first write %v", now, before)
	}
	if all, err := b.rt.OneOffs(b.ctx, b.p.Name); err != nil || len(all) != 0 {
		t.Errorf("one-offs that a person would be told of: %v, %v", all, err)
	}
}

func TestFilesAgentEndsWithTheRuntime(t *testing.T) {
	if !agent.Built() {
		t.Skip(agent.ErrNotBuilt)
	}
	b := open(t, sleeper)
	id := b.start("web")
	rt, err := New(Options{})
	b.ok(err)
	in := rt.fileWriter.inside
	b.ok(throughAgent(b.ctx, in, id, func(f root) error {
		return f.Unpack(b.ctx, "/app", tartest.Of(t, "app/x", "x"), false)
	}))
	if all := b.helpers(id); len(all) != 1 {
		t.Errorf("agents %v", all)
	}
	b.ok(rt.Close())
	b.until("the agent is gone", func() bool { return len(b.helpers(id)) == 0 })
	if err := throughAgent(b.ctx, in, id, func(root) error { return nil }); !errors.Is(err, files.ErrNoAccess) {
		t.Errorf("afterwards: %v", err)
	}
	b.ok(rt.Close()) // the question whether it runs opened a connection
}

// Images and volumes of other versions of the agent go with the next one that is loaded, unless a
// container uses them.
func TestOlderAgentsAreClearedAway(t *testing.T) {
	b := open(t, sleeper)
	info, err := b.rt.Info(b.ctx)
	b.ok(err)
	old := agentImages + ":" + strings.ReplaceAll(prefix, "-", "")
	archive, err := agentImage(old, info.Arch, []byte(prefix))
	b.ok(err)
	res, err := b.rt.cli.ImageLoad(b.ctx, bytes.NewReader(archive), client.ImageLoadWithQuiet(true))
	b.ok(err)
	_, err = io.Copy(io.Discard, res)
	b.ok(errors.Join(err, res.Close()))
	unused, used := agentVolumes+prefix+"unused", agentVolumes+prefix+"used"
	for _, name := range []string{unused, used} {
		_, err := b.rt.cli.VolumeCreate(b.ctx, client.VolumeCreateOptions{Name: name,
			Labels: map[string]string{labelAgent: "init"}})
		b.ok(err)
	}
	made, err := b.rt.cli.ContainerCreate(b.ctx,
		client.ContainerCreateOptions{Config: &moby.Config{Image: testImage("tools")},
			HostConfig: &moby.HostConfig{Binds: []string{used + ":/v"}}})
	b.ok(err)
	defer func() {
		b.ok(b.rt.Remove(b.ctx, made.ID, true, false))
		_, err := b.rt.cli.VolumeRemove(b.ctx, used, client.VolumeRemoveOptions{})
		b.ok(err)
	}()
	program, err := agent.Program(info.Arch)
	if errors.Is(err, agent.ErrNotBuilt) {
		t.Skip(err)
	}
	b.ok(err)
	keep, err := b.rt.agentRunner.image(b.ctx, program)
	b.ok(err)
	b.rt.agentRunner.clear(b.ctx, keep)
	if _, err := b.rt.cli.ImageInspect(b.ctx, keep); err != nil {
		t.Errorf("its own: %v", err)
	}
	if _, err := b.rt.cli.ImageInspect(b.ctx, old); err == nil {
		t.Errorf("%s is there still", old)
	}
	if _, err := b.rt.cli.VolumeInspect(b.ctx, unused, client.VolumeInspectOptions{}); err == nil {
		t.Errorf("%s is there still", unused)
	}
	if _, err := b.rt.cli.VolumeInspect(b.ctx, used, client.VolumeInspectOptions{}); err != nil {
		t.Errorf("what is used: %v", err)
	}
}

// An agent that was made and never started goes with the next one; one that may be on its way stays.
func TestAgentsThatNeverStartedAreClearedAway(t *testing.T) {
	b := open(t, sleeper)
	spec := container.AgentSpec{Project: b.p.Name, Profile: container.AgentNet}
	made, err := b.rt.cli.ContainerCreate(b.ctx, agentContainer(spec, testImage("tools")))
	b.ok(err)
	defer func() { _ = b.rt.Remove(b.ctx, made.ID, true, false) }() // where the test failed
	left := func() bool {
		_, err := b.rt.cli.ContainerInspect(b.ctx, made.ID, client.ContainerInspectOptions{})
		return err == nil
	}
	b.rt.clearUnstarted(b.ctx, spec.Project, time.Now().Add(-time.Hour))
	if !left() {
		t.Error("one that was made just now is gone")
	}
	b.rt.clearUnstarted(b.ctx, spec.Project+"x", time.Now().Add(time.Hour))
	if !left() {
		t.Error("one of another project is gone")
	}
	b.rt.clearUnstarted(b.ctx, spec.Project, time.Now().Add(time.Hour))
	if left() {
		t.Error("one that never started is there still")
	}
}
