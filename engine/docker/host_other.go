//go:build !linux

package docker

import (
	"io"

	"bulkhead/engine/container"
)

// Off Linux the engine runs in a virtual machine, whose processes and files cannot
// be seen from here.

func kernelRelease() string { return "" }

func deleteIn(int, string, string, []string) error { return errNoAccess }

func statIn(int, string, []string) (map[string]container.Entry, error) { return nil, errNoAccess }

func unpackIn(int, string, io.Reader, bool) error { return errNoAccess }

func ownerIn(int, string, string) (uid, gid int, err error) { return 0, 0, errNoAccess }

func handlesStop(int, string, string) (handles, known bool) { return false, false }

func listener(int) string { return "" }

type cgroupStats struct{}

func findCgroup(int, string, bool) (*cgroupStats, error) { return nil, errNoAccess }

func (*cgroupStats) read(string) (container.Stats, error) { return container.Stats{}, errNotRunning }
