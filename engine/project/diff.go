package project

// ChangeKind is what a change of the files means for a service.
type ChangeKind int

// The kinds of change.
const (
	UnknownChange ChangeKind = iota
	Added
	Removed
	Recreate // the container must be made anew
	Rules    // only what bulkhead does with it: develop, x-bulkhead, depends_on, pull_policy
	Rescale  // another number of replicas
	Build    // the image must be built anew
)

// Change is one difference between two loads of a project.
type Change struct {
	Service string
	Kind    ChangeKind
	Reasons []string // "environment.PORT: 8080 -> 8081"; values that look secret are masked
}
