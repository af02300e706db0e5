package project

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// buildOnly adds the services whose images others begin with, copy from, or run, and that are not enabled
// themselves.
func (a *assembler) buildOnly(bare, full *types.Project) error {
	var others []*Service // that are not enabled and build an image; of them only that is known
	for _, name := range slices.Sorted(maps.Keys(full.DisabledServices)) {
		if of := full.DisabledServices[name]; of.Build != nil {
			s := &Service{Name: name, Config: of, Image: of.Image, Built: true}
			if s.Image == "" {
				s.Image = a.builtName(name)
			}
			others = append(others, s)
		}
	}
	if len(others) == 0 {
		return nil
	}
	found := map[string]bool{}
	for open := slices.Clone(a.p.Services); len(open) > 0; open = open[1:] {
		for _, name := range a.makersAmong(others, open[0]) {
			if found[name] {
				continue
			}
			s, err := a.service(name, bare.DisabledServices[name], full.DisabledServices[name])
			if err != nil {
				return err
			}
			s.Replicas, found[name] = 0, true
			open = append(open, s)
			a.p.BuildOnly = append(a.p.BuildOnly, s)
		}
	}
	slices.SortFunc(a.p.BuildOnly, func(a, b *Service) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// makersAmong names those of some services that build what a service needs and none that is enabled builds.
func (a *assembler) makersAmong(others []*Service, s *Service) (names []string) {
	images := []string{s.Image}
	if s.Built {
		images = s.baseImages(a.p.Compose.Environment)
		for _, where := range s.Config.Build.AdditionalContexts {
			name, ok := strings.CutPrefix(where, types.ServicePrefix)
			if ok && slices.ContainsFunc(others, func(o *Service) bool { return o.Name == name }) {
				names = append(names, name)
			}
		}
	}
	for _, image := range images {
		if makerIn(image, a.p.Services) != nil {
			continue
		}
		if o := makerIn(image, others); o != nil {
			names = append(names, o.Name)
		}
	}
	return names
}

// builtName is the name of the image that a service builds when its file names none.
func (a *assembler) builtName(service string) string { return a.p.Name + a.p.Separator + service }
