package docker

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"bulkhead/engine/container"
)

const secretDir = "/run/secrets/"

// mounts maps volumes, secrets and configs. What the older form can say goes to
// binds, because only that one makes a missing host path. inherit are the mounts of
// the container that this one follows: its anonymous volumes are taken over where
// the image or the service declares one at the same place.
func mounts(c container.CreateSpec, inherit []moby.MountPoint) (binds []string, all []mount.Mount, err error) {
	p, s := c.App, c.Service.Config
	taken := map[string]bool{} // targets
	declared := map[string]bool{}
	for _, v := range s.Volumes {
		declared[v.Target] = true
	}
	for _, m := range inherit {
		if m.Type != mount.TypeVolume || m.Name == "" {
			continue
		}
		anonymous := slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Target == m.Destination && v.Source == "" && v.Type == types.VolumeTypeVolume
		})
		if anonymous || !declared[m.Destination] && slices.Contains(c.Image.Volumes, m.Destination) {
			taken[m.Destination] = true
			all = append(all, mount.Mount{Type: mount.TypeVolume, Source: m.Name,
				Target: m.Destination, ReadOnly: !m.RW})
		}
	}
	for _, v := range s.Volumes {
		if taken[v.Target] {
			continue
		}
		taken[v.Target] = true
		if bind, ok := bindString(p, v); ok {
			binds = append(binds, bind)
			continue
		}
		all = append(all, mountOf(p, v))
	}
	files, err := fileMounts(p, s)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range files {
		if !taken[m.Target] {
			taken[m.Target] = true
			all = append(all, m)
		}
	}
	return binds, all, nil
}

var anonymousName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// inherited lists the anonymous volumes that are taken over. The engine knows them
// as named from then on, and would keep them when the container is removed with its
// volumes.
func inherited(all []mount.Mount, from []moby.MountPoint) string {
	var names []string
	for _, m := range all {
		if m.Type == mount.TypeVolume && anonymousName.MatchString(m.Source) &&
			slices.ContainsFunc(from, func(old moby.MountPoint) bool { return old.Name == m.Source }) {
			names = append(names, m.Source)
		}
	}
	return strings.Join(names, ",")
}

// bindString writes a volume in the older form. ok is false where that form cannot express it.
func bindString(p *container.App, v types.ServiceVolumeConfig) (string, bool) {
	source := v.Source
	options := []string{"rw"}
	if v.ReadOnly {
		options[0] = "ro"
	}
	switch v.Type {
	case types.VolumeTypeBind:
		if b := v.Bind; b != nil {
			if !bool(b.CreateHostPath) || b.Propagation != "" || b.Recursive != "" {
				return "", false
			}
		}
	case types.VolumeTypeVolume:
		named, ok := p.Volumes[v.Source]
		if !ok || v.Volume != nil && (len(v.Volume.Labels) > 0 || v.Volume.Subpath != "" || v.Volume.NoCopy) {
			return "", false
		}
		source = named.Name
	default:
		return "", false
	}
	if v.Bind != nil && v.Bind.SELinux != "" {
		options = append(options, v.Bind.SELinux) // of a named volume as of a bind mount: v:/data:z
	}
	return source + ":" + v.Target + ":" + strings.Join(options, ","), true
}

func mountOf(p *container.App, v types.ServiceVolumeConfig) mount.Mount {
	m := mount.Mount{
		Type: mount.Type(v.Type), Source: v.Source, Target: v.Target,
		ReadOnly: v.ReadOnly, Consistency: mount.Consistency(v.Consistency),
	}
	if named, ok := p.Volumes[v.Source]; ok && v.Type == types.VolumeTypeVolume {
		m.Source = named.Name
	}
	switch {
	case v.Type == types.VolumeTypeBind && v.Bind != nil:
		m.BindOptions = &mount.BindOptions{
			Propagation:            mount.Propagation(v.Bind.Propagation),
			CreateMountpoint:       bool(v.Bind.CreateHostPath),
			NonRecursive:           v.Bind.Recursive == "disabled",
			ReadOnlyNonRecursive:   v.Bind.Recursive == "writable",
			ReadOnlyForceRecursive: v.Bind.Recursive == "readonly",
		}
	case v.Type == types.VolumeTypeVolume && v.Volume != nil:
		m.VolumeOptions = &mount.VolumeOptions{NoCopy: v.Volume.NoCopy, Subpath: v.Volume.Subpath,
			Labels: v.Volume.Labels}
	case v.Type == types.VolumeTypeTmpfs && v.Tmpfs != nil:
		m.TmpfsOptions = &mount.TmpfsOptions{SizeBytes: int64(v.Tmpfs.Size), Mode: fs.FileMode(v.Tmpfs.Mode)}
	case v.Type == types.VolumeTypeImage && v.Image != nil:
		m.ImageOptions = &mount.ImageOptions{Subpath: v.Image.SubPath}
	}
	return m
}

// fileMounts are the secrets and configs that are files on the host.
func fileMounts(p *container.App, s types.ServiceConfig) ([]mount.Mount, error) {
	var all []mount.Mount
	for _, f := range fileReferences(p, s) {
		if err := f.supported(); err != nil {
			return nil, err
		}
		if f.object.File == "" || f.inline() {
			continue
		}
		all = append(all, mount.Mount{Type: mount.TypeBind, Source: f.object.File, Target: f.target,
			ReadOnly: true})
	}
	return all, nil
}

// fileReference is a secret or config as one service uses it.
type fileReference struct {
	kind   string // "secret" or "config"
	key    string
	ref    types.FileReferenceConfig
	object types.FileObjectConfig
	target string // absolute in the container
}

// inline reports whether the content is copied in instead of mounted.
func (f fileReference) inline() bool { return f.object.Content != "" || f.object.Environment != "" }

func (f fileReference) supported() error {
	switch {
	case bool(f.object.External):
		return container.WithRemedy(fmt.Errorf("%s %s is external, which needs swarm", f.kind, f.key),
			"give it a file, content or environment")
	case f.object.Driver != "":
		return container.WithRemedy(fmt.Errorf("%s %s has a driver, which needs swarm", f.kind,
			f.key), "give it a file, content or environment")
	case f.object.TemplateDriver != "":
		return container.WithRemedy(fmt.Errorf("%s %s has a template_driver, which needs swarm",
			f.kind, f.key), "remove it")
	}
	return nil
}

func fileReferences(p *container.App, s types.ServiceConfig) []fileReference {
	var list []fileReference
	for _, ref := range s.Secrets {
		list = append(list, fileReference{
			"secret", ref.Source, types.FileReferenceConfig(ref), types.FileObjectConfig(p.Secrets[ref.Source]),
			targetIn(secretDir, ref.Target, ref.Source),
		})
	}
	for _, ref := range s.Configs {
		list = append(list, fileReference{
			"config", ref.Source, types.FileReferenceConfig(ref), types.FileObjectConfig(p.Configs[ref.Source]),
			targetIn("/", ref.Target, ref.Source),
		})
	}
	return list
}

func targetIn(dir, target, source string) string {
	switch {
	case target == "":
		return dir + source
	case strings.HasPrefix(target, "/"), len(target) > 2 && target[1] == ':' &&
		(target[2] == '\\' || target[2] == '/'):
		return target
	}
	return dir + target
}
