package cli

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"bulkhead/engine/container"
)

// psTable are the columns of ps.
const psTable = "table {{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}"

// psRaw is the format raw.
const psRaw = `container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
`

var psHeaders = headers{
	"ID": "CONTAINER ID", "Name": "NAME", "Project": "PROJECT", "Service": "SERVICE",
	"Image": "IMAGE", "Command": "COMMAND",
	"CreatedAt": "CREATED AT", "RunningFor": "CREATED", "Ports": "PORTS", "State": "STATE",
	"Status": "STATUS", "Size": "SIZE",
	"Labels": "LABELS", "Engine": "ENGINE",
}

// psView is one container in a template of ps. Its methods are the fields of docker compose's.
type psView struct {
	s     container.Summary
	trunc bool
	// health and exitCode are set where the template has them: they cost a question each.
	health   string
	exitCode int
}

// publisher is one port in .Publishers.
type publisher struct {
	URL           string
	TargetPort    int
	PublishedPort int
	Protocol      string
}

// String is a port as docker compose writes it in a template.
func (p publisher) String() string {
	return fmt.Sprintf("%d/%s -> %s", p.TargetPort, p.Protocol,
		net.JoinHostPort(p.URL, strconv.Itoa(p.PublishedPort)))
}

func (v *psView) MarshalJSON() ([]byte, error) { return methodsJSON(v) }

func (v *psView) ID() string {
	if v.trunc {
		return container.ShortID(v.s.ID)
	}
	return v.s.ID
}

func (v *psView) Name() string { return v.s.Name }

func (v *psView) Names() string {
	var names []string
	for _, n := range v.s.Names {
		names = append(names, strings.TrimPrefix(n, "/"))
	}
	if v.trunc {
		for _, n := range names {
			if !strings.Contains(n, "/") {
				return n
			}
		}
	}
	return strings.Join(names, ",")
}

func (v *psView) Service() string { return v.s.Service }
func (v *psView) Project() string { return v.s.Project }
func (v *psView) Image() string   { return v.s.Image }

func (v *psView) Command() string {
	command := v.s.Command
	if v.trunc {
		command = ellipsis(command, 20)
	}
	return strconv.Quote(command)
}

func (v *psView) CreatedAt() string { return time.Unix(v.s.Created, 0).String() }

func (v *psView) RunningFor() string {
	return units.HumanDuration(time.Since(time.Unix(v.s.Created, 0))) + " ago"
}

func (v *psView) ExitCode() int  { return v.exitCode }
func (v *psView) State() string  { return v.s.State }
func (v *psView) Status() string { return v.s.Status }
func (v *psView) Health() string { return v.health }

func (v *psView) Publishers() []publisher {
	all := []publisher{}
	for _, p := range v.s.Ports {
		all = append(all, publisher{URL: p.Host, TargetPort: p.Target, PublishedPort: p.Published,
			Protocol: p.Protocol})
	}
	return all
}

func (v *psView) Ports() string { return displayedPorts(v.s.Ports) }

func (v *psView) Labels() string {
	return strings.Join(sortedPairs(v.s.Labels), ",")
}

func (v *psView) Label(name string) string { return v.s.Labels[name] }
func (v *psView) Engine() string           { return v.s.Labels["com.docker.compose.engine"] }

func (v *psView) Mounts() string {
	var all []string
	for _, m := range v.s.Mounts {
		if v.trunc {
			m = ellipsis(m, 15)
		}
		all = append(all, m)
	}
	return strings.Join(all, ",")
}

func (v *psView) LocalVolumes() string { return strconv.Itoa(v.s.LocalVolumes) }
func (v *psView) Networks() string     { return strings.Join(v.s.Networks, ",") }

// Size is never asked for, as docker compose never asks for it.
func (v *psView) Size() string { return "0B" }

// portRange are ports in a row that are published under their own numbers on one address.
type portRange struct {
	key, host, protocol string
	first, last         int
}

func (r *portRange) String() string {
	ports := strconv.Itoa(r.first)
	if r.last != r.first {
		ports += "-" + strconv.Itoa(r.last)
	}
	if r.host != "" {
		ports = net.JoinHostPort(r.host, ports) + "->" + ports
	}
	return ports + "/" + r.protocol
}

// displayedPorts is the text of docker's PORTS column: ranges, then those published under another number.
func displayedPorts(ports []container.SummaryPort) string {
	address := func(host string) netip.Addr { a, _ := netip.ParseAddr(host); return a }
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b container.SummaryPort) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), address(a.Host).Compare(address(b.Host)),
			cmp.Compare(a.Published, b.Published), cmp.Compare(a.Protocol, b.Protocol))
	})
	var done, others []string
	var open []*portRange
	for _, p := range ports {
		if p.Host != "" && p.Published != p.Target {
			others = append(others, fmt.Sprintf("%s->%d/%s", hostPort(p), p.Target, p.Protocol))
			continue
		}
		key := p.Host + "/" + p.Protocol
		i := slices.IndexFunc(open, func(r *portRange) bool { return r.key == key })
		switch {
		case i < 0:
			open = append(open, &portRange{key: key, host: p.Host, protocol: p.Protocol,
				first: p.Target, last: p.Target})
		case p.Target == open[i].last+1:
			open[i].last = p.Target
		default:
			done = append(done, open[i].String())
			open[i].first, open[i].last = p.Target, p.Target
		}
	}
	for _, r := range open {
		done = append(done, r.String())
	}
	return strings.Join(append(done, others...), ", ")
}
