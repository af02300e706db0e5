package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// engine asks the Docker engine itself, past both tools.
type engine struct {
	http    *http.Client
	version string
}

// event is one of the engine's, as its API writes it.
type event struct {
	Action   string
	TimeNano int64 `json:"timeNano"`
	Actor    struct {
		ID         string
		Attributes map[string]string
	}
}

func (e event) service() string { return e.Actor.Attributes["com.docker.compose.service"] }

func newEngine() (*engine, error) {
	socket := "/var/run/docker.sock"
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		var unix bool
		if socket, unix = strings.CutPrefix(host, "unix://"); !unix {
			return nil, fmt.Errorf("DOCKER_HOST is %s; it measures an engine on this machine, at unix://", host)
		}
	}
	e := &engine{http: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context,
		_, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}}
	var v struct{ Version string }
	if err := e.get("/version", &v); err != nil {
		return nil, fmt.Errorf("no engine answers at %s; run .ci/engine: %w", socket, err)
	}
	e.version = v.Version
	return e, nil
}

// do sends a request whose answer is not looked at but for its status.
func (e *engine) do(method, path string) error {
	req, err := http.NewRequest(method, "http://engine/v1.40"+path, nil)
	if err != nil {
		return err
	}
	res, err := e.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 200)) // the status is reason enough
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	return nil
}

func (e *engine) get(path string, into any) error {
	res, err := e.http.Get("http://engine/v1.40" + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

func (e *engine) removeImage(name string) {
	_ = e.do(http.MethodDelete, "/images/"+name+"?force=1") // only disk is lost when it stays
}

func filters(kind string, values ...string) string {
	b, _ := json.Marshal(map[string][]string{kind: values}) // strings always marshal
	return url.QueryEscape(string(b))
}

// container returns the id of a service's running container.
func (e *engine) container(project, service string) (string, error) {
	var list []struct{ ID string }
	err := e.get("/containers/json?filters="+filters("label", "com.docker.compose.project="+project,
		"com.docker.compose.service="+service), &list)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fmt.Errorf("no container of %s runs", service)
	}
	return list[0].ID, nil
}

// follow streams a project's container events until ctx ends.
func (e *engine) follow(ctx context.Context, project string) (<-chan event, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/v1.40/events?filters="+
		filters("label", "com.docker.compose.project="+project), nil)
	if err != nil {
		return nil, err
	}
	res, err := e.http.Do(req)
	if err != nil {
		return nil, err
	}
	out := make(chan event, 1000)
	go func() {
		defer close(out)
		defer res.Body.Close()
		for d := json.NewDecoder(res.Body); ; {
			var v event
			if d.Decode(&v) != nil {
				return // ctx ended
			}
			select {
			case out <- v:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

var errLate = errors.New("it did not happen in time")

// await waits for an event of a service.
func await(ctx context.Context, events <-chan event, service, action string) (event, error) {
	limit := time.After(time.Minute)
	for {
		select {
		case v, ok := <-events:
			if !ok {
				return v, errors.New("the engine's events ended")
			}
			if v.service() == service && v.Action == action {
				return v, nil
			}
		case <-limit:
			return event{}, fmt.Errorf("wait for %s of %s: %w", action, service, errLate)
		case <-ctx.Done():
			return event{}, ctx.Err()
		}
	}
}
