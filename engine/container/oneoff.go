package container

import (
	"context"
	"io"
)

// Beside is what sets a container that stands beside those of its service apart from them: it has
// no number, and the lists of the service's containers do not have it.
type Beside struct {
	// Slug makes a one-off of `run`, and is unique among them; Hook ("pre_start") makes a
	// container that is there for one hook. One of them is set.
	Slug, Hook string
	Index      int  // of a hook among those of its kind, from 0
	Remove     bool // the runtime removes it when it has ended
	Aliases    bool // its networks find it under the service's names too
	Stdin      bool // who runs it writes to its stdin, which ends with that
}

// Extras lists what a project has beside the containers of its services. Containers of hooks are
// named by their service alone.
type Extras interface {
	// OneOffs lists the containers that `run` made, and Hooks those of hooks that are still there.
	OneOffs(ctx context.Context, project string) ([]Instance, error)
	Hooks(ctx context.Context, project string) ([]Instance, error)
	// Guests names the containers that keep networks of the project in use, by network.
	Guests(ctx context.Context, project string) (map[string][]string, error)
	// Untag removes a name of an image, and the image with its last one. removed is false when there
	// is no such name, or a container uses the image.
	Untag(ctx context.Context, ref string) (removed bool, err error)
}

// Foregrounder runs containers in the foreground, with the streams of a person's terminal or of a script.
type Foregrounder interface {
	// Foreground connects to a container, has it started, and returns its exit code once it has
	// ended. start is called when nothing of the output can be missed any more; nil: it runs
	// already. ErrDetached when a person left it by its detach keys; it runs on. When ctx ends the
	// streams are cut, and it runs on too.
	Foreground(ctx context.Context, id string, o Streams,
		start func(context.Context) error) (code int, err error)
	// Wait returns the exit code of a container once it has ended; one that does not run has.
	Wait(ctx context.Context, id string) (code int, err error)
}

// Streams are the ends that a container in the foreground is connected with. Nil ones are not.
type Streams struct {
	Stdin      io.Reader
	Stdout     io.Writer
	Stderr     io.Writer
	Resize     <-chan Size // sizes of the terminal, the first one right away; may be nil
	DetachKeys string      // as docker writes them; "": the person's own setting, else ctrl-p,ctrl-q
}
