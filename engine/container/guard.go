package container

import (
	"fmt"
	"runtime/debug"
)

// Guard turns a panic of f into an error with its stack: no goroutine may end the program and leave the
// terminal as it is.
func Guard(name string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", name, r, debug.Stack())
		}
	}()
	return f()
}
