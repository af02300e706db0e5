package container

import (
	"strconv"
	"strings"
)

// signals are those of Linux that have a name; the real-time ones have numbers alone.
var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8,
	"KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16,
	"CHLD": 17, "CLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23,
	"XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
}

// lastSignal is SIGRTMAX on Linux.
const lastSignal = 64

// SignalNumber reads a signal as people write it: "SIGTERM", "term" or "15". RTMIN+3 and the like are
// known to the kernel alone: ok without a number, which is 0.
func SignalNumber(text string) (n int, ok bool) {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if n, ok := signals[name]; ok || strings.HasPrefix(name, "RTM") {
		return n, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= lastSignal
}

// Kills says whether a signal is one that no process can handle.
func Kills(signal string) bool {
	n, _ := SignalNumber(signal)
	return n == signals["KILL"]
}

// EndsBy says what a signal that is sent through the runtime is to do: ends says that it is meant to
// end the container, as SIGKILL and the stop signal are; idles that its restart policy stays idle
// when it ends of it. An engine takes every signal for one that is to end a container which was made
// without a stop signal of its own.
func (i *Instance) EndsBy(signal string) (ends, idles bool) {
	n, _ := SignalNumber(signal)
	stop, _ := SignalNumber(i.StopSignal)
	if i.StopSignal == "" {
		return n == signals["KILL"] || n == signals["TERM"], true
	}
	ends = n == signals["KILL"] || n != 0 && n == stop
	return ends, ends
}
