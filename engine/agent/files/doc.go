// Package files is work on the files of a container, below its open root: unpacking, deleting,
// looking. Nothing of it leaves that root, whatever the container's processes do to the paths
// meanwhile, and it needs no program of the image. Package docker calls it where this process may
// enter the container's root; elsewhere the agent does (Serve), and docker talks to it (Client).
// It imports nothing of bulkhead but the agent's protocol.
package files
