package project

import (
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// MountsImages says whether a service mounts images as volumes.
func (s *Service) MountsImages() bool {
	return slices.ContainsFunc(s.Config.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Type == types.VolumeTypeImage
	})
}

// WithImages returns the service with the names of the images that it mounts in the place of what its file says, and
// with which ones they are: as docker compose has it before it hashes a service.
func (s *Service) WithImages(names map[string]string, digests string) (*Service, error) {
	c := *s
	for _, volumes := range []*[]types.ServiceVolumeConfig{&c.Config.Volumes, &c.Bare.Volumes} {
		*volumes = slices.Clone(*volumes)
		for i, v := range *volumes {
			if name := names[v.Source]; v.Type == types.VolumeTypeImage && name != "" {
				(*volumes)[i].Source = name
			}
		}
	}
	var err error
	c.VolumeImages = digests
	c.Hash, err = ServiceHash(c.Bare)
	return &c, err
}
