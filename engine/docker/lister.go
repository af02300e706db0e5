package docker

import (
	"context"
	"slices"
	"strings"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// lister is the container.Lister.
type lister struct {
	conn *connection
}

var _ container.Lister = (*Runtime)(nil)

// Summaries implements container.Lister.
func (l *lister) Summaries(ctx context.Context, o container.ListOptions) ([]container.Summary, error) {
	what := "list containers"
	labels := []string{labelProject}
	if o.Project != "" {
		what, labels = "list the containers of "+o.Project, []string{labelProject + "=" + o.Project}
	}
	if !o.Helpers {
		labels = append(labels, labelHash)
	}
	if !o.OneOffs {
		labels = append(labels, labelOneOff+"="+notOneOff)
	}
	list, err := l.conn.cli.ContainerList(ctx, client.ContainerListOptions{All: o.All,
		Filters: labelFilter(labels...)})
	if err != nil {
		return nil, l.conn.wrap(what, err)
	}
	all := make([]container.Summary, len(list.Items))
	for i, c := range list.Items {
		all[i] = summary(c)
	}
	return all, nil
}

func summary(c moby.Summary) container.Summary {
	s := container.Summary{
		ID: c.ID, Name: canonicalName(c.Names), Names: c.Names, Image: c.Image, ImageID: c.ImageID,
		Command: c.Command,
		State:   string(c.State), Status: c.Status, Created: c.Created, Labels: c.Labels,
		Project: c.Labels[labelProject], Service: c.Labels[labelService], Number: c.Labels[labelNumber],
		OneOff: c.Labels[labelOneOff] == "True",
	}
	if files, ok := c.Labels[labelFiles]; ok {
		s.Files = strings.Split(files, ",")
	}
	for _, m := range c.Mounts {
		name := m.Name
		if name == "" {
			name = m.Source
		} else {
			s.Volumes = append(s.Volumes, name)
		}
		if m.Driver == "local" {
			s.LocalVolumes++
		}
		s.Mounts = append(s.Mounts, name)
	}
	if n := c.NetworkSettings; n != nil {
		for name := range n.Networks {
			s.Networks = append(s.Networks, name)
		}
		slices.Sort(s.Networks)
	}
	for _, p := range c.Ports {
		port := container.SummaryPort{Published: int(p.PublicPort), Target: int(p.PrivatePort),
			Protocol: p.Type}
		if p.IP.IsValid() {
			port.Host = p.IP.String()
		}
		s.Ports = append(s.Ports, port)
	}
	slices.SortStableFunc(s.Ports, func(a, b container.SummaryPort) int { return a.Target - b.Target })
	return s
}

// canonicalName is a container's own name: those that links gave it have a slash in them.
func canonicalName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	if len(names) > 0 {
		return strings.TrimPrefix(names[0], "/")
	}
	return ""
}
