package cli

import (
	"fmt"
	"strconv"
	"strings"
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

// signals are those that a container can be sent by name; the real-time ones have numbers as well.
var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12,
	"PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23,
	"XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
}

// checkSignal refuses what is no signal of Linux, before anything is sent to anybody.
func checkSignal(verb, text string) error {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if _, ok := signals[name]; ok || strings.HasPrefix(name, "RTM") { // RTMIN+3: how many there are is the kernel's
		return nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= 64 {
		return nil
	}
	return usagef("%s: --signal %s: it is not a signal; write one as SIGHUP, HUP or 1", verb, text)
}
