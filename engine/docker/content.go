package docker

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// socketConfig is the config with the credentials that use_api_socket brings: as docker compose has it, its file
// belongs to root, whoever the container's process is.
const socketConfig = "#apisocket"

// contents makes the tar of what a service gets by content: secrets and configs
// from the environment or written in the file. nil when there is none. Missing
// parents of a target are made by the engine. user returns the ids that the
// container's process has: a mode that only the owner can use is meant for that
// process.
func contents(
	p *container.App, s *container.Service, now time.Time, user func() (uid, gid int, err error),
) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	used := false
	for _, f := range fileReferences(p, s.Config) {
		if !f.inline() {
			continue
		}
		content := f.object.Content
		if content == "" {
			value, ok := p.Environment[f.object.Environment]
			if !ok {
				return nil, container.WithRemedy(
					fmt.Errorf("%s %s: the environment variable %s is not set", f.kind, f.key,
						f.object.Environment), "set it, or put it into .env")
			}
			content = value
		}
		if s.Config.ReadOnly {
			return nil, container.WithRemedy(
				fmt.Errorf("%s %s cannot be copied into a service with read_only", f.kind, f.key),
				"give it a file instead of content or environment")
		}
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.target, "/"),
			Size: int64(len(content)), Mode: 0o444, ModTime: now,
		}
		if f.ref.Mode != nil {
			h.Mode = int64(*f.ref.Mode)
		}
		var err error
		if f.ref.UID == "" && f.ref.GID == "" && f.key != socketConfig && f.ref.Mode != nil &&
			*f.ref.Mode&0o004 == 0 {
			if h.Uid, h.Gid, err = user(); err != nil {
				return nil, fmt.Errorf("%s %s: the user who is to own it: %w", f.kind, f.key, err)
			}
		} else if h.Uid, err = numericID(f.ref.UID); err != nil {
			return nil, fmt.Errorf("%s %s: uid %w", f.kind, f.key, err)
		} else if h.Gid, err = numericID(f.ref.GID); err != nil {
			return nil, fmt.Errorf("%s %s: gid %w", f.kind, f.key, err)
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s %s: %w", f.kind, f.key, err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			return nil, fmt.Errorf("%s %s: %w", f.kind, f.key, err)
		}
		used = true
	}
	if !used {
		return nil, nil
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack secrets and configs: %w", err)
	}
	return buf.Bytes(), nil
}

func numericID(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}
