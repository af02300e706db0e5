package agent

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

//go:generate go run ./build

// bin holds the program for each architecture, agent-amd64.gz and agent-arm64.gz, once the build
// step has put it there.
//
//go:embed bin
var bin embed.FS

// ErrNotBuilt means that this bulkhead was built without the agent.
var ErrNotBuilt = errors.New(
	"this bulkhead was built without the agent; build it with `make build`, or run `go generate ./engine/agent` before `go build`")

// Built says whether the agent is there at all.
func Built() bool {
	_, err := bin.Open("bin/agent-amd64.gz")
	return err == nil
}

// Program returns the agent for an architecture, as Go and the engine call it: amd64, arm64.
func Program(arch string) ([]byte, error) {
	switch arch {
	case "x86_64":
		arch = "amd64"
	case "aarch64":
		arch = "arm64"
	}
	if arch != "amd64" && arch != "arm64" {
		return nil, fmt.Errorf("there is no agent for %s", arch)
	}
	packed, err := bin.ReadFile("bin/agent-" + arch + ".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotBuilt
	}
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack the agent: %w", err)
	}
	return io.ReadAll(z)
}
