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

// imageStore is the Runtime's container.ImageStore. It is guarded by the engine's
// mu.
type imageStore struct {
	e        *engine
	images   map[string]*image // by id
	names    map[string]string // ids by name
	registry map[string]Image  // what Pull finds, by name
}

// Put makes an image of a name, which it takes from the one that had it; the names
// are as in "app" or "app:1". It returns the image's id.
func (s *imageStore) Put(name string, i Image) (id string) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return s.put(name, i)
}

// put is Put. Callers hold mu.
func (s *imageStore) put(name string, i Image) string {
	img := &image{Image: i, id: s.e.id("sha256:"), tree: newTree(), created: s.e.now()}
	for at, text := range i.Files {
		img.tree.write(at, text)
	}
	img.tagged = img.created
	s.images[img.id] = img
	if name != "" {
		s.names[tag(name)] = img.id
	}
	return img.id
}

// Tag adds one more name to an image.
func (s *imageStore) Tag(id, name string) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.names[tag(name)] = id
	s.images[id].tagged = s.e.now()
}

// Publish puts an image where Pull finds it.
func (s *imageStore) Publish(name string, i Image) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.registry[tag(name)] = i
}

// tag is a name with its tag.
func tag(name string) string {
	if strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		return name
	}
	return name + ":latest"
}

// find looks an image up by name or id. Callers hold mu.
func (s *imageStore) find(ref string) *image {
	if img := s.images[ref]; img != nil {
		return img
	}
	return s.images[s.names[tag(ref)]]
}

// tags are the names of an image. Callers hold mu.
func (s *imageStore) tags(id string) []string {
	var out []string
	for name, of := range s.names {
		if of == id {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Image implements container.ImageStore.
func (s *imageStore) Image(ctx context.Context, ref, platform string) (container.Image, error) {
	if err := s.e.faults.enter(ctx, "Image", ""); err != nil {
		return container.Image{}, err
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	img := s.find(ref)
	if img == nil || platform != "" && img.Platform != "" && platform != img.Platform {
		return container.Image{}, fmt.Errorf("look up image %s: no such image: %w", ref, container.ErrNotFound)
	}
	return container.Image{
		ID: img.id, Digest: img.id, Tags: s.tags(img.id), Size: 1 << 20, Created: img.created,
		LastTag: img.tagged,
		Stop:    img.Stop, Health: check(nil, img.Health) != nil,
		Volumes: slices.Sorted(slices.Values(img.Volumes)), User: img.User,
	}, nil
}

// Pull implements container.ImageStore: it finds what was published.
func (s *imageStore) Pull(ctx context.Context, ref, _ string, progress func(container.PullProgress)) error {
	if err := s.e.faults.enter(ctx, "Pull", ""); err != nil {
		return err
	}
	s.e.mu.Lock()
	img, ok := s.registry[tag(ref)]
	if ok {
		s.put(ref, img)
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
func (s *imageStore) RemoveImage(ctx context.Context, id string, named bool) (removed bool, err error) {
	if err := s.e.faults.enter(ctx, "RemoveImage", ""); err != nil {
		return false, err
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	img := s.images[id]
	if img == nil {
		return false, nil
	}
	for _, name := range s.tags(id) {
		own := img.Project != "" && strings.HasPrefix(name, img.Project+"-") &&
			strings.HasSuffix(name, ":latest")
		if !named || !own {
			return false, nil
		}
	}
	for _, b := range s.e.all {
		if b.in.ImageID == id {
			return false, nil
		}
	}
	delete(s.images, id)
	maps.DeleteFunc(s.names, func(_, of string) bool { return of == id })
	return true, nil
}

// ProjectImages implements container.ImageStore.
func (s *imageStore) ProjectImages(ctx context.Context, project string, tagged bool) ([]string, error) {
	if err := s.e.faults.enter(ctx, "ProjectImages", ""); err != nil {
		return nil, err
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	var ids []string
	for id, img := range s.images {
		if img.Project == project && (tagged || len(s.tags(id)) == 0) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
