// Package supervisor is the agent as process 1 of a container (profile init): it runs the
// container's own program, passes signals on to it, takes in orphans, and ends with its exit code.
// When it is asked to, over an abstract socket that only an exec in the container reaches, or by root
// of the machine over one of its own files, it ends the program with all that it started, and starts
// it again; the container stays. It writes nothing to the container's log. The agent's own main calls
// Run and Control; package docker reads the Report that Control writes, or calls Ask.
package supervisor

import (
	"time"

	"bulkhead/engine/agent"
)

// Name is what the agent is called as process 1: it is how its processes are distinguished from others.
const Name = "bulkhead-init"

// Report is what Control writes: one line of JSON.
type Report struct {
	agent.Reply           // its version, and why it did not work
	Started     time.Time // of the program that runs now
	// of the program that ran before, since the container's start; nil: none
	Before *End `json:",omitempty"`
}

// ended says that it is the report of an end that a beginning is to follow.
func (r *Report) ended() bool { return r.Error == "" && r.Started.IsZero() }

// End is how a program ended that was started again.
type End struct {
	At       time.Time
	ExitCode int           // 128 and the number of the signal that ended it
	Took     time.Duration // since the signal that asked it to
	Killed   bool          // it had to be killed, when its grace was over
}

// Timeout is how long what the program started may take to end once it was killed.
const Timeout = 10 * time.Second
