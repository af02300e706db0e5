package docker

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"bulkhead/engine/agent"
	"bulkhead/engine/agent/files"
)

// Several bulkheads may need the agent's volume for the first time at once. A program that one of them writes
// cannot be run by another one's container, so they fill it one at a time, and one that died over it is no hindrance.
func TestVolumeOfTheAgentIsFilledByOneAtATime(t *testing.T) {
	b := open(t, sleeper)
	program := agentOf(b)
	for round := range 2 {
		volume := fmt.Sprintf("%s-filled%d", prefix, round)
		// there since the first fill
		defer func() { _, _ = b.rt.cli.VolumeRemove(b.ctx, volume, client.VolumeRemoveOptions{Force: true}) }()
		ends := make([]error, 4)
		var wg sync.WaitGroup
		for i := range ends {
			rt, err := New(Options{}) // each a bulkhead of its own
			b.ok(err)
			defer rt.Close()
			wg.Go(func() {
				if ends[i] = rt.fill(b.ctx, volume, program); ends[i] == nil {
					ends[i] = runsFrom(b, rt, volume)
				}
			})
		}
		wg.Wait()
		for i, err := range ends {
			if err != nil {
				t.Errorf("round %d, bulkhead %d: %v", round, i, err)
			}
		}
		if list, err := b.rt.cli.ContainerList(b.ctx, client.ContainerListOptions{All: true,
			Filters: client.Filters{}.Add("volume", volume)}); err != nil || len(list.Items) > 0 {
			t.Errorf("round %d left %d containers, %v", round, len(list.Items), err)
		}
	}
}

// While another bulkhead fills the volume, it is waited for.
func TestVolumeOfTheAgentIsNotWrittenBesideAnother(t *testing.T) {
	b := open(t, sleeper)
	program := agentOf(b)
	volume := prefix + "-other"
	// there since the fill
	defer func() { _, _ = b.rt.cli.VolumeRemove(b.ctx, volume, client.VolumeRemoveOptions{Force: true}) }()
	image, err := b.rt.agentRunner.image(b.ctx, program)
	b.ok(err)
	other, err := b.rt.filler(b.ctx, volume, image)
	b.ok(err)
	var gone atomic.Bool
	ended := make(chan error, 1)
	go func() {
		err := b.rt.fill(b.ctx, volume, program)
		if err == nil && !gone.Load() {
			err = errors.New("it wrote beside the other one")
		}
		ended <- err
	}()
	for i := range 3 { // one that does not wait has long written by then
		beside := fmt.Sprintf("%s-beside%d", volume, i)
		b.ok(b.rt.fill(b.ctx, beside, program))
		_, err := b.rt.cli.VolumeRemove(b.ctx, beside, client.VolumeRemoveOptions{})
		b.ok(err)
	}
	gone.Store(true)
	b.ok(b.rt.Remove(b.ctx, other, true, false))
	b.ok(<-ended)
}

// agentOf is the agent for the engine's machine; without one the test is skipped with that reason.
func agentOf(b *bench) []byte {
	b.Helper()
	info, err := b.rt.Info(b.ctx)
	b.ok(err)
	program, err := agent.Program(info.Arch)
	if errors.Is(err, agent.ErrNotBuilt) {
		b.Skip(err)
	}
	b.ok(err)
	return program
}

// runsFrom starts a program by the agent that lies in a volume, and looks how it ends.
func runsFrom(b *bench, rt *Runtime, volume string) error {
	made, err := rt.cli.ContainerCreate(b.ctx, client.ContainerCreateOptions{
		Config: &container.Config{Image: testImage("tools"), Entrypoint: []string{agentProgram,
			"init", "--", "sh", "-c", "exit 5"}},
		HostConfig: &container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{
			{Type: mount.TypeVolume, Source: volume, Target: agentDir, ReadOnly: true}}},
	})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Remove(b.ctx, made.ID, true, false) }() // what is left is looked for
	if _, err := rt.cli.ContainerStart(b.ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return err
	}
	code, err := rt.Wait(b.ctx, made.ID)
	if err == nil && code != 5 {
		err = fmt.Errorf("the program ended with %d", code)
	}
	return err
}

// Root of the machine asks without an exec, everybody else by one; both see the same.
func TestProgramIsAskedDirectlyByRootAndByExecByOthers(t *testing.T) {
	if !agent.Built() {
		t.Skip(agent.ErrNotBuilt)
	}
	b := open(t, `
services:
  web: {image: IMAGE, command: [sleep, "600"], stop_grace_period: 0s, x-bulkhead: {restart: process}}
`)
	id := b.start("web")
	c, err := b.rt.programs.conn.running(b.ctx, id)
	b.ok(err)
	by, err := b.rt.controlByExec(b.ctx, id, nil, "status")
	if err != nil || by.Started.IsZero() {
		t.Fatalf("by exec: %+v, %v", by, err)
	}
	direct, err := askDirectly(b.ctx, c.State.Pid, id, nil, "status")
	if errors.Is(err, files.ErrNoAccess) && (os.Getuid() != 0 || !b.rt.programs.conn.local(b.ctx)) {
		t.Skip("only root of the engine's machine asks directly")
	}
	if err != nil || !direct.Started.Equal(by.Started) {
		t.Errorf("directly: %+v, %v; by exec %+v", direct, err, by)
	}
	if _, err := askDirectly(b.ctx, os.Getpid(), id, nil, "status"); !errors.Is(err, files.ErrNoAccess) {
		t.Errorf("a process that is not the container's: %v", err)
	}
}
