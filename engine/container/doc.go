// Package container is the port between bulkhead and whatever runs containers. [Runtime] is what
// every runtime must do; what only some can do is an interface of its own, and [Complete] says
// which of them a runtime has and answers for those that it lacks. The package owns the types that
// cross the port and decides nothing. The engine and its rooms call it; engine/docker and
// engine/container/memory implement it, and engine/container/conformance has the cases that every
// runtime passes.
package container
