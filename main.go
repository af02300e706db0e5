// Bulkhead runs a Compose project on a screen, each service in its own container, rebuilt when its files change.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"

	"bulkhead/engine"
	"bulkhead/engine/build"
	"bulkhead/engine/container"
	"bulkhead/engine/docker"
	"bulkhead/engine/hostfile"
	"bulkhead/ui"
	"bulkhead/ui/cli"
)

func main() {
	// A closed stdout is an error of the write that meets it, not the end of the process: the
	// project has to be stopped first.
	signal.Ignore(syscall.SIGPIPE)
	args := os.Args[1:]
	if p, ok := cli.AsPlugin(os.Args[0], args); ok {
		if p.Metadata != nil {
			os.Stdout.Write(p.Metadata)
			return
		}
		args = p.Args
		for key, value := range p.Env {
			if value == "" {
				os.Unsetenv(key)
			} else {
				os.Setenv(key, value)
			}
		}
		cli.EndWithDocker(os.Getenv("DOCKER_CLI_PLUGIN_SOCKET"))
	}
	close := logAside(os.Environ())
	code := cli.Main(context.Background(), args, cli.Parts{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
		Compose:  calledCompose(os.Args[0]),
		Runtimes: kinds(), Connect: connect, Screen: screen, Tour: tour, Keys: keys, LogSize: logSize,
	})
	close()
	os.Exit(code)
}

// calledCompose says whether the program was called by the name of docker compose, as a link to it.
func calledCompose(name string) bool {
	return strings.TrimSuffix(filepath.Base(name), ".exe") == "docker-compose"
}

// runtimes are what can run containers, by the names that --runtime takes; the first is used unless another is named.
var runtimes = []struct {
	kind string
	open cli.Connector
}{
	{"docker", connectDocker},
}

func kinds() []string {
	var all []string
	for _, r := range runtimes {
		all = append(all, r.kind)
	}
	return all
}

// connect opens the runtime of a kind, "" for the first.
func connect(ctx context.Context, o cli.ConnectOptions) (engine.Runtime, container.Builder, error) {
	for _, r := range runtimes {
		if o.Runtime == r.kind || o.Runtime == "" {
			return r.open(ctx, o)
		}
	}
	return nil, nil, fmt.Errorf("no runtime of the kind %q", o.Runtime)
}

// connectDocker opens the Docker engine that the environment names, and a builder on it. Whether that
// engine serves BuildKit is asked by the first build.
func connectDocker(_ context.Context, o cli.ConnectOptions) (engine.Runtime, container.Builder, error) {
	rt, err := docker.New(docker.Options{
		Parallel: o.Parallel, State: o.State, Warn: o.Warn, Log: func(line string) { log.Print(line) },
	})
	if err != nil {
		return nil, nil, err
	}
	o.Found(rt.Host())
	return rt, build.New(build.Options{Dial: rt.Dial, Classic: rt, HasBuildKit: rt.BuildKit,
		DockerConfigDir: rt.ConfigDir()}), nil
}

// screen shows an engine until the user leaves.
func screen(ctx context.Context, e *engine.Engine, version string) (engine.Ending, error) {
	return show(ctx, e, version, false)
}

// tour is screen with a tour of the shop.
func tour(ctx context.Context, e *engine.Engine, version string) (engine.Ending, error) {
	return show(ctx, e, version, true)
}

func show(ctx context.Context, e *engine.Engine, version string, tour bool) (engine.Ending, error) {
	config, err := ui.LoadConfig(configFile())
	if err != nil {
		return engine.EndStop, err
	}
	return ui.Run(ctx, ui.Options{Backend: e, Config: config, Version: version, Tour: tour,
		StateDir: cli.StateDir(os.Environ())})
}

// keys prints the key map as the config file has it.
func keys() (string, error) {
	config, err := ui.LoadConfig(configFile())
	if err != nil {
		return "", err
	}
	return ui.KeysConfig(config, configFile()), nil
}

// logSize is the config file's setting.
func logSize() (string, error) {
	config, err := ui.LoadConfig(configFile())
	return config.LogSize, err
}

// configFile is where a person's settings are: $XDG_CONFIG_HOME/bulkhead/config.yaml, else below
// ~/.config, on Windows below %APPDATA%; "" without a home.
func configFile() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // the XDG specification has relative ones ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".config")
		if data := os.Getenv("APPDATA"); runtime.GOOS == "windows" && data != "" {
			dir = data
		}
	}
	return filepath.Join(dir, "bulkhead", "config.yaml")
}

// maxLog is the size from which on the log of libraries is begun again.
const maxLog = 1 << 20

// logAside sends what libraries log to a file: compose-go and BuildKit write to stderr, which would
// land in the middle of the screen. Where there is no such file they log nothing.
func logAside(env []string) (close func()) {
	var out io.Writer = io.Discard
	close = func() {}
	if dir := cli.StateDir(env); dir != "" && hostfile.PrivateDir(dir) == nil {
		name, mode := filepath.Join(dir, "bulkhead.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND
		if info, err := os.Stat(name); err == nil && info.Size() > maxLog {
			mode |= os.O_TRUNC
		}
		if f, err := os.OpenFile(name, mode, 0o600); err == nil {
			out, close = f, func() { f.Close() }
		}
	}
	logrus.SetOutput(out)
	slog.SetDefault(slog.New(slog.NewTextHandler(out, nil)))
	log.SetOutput(out)
	return close
}
