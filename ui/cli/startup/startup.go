// Package startup keeps the garbage collector out of a program's first moments, in which a third of the time of a
// short verb went to it: what a verb loads is small, and goes with the process. It owns that setting and nothing
// else. It imports nothing of bulkhead's, so that it is initialized before the packages whose initialization
// allocates; package cli imports it, and ends it for what stays.
package startup

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// room is how much memory the program has before the collector comes for the first time. After that, or after Over,
// it goes by its usual rule.
const room = 48 << 20

func init() {
	if Chosen() {
		return
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(room)
	// The end of the first collection is the end of the start.
	runtime.SetFinalizer(&struct{ p *int }{new(int)}, func(*struct{ p *int }) { Over() })
}

// Chosen says whether the person has settings of their own for the collector.
func Chosen() bool { return os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" }

// Over gives the collector its usual rule: for a program that goes on for longer.
var Over = sync.OnceFunc(func() {
	if !Chosen() {
		debug.SetMemoryLimit(math.MaxInt64)
		debug.SetGCPercent(100)
	}
})
