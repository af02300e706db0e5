package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	apibuild "github.com/moby/moby/api/types/build"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bulkhead/engine/container"
)

// oldBuilder is the engine's builder from before BuildKit.
type oldBuilder struct {
	conn *connection
}

// ClassicBuild builds with the engine's old builder; it implements Classic of
// engine/build. The error of a build that did not succeed is the engine's own
// message.
func (o *oldBuilder) ClassicBuild(
	ctx context.Context, b container.BuildRequest, tar io.Reader, dockerfile string, out func(line string),
) error {
	release, err := o.conn.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	what := "build " + b.Service
	opt, err := buildOptions(b, dockerfile)
	if err != nil {
		return err
	}
	if opt.AuthConfigs, err = o.allCredentials(); err != nil {
		// Local base images need none.
		o.conn.warn(what + " without credentials: " + err.Error())
	}
	res, err := o.conn.cli.ImageBuild(ctx, tar, opt)
	if err != nil {
		return o.conn.wrap(what, err)
	}
	defer res.Body.Close()
	if err := buildOutput(res.Body, out); err != nil {
		if ctx.Err() != nil {
			return o.conn.wrap(what, ctx.Err())
		}
		return err
	}
	return nil
}

func buildOptions(b container.BuildRequest, dockerfile string) (client.ImageBuildOptions, error) {
	opt := client.ImageBuildOptions{
		Version:     apibuild.BuilderV1,
		Dockerfile:  dockerfile,
		Tags:        b.Tags,
		Target:      b.Target,
		Labels:      b.Labels,
		BuildArgs:   map[string]*string{},
		NoCache:     b.NoCache,
		PullParent:  b.Pull,
		CacheFrom:   b.CacheFrom,
		NetworkMode: b.Network,
		ShmSize:     b.ShmSize,
		ExtraHosts:  b.ExtraHosts,
		Remove:      true,
		ForceRemove: true,
	}
	for name, value := range b.Args {
		opt.BuildArgs[name] = &value
	}
	for _, name := range slices.Sorted(maps.Keys(b.Ulimits)) {
		u := b.Ulimits[name]
		opt.Ulimits = append(opt.Ulimits, &moby.Ulimit{Name: name, Soft: u[0], Hard: u[1]})
	}
	for _, text := range b.Platforms {
		p, err := parsePlatform(text)
		if err != nil {
			return opt, err
		}
		opt.Platforms = append(opt.Platforms, ocispec.Platform{OS: p.OS, Architecture: p.Architecture,
			Variant: p.Variant})
	}
	return opt, nil
}

func (o *oldBuilder) allCredentials() (map[string]registry.AuthConfig, error) {
	conf, err := o.conn.end.dockerConfig()
	if err != nil {
		return nil, err
	}
	all, err := conf.GetAllCredentials()
	out := map[string]registry.AuthConfig{}
	for host, a := range all {
		out[host] = registry.AuthConfig{
			Username: a.Username, Password: a.Password, Auth: a.Auth,
			ServerAddress: a.ServerAddress, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
		}
	}
	return out, err
}

// buildOutput reads the messages of a build. They end lines where they please.
func buildOutput(body io.Reader, out func(line string)) error {
	var rest string
	emit := func(text string) {
		lines := strings.Split(rest+text, "\n")
		rest = lines[len(lines)-1]
		for _, l := range lines[:len(lines)-1] {
			out(strings.TrimSuffix(l, "\r"))
		}
	}
	dec := json.NewDecoder(bufio.NewReader(body))
	for {
		var m jsonstream.Message
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			if rest != "" {
				emit("\n")
			}
			return nil
		case err != nil:
			return err
		case m.Error != nil:
			if rest != "" {
				emit("\n")
			}
			return errors.New(m.Error.Message)
		case m.Stream != "":
			emit(m.Stream)
		case m.Status != "" && m.Progress == nil:
			// of the pull of a base image
			if m.ID != "" {
				m.Status = m.ID + ": " + m.Status
			}
			emit(m.Status + "\n")
		}
	}
}
