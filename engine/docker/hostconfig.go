package docker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/blkiodev"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"bulkhead/engine/container"
	"bulkhead/engine/hostfile"
)

// hostConfig maps what depends on the host: without mounts and links.
func hostConfig(c container.CreateSpec) (*moby.HostConfig, error) {
	s := c.Service.Config
	ports, err := portBindings(s.Ports)
	if err != nil {
		return nil, err
	}
	dns, err := addresses("dns", s.DNS)
	if err != nil {
		return nil, err
	}
	security, bare, err := securityOptions(c.App.Dir, s.SecurityOpt)
	if err != nil {
		return nil, err
	}
	h := &moby.HostConfig{
		Annotations:    s.Annotations,
		CapAdd:         s.CapAdd,
		CapDrop:        s.CapDrop,
		CgroupnsMode:   moby.CgroupnsMode(s.Cgroup),
		DNS:            dns,
		DNSOptions:     s.DNSOpts,
		DNSSearch:      s.DNSSearch,
		ExtraHosts:     s.ExtraHosts.AsList(":"),
		GroupAdd:       s.GroupAdd,
		Init:           s.Init,
		Isolation:      moby.Isolation(s.Isolation),
		OomScoreAdj:    int(s.OomScoreAdj),
		PortBindings:   ports,
		Privileged:     s.Privileged,
		ReadonlyRootfs: s.ReadOnly,
		Resources:      resources(s),
		RestartPolicy:  restartPolicy(s),
		Runtime:        s.Runtime,
		SecurityOpt:    security,
		ShmSize:        int64(s.ShmSize),
		StorageOpt:     s.StorageOpt,
		Sysctls:        s.Sysctls,
		Tmpfs:          tmpfs(s.Tmpfs),
		UTSMode:        moby.UTSMode(s.Uts),
		Umask:          s.Umask,
		UsernsMode:     moby.UsernsMode(s.UserNSMode),
		VolumeDriver:   s.VolumeDriver,
	}
	if err := share(h, s, c.Parents); err != nil {
		return nil, err
	}
	h.AutoRemove = c.Beside != nil && c.Beside.Remove
	slices.Sort(h.ExtraHosts)
	if s.Logging != nil {
		h.LogConfig = moby.LogConfig{Type: s.Logging.Driver, Config: s.Logging.Options}
	}
	if bare {
		// Empty, and not nil, takes the engine's own lists away.
		h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
	}
	return h, nil
}

// share sets what the container has in common with others: namespaces and volumes.
func share(h *moby.HostConfig, s types.ServiceConfig, parents map[string]string) error {
	modes := map[string]string{"network_mode": s.NetworkMode, "ipc": s.Ipc, "pid": s.Pid}
	for attribute, mode := range modes {
		shared, err := sharedMode(mode, parents)
		if err != nil {
			return fmt.Errorf("%s %q: %w", attribute, mode, err)
		}
		modes[attribute] = shared
	}
	h.NetworkMode, h.IpcMode, h.PidMode = moby.NetworkMode(modes["network_mode"]),
		moby.IpcMode(modes["ipc"]), moby.PidMode(modes["pid"])
	var err error
	h.VolumesFrom, err = volumesFrom(s.VolumesFrom, parents)
	return err
}

// sharedMode replaces service:x by the container of x.
func sharedMode(mode string, parents map[string]string) (string, error) {
	name, ok := strings.CutPrefix(mode, servicePrefix)
	if !ok {
		return mode, nil
	}
	if parents[name] == "" {
		return "", fmt.Errorf("service %s has no container yet", name)
	}
	return containerPrefix + parents[name], nil
}

// volumesFrom replaces services by their containers. What follows the name (":ro")
// stays, so that it holds.
func volumesFrom(list []string, parents map[string]string) ([]string, error) {
	var from []string
	for _, v := range list {
		if id, ok := strings.CutPrefix(v, containerPrefix); ok {
			from = append(from, id)
			continue
		}
		name, access, _ := strings.Cut(v, ":")
		id := parents[name]
		if id == "" {
			return nil, fmt.Errorf("volumes_from %q: service %s has no container yet", v, name)
		}
		if access != "" {
			id += ":" + access
		}
		from = append(from, id)
	}
	return from, nil
}

func tmpfs(list []string) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, t := range list {
		path, options, _ := strings.Cut(t, ":")
		m[path] = options
	}
	return m
}

func addresses(attribute string, list []string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, a := range list {
		if a == "" {
			continue
		}
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return nil, fmt.Errorf("%s %q is not an IP address", attribute, a)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

func portBindings(ports []types.ServicePortConfig) (network.PortMap, error) {
	if len(ports) == 0 {
		return nil, nil
	}
	m := network.PortMap{}
	for _, p := range ports {
		target, err := targetPort(p)
		if err != nil {
			return nil, err
		}
		b := network.PortBinding{HostPort: p.Published}
		if p.HostIP != "" {
			if b.HostIP, err = netip.ParseAddr(p.HostIP); err != nil {
				return nil, fmt.Errorf("port %s: host_ip %q is not an IP address", target, p.HostIP)
			}
		}
		m[target] = append(m[target], b)
	}
	return m, nil
}

func restartPolicy(s types.ServiceConfig) moby.RestartPolicy {
	condition, attempts := s.Restart, 0
	if name, n, ok := strings.Cut(s.Restart, ":"); ok {
		condition = name
		attempts, _ = strconv.Atoi(n) // not a number: without a limit, as docker compose has it
	}
	if s.Deploy != nil && s.Deploy.RestartPolicy != nil {
		condition, attempts = s.Deploy.RestartPolicy.Condition, 0
		if n := s.Deploy.RestartPolicy.MaxAttempts; n != nil {
			attempts = int(*n)
		}
	}
	switch condition {
	case "none":
		condition = "no"
	case "any":
		condition = "always"
	}
	return moby.RestartPolicy{Name: moby.RestartPolicyMode(condition), MaximumRetryCount: attempts}
}

// securityOptions inlines seccomp profiles, since the engine cannot read the user's
// files. bare says that systempaths=unconfined is among the options, which is none
// of the engine's.
func securityOptions(dir string, list []string) (opts []string, bare bool, err error) {
	for _, o := range list {
		if o == "systempaths=unconfined" {
			bare = true
			continue
		}
		name, value, ok := strings.Cut(o, "=")
		if !ok {
			name, value, ok = strings.Cut(o, ":")
		}
		if !ok && o != "no-new-privileges" {
			return nil, false, fmt.Errorf("security_opt %q: write it as name=value", o)
		}
		if name == "seccomp" && value != "unconfined" && value != "builtin" {
			if !filepath.IsAbs(value) {
				value = filepath.Join(dir, value)
			}
			profile, err := hostfile.Read(value, hostfile.MaxOther)
			if err != nil {
				return nil, false, fmt.Errorf("security_opt %q: %w", o, err)
			}
			var b bytes.Buffer
			if err := json.Compact(&b, profile); err != nil {
				return nil, false, fmt.Errorf("security_opt %q: the profile is not JSON: %w", o, err)
			}
			o = "seccomp=" + b.String()
		}
		opts = append(opts, o)
	}
	return opts, bare, nil
}

func resources(s types.ServiceConfig) moby.Resources {
	r := moby.Resources{
		CPUCount:           s.CPUCount,
		CPUPercent:         int64(s.CPUPercent * 100),
		CPUPeriod:          s.CPUPeriod,
		CPUQuota:           s.CPUQuota,
		CPURealtimePeriod:  s.CPURTPeriod,
		CPURealtimeRuntime: s.CPURTRuntime,
		CPUShares:          s.CPUShares,
		CgroupParent:       s.CgroupParent,
		CpusetCpus:         s.CPUSet,
		DeviceCgroupRules:  s.DeviceCgroupRules,
		Memory:             int64(s.MemLimit),
		MemoryReservation:  int64(s.MemReservation),
		MemorySwap:         int64(s.MemSwapLimit),
		NanoCPUs:           int64(s.CPUS * 1e9),
		OomKillDisable:     &s.OomKillDisable,
		Ulimits:            ulimits(s.Ulimits),
	}
	if s.MemSwappiness != 0 {
		n := int64(s.MemSwappiness)
		r.MemorySwappiness = &n
	}
	if s.PidsLimit != 0 {
		r.PidsLimit = &s.PidsLimit
	}
	blkio(&r, s.BlkioConfig)
	devices(&r, s)
	if s.Deploy == nil {
		return r
	}
	if l := s.Deploy.Resources.Limits; l != nil {
		if l.MemoryBytes != 0 {
			r.Memory = int64(l.MemoryBytes)
		}
		if l.NanoCPUs != 0 {
			r.NanoCPUs = int64(l.NanoCPUs * 1e9)
		}
		if l.Pids > 0 {
			r.PidsLimit = &l.Pids
		}
	}
	if l := s.Deploy.Resources.Reservations; l != nil && l.MemoryBytes != 0 {
		r.MemoryReservation = int64(l.MemoryBytes)
	}
	return r
}

func ulimits(m map[string]*types.UlimitsConfig) []*moby.Ulimit {
	var list []*moby.Ulimit
	for _, name := range slices.Sorted(maps.Keys(m)) {
		u := m[name]
		soft, hard := u.Single, u.Single
		if u.Soft != 0 {
			soft = u.Soft
		}
		if u.Hard != 0 {
			hard = u.Hard
		}
		list = append(list, &moby.Ulimit{Name: name, Soft: int64(soft), Hard: int64(hard)})
	}
	return list
}

// devices maps devices, gpus and reservations. A device whose both ends are the
// same "vendor/class=name" is one of the Container Device Interface, which the
// engine looks up by name.
func devices(r *moby.Resources, s types.ServiceConfig) {
	var named []string
	for _, d := range s.Devices {
		if d.Source == d.Target && isCDI(d.Source) {
			named = append(named, d.Source)
			continue
		}
		r.Devices = append(r.Devices, moby.DeviceMapping{
			PathOnHost: d.Source, PathInContainer: d.Target, CgroupPermissions: d.Permissions,
		})
	}
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
		for _, d := range s.Deploy.Resources.Reservations.Devices {
			r.DeviceRequests = append(r.DeviceRequests, deviceRequest(d, d.Capabilities))
		}
	}
	if named != nil {
		r.DeviceRequests = append(r.DeviceRequests, moby.DeviceRequest{Driver: "cdi", DeviceIDs: named})
	}
	for _, g := range s.Gpus {
		r.DeviceRequests = append(r.DeviceRequests,
			deviceRequest(g, append(slices.Clone(g.Capabilities), "gpu")))
	}
}

func deviceRequest(d types.DeviceRequest, capabilities []string) moby.DeviceRequest {
	return moby.DeviceRequest{
		Driver: d.Driver, Count: int(d.Count), DeviceIDs: d.IDs,
		Capabilities: [][]string{capabilities}, Options: d.Options,
	}
}

func isCDI(name string) bool {
	kind, device, ok := strings.Cut(name, "=")
	vendor, class, slash := strings.Cut(kind, "/")
	return ok && slash && device != "" && vendor != "" && class != "" && !strings.Contains(class, "/")
}

func blkio(r *moby.Resources, b *types.BlkioConfig) {
	if b == nil {
		return
	}
	r.BlkioWeight = b.Weight
	for _, d := range b.WeightDevice {
		r.BlkioWeightDevice = append(r.BlkioWeightDevice, &blkiodev.WeightDevice{Path: d.Path,
			Weight: d.Weight})
	}
	r.BlkioDeviceReadBps = throttles(b.DeviceReadBps)
	r.BlkioDeviceReadIOps = throttles(b.DeviceReadIOps)
	r.BlkioDeviceWriteBps = throttles(b.DeviceWriteBps)
	r.BlkioDeviceWriteIOps = throttles(b.DeviceWriteIOps)
}

func throttles(list []types.ThrottleDevice) []*blkiodev.ThrottleDevice {
	var out []*blkiodev.ThrottleDevice
	for _, d := range list {
		out = append(out, &blkiodev.ThrottleDevice{Path: d.Path, Rate: uint64(d.Rate)})
	}
	return out
}
