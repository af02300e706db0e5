package docker

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// Instances implements container.Runtime. They are sorted by service, number and name.
func (r *Runtime) Instances(ctx context.Context, project string) ([]container.Instance, error) {
	list, err := r.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
		Filters: serviceFilter(project)})
	if err != nil {
		return nil, r.wrap("list the containers of "+project, err)
	}
	// The list knows neither start times nor restart counts.
	found := make([]container.Instance, len(list.Items))
	err = each(ctx, len(list.Items), 8, func(ctx context.Context, i int) error {
		in, err := r.Inspect(ctx, list.Items[i].ID)
		if errors.Is(err, container.ErrNotFound) {
			return nil // removed in between
		}
		found[i] = in
		return err
	})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(in container.Instance) bool { return in.ID == "" })
	slices.SortFunc(found, func(a, b container.Instance) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Replica, b.Replica),
			cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// Inspect implements container.Runtime.
func (r *Runtime) Inspect(ctx context.Context, id string) (container.Instance, error) {
	res, err := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return container.Instance{}, r.wrap("inspect "+container.ShortID(id), err)
	}
	in := instance(res.Container)
	r.programs.seen(ctx, res.Container, &in)
	return in, nil
}

// instance maps an inspected container.
func instance(c moby.InspectResponse) container.Instance {
	in := container.Instance{
		Identity: container.Identity{ID: c.ID, Restarts: c.RestartCount},
		Name:     strings.TrimPrefix(c.Name, "/"),
		Created:  parseTime(c.Created),
		ImageID:  c.Image,
		Health:   container.HealthNone,
	}
	if c.State != nil {
		lived(&in, c.State)
	}
	if conf := c.Config; conf != nil {
		in.Service, in.Number = conf.Labels[labelService], conf.Labels[labelNumber]
		in.Replica, _ = strconv.Atoi(in.Number) // 0 for one that has no number
		if files := conf.Labels[labelFiles]; files != "" {
			in.Files = strings.Split(files, ",")
		}
		in.Hash, in.Digest, in.Content = conf.Labels[labelHash], conf.Labels[labelImage],
			conf.Labels[labelContent]
		in.VolumeImages = conf.Labels[labelImageVolumes]
		in.DependsOn = dependencies(conf.Labels[labelDepends])
		in.Program = conf.Labels[labelRestart] != ""
		in.ImageRef, in.TTY, in.StopSignal = conf.Image, conf.Tty, conf.StopSignal
		if conf.StopTimeout != nil && *conf.StopTimeout > 0 {
			in.StopGrace = time.Duration(*conf.StopTimeout) * time.Second
		}
		if h := conf.Healthcheck; h != nil && len(h.Test) > 0 && h.Test[0] != "NONE" {
			in.HealthTimeout = h.Timeout
			in.Check = checkCommand(h.Test, conf.Shell)
		}
	}
	if c.HostConfig != nil {
		in.LogDriver = c.HostConfig.LogConfig.Type
		for _, mode := range []string{string(c.HostConfig.NetworkMode), string(c.HostConfig.IpcMode),
			string(c.HostConfig.PidMode)} {
			if of, ok := strings.CutPrefix(mode, "container:"); ok && !slices.Contains(in.Joins, of) {
				in.Joins = append(in.Joins, of)
			}
		}
	}
	for _, m := range c.Mounts {
		if m.Type == mount.TypeVolume && m.Name != "" && !strings.HasPrefix(m.Name, agentVolumes) {
			in.Volumes = append(in.Volumes, m.Name)
		}
	}
	slices.Sort(in.Volumes)
	if n := c.NetworkSettings; n != nil {
		in.Networks = map[string]string{}
		for name, at := range n.Networks {
			in.Networks[name] = ""
			if at != nil {
				in.Networks[name] = at.NetworkID
			}
		}
		in.Ports = ports(n.Ports)
	}
	return in
}

// lived maps how a container runs, or how it ended.
func lived(in *container.Instance, s *moby.State) {
	in.Started, in.Finished = parseTime(s.StartedAt), parseTime(s.FinishedAt)
	in.State, in.ExitCode, in.OOM, in.Error, in.Pid = stateOf(s), s.ExitCode, s.OOMKilled, s.Error, s.Pid
	if in.State == container.StateRestarting {
		in.RetryAt = retryAt(*in)
	}
	if s.Health != nil {
		in.Health, in.HealthFailing = healthOf(string(s.Health.Status)), s.Health.FailingStreak
		if n := len(s.Health.Log); n > 0 && s.Health.Log[n-1] != nil {
			in.HealthOutput, in.HealthExit = checkSaid(s.Health.Log[n-1].Output), s.Health.Log[n-1].ExitCode
		}
	}
}

// retryAt is when the engine starts a container again by its policy: after 100 ms, doubled for each
// life in a row that was shorter than ten seconds, up to a minute. It tells nobody which of the
// restarts those were, so a container that also had long lives may come sooner.
func retryAt(in container.Instance) time.Time {
	const first, longest, short = 100 * time.Millisecond, time.Minute, 10 * time.Second
	wait := first
	if in.Finished.Sub(in.Started) < short {
		wait = min(first<<min(max(in.Restarts-1, 0), 10), longest)
	}
	return in.Finished.Add(wait)
}

// checkCommand is what the engine runs for the test of a healthcheck; nil for one
// that it does not run. shell is the image's, for a test that is a line of it;
// empty: the engine's own, of Linux.
func checkCommand(test, shell []string) []string {
	if len(test) < 2 {
		return nil
	}
	switch test[0] {
	case "CMD":
		return test[1:]
	case "CMD-SHELL":
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		return slices.Concat(shell, test[1:])
	}
	return nil // NONE
}

func stateOf(s *moby.State) container.State {
	switch s.Status {
	case moby.StateCreated:
		return container.StateCreated
	case moby.StateRunning:
		return container.StateRunning
	case moby.StatePaused:
		return container.StatePaused
	case moby.StateRestarting:
		return container.StateRestarting
	case moby.StateExited, moby.StateDead, moby.StateRemoving:
		return container.StateExited
	}
	return container.StateUnknown
}

func healthOf(text string) container.Health {
	switch moby.HealthStatus(text) {
	case moby.Starting:
		return container.HealthStarting
	case moby.Healthy:
		return container.Healthy
	case moby.Unhealthy:
		return container.Unhealthy
	case moby.NoHealthcheck, "":
		return container.HealthNone
	}
	return container.HealthUnknown
}

// ports joins the bindings of IPv4 and IPv6 on all addresses. Where the engine chose a port for each, that of
// IPv4 stands for both: it is what "localhost" reaches with every resolver.
func ports(m network.PortMap) []container.Port {
	var list []container.Port
	for target, bindings := range m {
		onIPv4 := slices.ContainsFunc(bindings, func(b network.PortBinding) bool {
			return b.HostIP == netip.IPv4Unspecified()
		})
		for _, b := range bindings {
			published, err := strconv.Atoi(b.HostPort)
			if err != nil {
				continue // exposed only
			}
			if onIPv4 && b.HostIP == netip.IPv6Unspecified() {
				continue
			}
			p := container.Port{Published: published, Target: int(target.Num()),
				Protocol: string(target.Proto())}
			if b.HostIP.IsValid() && b.HostIP != netip.IPv4Unspecified() &&
				b.HostIP != netip.IPv6Unspecified() {
				p.Host = b.HostIP.String()
			}
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	slices.SortFunc(list, func(a, b container.Port) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Protocol, b.Protocol),
			cmp.Compare(a.Published, b.Published), cmp.Compare(a.Host, b.Host))
	})
	return list
}

// parseTime reads the engine's times, whose zero is the year 1.
func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}
