package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bulkhead/engine/container"
)

// imageStore is the container.ImageStore.
type imageStore struct {
	conn *connection
}

var _ container.ImageStore = (*Runtime)(nil)

// Image implements container.ImageStore. An image of another platform than the one
// asked for is container.ErrNotFound.
func (s *imageStore) Image(ctx context.Context, ref, platform string) (container.Image, error) {
	what := "look up image " + ref
	api, err := s.conn.version(ctx)
	if err != nil {
		return container.Image{}, err
	}
	var opts []client.ImageInspectOption
	if api >= 48 {
		opts = append(opts, client.ImageInspectWithManifests(true))
	}
	res, err := s.conn.cli.ImageInspect(ctx, ref, opts...)
	if err != nil {
		return container.Image{}, s.conn.wrap(what, err)
	}
	var want platforms.Matcher = platforms.Default()
	if platform != "" {
		p, err := platforms.Parse(platform)
		if err != nil {
			return container.Image{}, container.WithRemedy(fmt.Errorf("%s: platform %q: %w", what,
				platform, err), "write it as linux/amd64")
		}
		want = platforms.NewMatcher(p)
	}
	digest, fits := contentDigest(res.InspectResponse, want)
	if platform != "" && !fits {
		return container.Image{}, &apiError{
			what: what, kind: container.ErrNotFound, err: cerrdefs.ErrNotFound,
			text: fmt.Sprintf("the local image is for %s/%s and not for %s", res.Os, res.Architecture,
				platform),
		}
	}
	img := container.Image{
		ID: res.ID, Digest: digest, Tags: res.RepoTags, Size: res.Size,
		Created: parseTime(res.Created), OS: res.Os, Arch: res.Architecture, Variant: res.Variant,
	}
	if t := res.Metadata.LastTagTime; t.Year() > 1 {
		img.LastTag = t
	}
	if c := res.Config; c != nil {
		img.Stop, img.User = c.StopSignal, c.User
		img.Volumes = slices.Sorted(maps.Keys(c.Volumes))
		img.Health = c.Healthcheck != nil && len(c.Healthcheck.Test) > 0 && c.Healthcheck.Test[0] != "NONE"
	}
	return img, nil
}

// contentDigest is what docker compose writes into the image label: the digest of
// the one manifest that a container of this platform runs. The image's own id may
// stand for an index, which changes with every build.
func contentDigest(res image.InspectResponse, want platforms.Matcher) (digest string, fits bool) {
	flat := want.Match(ocispec.Platform{OS: res.Os, Architecture: res.Architecture, Variant: res.Variant})
	if len(res.Manifests) == 0 {
		return res.ID, flat
	}
	var here []image.ManifestSummary
	for _, m := range res.Manifests {
		if m.Kind == image.ManifestKindImage && m.Available {
			here = append(here, m)
		}
	}
	for _, m := range here {
		if m.ImageData != nil && want.Match(m.ImageData.Platform) {
			return m.ID, true
		}
	}
	if len(here) == 1 {
		return here[0].ID, here[0].ImageData == nil && flat
	}
	return res.ID, false
}

// Pull implements container.ImageStore.
func (s *imageStore) Pull(
	ctx context.Context, ref, platform string, progress func(container.PullProgress),
) error {
	release, err := s.conn.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	what := "pull " + ref
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return container.WithRemedy(fmt.Errorf("%s: %w", what, err), "check the image name")
	}
	opt := client.ImagePullOptions{}
	p, err := parsePlatform(platform)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if p != nil {
		opt.Platforms = []ocispec.Platform{*p}
	}
	if opt.RegistryAuth, err = s.registryAuth(named); err != nil {
		// Public images need no credentials, so a broken helper is no reason to stop.
		s.conn.warn(fmt.Sprintf("%s without credentials: %v", what, err))
	}
	res, err := s.conn.cli.ImagePull(ctx, ref, opt)
	if err != nil {
		return s.otherPlatform(ctx, ref, p, s.pullError(what, named, err))
	}
	defer res.Close()
	sum := layers{}
	for m, err := range res.JSONMessages(ctx) {
		if err != nil {
			return s.otherPlatform(ctx, ref, p, s.pullError(what, named, err))
		}
		if m.Error != nil {
			return s.otherPlatform(ctx, ref, p, s.pullError(what, named, m.Error))
		}
		if sum.add(m) && progress != nil {
			progress(sum.total())
		}
	}
	return nil
}

// otherPlatform adds to a pull's error that the image is here, though for another platform than the
// one that was asked for.
func (s *imageStore) otherPlatform(ctx context.Context, ref string, want *ocispec.Platform, err error) error {
	var e *apiError
	if want == nil || !errors.As(err, &e) {
		return err
	}
	here, ierr := s.conn.cli.ImageInspect(ctx, ref)
	if ierr != nil {
		return err
	}
	have := platforms.Format(ocispec.Platform{OS: here.Os, Architecture: here.Architecture,
		Variant: here.Variant})
	e.text += fmt.Sprintf("; the image that is here is for %s, and the service wants %s", have,
		platforms.Format(*want))
	e.remedy = "remove platform: to use it, or build or load it for " + platforms.Format(*want)
	return err
}

// registryAuth finds the credentials as the docker command does: a helper for the
// registry, the general store, or the config file itself.
func (s *imageStore) registryAuth(named reference.Named) (string, error) {
	conf, err := s.conn.end.dockerConfig()
	if err != nil {
		return "", err
	}
	key := reference.Domain(named)
	if key == "docker.io" {
		key = "https://index.docker.io/v1/" // the key of Docker Hub since before registries had domains
	}
	a, err := conf.GetAuthConfig(key)
	if err != nil {
		return "", fmt.Errorf("read the credentials for %s: %w", reference.Domain(named), err)
	}
	return authconfig.Encode(registry.AuthConfig{
		Username: a.Username, Password: a.Password, Auth: a.Auth,
		ServerAddress: a.ServerAddress, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
	})
}

// pullError distinguishes a missing image, a refused one and no network. Engines of
// different ages word all three differently.
func (s *imageStore) pullError(what string, named reference.Named, err error) error {
	if noConnection(err) && !strings.Contains(err.Error(), named.Name()) {
		return s.conn.wrap(what, err)
	}
	text, domain := plain(err), reference.Domain(named)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	e := &apiError{what: what, text: text, err: err}
	switch {
	case has("no such host", "i/o timeout", "connection refused", "network is unreachable",
		"Temporary failure in name resolution",
		"Client.Timeout", "TLS handshake timeout", "server misbehaving", "deadline exceeded"):
		e.text = fmt.Sprintf("the engine cannot reach %s (%s)", domain, innermost(text))
		e.remedy = "check the network, or build or load the image yourself"
	case has("manifest unknown", "not found: manifest", "no matching manifest",
		"does not exist in the manifest list") && !has("denied"):
		e.kind = container.ErrNotFound
		e.text = fmt.Sprintf("%s has no such tag or no image for this platform (%s)", domain, innermost(text))
		e.remedy = "check the tag and platform"
	case has("denied", "unauthorized", "authentication required", "no basic auth credentials"):
		e.text = fmt.Sprintf("%s refuses it: the image does not exist or is private", domain)
		e.remedy = fmt.Sprintf("check the name, or run `docker login %s`", domain)
	case has("not found") || cerrdefs.IsNotFound(err):
		e.kind = container.ErrNotFound
		e.text = fmt.Sprintf("%s has no such image", domain)
		e.remedy = "check the name"
	case has("toomanyrequests", "rate limit"):
		e.text = fmt.Sprintf("%s limits anonymous pulls", domain)
		e.remedy = fmt.Sprintf("run `docker login %s`, or wait", domain)
	case has("x509", "HTTP response to HTTPS client"):
		e.text = fmt.Sprintf("the engine does not trust %s (%s)", domain, innermost(text))
		e.remedy = "add its certificate, or list it under insecure-registries"
	default:
		return s.conn.wrap(what, err)
	}
	return e
}

// innermost is the last part of a chain of causes, which is the one that says what happened.
func innermost(text string) string {
	parts := strings.Split(text, ": ")
	last := parts[len(parts)-1]
	if len(last) < 4 || strings.Contains(last, "://") {
		return text
	}
	return last
}

// layers adds up the progress of a pull by layer.
type layers map[string]layer

type layer struct {
	current, total int64
	done           bool
}

// add takes a message in and reports whether it changed anything.
func (l layers) add(m jsonstream.Message) bool {
	if m.ID == "" {
		return false
	}
	old, had := l[m.ID]
	now := old
	switch m.Status {
	case "Pulling fs layer", "Waiting":
	case "Downloading":
		if m.Progress != nil {
			now.current, now.total = m.Progress.Current, max(m.Progress.Total, m.Progress.Current)
		}
	case "Verifying Checksum", "Download complete":
		now.current = now.total
	case "Already exists", "Pull complete":
		now.current, now.done = now.total, true
	default:
		return false // extraction, and the tag's own messages
	}
	l[m.ID] = now
	return now != old || !had
}

func (l layers) total() container.PullProgress {
	var p container.PullProgress
	done := 0
	for _, x := range l {
		p.Current += x.current
		p.Total += x.total
		if x.done {
			done++
		}
	}
	p.Status = fmt.Sprintf("%d of %d layers", done, len(l))
	return p
}

// RemoveImage implements container.ImageStore. An image that has one tag left goes
// only if that is the name that its build for a project set: another tag means that
// somebody wants to keep it.
func (s *imageStore) RemoveImage(ctx context.Context, id string, named bool) (removed bool, err error) {
	what := "remove image " + container.ShortID(id)
	res, err := s.conn.cli.ImageInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return removed, s.conn.wrap(what, err)
	}
	var labels map[string]string
	if res.Config != nil {
		labels = res.Config.Labels
	}
	// Names of the project's own kind go with the image; several services that
	// share a build have one each. Any other name keeps it.
	own := func(tag string) bool {
		rest, ours := strings.CutPrefix(tag, labels[labelProject])
		return labels[labelProject] != "" && ours && strings.IndexAny(rest, "-_") == 0 &&
			strings.HasSuffix(tag, ":latest")
	}
	if slices.ContainsFunc(res.RepoTags, func(tag string) bool { return !named || !own(tag) }) {
		return false, nil
	}
	names := res.RepoTags
	if len(names) < 2 {
		names = []string{id} // also takes an image that has no name
	}
	for _, name := range names {
		_, err = s.conn.cli.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
		if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
			return removed, s.conn.wrap(what, err)
		}
		removed = removed || err == nil
	}
	return removed, nil
}

// ProjectImages implements container.ImageStore.
func (s *imageStore) ProjectImages(ctx context.Context, project string, tagged bool) ([]string, error) {
	filter := labelFilter(labelProject + "=" + project)
	if !tagged {
		filter.Add("dangling", "true")
	}
	list, err := s.conn.cli.ImageList(ctx, client.ImageListOptions{Filters: filter})
	if err != nil {
		return nil, s.conn.wrap("list the images of "+project, err)
	}
	var ids []string
	for _, i := range list.Items {
		ids = append(ids, i.ID)
	}
	return ids, nil
}
