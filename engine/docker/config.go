package docker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"bulkhead/engine/container"
)

// containerConfig maps what does not depend on the host. proxies are the variables
// that the docker config wants in every container; the service's own win.
func containerConfig(c container.CreateSpec, hash string, proxies map[string]*string) (*moby.Config, error) {
	s := c.Service.Config
	health, err := healthcheck(s.HealthCheck)
	if err != nil {
		return nil, err
	}
	exposed, err := exposedPorts(s)
	if err != nil {
		return nil, err
	}
	stdin := c.Beside != nil && c.Beside.Stdin
	return &moby.Config{
		Hostname:     s.Hostname,
		Domainname:   s.DomainName,
		User:         s.User,
		AttachStdin:  stdin,
		StdinOnce:    stdin && s.StdinOpen,
		AttachStdout: true,
		AttachStderr: true,
		ExposedPorts: exposed,
		Tty:          s.Tty,
		OpenStdin:    s.StdinOpen,
		Env:          environment(s.Environment, proxies),
		// nil leaves the image's, an empty list clears it.
		Cmd:             s.Command,
		Entrypoint:      s.Entrypoint,
		Healthcheck:     health,
		Image:           c.Service.Image,
		WorkingDir:      s.WorkingDir,
		NetworkDisabled: s.NetworkMode == "disabled",
		Labels:          containerLabels(c, hash),
		StopSignal:      s.StopSignal,
		StopTimeout:     wholeSeconds(s.StopGracePeriod),
	}, nil
}

// environment sorts the variables. One without a value is passed as its bare name,
// which unsets the image's.
func environment(env types.MappingWithEquals, proxies map[string]*string) []string {
	all := map[string]*string{}
	maps.Copy(all, proxies)
	maps.Copy(all, env)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if value := all[name]; value != nil {
			name += "=" + *value
		}
		list = append(list, name)
	}
	return list
}

// wholeSeconds rounds up: a grace of 500 ms must not become a kill at once.
func wholeSeconds(d *types.Duration) *int {
	if d == nil {
		return nil
	}
	n := int((time.Duration(*d) + time.Second - 1) / time.Second)
	return &n
}

func healthcheck(h *types.HealthCheckConfig) (*moby.HealthConfig, error) {
	if h == nil {
		return nil, nil
	}
	if h.StartInterval != nil && h.StartPeriod == nil {
		return nil, container.WithRemedy(
			errors.New("healthcheck.start_interval has no effect without start_period"), "set start_period too")
	}
	c := &moby.HealthConfig{
		Test:          h.Test,
		Interval:      duration(h.Interval),
		Timeout:       duration(h.Timeout),
		StartPeriod:   duration(h.StartPeriod),
		StartInterval: duration(h.StartInterval),
	}
	if h.Retries != nil {
		c.Retries = int(*h.Retries)
	}
	if h.Disable {
		c.Test = []string{"NONE"}
	}
	return c, nil
}

func duration(d *types.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}

// exposedPorts are those of expose, which may be ranges, and the targets of ports.
func exposedPorts(s types.ServiceConfig) (network.PortSet, error) {
	set := network.PortSet{}
	for _, p := range s.Ports {
		port, err := targetPort(p)
		if err != nil {
			return nil, err
		}
		set[port] = struct{}{}
	}
	for _, e := range s.Expose {
		r, err := network.ParsePortRange(e)
		if err != nil {
			return nil, fmt.Errorf("expose %q: %w", e, err)
		}
		for port := range r.All() {
			set[port] = struct{}{}
		}
	}
	return set, nil
}

func targetPort(p types.ServicePortConfig) (network.Port, error) {
	port, err := network.ParsePort(fmt.Sprintf("%d/%s", p.Target, p.Protocol))
	if err != nil {
		return port, fmt.Errorf("port %d/%s: %w", p.Target, p.Protocol, err)
	}
	return port, nil
}
