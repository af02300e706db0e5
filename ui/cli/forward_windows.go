package cli

import "os"

// forwarded are the signals that a one-off gets besides those that end this program.
var forwarded []os.Signal

// signalName is how the engine knows a signal.
func signalName(sig os.Signal) string {
	if sig == os.Interrupt {
		return "SIGINT"
	}
	return "SIGTERM"
}
