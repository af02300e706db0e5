package oneoff

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
)

// Options are what a person asks of a one-off, over what its service says.
type Options struct {
	Command    []string          // empty: the service's
	Entrypoint []string          // nil: the service's
	Env        map[string]string // over the service's
	Labels     map[string]string // likewise
	User       string            // "": the service's
	Dir        string            // likewise
	CapAdd     []string
	CapDrop    []string
	Volumes    []string // as SOURCE:TARGET[:MODE]; relative sources begin in the current folder
	Publish    []string // as in ports:; in the place of the service's
	Ports      bool     // the service's own ports are published
	Name       string   // "": PROJECT-SERVICE-run-SLUG
	UseAliases bool     // its networks find it under the service's names
	Remove     bool     // it is removed when it has ended
	TTY        bool
	// Interactive keeps its stdin open for who runs it.
	Interactive bool
	Build       bool
	Pull        string // pull policy; "": the service's
}

// apply returns the service as the one-off wants it. The one that is given stays as it is.
func (o *Options) apply(p *project.Project, of *project.Service) (*project.Service, error) {
	s := *of
	s.Replicas = 1
	for _, c := range []*types.ServiceConfig{&s.Config, &s.Bare} {
		if err := o.change(c); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// change writes what was asked for into a service.
func (o *Options) change(c *types.ServiceConfig) error {
	c.Tty, c.StdinOpen = o.TTY, o.Interactive
	c.Restart = ""
	if c.Deploy != nil {
		deploy := *c.Deploy
		deploy.RestartPolicy = nil
		c.Deploy = &deploy
	}
	one := 1
	c.Scale = &one
	if err := o.changePorts(c); err != nil {
		return err
	}
	if err := o.changeVolumes(c); err != nil {
		return err
	}
	if len(o.Command) > 0 {
		c.Command = o.Command
	}
	if o.Entrypoint != nil {
		c.Entrypoint = o.Entrypoint
		if len(o.Command) == 0 {
			c.Command = []string{}
		}
	}
	if o.User != "" {
		c.User = o.User
	}
	if o.Dir != "" {
		c.WorkingDir = o.Dir
	}
	if len(o.CapAdd) > 0 {
		c.CapAdd, c.CapDrop = slices.Concat(c.CapAdd, o.CapAdd), without(c.CapDrop, o.CapAdd)
	}
	if len(o.CapDrop) > 0 {
		c.CapDrop, c.CapAdd = slices.Concat(c.CapDrop, o.CapDrop), without(c.CapAdd, o.CapDrop)
	}
	if len(o.Env) > 0 {
		env := types.MappingWithEquals{}
		maps.Copy(env, c.Environment)
		for k, v := range o.Env {
			env[k] = &v
		}
		c.Environment = env
	}
	if len(o.Labels) > 0 {
		labels := types.Labels{}
		maps.Copy(labels, c.Labels)
		maps.Copy(labels, o.Labels)
		c.Labels = labels
	}
	return nil
}

func (o *Options) changePorts(c *types.ServiceConfig) error {
	if o.Ports {
		return nil
	}
	c.Ports = []types.ServicePortConfig{}
	for _, text := range o.Publish {
		ports, err := types.ParsePortConfig(text)
		if err != nil {
			return fmt.Errorf("--publish %s: %w", text, err)
		}
		c.Ports = append(c.Ports, ports...)
	}
	return nil
}

func (o *Options) changeVolumes(c *types.ServiceConfig) error {
	c.Volumes = slices.Clone(c.Volumes)
	for _, text := range o.Volumes {
		v, err := format.ParseVolume(text)
		if err != nil {
			return fmt.Errorf("--volume %s: %w", text, err)
		}
		if v.Type == types.VolumeTypeBind && !filepath.IsAbs(v.Source) && !strings.HasPrefix(v.Source, "~") {
			if v.Source, err = filepath.Abs(v.Source); err != nil {
				return fmt.Errorf("--volume %s: %w", text, err)
			}
		}
		c.Volumes = append(c.Volumes, v)
	}
	return nil
}

// without returns a list without some of its words.
func without(list, out []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(out, s) })
}
