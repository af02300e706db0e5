package project

import (
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/compose-spec/compose-go/v2/tree"
)

// carried are the service attributes that bulkhead carries out, with all that is below them but for what `exceptions`
// names. An attribute of the Compose schema that is neither here nor there is warned about, so that one which a later
// schema adds is never dropped in silence.
const carried = `annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name
cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset depends_on deploy develop
device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends
external_links extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging
mac_address mem_limit mem_reservation mem_swappiness memswap_limit network_mode networks oom_kill_disable oom_score_adj
pid pids_limit platform ports post_start pre_start pre_stop privileged profiles provider pull_policy read_only restart
runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty
ulimits umask use_api_socket user userns_mode uts volumes volumes_from working_dir`

// exception is something below a carried attribute, or outside of services, that is not carried out.
type exception struct {
	path   string // as in tree.Path
	detect func(value any) bool
	reason string
}

// exceptions returns what is not carried out although its parent is.
func exceptions() []exception {
	volume := func(value any) bool {
		m, _ := value.(map[string]any)
		t, _ := m["type"].(string)
		return slices.Contains([]string{"npipe", "cluster"}, t)
	}
	set := func(value any) bool { return value != nil && value != "" && value != false }
	other := func(usual string) func(any) bool {
		return func(value any) bool { return set(value) && value != usual }
	}
	const noSwarm = "there is no swarm that it could speak to"
	return []exception{
		{"services.*.deploy.mode", other("replicated"),
			"a service runs as many containers as scale or deploy.replicas says"},
		{"services.*.deploy.endpoint_mode", set, noSwarm},
		{"services.*.deploy.labels", set, "containers get the labels of the service"},
		{"services.*.deploy.placement", set, noSwarm},
		{"services.*.deploy.update_config", set, noSwarm},
		{"services.*.deploy.rollback_config", set, noSwarm},
		{"services.*.volumes.[]", volume, "only bind, volume, tmpfs and image mounts are"},
		{"jobs", set, "only services are run"},
		{"models", set, "no model is pulled or run"},
		{"secrets.*.external", set, "only the contents of file and environment are handed to containers"},
		{"secrets.*.driver", set, "only the contents of file and environment are handed to containers"},
		{"secrets.*.template_driver", set, "contents are handed to containers as they are"},
		{"secrets.*.labels", set, "containers get the content alone"},
		{"configs.*.labels", set, "containers get the content alone"},
		{"configs.*.external", set,
			"only the contents of file, content and environment are handed to containers"},
		{"configs.*.template_driver", set, "contents are handed to containers as they are"},
	}
}

// carriedOut is the list of attributes that compose-go checks a loaded project against.
func carriedOut() []tree.Path {
	names := strings.Fields(carried)
	return slices.DeleteFunc(slices.Clone(schema.AttributePaths()), func(p tree.Path) bool {
		parts := p.Parts()
		return len(parts) > 2 && parts[0] == "services" && !slices.Contains(names, parts[2])
	})
}

func notCarriedOut() []loader.UnsupportedAttributePattern {
	var patterns []loader.UnsupportedAttributePattern
	for _, e := range exceptions() {
		patterns = append(patterns, loader.UnsupportedAttributePattern{Path: tree.Path(e.path),
			Detect: e.detect})
	}
	return patterns
}

// reasonFor says why an attribute is not carried out, "" when all there is to say is that it is not.
func reasonFor(p tree.Path) string {
	for _, e := range exceptions() {
		if p.Matches(tree.Path(e.path)) {
			return e.reason
		}
	}
	return ""
}
