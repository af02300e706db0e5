// Package docker runs containers on the Docker Engine API: it implements the port,
// engine/container, and is the only package that knows the moby client and its types.
// It owns the connection to one engine and what is known about that engine. It decides
// nothing: which container is made, stopped or replaced is the caller's to say. main opens
// a Runtime and hands it to the engine and the verbs, which know it by the port alone.
//
// What it makes carries the labels, names and hashes of docker compose, so that either
// program takes over what the other one made. The mapping from Compose attributes to the
// Engine's is pure: see containerConfig, hostConfig, endpoints and mounts.
package docker

import (
	"fmt"

	"bulkhead/engine/container"
)

// Options say which engine to talk to. The zero value is what the docker command
// would choose: DOCKER_HOST, then DOCKER_CONTEXT, then the current context of the
// docker config, then the platform's default socket.
type Options struct {
	Host      string // unix://, tcp://, http://, npipe:// or ssh://; it wins over Context
	Context   string // name of a docker context
	ConfigDir string // the docker command's config folder; "": DOCKER_CONFIG, else ~/.docker
	// Parallel is how many creations, starts, stops, pulls, pushes and classic builds run at a time; 0: no limit.
	Parallel int
	// State is a folder in which a local engine's answer to who it is is kept for some minutes, so
	// that the next process need not ask; "" asks each time.
	State string
	// Warn gets one line for what an object asks for and this engine does not do,
	// each line once. It may be called from any goroutine and must not block. nil:
	// the lines are lost.
	Warn func(line string)
	// Log gets a line on what was decided about the connection. nil: none.
	Log func(line string)
}

// Runtime is a container.Runtime. All methods may be called from any goroutine.
// Nothing is dialed before the first call.
//
// Each optional interface of the port is a type of its own, with its own state; so
// are the parts of container.Runtime that need more than a call of the client.
type Runtime struct {
	*connection
	*executor
	*logReader
	*pauser
	*renamer
	*provisioner
	*imageStore
	*attacher
	*previewer
	*meter
	*fileReader
	*fileWriter
	*signalReader
	*dialer
	*limiter
	*extras
	*foregrounder
	*agentRunner
	*programs
	*oldBuilder
	*lister
	*processLister
	*sampler
	*archiver
	*committer
	*pusher
	*actionReader
	*volumeLister
	container.Holder
	*credentialer
}

var _ container.Runtime = (*Runtime)(nil)

// New finds out where the engine is. The error names the file or variable that is
// wrong. It wraps container.ErrNoEngine when a context is chosen that does not
// exist, or a host that is none.
func New(o Options) (*Runtime, error) {
	end, err := findEndpoint(o)
	if err != nil {
		return nil, err
	}
	cli, err := newClient(end)
	if err != nil {
		return nil, fmt.Errorf(
			"%w: use the docker engine at %s: %w; write DOCKER_HOST as unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host",
			container.ErrNoEngine, end.host, err)
	}
	if o.Log != nil {
		o.Log(fmt.Sprintf("docker engine: %s (context %s)", end.host, end.context))
	}
	c := &connection{opt: o, end: end, cli: cli, warned: map[string]bool{}}
	if o.Parallel > 0 {
		c.slots = make(chan struct{}, o.Parallel)
	}
	return newRuntime(c), nil
}

func newRuntime(c *connection) *Runtime {
	agents := &agentRunner{conn: c}
	in := newInside(c, agents)
	exec, files, images := &executor{c}, newFileReader(c, in), &imageStore{c}
	return &Runtime{
		connection: c, executor: exec, logReader: &logReader{c}, pauser: &pauser{c}, renamer: &renamer{c},
		provisioner: &provisioner{c}, imageStore: images, attacher: &attacher{c},
		previewer: &previewer{c}, meter: newMeter(c),
		fileReader: files, fileWriter: &fileWriter{conn: c, inside: in, files: files, exec: exec},
		signalReader: &signalReader{c}, dialer: newDialer(c, agents), limiter: &limiter{c},
		agentRunner: agents, programs: &programs{conn: c, runner: agents, exec: exec,
			lives: map[string]programLife{}}, extras: &extras{c}, foregrounder: &foregrounder{c},
		oldBuilder: &oldBuilder{c},
		lister:     &lister{c}, processLister: &processLister{c}, sampler: &sampler{c},
		archiver: &archiver{c}, committer: &committer{c},
		pusher: &pusher{conn: c, images: images}, actionReader: &actionReader{c},
		volumeLister: &volumeLister{c}, Holder: container.RetryingHolder(&holder{c}), credentialer: &credentialer{c},
	}
}

// Close implements container.Runtime: it ends the agents beside containers, and closes the idle
// connections. Calls under way go on.
func (r *Runtime) Close() error {
	r.fileWriter.inside.close()
	r.dialer.agents.close()
	return r.connection.Close()
}
