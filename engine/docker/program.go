package docker

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"bulkhead/engine/agent"
	"bulkhead/engine/agent/files"
	"bulkhead/engine/agent/supervisor"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// programs is the container.ProgramRestarter. Containers whose program can be restarted alone have
// the agent as process 1, which lies in a volume that is read-only for them. Their hashes and other
// labels are as without it, so that docker compose leaves them alone.
type programs struct {
	conn   *connection
	runner *agentRunner
	exec   *executor

	mu     sync.Mutex
	filled string                 // the volume that is known to hold the agent
	lives  map[string]programLife // by container id
}

var _ container.ProgramRestarter = (*Runtime)(nil)

// programLife is what is known of the program of a container.
type programLife struct {
	booted  time.Time // start of the container in which that is so
	started time.Time // of the program, where it was restarted since; else zero
	ended   time.Time // of the program before
}

const (
	agentDir     = "/.bulkhead" // where the agent's volume is mounted
	agentProgram = agentDir + "/" + supervisor.Name
	agentVolumes = supervisor.Name + "-" // begins the names of the agent's volumes
)

// The values of labelRestart.
const (
	restartProcess   = "process"   // the agent is process 1
	restartContainer = "container" // it was to be, and could not
)

// supervise has the agent start the program of a container that is about to be made.
func (p *programs) supervise(
	ctx context.Context, c container.CreateSpec, opt *client.ContainerCreateOptions,
) error {
	if !c.Service.Program || c.Beside != nil {
		return nil
	}
	if !agent.Built() {
		p.conn.warn("service " + c.Service.Name +
			": restart: process needs the agent, which this bulkhead was built without (`make build`); its container is restarted as a whole")
		opt.Config.Labels[labelRestart] = restartContainer
		return nil
	}
	argv, err := p.command(ctx, c, opt.Config)
	if err != nil {
		return err
	}
	name, err := p.volume(ctx)
	if err != nil {
		return fmt.Errorf("restart: process: %w", err)
	}
	opt.Config.Labels[labelRestart] = restartProcess
	opt.Config.Entrypoint, opt.Config.Cmd = append([]string{agentProgram, "init", "--"}, argv...), nil
	opt.HostConfig.Mounts = append(opt.HostConfig.Mounts, mount.Mount{Type: mount.TypeVolume,
		Source: name, Target: agentDir, ReadOnly: true,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true}})
	return nil
}

// command is what the engine would run, by the service and the image.
func (p *programs) command(ctx context.Context, c container.CreateSpec, conf *moby.Config) ([]string, error) {
	entrypoint, cmd := conf.Entrypoint, conf.Cmd
	if len(entrypoint) == 0 {
		img, err := p.conn.cli.ImageInspect(ctx, cmp.Or(c.Image.ID, c.Service.Image))
		if err != nil {
			return nil, p.conn.wrap("look at the image of "+c.Service.Name, err)
		}
		if of := img.Config; of != nil {
			if len(cmd) == 0 {
				cmd = of.Cmd
			}
			if entrypoint == nil {
				entrypoint = of.Entrypoint
			}
		}
	}
	argv := slices.Concat(entrypoint, cmd)
	if len(argv) == 0 {
		return nil, container.WithRemedy(
			errors.New("restart: process: neither the service nor its image says what to run"),
			"set command:, or take restart: process away")
	}
	return argv, nil
}

// volume makes sure that the engine has a volume with the agent, and returns its name.
func (p *programs) volume(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.filled != "" {
		if _, err := p.conn.cli.VolumeInspect(ctx, p.filled, client.VolumeInspectOptions{}); err == nil {
			return p.filled, nil
		}
	}
	info, err := p.conn.Info(ctx)
	if err != nil {
		return "", err
	}
	program, err := agent.Program(info.Arch)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(program)
	name := agentVolumes + hex.EncodeToString(sum[:6])
	if err := p.fill(ctx, name, program); err != nil {
		return "", p.conn.wrap("fill the volume "+name, err)
	}
	p.filled = name
	return name, nil
}

// fill puts the agent into a volume by way of a container that is never started, unless it is there.
func (p *programs) fill(ctx context.Context, name string, program []byte) error {
	image, err := p.runner.image(ctx, program)
	if err != nil {
		return err
	}
	if _, err := p.conn.cli.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name,
		Labels: map[string]string{labelAgent: "init"}}); err != nil {
		return err
	}
	filler, err := p.filler(ctx, name, image)
	if err != nil {
		return err
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		// it does no harm
		_, _ = p.conn.cli.ContainerRemove(tidy, filler, client.ContainerRemoveOptions{Force: true})
	}()
	is, err := p.conn.cli.ContainerStatPath(ctx, filler, client.ContainerStatPathOptions{Path: agentProgram})
	switch {
	case err == nil && is.Stat.Size == int64(len(program)):
		return nil
	case err != nil && !cerrdefs.IsNotFound(err):
		return err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: supervisor.Name, Mode: 0o755,
		Size: int64(len(program)), ModTime: time.Unix(0, 0)})
	if err == nil {
		_, err = w.Write(program)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	return p.conn.copyInto(ctx, filler, client.CopyToContainerOptions{DestinationPath: agentDir, Content: &buf})
}

// fillLimit is how long one bulkhead may fill the volume before another takes it for dead.
const fillLimit = 30 * time.Second

// filler makes the container by way of which a volume is filled. All use one name for it, so that one at a
// time writes there and the others wait: the kernel does not run a program that somebody has open to write.
func (p *programs) filler(ctx context.Context, volume, image string) (id string, err error) {
	name, other, since := volume+"-fill", "", time.Time{}
	for {
		made, err := p.conn.cli.ContainerCreate(ctx, client.ContainerCreateOptions{
			Name:   name,
			Config: &moby.Config{Image: image, Labels: map[string]string{labelAgent: "init"}},
			HostConfig: &moby.HostConfig{NetworkMode: "none",
				Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: agentDir}}},
		})
		if err == nil {
			return made.ID, nil
		}
		if !cerrdefs.IsConflict(err) {
			p.runner.forget()
			return "", err
		}
		res, err := p.conn.cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		switch {
		case cerrdefs.IsNotFound(err): // the volume is filled, or it is our turn
		case err != nil:
			return "", err
		case res.Container.ID != other:
			other, since = res.Container.ID, time.Now()
		case time.Since(since) > fillLimit:
			// the next look says whether it is gone
			_, _ = p.conn.cli.ContainerRemove(ctx, other, client.ContainerRemoveOptions{Force: true})
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// RestartProgram implements container.ProgramRestarter.
func (p *programs) RestartProgram(
	ctx context.Context, id string, grace time.Duration, ended func(container.ProgramEnd),
) error {
	what := "restart the program of " + container.ShortID(id)
	c, err := p.conn.running(ctx, id)
	if err != nil {
		return err
	}
	if c.Config == nil || c.Config.Labels[labelRestart] != restartProcess {
		return fmt.Errorf("%s: %w: the agent is not its process 1", what, container.ErrUnsupported)
	}
	r, err := p.control(ctx, c, func(e supervisor.End) {
		ended(container.ProgramEnd{At: e.At, ExitCode: e.ExitCode, Took: e.Took, Killed: e.Killed})
	}, "restart", cmp.Or(c.Config.StopSignal, "SIGTERM"), strconv.FormatInt(grace.Milliseconds(), 10))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	p.note(c, r)
	return nil
}

// control asks the agent in a container, which is its process 1, and returns its last report. ended
// is called, if not nil, when the program has ended that is about to be started again.
func (p *programs) control(
	ctx context.Context, c moby.InspectResponse, ended func(supervisor.End), args ...string,
) (r supervisor.Report, err error) {
	if p.conn.local(ctx) {
		r, err = askDirectly(ctx, c.State.Pid, c.ID, ended, args...)
		if err == nil {
			err = r.Check()
		}
		if !errors.Is(err, files.ErrNoAccess) {
			return r, err
		}
	}
	return p.controlByExec(ctx, c.ID, ended, args...)
}

// controlByExec is control for those who are not root of the engine's machine.
func (p *programs) controlByExec(
	ctx context.Context, id string, ended func(supervisor.End), args ...string,
) (r supervisor.Report, err error) {
	o := container.ExecOptions{Cmd: append([]string{agentProgram, "control"}, args...)}
	var said tailBuffer // what is no report: what answers lies in the container
	in, noted := io.Pipe()
	defer in.Close()
	take := func(line []byte) {
		var is supervisor.Report
		if err := json.Unmarshal(line, &is); err != nil {
			said.Write(line)
			return
		}
		r = is
		if ended != nil && r.Error == "" && r.Started.IsZero() && r.Before != nil {
			ended(*r.Before)
			ended = nil
			_, _ = io.WriteString(noted, "\n") // without it the agent waits a moment
		}
	}
	if ended != nil {
		o.Stdin = in
	}
	out := logs.NewLineWriter(take)
	o.Stdout, o.Stderr = out, out
	code, err := p.exec.Exec(ctx, id, o)
	out.Flush()
	if err != nil {
		return r, err
	}
	if r.Version == 0 {
		return r, fmt.Errorf("the agent ended with %d: %s", code, strings.TrimSpace(said.text()))
	}
	return r, r.Check()
}

// note keeps what an agent says of its program.
func (p *programs) note(c moby.InspectResponse, r supervisor.Report) {
	life := programLife{booted: parseTime(c.State.StartedAt)}
	if r.Before != nil {
		life.started, life.ended = r.Started, r.Before.At
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives[c.ID] = life
}

// seen has an instance show the life of its program, which is asked for once for each start of the
// container: another bulkhead may have restarted it.
func (p *programs) seen(ctx context.Context, c moby.InspectResponse, in *container.Instance) {
	if c.Config == nil || c.Config.Labels[labelRestart] != restartProcess || c.State == nil ||
		in.State == container.StateCreated {
		return
	}
	p.mu.Lock()
	life := p.lives[c.ID]
	p.mu.Unlock()
	if !life.booted.Equal(in.Started) {
		if in.State != container.StateRunning {
			return
		}
		r, err := p.control(ctx, c, nil, "status")
		if err != nil {
			return // it counts as not restarted
		}
		p.note(c, r)
		p.mu.Lock()
		life = p.lives[c.ID]
		p.mu.Unlock()
	}
	if life.started.IsZero() {
		return
	}
	in.Booted, in.Started = in.Started, life.started
	if in.State != container.StateExited && in.State != container.StateRestarting {
		in.Finished = life.ended
		checked(in, c.State.Health)
	}
}

// checked takes a health back that is of the program before: the engine begins no new checks for
// the one that runs now, and says nothing when the next one comes out as the last did.
func checked(in *container.Instance, h *moby.Health) {
	if h == nil || in.Health == container.HealthNone {
		return
	}
	for _, result := range h.Log {
		if result != nil && result.Start.After(in.Started) {
			return
		}
	}
	in.Health, in.HealthFailing, in.HealthOutput, in.HealthExit = container.HealthStarting, 0, "", 0
}
