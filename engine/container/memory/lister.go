package memory

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"bulkhead/engine/container"
)

// lister is the Runtime's container.Lister.
type lister struct{ e *engine }

// Summaries implements container.Lister. Nothing here is a one-off or a helper.
func (l lister) Summaries(ctx context.Context, o container.ListOptions) ([]container.Summary, error) {
	if err := l.e.faults.enter(ctx, "Summaries", ""); err != nil {
		return nil, err
	}
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	var out []container.Summary
	for _, b := range l.e.all {
		in := b.instance()
		runs := in.State == container.StateRunning || in.State == container.StatePaused ||
			in.State == container.StateRestarting
		if o.Project != "" && b.project != o.Project || !o.All && !runs {
			continue
		}
		s := container.Summary{
			ID: in.ID, Name: in.Name, Names: []string{in.Name}, Project: b.project,
			Service: in.Service, Number: strconv.Itoa(in.Replica),
			Image: in.ImageRef, ImageID: in.ImageID, Command: strings.Join(b.command, " "),
			State: in.State.String(), Status: in.State.String(),
			Created: in.Created.Unix(), Volumes: in.Volumes, Mounts: in.Volumes,
		}
		for _, p := range in.Ports {
			s.Ports = append(s.Ports, container.SummaryPort(p))
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b container.Summary) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}
