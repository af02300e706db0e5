// Bulkhead runs a Compose project on a screen, each service in its own container, rebuilt when its files change.
package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/sirupsen/logrus"

	"bulkhead/engine"
	"bulkhead/engine/build"
	"bulkhead/engine/container"
	"bulkhead/engine/docker"
	"bulkhead/ui"
	"bulkhead/ui/cli"
)

func main() {
	// A closed stdout is an error of the write that meets it, not the end of the process: the
	// project has to be stopped first.
	signal.Ignore(syscall.SIGPIPE)
	close := logAside(os.Environ())
	code := cli.Main(context.Background(), os.Args[1:], cli.Parts{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
		Connect: connect, Screen: screen, Keys: keys, LogSize: logSize,
	})
	close()
	os.Exit(code)
}

// connect opens the Docker engine that the environment names, and a builder on it.
func connect(ctx context.Context, found, warn func(string)) (engine.Runtime, container.Builder, error) {
	rt, err := docker.New(docker.Options{Warn: warn, Log: func(line string) { log.Print(line) }})
	if err != nil {
		return nil, nil, err
	}
	found(rt.Host())
	info, err := rt.Info(ctx)
	if err != nil {
		rt.Close()
		return nil, nil, err
	}
	b := build.New(build.Options{Dial: rt.Dial, Classic: rt, HasBuildKit: info.BuildKit, DockerConfigDir: rt.ConfigDir()})
	return rt, b, nil
}

// screen shows an engine until the user leaves.
func screen(ctx context.Context, e *engine.Engine, version string) (cli.Outcome, error) {
	config, err := ui.LoadConfig(configFile())
	if err != nil {
		return cli.Stop, err
	}
	outcome, err := ui.Run(ctx, ui.Options{Backend: e, Config: config, Version: version, StateDir: cli.StateDir(os.Environ())})
	switch outcome {
	case ui.Stop:
		return cli.Stop, err
	case ui.Down:
		return cli.Down, err
	case ui.DownVolumes:
		return cli.DownVolumes, err
	}
	return cli.Leave, err
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
	if dir := cli.StateDir(env); dir != "" && os.MkdirAll(dir, 0o700) == nil {
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
