// Package process is the agent's work in the process namespace of a container: it makes the
// container's own program crash, as a bug in it would, so that the restart policy acts. It works on
// the namespace that it was started in and on no other. Only the agent's own main calls it.
package process
