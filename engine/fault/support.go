package fault

import (
	"context"
	"slices"
	"strings"

	"bulkhead/engine/agent"
	"bulkhead/engine/container"
)

// Support is what the runtime and the kernel of its machine can do, of what faults need. Its methods
// may be called from any goroutine, and take no lock of the Injector: an agent that tries the kernel
// has a network of its own, where no fault is.
type Support struct {
	rt      *container.Complete
	project string // that the agent is part of

	probing turn                     // held while an agent tries the kernel, so that one does
	missing map[agent.Ability]string // guarded by probing; nil: not probed yet
}

func supportOf(rt *container.Complete, project string) *Support {
	return &Support{rt: rt, project: project, probing: make(turn, 1)}
}

// kernelNeeds are the needs that only the agent can judge.
var kernelNeeds = map[Need]agent.Ability{NeedNAT: agent.NAT, NeedDrop: agent.Drop,
	NeedRandom: agent.Random, NeedNetem: agent.Netem, NeedTBF: agent.TBF}

// Offer returns why faults are not possible here, by their kinds; what is possible is left out. The
// first time it has an agent try what the kernel can do, which takes a second.
func (s *Support) Offer(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	agents := s.rt.Caps.Agent && agent.Built()
	var missing map[agent.Ability]string
	var probed error
	if agents {
		if err := s.probing.lock(ctx); err != nil {
			return nil, err
		}
		missing, probed = s.probe(ctx)
		s.probing.Unlock()
	}
	for _, k := range kinds {
		if why := k.Lacking(s.rt.Caps); why != "" {
			out[k.Name] = why
			continue
		}
		if !slices.Contains(k.Needs, NeedAgent) {
			continue
		}
		switch {
		case !agents:
			out[k.Name] = agent.ErrNotBuilt.Error()
			continue
		case probed != nil:
			out[k.Name] = "the agent does not run here: " + probed.Error()
			continue
		}
		for _, need := range k.Needs {
			if why := missing[kernelNeeds[need]]; why != "" {
				out[k.Name] = strings.ReplaceAll(why, "\n", "; ")
			}
		}
	}
	return out, nil
}

// Unavailable says why faults of a kind are not possible here, "" where they are. Of one that needs no
// agent that is known at once.
func (s *Support) Unavailable(ctx context.Context, kind string) string {
	why, err := s.lacks(ctx, KindOf(kind))
	if err != nil {
		return err.Error()
	}
	return why
}

// lacks is Unavailable with the error of the question itself.
func (s *Support) lacks(ctx context.Context, k *Kind) (string, error) {
	why := k.Lacking(s.rt.Caps)
	if why != "" || !slices.Contains(k.Needs, NeedAgent) {
		return why, nil
	}
	all, err := s.Offer(ctx)
	if err == nil {
		err = ctx.Err() // an agent that was given up says nothing of what is possible
	}
	return all[k.Name], err
}

// wait returns once no agent tries the kernel, so that none is left behind.
func (s *Support) wait() {
	s.probing.Lock()
	defer s.probing.Unlock()
}

// probe returns what the kernel cannot do. The first time it asks an agent in a namespace of its own;
// after an error it asks again. Callers hold probing.
func (s *Support) probe(ctx context.Context) (map[agent.Ability]string, error) {
	if s.missing != nil {
		return s.missing, nil
	}
	a, err := startSidecar(ctx, s.rt, container.AgentSpec{Project: s.project,
		Profile: container.AgentNet, Args: []string{"probe"}},
		func(*agent.Reply) {}, func() {})
	if err != nil {
		return nil, err
	}
	defer a.close()
	if s.missing = a.missing; s.missing == nil {
		s.missing = map[agent.Ability]string{}
	}
	return s.missing, nil
}
