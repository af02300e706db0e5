package container

import (
	"context"
	"time"
)

// Swapper puts a container in the place of another one by itself, as an orchestrator does that keeps
// up the number of its containers. A runtime without it is swapped by Create, Stop, Start, Rename and
// Remove.
type Swapper interface {
	// Swap makes a container, starts it, and removes the one whose place it takes; what that one wrote
	// can be read until then. It returns the new id, which may be the old one where ids are those of
	// places: Started tells the lives apart then. With an error the old one runs as before, where it
	// ran, or is gone; nothing else is left.
	Swap(ctx context.Context, s SwapSpec) (id string, err error)
}

// SwapSpec says which container takes whose place. Its functions are called by Swap before it returns,
// one at a time.
type SwapSpec struct {
	Old string // id
	New CreateSpec
	// Grace is the old one's, as of Runtime.Stop.
	Grace time.Duration
	// Overlap is how long the new one may take to become ready (healthy, or started where it has no
	// healthcheck) while the old one serves on. 0: the old one ends first.
	Overlap time.Duration
	// Made is called once the new one is there and before its program starts, and before an event of it
	// is sent. Its files can be written from then on, where the runtime can write those of a container
	// that does not run. With an error the swap is given up.
	Made func(ctx context.Context, id string) error
	// Stage takes how long a stage took: "create", "stop", "start", "ready".
	Stage func(stage string, took time.Duration)
}
