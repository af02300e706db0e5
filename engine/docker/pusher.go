package docker

import (
	"context"
	"fmt"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// pusher is the container.Pusher.
type pusher struct {
	conn   *connection
	images *imageStore
}

var _ container.Pusher = (*Runtime)(nil)

// Push implements container.Pusher.
func (p *pusher) Push(ctx context.Context, ref string, progress func(container.PullProgress)) error {
	release, err := p.conn.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	what := "push " + ref
	named, auth, err := p.credentials(what, ref)
	if err != nil {
		return err
	}
	res, err := p.conn.cli.ImagePush(ctx, ref, client.ImagePushOptions{RegistryAuth: auth})
	if err != nil {
		return p.images.pullError(what, named, err)
	}
	defer res.Close()
	sum := layers{}
	for m, err := range res.JSONMessages(ctx) {
		if err == nil && m.Error != nil {
			err = m.Error
		}
		if err != nil {
			return p.images.pullError(what, named, err)
		}
		if sum.add(m) && progress != nil {
			progress(sum.total())
		}
	}
	return nil
}

// RemoteDigest implements container.Pusher.
func (p *pusher) RemoteDigest(ctx context.Context, ref string) (string, error) {
	what := "find the digest of " + ref
	named, auth, err := p.credentials(what, ref)
	if err != nil {
		return "", err
	}
	res, err := p.conn.cli.DistributionInspect(ctx, ref,
		client.DistributionInspectOptions{EncodedRegistryAuth: auth})
	if err != nil {
		return "", p.images.pullError(what, named, err)
	}
	return res.Descriptor.Digest.String(), nil
}

// credentials are those for the registry of an image. Without any the registry decides.
func (p *pusher) credentials(what, ref string) (reference.Named, string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, "", container.WithRemedy(fmt.Errorf("%s: %w", what, err), "check the image name")
	}
	auth, err := p.images.registryAuth(named)
	if err != nil {
		p.conn.warn(fmt.Sprintf("%s without credentials: %v", what, err))
	}
	return named, auth, nil
}
