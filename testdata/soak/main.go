//go:build linux

// Soak runs bulkhead for a while under all that is hard on it at once: services that crash again and
// again, others at rest, floods of log lines, lines of many megabytes, files that are saved all the
// time, and an engine that goes away for some seconds. It compares what the program holds when the
// project has just come up with what it holds at the end, and fails where something grew.
//
//	go run ./testdata/soak                  ten minutes
//	go run ./testdata/soak -for 4h -services 60
//
// It needs a local engine on unix:///var/run/docker.sock, or the one that DOCKER_HOST names.
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
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 2 && roles[os.Args[1]] != nil {
		roles[os.Args[1]]() // in a container
		return
	}
	length := flag.Duration("for", 10*time.Minute, "how long")
	services := flag.Int("services", 60, "how many services are at rest")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := soak(ctx, *length, *services)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run is one soak.
type run struct {
	ctx   context.Context
	dir   string
	env   []string
	c     *exec.Cmd
	proxy *proxy
	ended chan error
}

func soak(ctx context.Context, length time.Duration, services int) (err error) {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &run{ctx: ctx, dir: dir, ended: make(chan error, 1)}
	if err := r.prepare(services); err != nil {
		return err
	}
	if r.proxy, err = newProxy(filepath.Join(dir, "engine.sock")); err != nil {
		return err
	}
	defer r.proxy.l.Close()
	r.env = append(os.Environ(), "DOCKER_HOST=unix://"+filepath.Join(dir, "engine.sock"),
		"XDG_STATE_HOME="+filepath.Join(dir, "state"), "BULKHEAD_TRUST=1")
	defer r.bulkhead("down", "-v", "--rmi", "all", "-t", "1") // what it cannot remove is named by its project
	if err := r.start(); err != nil {
		return err
	}
	defer func() {
		_ = r.c.Process.Signal(syscall.SIGTERM)
		if end := <-r.ended; err == nil && end != nil {
			err = fmt.Errorf("the end of up: %w", end)
		}
	}()
	before, err := r.atRest("at the beginning", figures{cpu: 100})
	if err != nil {
		return err
	}
	if err := r.load(length); err != nil {
		return err
	}
	after, err := r.atRest("at the end", before)
	if err != nil {
		return err
	}
	return after.grewFrom(before)
}

// prepare writes the project and builds the programs.
func (r *run) prepare(services int) error {
	for what, to := range map[string]string{".": "bulkhead", "./testdata/soak": "project/soak"} {
		c := exec.CommandContext(r.ctx, "go", "build", "-o", filepath.Join(r.dir, to), what)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", what, err, out)
		}
	}
	var file strings.Builder
	fmt.Fprintf(&file, "name: soak%d\nservices:\n", os.Getpid())
	service := func(name, role, more string) {
		fmt.Fprintf(&file,
			"  %s: {image: soak-%d, command: [/soak, %s], network_mode: none, pull_policy: never%s}\n", name, os.Getpid(), role, more)
	}
	fmt.Fprintf(&file,
		"  base: {image: soak-%d, build: {context: ., dockerfile_inline: \"FROM scratch\\nCOPY soak /soak\\n\"}, network_mode: none, command: [/soak, rest], develop: {watch: []}}\n", os.Getpid())
	for i := range services {
		service(fmt.Sprintf("rest%d", i), "rest", "")
	}
	for i := range 4 {
		service(fmt.Sprintf("crash%d", i), "crash", ", restart: always, profiles: [load]")
		service(fmt.Sprintf("flood%d", i), "flood", ", profiles: [load]")
	}
	service("large", "large", ", profiles: [load]")
	service("synced", "rest", ", develop: {watch: [{path: ./files, action: sync, target: /files}]}")
	service("restarted", "rest",
		", develop: {watch: [{path: ./files, action: sync+restart, target: /files}]}, stop_signal: SIGKILL")
	if err := os.MkdirAll(filepath.Join(r.dir, "project/files"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, "project/compose.yaml"), []byte(file.String()), 0o600)
}

// bulkhead runs a verb.
func (r *run) bulkhead(args ...string) error {
	c := exec.Command(filepath.Join(r.dir, "bulkhead"), append([]string{"--profile", "load"}, args...)...)
	c.Dir, c.Env = filepath.Join(r.dir, "project"), r.env
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("bulkhead %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// start brings the project up and waits until it is ready.
func (r *run) start() error {
	out, err := os.Create(filepath.Join(r.dir, "out"))
	if err != nil {
		return err
	}
	defer out.Close()
	r.c = exec.Command(filepath.Join(r.dir, "bulkhead"), "--profile", "load", "up", "--plain", "-t", "1")
	r.c.Dir, r.c.Env, r.c.Stdout, r.c.Stderr = filepath.Join(r.dir, "project"), r.env,
		&head{f: out, left: 1 << 20}, os.Stderr
	if err := r.c.Start(); err != nil {
		return err
	}
	go func() { r.ended <- r.c.Wait() }()
	if err := r.wait(time.Minute); err != nil {
		return err
	}
	return nil
}

// wait lets time pass, and says whether bulkhead has ended meanwhile.
func (r *run) wait(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-r.ended:
		r.ended <- err
		return fmt.Errorf("bulkhead has ended: %w", errors.Join(err, errors.New("nobody asked it to")))
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// load does everything at once for a while.
func (r *run) load(length time.Duration) error {
	end := time.Now().Add(length)
	for round := 0; time.Now().Before(end); round++ {
		for i := range 20 {
			name := filepath.Join(r.dir, "project/files", fmt.Sprintf("f%d", (round+i)%50))
			if round%7 == 6 {
				_ = os.Remove(name) // some are not there
			} else if err := os.WriteFile(name, fmt.Appendf(nil, "round %d", round), 0o600); err != nil {
				return err
			}
		}
		if round%60 == 59 {
			r.proxy.cut(true)
			if err := r.wait(5 * time.Second); err != nil {
				return err
			}
			r.proxy.cut(false)
		}
		if err := r.wait(time.Second); err != nil {
			return err
		}
	}
	return nil
}

// windows is how often it is looked whether the program has come to rest: an engine that was flooded
// hands out lines for a while after the last was written.
const windows = 10

// atRest stops those that make trouble, measures until no more CPU is used than before, and starts them again.
func (r *run) atRest(when string, before figures) (f figures, err error) {
	noisy := []string{"large"}
	for i := range 4 {
		noisy = append(noisy, fmt.Sprintf("crash%d", i), fmt.Sprintf("flood%d", i))
	}
	if err := r.bulkhead(append([]string{"stop", "-t", "1"}, noisy...)...); err != nil {
		return f, err
	}
	if err := r.wait(30 * time.Second); err != nil {
		return f, err
	}
	for range windows {
		if f, err = measure(r.c.Process.Pid, func() error { return r.wait(30 * time.Second) }); err != nil {
			return f, err
		}
		if f.calm(before) {
			break
		}
	}
	fmt.Printf("%s: %s\n", when, f)
	return f, r.bulkhead(append([]string{"start"}, noisy...)...)
}
