package conformance

import (
	"slices"
	"strings"
	"testing"

	"bulkhead/engine/container"
)

var listCases = []Case{
	{Name: "a listing has what runs, and with all what does not", Run: listed},
}

func listed(t *testing.T, h Harness) {
	b := open(t, h)
	l, ok := h.Runtime.(container.Lister)
	if b.lacks(ok, "Lister") {
		return
	}
	id := b.start("web", waits())
	b.create(b.spec("db", waits()))
	b.ended(b.start("once", Program{Exits: true, Code: 3}))
	list := func(o container.ListOptions) (out []string) {
		t.Helper()
		all, err := l.Summaries(b.ctx, o)
		b.ok(err)
		for _, s := range all {
			if s.Project == b.Project {
				out = append(out, strings.Join([]string{s.Service, s.Number, s.State,
					strings.TrimPrefix(s.Name, b.Project)}, " "))
			}
		}
		slices.Sort(out)
		return out
	}
	b.same("those that run", list(container.ListOptions{Project: b.Project}), []string{"web 1 running -web-1"})
	all := []string{"db 1 created -db-1", "once 1 exited -once-1", "web 1 running -web-1"}
	b.same("all", list(container.ListOptions{Project: b.Project, All: true}), all)
	b.same("all of all projects", list(container.ListOptions{All: true}), all)
	b.same("those of another project", list(container.ListOptions{Project: b.Project + "x", All: true}), nil)
	found, err := l.Summaries(b.ctx, container.ListOptions{Project: b.Project})
	b.ok(err)
	in := b.inspect(id)
	if len(found) == 1 && (found[0].ID != in.ID || found[0].Image != in.ImageRef ||
		found[0].Created != in.Created.Unix()) {
		b.Errorf("the listing has %+v, and the container is %+v", found[0], in)
	}
}
