package ui

import (
	"fmt"

	"bulkhead/engine"
)

// target is what is selected: a service, or one replica of it (0: all of them).
type target struct {
	service string
	replica int
	orphan  string // a container whose service the file does not name; service is "" then
}

func (t target) String() string {
	if t.orphan != "" {
		return t.orphan
	}
	if t.replica > 0 {
		return fmt.Sprintf("%s/%d", t.service, t.replica)
	}
	return t.service
}

// selection is what verbs act on and what the logs show. The services pane owns it; others read it.
type selection struct {
	target
	marked map[string]bool // services; where there are any, verbs act on them in place of target
	e      *env
}

// one is the service under the cursor, nil when there is none.
func (s *selection) one() *engine.Service { return s.e.snap.service(s.service) }

// marking says whether services are marked.
func (s *selection) marking() bool { return len(s.marked) > 0 }

// toggleMark marks the service under the cursor, or takes its mark away.
func (s *selection) toggleMark() {
	if s.marked[s.service] {
		delete(s.marked, s.service)
	} else {
		s.marked[s.service] = true
	}
}

// markedNames are the marked services that exist, by name.
func (s *selection) markedNames() []string {
	var out []string
	for _, svc := range s.e.snap.Services {
		if s.marked[svc.Name] {
			out = append(out, svc.Name)
		}
	}
	return out
}

// targets are what a verb acts on: the marked services, else the one under the cursor.
func (s *selection) targets() ([]string, int) {
	if s.marking() {
		return s.markedNames(), 0
	}
	if s.one() == nil {
		return nil, 0
	}
	return []string{s.service}, s.replica
}

// services are the services that a verb acts on.
func (s *selection) services() []*engine.Service {
	names, _ := s.targets()
	var out []*engine.Service
	for _, n := range names {
		if svc := s.e.snap.service(n); svc != nil {
			out = append(out, svc)
		}
	}
	return out
}
