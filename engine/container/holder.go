package container

import "context"

// Holder is a runtime that can note, beside its containers, who runs a project: another user's
// bulkhead, or one on another machine, finds it there.
type Holder interface {
	// HoldProject notes a holder of a project unless there is one, and returns who holds it now. What it
	// is made of is the caller's.
	HoldProject(ctx context.Context, project string, who map[string]string) (holder map[string]string,
		err error)
	// ProjectHolder returns who holds a project, nil when nobody does. keys are what the holder noted.
	ProjectHolder(ctx context.Context, project string, keys ...string) (holder map[string]string, err error)
	// ReleaseProject takes the note away, whoever's it is.
	ReleaseProject(ctx context.Context, project string) error
}
