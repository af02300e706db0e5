package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// Image is what containers are made from.
type Image struct {
	Entrypoint []string
	Command    []string
	Files      map[string]string // contents by absolute path
	Stop       string            // stop signal; "": TERM
	Health     *types.HealthCheckConfig
	Volumes    []string // that it declares
	User       string
	Platform   string // "linux/amd64"; "": whatever is asked for
	Project    string // that it was built for; "": it was not built for one
}

// image is one that the engine has.
type image struct {
	Image
	id      string
	tree    tree
	created time.Time
	tagged  time.Time
}

// Put makes an image and gives it a name, which it takes from the one that had it; the names are as in "app" or "app:1". It returns the
// image's id.
func (e *engine) Put(name string, i Image) (id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.put(name, i)
}

// put is Put. Callers hold mu.
func (e *engine) put(name string, i Image) string {
	img := &image{Image: i, id: e.id("sha256:"), tree: newTree(), created: e.now()}
	for at, text := range i.Files {
		img.tree.write(at, text)
	}
	img.tagged = img.created
	e.images[img.id] = img
	if name != "" {
		e.names[tag(name)] = img.id
	}
	return img.id
}

// Tag gives an image one more name.
func (e *engine) Tag(id, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names[tag(name)] = id
	e.images[id].tagged = e.now()
}

// Untag takes a name away.
func (e *engine) Untag(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.names, tag(name))
}

// Publish puts an image where Pull finds it.
func (e *engine) Publish(name string, i Image) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.registry[tag(name)] = i
}

// tag is a name with its tag.
func tag(name string) string {
	if strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		return name
	}
	return name + ":latest"
}

// find looks an image up by name or id. Callers hold mu.
func (e *engine) find(ref string) *image {
	if img := e.images[ref]; img != nil {
		return img
	}
	return e.images[e.names[tag(ref)]]
}

// tags are the names of an image. Callers hold mu.
func (e *engine) tags(id string) []string {
	var out []string
	for name, of := range e.names {
		if of == id {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// imageStore is the Runtime's container.ImageStore.
type imageStore struct{ e *engine }

// Image implements container.ImageStore.
func (s imageStore) Image(ctx context.Context, ref, platform string) (container.Image, error) {
	if err := s.e.faults.enter(ctx, "Image", ""); err != nil {
		return container.Image{}, err
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	img := s.e.find(ref)
	if img == nil || platform != "" && img.Platform != "" && platform != img.Platform {
		return container.Image{}, fmt.Errorf("look up image %s: no such image: %w", ref, container.ErrNotFound)
	}
	return container.Image{
		ID: img.id, Digest: img.id, Tags: s.e.tags(img.id), Size: 1 << 20, Created: img.created, LastTag: img.tagged,
		Stop: img.Stop, Health: check(nil, img.Health) != nil, Volumes: slices.Sorted(slices.Values(img.Volumes)), User: img.User,
	}, nil
}

// Pull implements container.ImageStore: it finds what was published.
func (s imageStore) Pull(ctx context.Context, ref, _ string, progress func(container.PullProgress)) error {
	if err := s.e.faults.enter(ctx, "Pull", ""); err != nil {
		return err
	}
	s.e.mu.Lock()
	img, ok := s.e.registry[tag(ref)]
	if ok {
		s.e.put(ref, img)
	}
	s.e.mu.Unlock()
	if !ok {
		return fmt.Errorf("pull %s: the registry in memory has no such image: %w", ref, container.ErrNotFound)
	}
	if progress != nil {
		progress(container.PullProgress{Current: 1 << 20, Total: 1 << 20, Status: "1 of 1 layers"})
	}
	return nil
}

// RemoveImage implements container.ImageStore.
func (s imageStore) RemoveImage(ctx context.Context, id string, named bool) (removed bool, err error) {
	if err := s.e.faults.enter(ctx, "RemoveImage", ""); err != nil {
		return false, err
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	img := s.e.images[id]
	if img == nil {
		return false, nil
	}
	for _, name := range s.e.tags(id) {
		own := img.Project != "" && strings.HasPrefix(name, img.Project+"-") && strings.HasSuffix(name, ":latest")
		if !named || !own {
			return false, nil
		}
	}
	for _, b := range s.e.all {
		if b.in.ImageID == id {
			return false, nil
		}
	}
	delete(s.e.images, id)
	maps.DeleteFunc(s.e.names, func(_, of string) bool { return of == id })
	return true, nil
}

// ProjectImages implements container.ImageStore.
func (s imageStore) ProjectImages(ctx context.Context, project string, tagged bool) ([]string, error) {
	if err := s.e.faults.enter(ctx, "ProjectImages", ""); err != nil {
		return nil, err
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	var ids []string
	for id, img := range s.e.images {
		if img.Project == project && (tagged || len(s.e.tags(id)) == 0) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
