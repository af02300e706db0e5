package docker

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"bulkhead/engine/container"
)

// reading is what one kind of the engine's messages means for the person who wrote the Compose
// file: %1 and %2 stand for the pattern's groups.
type reading struct {
	pattern      func() *regexp.Regexp
	text, remedy string
}

// readings are the messages of creating and starting a container that are about an attribute of the
// service; the first that matches is taken. They are those of engines from 20.10 to 29.
var readings = []reading{
	read(`unable to find (user|group) ([^:]+): no matching entries`, `the image has no %1 "%2"`,
		"correct user:, or write a number"),
	read(`(?i)^no command specified`, "the image has no command", "write command: or entrypoint:"),
	read(`open /proc/sys/([^ :]+): no such file or directory`, `this kernel has no sysctl "%1"`,
		"correct sysctls:"),
	read(`sysctl "?([\w./-]+)"? is not allowed as it conflicts with the OCI "(\w+)" field`,
		"the sysctl %1 is what %2: sets", "write %2: in place of it"),
	read(`sysctl "?([\w./-]+)"? (?:is not in a separate kernel namespace|not allowed in host network namespace)`,
		"the sysctl %1 is the whole machine's, and not the container's",
		"remove it from sysctls:, or set it on the machine"),
	read(`(?i)minimum memory limit allowed is (\w+)`,
		"the memory limit is under %1, the least that the engine takes", "raise mem_limit:"),
	read(`(?i)minimum memory ?swap limit should be larger than memory limit`,
		"memswap_limit is under mem_limit", "raise memswap_limit:"),
	read(`error mounting "([^"]+)" to rootfs at "([^"]+)".*not a directory`,
		"%1 cannot be mounted at %2: one is a file and the other is a folder",
		"mount a file on a file, or a folder on a folder"),
	read(`was found but (?:does not match the specified|its) platform.*wanted ([\w/]+), actual: ([\w/]+)`,
		"the image is here for %2 only, and the service wants %1",
		"remove platform:, or build or pull it for %1"),
	read(`[Ii]nvalid address:? ([^ :]+): [Ii]t does not belong to any of this network's subnets`,
		"the address %1 is outside of the network's subnets", "correct ipv4_address: or ipv6_address:"),
	read(`(?i)cannot mkdir: (\S+) is not a directory`, "working_dir %1 is not a folder in the image",
		"correct working_dir:"),
	read(`error gathering device information while adding custom device "([^"]+)"`,
		"this machine has no device %1", "correct devices:"),
	read(`invalid Cap(Add|Drop): unknown capability: "(\w+)"`, "%2 is not a capability",
		"correct cap_add: or cap_drop:"),
	read(`(?i)unknown(?: or invalid)? runtime (?:specified |name: )(\S+)`,
		`the engine has no runtime "%1"`, "correct runtime:, or install it"),
	read(`error looking up logging plugin (\S+):`, `the engine has no logging driver "%1"`,
		"correct logging.driver"),
	read(`--storage-opt is (?:supported only|not supported)`,
		"the engine's storage cannot limit a container's disk", "remove storage_opt:"),
	read(`(?i)range of CPUs is from [\d.]+ to ([\d.]+)`, "cpus: is more than the %1 of this machine",
		"lower it"),
	read(`(?i)requested (CPUs|memory nodes) are not available - requested (\S+), available: \S+`,
		"the machine has no %1 %2", "correct cpuset:"),
	read(`wrong rlimit value: RLIMIT_(\w+)|invalid ulimit type: (\w+)`, `"%1%2" is not a ulimit`,
		"correct ulimits:"),
	read(`could not select device driver "[^"]*" with capabilities: \[\[.*gpu.*\]\]`,
		"the engine has no driver for GPUs",
		"install the NVIDIA container toolkit, or remove gpus:"),
	read(`network (\S+) is ambiguous \((\d+) matches found on name\)`, "the engine has %2 networks named %1",
		"see `docker network ls --filter name=%1`, and remove those that nobody needs by their ids"),
	read(`duplicate mount point: (\S+)`, "two volumes have the target %1", "keep one of them"),
	read(`(?i)invalid seccomp|decoding seccomp profile failed`, "the seccomp profile is not valid",
		"correct security_opt:"),
}

func read(pattern, text, remedy string) reading {
	return reading{whenUsed(pattern), text, remedy}
}

// whenUsed is a pattern that is compiled when the first message is looked at: most runs see none.
func whenUsed(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// rlimit is how runc names a limit that the kernel refuses, by its number in resource.h.
var (
	rlimit  = whenUsed(`error setting rlimit type (\d+)`)
	rlimits = []string{"cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock",
		"as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"}
)

// overhead is what the layers between the engine and the kernel put around the one thing that went wrong.
var overhead = whenUsed(
	`^(?:failed to create (?:shim )?task(?: for container)?: |OCI runtime (?:create|exec) failed: |runc (?:create|exec) failed: |` +
		`unable to start container process: |error during container init: |invalid mount config for type "\w+": )+(.*?)(?:: unknown)?$`)

// personal returns what a message about a container means, and what to do about it; the remedy is
// "" where nothing is known, and the text is then the message without what surrounds it.
func personal(text string) (why, remedy string) {
	if why, remedy = noProgram(text); why != "" {
		return why, remedy
	}
	if m := rlimit().FindStringSubmatch(text); m != nil {
		name := "of type " + m[1]
		if n, err := strconv.Atoi(m[1]); err == nil && n < len(rlimits) {
			name = rlimits[n]
		}
		return "the ulimit " + name +
			" cannot be set: soft is over hard, or it is more than the engine may give", "correct ulimits:"
	}
	for _, r := range readings {
		m := r.pattern().FindStringSubmatch(text)
		if m == nil {
			continue
		}
		fill := func(s string) string {
			for i, group := range m[1:] {
				s = strings.ReplaceAll(s, fmt.Sprintf("%%%d", i+1), group)
			}
			return s
		}
		return fill(r.text), fill(r.remedy)
	}
	if m := overhead().FindStringSubmatch(text); m != nil {
		return m[1], ""
	}
	return text, ""
}

// checkSaid is what a healthcheck printed. Where the engine could not start its program, the engine's words stand
// there, and it is what they mean.
func checkSaid(output string) string {
	if !strings.HasPrefix(output, "OCI runtime exec failed: ") {
		return output
	}
	why, _ := noProgram(output)
	if why == "" {
		return output
	}
	return strings.ReplaceAll(why, `"`, "") + "; correct healthcheck.test"
}

// missingSource is how engines report that what is to be mounted is not there.
var missingSource = whenUsed(`bind source path does not exist: (.+)$|stat (/[^:]+): no such file or directory`)

// absentFile says which secret, config or volume an engine's message about a path of the host is
// about; ok is false for other messages.
func absentFile(c container.CreateSpec, text string) (why, remedy string, ok bool) {
	m := missingSource().FindStringSubmatch(text)
	if m == nil || c.App == nil || c.Service == nil {
		return "", "", false
	}
	path := m[1] + m[2]
	for name, s := range c.App.Secrets {
		if s.File == path {
			return fmt.Sprintf("the file of secret %s, %s, does not exist", name, path),
				fmt.Sprintf("make it, or correct secrets.%s.file", name), true
		}
	}
	for name, s := range c.App.Configs {
		if s.File == path {
			return fmt.Sprintf("the file of config %s, %s, does not exist", name, path),
				fmt.Sprintf("make it, or correct configs.%s.file", name), true
		}
	}
	for _, v := range c.Service.Config.Volumes {
		if v.Source == path {
			return fmt.Sprintf("%s, which is to be mounted at %s, does not exist", path, v.Target),
				"make it, or write create_host_path: true", true
		}
	}
	return "", "", false
}
