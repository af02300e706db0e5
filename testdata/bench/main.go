// Bench measures what a person at the keyboard waits for: from a save to the first answer of the
// new code, from a command to its end. It drives the programs as a person does, and believes the
// answers of the containers, the engine's events and a terminal's bytes; no figure comes from a
// measured program's own words. Where `docker compose` is on the machine, the same is done with it,
// in turn, in the same run: absolute times do not hold from one machine to the next, ratios do.
//
//	go run ./testdata/bench                    every case
//	go run ./testdata/bench -run 'sync|gap'    the cases whose names match
//	go run ./testdata/bench -n 3               fewer rounds
//
// It needs Linux, a local engine and 1 GB of disk. Exit code 1: a case failed, or a ratio is over
// its ceiling (-strict=false only prints that).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

func main() {
	run := flag.String("run", "", "measure only the cases whose name matches this regular expression")
	rounds := flag.Int("n", 15, "rounds of the short cases; long ones are done five times, or less often")
	strict := flag.Bool("strict", true, "exit with 1 when a ratio is over its ceiling")
	list := flag.Bool("list", false, "list the cases and end")
	flag.Parse()
	os.Setenv("BULKHEAD_TRUST", "1") // the projects are our own
	wanted, err := regexp.Compile(*run)
	if err != nil || *rounds < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: bench [-run REGEXP] [-n ROUNDS] [-strict] [-list]")
		os.Exit(2)
	}
	if *list {
		for _, c := range cases {
			fmt.Println(c.name)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	over, err := measure(ctx, wanted, *rounds)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if *strict && over > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d figures are over their ceilings\n", over)
		os.Exit(1)
	}
}

// oneCase is a thing to measure. It adds its samples to the table, a row or more.
type oneCase struct {
	name string
	do   func(*bench) error
}

var cases = []oneCase{
	{"sync", (*bench).syncOne},
	{"sync+restart", (*bench).syncRestart},
	{"process", (*bench).restartProcess},
	{"stubborn", (*bench).syncRestartStubborn},
	{"rebuild", (*bench).rebuild},
	{"overlap", (*bench).overlap},
	{"prepare", (*bench).prepare},
	{"burst", (*bench).burst},
	{"tree", (*bench).tree},
	{"up", (*bench).ups},
	{"chain", (*bench).chain},
	{"verbs", (*bench).verbs},
	{"kill", (*bench).kill},
	{"frame", (*bench).frame},
	{"flood", (*bench).flood},
	{"follow", (*bench).follow},
	{"lines", (*bench).lines},
	{"faults", (*bench).faults},
	{"tap", (*bench).tap},
}

// bench is one run.
type bench struct {
	ctx    context.Context
	rounds int
	dir    string // all that is made, removed at the end
	engine *engine
	floor  *floor
	tools  []tool // ours first
	server []byte // the program of the services, without a version
	image  string // holds the server
	table  table
	made   int // projects so far
}

func measure(ctx context.Context, wanted *regexp.Regexp, rounds int) (over int, err error) {
	if runtime.GOOS != "linux" {
		return 0, errors.New("it runs on Linux only, with an engine on the same machine")
	}
	b := &bench{ctx: ctx, rounds: rounds}
	if b.engine, err = newEngine(); err != nil {
		return 0, err
	}
	if b.floor, err = newFloor(); err != nil {
		return 0, err
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepareAll(); err != nil {
		return 0, err
	}
	defer b.engine.removeImage(b.image)
	b.table.head(b)
	var failed []string
	for _, c := range cases {
		if !wanted.MatchString(c.name) {
			continue
		}
		if err := c.do(b); err != nil {
			failed = append(failed, c.name)
			fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, err)
		}
		if ctx.Err() != nil {
			return b.table.over, ctx.Err()
		}
	}
	if len(failed) > 0 {
		return b.table.over, fmt.Errorf("not measured: %s", strings.Join(failed, ", "))
	}
	return b.table.over, nil
}

// prepareAll builds what is measured and what is measured with.
func (b *bench) prepareAll() error {
	ours, program := filepath.Join(b.dir, "bulkhead"), filepath.Join(b.dir, "server")
	for _, build := range [][]string{{ours, "."}, {program, "./testdata/bench/server"}} {
		c := exec.CommandContext(b.ctx, "go", "build", "-o", build[0], build[1])
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", build[1], err, out)
		}
	}
	var err error
	if b.server, err = os.ReadFile(program); err != nil {
		return err
	}
	b.tools = []tool{{name: "bulkhead", command: []string{ours}}}
	if err := exec.CommandContext(b.ctx, "docker", "compose", "version").Run(); err == nil {
		b.tools = append(b.tools, tool{name: "docker compose", command: []string{"docker", "compose"},
			rival: true})
	} else {
		fmt.Println("docker compose is not on this machine: there is nothing to compare with")
	}
	return b.buildImage()
}
