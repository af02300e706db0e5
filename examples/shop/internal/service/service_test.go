package service

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestStopsWithARequestThatHangs(t *testing.T) {
	asked := make(chan struct{})
	app := App{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})}
	addr, stop := start(t, app)
	answered := make(chan error, 1)
	go func() {
		answered <- NewClient("it", "http://"+addr, time.Minute).Do(t.Context(), http.MethodGet, "/", nil, nil)
	}()
	<-asked
	began := time.Now()
	if err := stop(); err != nil { // the handler waits until it is cut off
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took < stopLimit {
		t.Errorf("stopped after %v, want at least the %v that a request has", took, stopLimit)
	}
	if err := <-answered; err == nil {
		t.Error("the request that was cut off succeeded")
	}
}

func TestHealthTellsARunningServiceFromNone(t *testing.T) {
	addr, stop := start(t, App{})
	if err := AskHealth(t.Context(), addr); err != nil {
		t.Errorf("health of a running service: %v", err)
	}
	stop()
	if err := AskHealth(t.Context(), addr); err == nil {
		t.Error("a service that stopped is said to be well")
	}
}

func TestLoopThatFailsEndsTheService(t *testing.T) {
	listener := listen(t)
	err := App{Loop: func(context.Context) error {
		return context.DeadlineExceeded
	}}.serve(t.Context(), slog.New(slog.DiscardHandler), listener)
	if err == nil {
		t.Error("serve went on, or forgot the error")
	}
}

func TestCallEndsAtItsLimit(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	err := NewClient("slow", server.URL, 100*time.Millisecond).Do(t.Context(), http.MethodGet, "/", nil, nil)
	if !Down(err) {
		t.Errorf("a service that hangs is not down: %v", err)
	}
}

func TestRefusalIsNotDown(t *testing.T) {
	for code, down := range map[int]bool{404: false, 409: false, 500: true, 503: true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			Fail(w, code, "because of %d", code)
		}))
		err := NewClient("it", server.URL, time.Minute).Do(t.Context(), http.MethodPost, "/", "x", nil)
		server.Close()
		status, ok := err.(*StatusError)
		if !ok || status.Code != code || status.Message == "" || Down(err) != down {
			t.Errorf("%d: got %v, down %v", code, err, Down(err))
		}
	}
}

// start runs app on a free port. stop ends it and returns what serve returned.
func start(t *testing.T, app App) (addr string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listener := listen(t)
	ended := make(chan error, 1)
	go func() { ended <- app.serve(ctx, slog.New(slog.DiscardHandler), listener) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { stop() })
	return listener.Addr().String(), stop
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
