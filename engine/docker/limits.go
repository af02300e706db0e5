package docker

import (
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// limits says which attributes of a service an engine of this API version would
// ignore without a word, and refuses where ignoring would run something else than
// what was asked for.
func limits(s *container.Service, api apiVersion) (warnings []string, err error) {
	need := func(used bool, since apiVersion, attribute, release string) {
		if used && api < since {
			warnings = append(warnings,
				fmt.Sprintf("service %s: %s has no effect on this engine (API %s); it needs Docker Engine %s", s.Name, attribute, api, release))
		}
	}
	refuse := func(used bool, since apiVersion, attribute, release string) {
		if used && api < since && err == nil {
			err = fmt.Errorf("%s needs Docker Engine %s or later, and this one speaks API %s",
				attribute, release, api)
		}
	}
	c := s.Config
	mac, gateway := c.MacAddress != "", false
	for key, n := range c.Networks {
		if n == nil {
			continue
		}
		mac = mac || n.MacAddress != ""
		gateway = gateway || n.GatewayPriority != 0
		refuse(n.InterfaceName != "", 49, "networks."+key+".interface_name", "28.1")
	}
	need(mac, 44, "mac_address", "25")
	need(gateway, 48, "gw_priority", "28")
	need(len(c.Annotations) > 0, 43, "annotations", "24")
	need(c.Cgroup != "", 41, "cgroup", "20.10")
	need(c.Platform != "", 41, "platform", "20.10")
	need(c.HealthCheck != nil && c.HealthCheck.StartInterval != nil, 44, "healthcheck.start_interval", "25")
	refuse(c.Umask != nil, 56, "umask", "29.8") // ignored, it would leave files open that were to be closed
	for _, v := range c.Volumes {
		refuse(v.Type == types.VolumeTypeImage, 48, "a volume of type image", "28")
		refuse(v.Volume != nil && v.Volume.Subpath != "", 45, "volumes.subpath", "26")
		need(v.Bind != nil && strings.HasPrefix(v.Bind.Recursive, "read") || v.Bind != nil &&
			v.Bind.Recursive == "writable", 44, "bind.recursive", "25")
	}
	return warnings, err
}
