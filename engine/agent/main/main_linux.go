// Command main is the agent. Its first argument is its profile: net works in the network namespace
// that it was started in, with take in the place of the agent that does so already, with alone whoever
// claims to be one; probe says what
// the kernel can do there, dial opens connections there for bulkhead, files works on the files of the
// process namespace that it was started in, and crash has the program of that crash with the signal
// that its second argument names.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"bulkhead/engine/agent/files"
	"bulkhead/engine/agent/netns"
	"bulkhead/engine/agent/process"
	"bulkhead/engine/agent/relay"
	"bulkhead/engine/agent/supervisor"
)

func main() {
	if filepath.Base(os.Args[0]) == supervisor.Name {
		asProcess1(os.Args[1:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	profile := ""
	if len(os.Args) > 1 {
		profile = os.Args[1]
	}
	var err error
	switch profile {
	case "net":
		err = netns.Serve(ctx, os.Stdin, os.Stdout, slices.Contains(os.Args[2:], "take"),
			slices.Contains(os.Args[2:], "alone"))
	case "files":
		err = files.Serve(ctx, os.Stdin, os.Stdout)
	case "dial":
		err = relay.Serve(ctx, os.Stdin, os.Stdout)
	case "crash":
		err = process.Crash(os.Args[len(os.Args)-1], os.Stdout)
	case "probe":
		err = netns.ServeProbe(os.Stdout)
	default:
		err = fmt.Errorf("%q is not a profile of the agent", profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// asProcess1 is main under the name that the agent has inside of containers: "init -- program
// argument…" runs that program, and "control …" asks the process that does.
func asProcess1(args []string) {
	switch {
	case len(args) > 1 && args[0] == "init" && args[1] == "--":
		os.Exit(supervisor.Run(args[2:]))
	case len(args) > 1 && args[0] == "control":
		if err := supervisor.Control(args[1:], os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, supervisor.Name+": it is run by bulkhead")
	os.Exit(2)
}
