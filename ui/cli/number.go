package cli

import (
	"fmt"
	"strconv"

	"bulkhead/engine/container"
)

// number is a flag of a whole number within bounds: one beyond them is a slip, and would come to the
// runtime as something else.
type number struct {
	n         *int
	low, high int
}

const (
	longestGrace = 365 * 24 * 60 * 60 // seconds
	mostReplica  = 1_000_000          // the highest number of a replica that anybody can ask for
)

// Set reads the flag.
func (v number) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < v.low || n > v.high {
		return fmt.Errorf("write a number from %d to %d", v.low, v.high)
	}
	*v.n = n
	return nil
}

// String writes the flag as it is read.
func (v number) String() string {
	if v.n == nil {
		return "0" // pflag asks the zero value what it looks like
	}
	return strconv.Itoa(*v.n)
}

// Type is the word for the flag's value in the help.
func (number) Type() string { return "int" }

// checkSignal refuses what is no signal of Linux, before anything is sent to anybody.
func checkSignal(verb, text string) error {
	if _, ok := container.SignalNumber(text); ok {
		return nil
	}
	return usagef("%s: --signal %s: it is not a signal; write one as SIGHUP, HUP or 1", verb, text)
}
