//go:build linux

// Record plays the demonstration of the shop, as a person would at 80 by 24 cells, and draws it as a film: kill,
// bring back, latency, a drill that finds a leak, the line that mends it, and the drill that proves it. Each step
// waits for what it wants to see on the screen, and fails with the screen where that does not come. Long waits are
// short in the film, which says how long they took.
//
//	go run ./testdata/record -o examples/screens/tour.svg
//
// It needs a local engine, and about fifteen minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"bulkhead/testdata/picture"
)

func main() {
	out := flag.String("o", "examples/screens/tour.svg", "where the film goes")
	program := flag.String("program", "", "the program; default: it is built here")
	theme := flag.String("theme", "dark", "dark or light")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *program, *out, *theme); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, out, theme string) error {
	dir, err := os.MkdirTemp("", "bulkhead-record")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if program == "" {
		program = dir + "/bulkhead"
		build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build bulkhead: %w", err)
		}
	}
	t, err := open(program, dir)
	if err != nil {
		return err
	}
	defer func() {
		t.close()
		down := exec.Command(program, "--project-name", "shop", "down")
		if out, err := down.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "record: what the demo made stays: %v\n%s", err, out)
		}
	}()
	if err := demonstrate(ctx, t); err != nil {
		return fmt.Errorf("%w; the screen:\n%s", err, t.text())
	}
	return os.WriteFile(out, []byte(picture.Film(t.film, theme)), 0o644)
}
