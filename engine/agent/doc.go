// Package agent owns the agent, a small static Linux program that runs beside a container, and what
// is said to it: the protocol, and the program itself, which a build step puts into this package
// (see Program). The agent does what only can be done from within a container's namespaces: package
// netns has its work on networks, relay the connections that it opens, files its work on files; package
// main is the program. It knows no Docker and no Compose, and imports nothing of bulkhead but this
// package. Packages fault and docker talk to it.
package agent
