package docker

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"bulkhead/engine/container"
)

// joined is how a container joins its networks.
type joined struct {
	mode    moby.NetworkMode
	primary map[string]*network.EndpointSettings // by network name; goes with create
	// later are joined after create and before start, in order: an engine below API
	// 1.44 takes one network at create.
	later []namedEndpoint
}

type namedEndpoint struct {
	network string
	config  *network.EndpointSettings
}

// endpoints maps the networks of a service. The primary network is the one of the
// highest priority. links are those of links and external_links, as
// "container:alias".
func endpoints(c container.CreateSpec, links []string, api apiVersion) (joined, error) {
	p, s := c.App, c.Service.Config
	if s.NetworkMode != "" {
		return joined{}, nil // hostConfig has it
	}
	if len(p.Networks) == 0 {
		return joined{mode: "none"}, nil
	}
	keys := s.NetworksByPriority()
	if len(keys) == 0 {
		keys = []string{networkKeyOfNone}
	}
	var j joined
	for i, key := range keys {
		ep, err := endpointSettings(c, key, links)
		if err != nil {
			return joined{}, fmt.Errorf("network %s: %w", key, err)
		}
		name := p.Networks[key].Name
		switch {
		case i == 0:
			if ep.MacAddress == nil && s.MacAddress != "" {
				if ep.MacAddress, err = hardwareAddr(s.MacAddress); err != nil {
					return joined{}, err
				}
			}
			j.mode = moby.NetworkMode(name)
			j.primary = map[string]*network.EndpointSettings{name: ep}
		case api >= 44:
			j.primary[name] = ep
		default:
			j.later = append(j.later, namedEndpoint{name, ep})
		}
	}
	return j, nil
}

func endpointSettings(c container.CreateSpec, key string, links []string) (*network.EndpointSettings, error) {
	conf := c.Service.Config.Networks[key]
	// The final name, even while the container still has another one.
	aliases := []string{c.FinalName()}
	named := c.Beside == nil || c.Beside.Aliases
	if named && (conf == nil || conf.UseServiceNameAlias == nil || *conf.UseServiceNameAlias) {
		aliases = append(aliases, c.Service.Name)
	}
	ep := &network.EndpointSettings{Links: links}
	if conf != nil {
		if named {
			aliases = append(aliases, conf.Aliases...)
		}
		if err := fillEndpoint(ep, conf); err != nil {
			return nil, err
		}
	}
	ep.Aliases = aliases
	return ep, nil
}

func fillEndpoint(ep *network.EndpointSettings, conf *types.ServiceNetworkConfig) error {
	var err error
	ipam := &network.EndpointIPAMConfig{}
	if ipam.IPv4Address, err = optionalAddr("ipv4_address", conf.Ipv4Address); err != nil {
		return err
	}
	if ipam.IPv6Address, err = optionalAddr("ipv6_address", conf.Ipv6Address); err != nil {
		return err
	}
	if ipam.LinkLocalIPs, err = addresses("link_local_ips", conf.LinkLocalIPs); err != nil {
		return err
	}
	if ipam.IPv4Address.IsValid() || ipam.IPv6Address.IsValid() || ipam.LinkLocalIPs != nil {
		ep.IPAMConfig = ipam
	}
	if conf.MacAddress != "" {
		if ep.MacAddress, err = hardwareAddr(conf.MacAddress); err != nil {
			return err
		}
	}
	ep.GwPriority = conf.GatewayPriority
	if len(conf.DriverOpts) > 0 || conf.InterfaceName != "" {
		ep.DriverOpts = map[string]string{}
		if conf.InterfaceName != "" {
			ep.DriverOpts["com.docker.network.endpoint.ifname"] = conf.InterfaceName
		}
		for name, value := range conf.DriverOpts {
			ep.DriverOpts[name] = value
		}
	}
	return nil
}

func optionalAddr(attribute, text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, fmt.Errorf("%s %q is not an IP address", attribute, text)
	}
	return addr.Unmap(), nil
}

func hardwareAddr(text string) (network.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err != nil {
		return nil, fmt.Errorf("mac_address %q: write it as 02:42:ac:11:00:02", text)
	}
	return network.HardwareAddr(mac), nil
}

// linkNames makes the engine's links: for each container of a linked service its
// alias and docker compose's two further names; then the external ones. containers
// has the names of each service's containers.
func linkNames(p *container.App, s types.ServiceConfig, replica int, containers map[string][]string) []string {
	var links []string
	sep := cmp.Or(p.Separator, "-")
	for _, l := range s.Links {
		service, alias, ok := strings.Cut(l, ":")
		if !ok {
			alias = service
		}
		for _, c := range containers[service] {
			links = append(links, c+":"+alias, c+":"+service+sep+strconv.Itoa(replica), c+":"+
				p.ContainerName(service, replica))
		}
	}
	for _, l := range s.ExternalLinks {
		name, alias, ok := strings.Cut(l, ":")
		if !ok {
			alias = name
		}
		links = append(links, name+":"+alias)
	}
	return links
}

// ipam maps a network's address management; nil leaves it to the engine.
func ipam(n types.IPAMConfig) (*network.IPAM, error) {
	if n.Driver == "" && len(n.Config) == 0 && len(n.Options) == 0 {
		return nil, nil
	}
	out := &network.IPAM{Driver: n.Driver, Options: n.Options}
	for _, pool := range n.Config {
		var c network.IPAMConfig
		var err error
		if c.Subnet, err = optionalPrefix("subnet", pool.Subnet); err != nil {
			return nil, err
		}
		if c.IPRange, err = optionalPrefix("ip_range", pool.IPRange); err != nil {
			return nil, err
		}
		if c.Gateway, err = optionalAddr("gateway", pool.Gateway); err != nil {
			return nil, err
		}
		for host, text := range pool.AuxiliaryAddresses {
			addr, err := optionalAddr("aux_addresses", text)
			if err != nil {
				return nil, err
			}
			if c.AuxAddress == nil {
				c.AuxAddress = map[string]netip.Addr{}
			}
			c.AuxAddress[host] = addr
		}
		out.Config = append(out.Config, c)
	}
	return out, nil
}

func optionalPrefix(attribute, text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%s %q is not a network such as 10.5.0.0/16", attribute, text)
	}
	return p, nil
}
