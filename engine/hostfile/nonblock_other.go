//go:build !unix

package hostfile

// nonblock is nothing where no path names a pipe that could block.
const nonblock = 0
