package container

import (
	"context"
	"io"
	"net/netip"
	"time"
)

// AgentRunner runs the agent, a small program of ours, in the namespaces of a container.
type AgentRunner interface {
	// RunAgent starts the agent and returns its input and output. Close ends its input, and with
	// that the agent. It leaves nothing behind but its image. ctx is for the start alone.
	RunAgent(ctx context.Context, a AgentSpec) (io.ReadWriteCloser, error)
	// Network returns the network namespace of a running container. ErrUnsupported when it has
	// none that may be worked in: that of the host, one without any network, or that of a
	// container which is not the project's.
	Network(ctx context.Context, project, id string) (Network, error)
}

// ProgramRestarter restarts the program of a container that goes on meanwhile, where the agent is its
// process 1 (Service.Program).
type ProgramRestarter interface {
	// RestartProgram ends the program with its stop signal, and after grace with SIGKILL, calls ended,
	// and then starts it again: what is written before is the old one's. ErrUnsupported, with nothing
	// done, when the container was not made so.
	RestartProgram(ctx context.Context, id string, grace time.Duration, ended func(ProgramEnd)) error
}

// ProgramEnd is how a program ended that was started again.
type ProgramEnd struct {
	At       time.Time
	ExitCode int
	Took     time.Duration // since its stop signal
	Killed   bool          // its grace was over
}

// AgentSpec says which agent to run.
type AgentSpec struct {
	Project string
	Service string // of the target
	Target  string // id of the container whose namespace it joins; "": one of its own, with no network
	Profile AgentProfile
	Program []byte // for Linux and the architecture of the engine
	Args    []string
	// Alone is one more argument where no other agent works in the network of Target: whatever
	// looks like one then is none. "" for agents that do not mind each other.
	Alone string
}

// AgentProfile is what the agent may do.
type AgentProfile uint8

const (
	AgentUnknown AgentProfile = iota
	AgentNet                  // change the network namespace of the target
	AgentFiles                // change the files of the target
	AgentDial                 // open connections in the network namespace of the target
)

// Network is the network namespace of a container.
type Network struct {
	Owner     string       // id of the container that it belongs to, which others may have joined
	Addresses []netip.Addr // on all networks
	Networks  []string     // ids of the networks
	// Machine are addresses by which it reaches the engine's machine: what runs there, and the ports
	// that other containers publish. There may be more, of the machine's own networks.
	Machine []netip.Addr
}
