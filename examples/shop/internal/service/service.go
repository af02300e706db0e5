// Package service is what the shop's programs have in common: how one starts,
// logs, says that it is well, stops, keeps its data and calls another one.
// It knows nothing of goods, carts or money.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopLimit is how long a service that is to stop finishes the requests
// it has; a developer who saves a file waits for it.
const stopLimit = 150 * time.Millisecond

// Format is how a service writes its log lines.
type Format int

// The formats. The shop mixes them, as grown systems do.
const (
	Logfmt Format = iota
	JSON
)

// App is one service: what it answers and what it does besides.
type App struct {
	Handler http.Handler
	// Health adds to the answer of /health; nil adds nothing. It must not call
	// other services: a service is well when it can do its own work.
	Health func() map[string]any
	// Loop runs beside the server until ctx ends; nil when there is nothing to do.
	Loop func(ctx context.Context) error
}

// Setup makes an App. data is the folder on the service's own volume.
type Setup func(log *slog.Logger, data string) (App, error)

// Main runs a service until SIGTERM or SIGINT, and exits. With -health it asks
// the running service instead and exits 0 (well) or 1, so that an image made
// FROM scratch can have a healthcheck.
func Main(format Format, setup Setup) {
	addr := flag.String("addr", ":8080", "address to listen on")
	data := flag.String("data", "/data", "folder for the service's data")
	health := flag.Bool("health", false, "ask the service that listens on -addr whether it is well")
	flag.Parse()
	if *health {
		if err := AskHealth(context.Background(), *addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	log := logger(format)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, log, *addr, *data, setup)
	stop()
	if err != nil {
		log.Error("stopped", "err", err)
		os.Exit(1)
	}
	log.Info("stopped")
}

func logger(format Format) *slog.Logger {
	if format == JSON {
		return slog.New(slog.NewJSONHandler(os.Stdout, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stdout, nil))
}

func run(ctx context.Context, log *slog.Logger, addr, data string, setup Setup) error {
	app, err := setup(log, data)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("listening", "addr", listener.Addr().String())
	return app.serve(ctx, log, listener)
}

// serve answers on listener until ctx ends, then finishes what it has.
func (a App) serve(ctx context.Context, log *slog.Logger, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.health)
	if a.Handler != nil {
		mux.Handle("/", a.Handler)
	}
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 2 * time.Second,
		WriteTimeout:      5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
	parts := []func() error{
		func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve: %w", err)
			}
			return nil
		},
		func() error {
			<-ctx.Done()
			limit, done := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
			defer done()
			if server.Shutdown(limit) != nil {
				server.Close() // requests that outlast the limit are cut off; their clients retry
			}
			return nil
		},
	}
	if a.Loop != nil {
		parts = append(parts, func() error { return a.Loop(ctx) })
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			defer cancel() // whatever ends first ends all
			ended <- part()
		}()
	}
	var errs []error
	for range parts {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

func (a App) health(w http.ResponseWriter, _ *http.Request) {
	answer := map[string]any{"status": "ok"}
	if a.Health != nil {
		for k, v := range a.Health() {
			answer[k] = v
		}
	}
	Write(w, http.StatusOK, answer)
}

// AskHealth asks the service that listens on addr (host:port, the host may be
// empty) for its /health. It returns nil when the answer is 200.
func AskHealth(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("health of %s: %w", addr, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return NewClient("self", "http://"+net.JoinHostPort(host, port), time.Second).Do(ctx,
		http.MethodGet, "/health", nil, nil)
}
