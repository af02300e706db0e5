// Command build compiles the agent for both architectures and packs it where engine/agent embeds
// it. It is run by go generate ./engine/agent, and writes a file only when it changed.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	for _, arch := range []string{"amd64", "arm64"} {
		if err := build(arch); err != nil {
			fmt.Fprintln(os.Stderr, "build the agent for "+arch+":", err)
			os.Exit(1)
		}
	}
}

// build is run in engine/agent.
func build(arch string) error {
	dir, err := os.MkdirTemp("", "bulkhead-agent-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "agent")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o",
		out, "./main")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return err
	}
	program, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(program); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	file := filepath.Join("bin", "agent-"+arch+".gz")
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, packed.Bytes()) {
		return nil // unchanged, so that what embeds it need not be linked again
	}
	return os.WriteFile(file, packed.Bytes(), 0o644)
}
