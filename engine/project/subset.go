package project

import (
	"slices"
)

// Without returns the project with a service not selected. The one that it is called on stays as it is.
func (p *Project) Without(name string) *Project {
	q := *p
	q.Services = slices.DeleteFunc(slices.Clone(p.Services), func(s *Service) bool { return s.Name == name })
	if len(q.Services) < len(p.Services) {
		q.Unselected = append(slices.Clone(p.Unselected), name)
		slices.Sort(q.Unselected)
	}
	return &q
}

// Scaled returns the project with other numbers of replicas, by service; those that are not named keep theirs.
func (p *Project) Scaled(replicas map[string]int) *Project {
	q := *p
	q.Services = slices.Clone(p.Services)
	for i, s := range q.Services {
		if n, ok := replicas[s.Name]; ok && n != s.Replicas {
			c := *s
			c.Replicas = n
			q.Services[i] = &c
		}
	}
	return &q
}
