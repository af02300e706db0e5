package project

import (
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Parents lists the services whose containers a service joins or takes volumes from, sorted.
func (s *Service) Parents() []string {
	var out []string
	c := s.Config
	for _, mode := range []string{c.NetworkMode, c.Ipc, c.Pid} {
		if name, ok := strings.CutPrefix(mode, types.ServicePrefix); ok {
			out = append(out, name)
		}
	}
	for _, v := range c.VolumesFrom {
		name, _, _ := strings.Cut(v, ":")
		if name != "container" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
