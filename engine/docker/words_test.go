package docker

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// Each message was seen on an engine.
func TestEngineMessagesNameTheAttribute(t *testing.T) {
	const runc = "failed to create shim task: OCI runtime create failed: runc create failed: "
	for text, want := range map[string]string{
		"unable to find user nobody2: no matching entries in passwd file": `the image has no user "nobody2"; correct user:, or write a number`,
		"No command specified": "the image has no command; write command: or entrypoint:",
		runc + "unable to start container process: error during container init: open /proc/sys/net/core/nosuch: no such file or directory: unknown": `this kernel has no sysctl "net/core/nosuch"; correct sysctls:`,
		runc + `sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field: unknown`:                                     "the sysctl kernel.hostname is what hostname: sets; write hostname: in place of it",
		runc + `sysctl "kernel.shmmax2" is not in a separate kernel namespace: unknown`:                                                             "the sysctl kernel.shmmax2 is the whole machine's, and not the container's; remove it from sysctls:, or set it on the machine",
		"Minimum memory limit allowed is 6MB": "the memory limit is under 6MB, the least that the engine takes; raise mem_limit:",
		runc + `unable to start container process: error during container init: error mounting "/p/file.txt" to rootfs at "/bin": mount /p/file.txt:/bin (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown`: "/p/file.txt cannot be mounted at /bin: one is a file and the other is a folder; mount a file on a file, or a folder on a folder",
		"Invalid address 10.99.0.5: It does not belong to any of this network's subnets":                                             "the address 10.99.0.5 is outside of the network's subnets; correct ipv4_address: or ipv6_address:",
		"Cannot mkdir: /bin/sh is not a directory":                                                                                   "working_dir /bin/sh is not a folder in the image; correct working_dir:",
		`error gathering device information while adding custom device "/dev/nosuch": no such file or directory`:                     "this machine has no device /dev/nosuch; correct devices:",
		`invalid CapAdd: unknown capability: "CAP_NOSUCH"`:                                                                           "CAP_NOSUCH is not a capability; correct cap_add: or cap_drop:",
		"Unknown runtime specified nosuch":                                                                                           `the engine has no runtime "nosuch"; correct runtime:, or install it`,
		`error looking up logging plugin nosuch: plugin "nosuch" not found`:                                                          `the engine has no logging driver "nosuch"; correct logging.driver`,
		"--storage-opt is supported only for overlay over xfs with 'pquota' mount option":                                            "the engine's storage cannot limit a container's disk; remove storage_opt:",
		"Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available":                                                     "cpus: is more than the 2.00 of this machine; lower it",
		"Requested CPUs are not available - requested 77, available: 0-1":                                                            "the machine has no CPUs 77; correct cpuset:",
		runc + "wrong rlimit value: RLIMIT_NOSUCH: unknown":                                                                          `"NOSUCH" is not a ulimit; correct ulimits:`,
		`could not select device driver "" with capabilities: [[gpu]]`:                                                               "the engine has no driver for GPUs; install the NVIDIA container toolkit, or remove gpus:",
		runc + "unable to start container process: error during container init: something of the kernel: operation refused: unknown": "something of the kernel: operation refused",
		runc + "unable to start container process: error during container init: error setting rlimits for ready process: error setting rlimit type 7: invalid argument: unknown": "the ulimit nofile cannot be set: soft is over hard, or it is more than the engine may give; correct ulimits:",
		"a message that nobody knows": "a message that nobody knows",
	} {
		got, remedy := personal(text)
		if remedy != "" {
			got += "; " + remedy
		}
		if got != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestCheckWhoseProgramIsMissingSaysSo(t *testing.T) {
	for output, want := range map[string]string{
		"OCI runtime exec failed: exec failed: unable to start container process: exec: \"curl\": executable file not found in $PATH: unknown": "the image has no program curl; correct healthcheck.test",
		"OCI runtime exec failed: something else": "OCI runtime exec failed: something else",
		// of the program itself
		"exec: \"curl\": executable file not found": "exec: \"curl\": executable file not found",
	} {
		if got := checkSaid(output); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

func TestMissingFileIsNamedForWhatItIs(t *testing.T) {
	spec := container.CreateSpec{
		App: &container.App{
			Secrets: map[string]types.SecretConfig{"s": {File: "/p/s"}},
			Configs: map[string]types.ConfigObjConfig{"c": {File: "/p/c"}},
		},
		Service: &container.Service{},
	}
	spec.Service.Config.Volumes = []types.ServiceVolumeConfig{{Source: "/p/v", Target: "/v"}}
	const bind = `invalid mount config for type "bind": bind source path does not exist: `
	for text, want := range map[string]string{
		bind + "/p/s": "the file of secret s, /p/s, does not exist; make it, or correct secrets.s.file",
		bind + "/p/c": "the file of config c, /p/c, does not exist; make it, or correct configs.c.file",
		bind + "/p/v": "/p/v, which is to be mounted at /v, does not exist; make it, or write create_host_path: true",
		bind + "/p/x": "; ",
		"other":       "; ",
	} {
		why, remedy, ok := absentFile(spec, text)
		if got := why + "; " + remedy; got != want || ok != (want != "; ") {
			t.Errorf("%s\n got %q %v\nwant %q", text, got, ok, want)
		}
	}
}
