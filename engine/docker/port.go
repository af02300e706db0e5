package docker

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// portTaken recognizes the errors by which engines of all ages report that a host port is not free.
func portTaken(text string) bool {
	return strings.Contains(text, "port is already allocated") ||
		strings.Contains(text, "address already in use") && (strings.Contains(text, "bind") ||
			strings.Contains(text, "listen"))
}

var addressInText = regexp.MustCompile(`(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]*\]|::):(\d{1,5})\b`)

// portOf finds the host port that such an error is about, 0 when it names none.
func portOf(text string) int {
	m := addressInText.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > 65535 {
		return 0
	}
	return n
}

// startError names the port that is taken and who has it, as far as that can be found out.
func (r *Runtime) startError(ctx context.Context, what, id string, err error) error {
	text := plain(err)
	if text == "Address already in use" {
		return r.addressError(ctx, what, id, err)
	}
	if !portTaken(text) {
		return r.explain(what, err)
	}
	e := &apiError{what: what, text: text, kind: container.ErrConflict, err: err}
	port := portOf(text)
	if port == 0 {
		return e
	}
	e.remedy = "stop it, or publish another port"
	switch holder, mine := r.portHolder(ctx, id, port); {
	case holder != "" && mine:
		e.text = fmt.Sprintf("port %d is taken by %s", port, holder)
	case r.end.unix():
		if p := listener(port); p != "" {
			e.text = fmt.Sprintf("port %d is taken by %s", port, p)
			break
		}
		fallthrough
	default:
		e.text, e.remedy = fmt.Sprintf("port %d is taken on the host", port), "publish another port, or free it"
	}
	return e
}

// ociExec is what runc and its like say when the first process cannot be started.
var ociExec = regexp.MustCompile(
	`exec: "([^"]*)": (?:stat [^:]*: )?(executable file not found in \$PATH|no such file or directory|permission denied|is a directory)`)

// noProgram says in a person's words that a container's first process cannot be started, "" when
// that is not the reason.
func noProgram(text string) (why, remedy string) {
	m := ociExec.FindStringSubmatch(text)
	if m == nil {
		return "", ""
	}
	switch m[2] {
	case "permission denied":
		return fmt.Sprintf("%q may not be executed in the image", m[1]),
			"make it executable (`chmod +x`), or correct command or entrypoint"
	case "is a directory":
		return fmt.Sprintf("%q is a folder in the image", m[1]), "correct command or entrypoint"
	}
	return fmt.Sprintf("the image has no program %q", m[1]), "correct command or entrypoint"
}

// portHolder looks for the container that publishes a port. found is false when it
// is none of this engine's.
func (r *Runtime) portHolder(ctx context.Context, self string, port int) (holder string, found bool) {
	list, err := r.cli.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return "", false // the error at hand is shown without a holder
	}
	for _, s := range list.Items {
		if s.ID == self {
			continue
		}
		for _, p := range s.Ports {
			if int(p.PublicPort) != port {
				continue
			}
			holder = "container " + summaryName(s)
			if project := s.Labels[labelProject]; project != "" {
				holder += " of project " + project
			}
			return holder, true
		}
	}
	return "", false
}

// addressError says who has the fixed address that a container wants.
func (r *Runtime) addressError(ctx context.Context, what, id string, err error) error {
	e := &apiError{what: what, text: "its fixed address is taken",
		remedy: "choose another ipv4_address: or ipv6_address:", kind: container.ErrConflict, err: err}
	self, ierr := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if ierr != nil || self.Container.NetworkSettings == nil {
		return e // the error at hand is shown without a holder
	}
	for name, ep := range self.Container.NetworkSettings.Networks {
		if ep.IPAMConfig == nil {
			continue
		}
		net, ierr := r.cli.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
		if ierr != nil {
			continue
		}
		for _, other := range net.Network.Containers {
			if a := other.IPv4Address.Addr(); a.IsValid() && a == ep.IPAMConfig.IPv4Address {
				e.text = fmt.Sprintf("the address %s is taken by container %s on network %s", a,
					other.Name, name)
			} else if a := other.IPv6Address.Addr(); a.IsValid() && a == ep.IPAMConfig.IPv6Address {
				e.text = fmt.Sprintf("the address %s is taken by container %s on network %s", a,
					other.Name, name)
			}
		}
	}
	return e
}
