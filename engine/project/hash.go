package project

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// hashOrder is the order in which docker compose 5.6 hashes a service's attributes: the one that its releases before
// 5.6 had from the Go struct. An attribute that is not listed comes after them, sorted by name.
const hashOrder = `profiles annotations attach build develop blkio_config cap_add cap_drop cgroup_parent cgroup
cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpus cpuset cpu_shares command configs
container_name credential_spec depends_on deploy device_cgroup_rules devices dns dns_opt dns_search dockerfile
domainname entrypoint provider environment env_file expose extends external_links extra_hosts group_add gpus hostname
healthcheck image init ipc isolation labels label_file links logging log_driver log_opt mem_limit mem_reservation
memswap_limit mem_swappiness mac_address models net network_mode networks oom_kill_disable oom_score_adj pid pids_limit
platform ports privileged pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open
stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volume_driver
volumes volumes_from working_dir pre_start post_start pre_stop pull_refresh_after`

// ServiceHash returns the value of the config-hash label that docker compose 5.6 puts on the service's containers. The
// references to services in network_mode, ipc, pid and volumes_from must have been replaced by container ids
// ("container:<id>", in volumes_from "<id>") for that; unreplaced, it is what `docker compose config --hash` prints.
func ServiceHash(c types.ServiceConfig) (string, error) {
	// what may change without a new container is not hashed
	c.Build, c.DependsOn, c.Profiles, c.PullPolicy, c.Scale = nil, nil, nil, "", nil
	if c.Deploy != nil {
		deploy := *c.Deploy
		deploy.Replicas = nil
		c.Deploy = &deploy
	}
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("hash service %s: %w", c.Name, err)
	}
	attributes := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &attributes); err != nil {
		return "", fmt.Errorf("hash service %s: %w", c.Name, err)
	}
	order := strings.Fields(hashOrder)
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	var out bytes.Buffer
	for _, name := range order {
		if value, ok := attributes[name]; ok {
			fmt.Fprintf(&out, ",%q:%s", name, value)
		}
	}
	return digest(append([]byte{'{'}, append(bytes.TrimPrefix(out.Bytes(), []byte{','}), '}')...)), nil
}

// ConfigHash returns the config hash of a service that joins the containers of
// others: parents has their container ids by service name. Without parents it
// is the service's own Hash.
func ConfigHash(s *Service, parents map[string]string) (string, error) {
	if len(parents) == 0 && len(s.Bare.VolumesFrom) == 0 {
		return s.Hash, nil
	}
	c := s.Bare
	for _, mode := range []*string{&c.NetworkMode, &c.Ipc, &c.Pid} {
		if name, ok := strings.CutPrefix(*mode, types.ServicePrefix); ok && parents[name] != "" {
			*mode = types.ContainerPrefix + parents[name]
		}
	}
	c.VolumesFrom = slices.Clone(c.VolumesFrom)
	for i, v := range c.VolumesFrom {
		// docker compose leaves out what follows the name (":ro") here, and so must an equal hash.
		if of, ok := strings.CutPrefix(v, types.ContainerPrefix); ok {
			c.VolumesFrom[i], _, _ = strings.Cut(of, ":")
			continue
		}
		name, _, _ := strings.Cut(v, ":")
		if id := parents[name]; id != "" {
			c.VolumesFrom[i] = id
		}
	}
	return ServiceHash(c)
}

// NetworkHash returns the value of docker compose's config-hash label for a network.
func NetworkHash(n types.NetworkConfig) (string, error) {
	b, err := json.Marshal(&n)
	if err != nil {
		return "", fmt.Errorf("hash network %s: %w", n.Name, err)
	}
	return digest(b), nil
}

// VolumeHash returns the value of docker compose's config-hash label for a volume.
func VolumeHash(v types.VolumeConfig) (string, error) {
	if v.Driver == "" {
		v.Driver = "local"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("hash volume %s: %w", v.Name, err)
	}
	return digest(b), nil
}

// buildKey is equal for two builds that make the same image, whatever it is called.
func buildKey(b types.BuildConfig) (string, error) {
	b.Tags = nil
	j, err := json.Marshal(b)
	if err != nil {
		return "", fmt.Errorf("hash build of %s: %w", b.Context, err)
	}
	return digest(j), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
