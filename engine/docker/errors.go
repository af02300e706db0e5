package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"runtime"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// apiError is what an engine answered. It wraps one of the port's errors where one
// fits, and always the client's error.
type apiError struct {
	what   string // what was being done to what
	text   string // what went wrong
	remedy string // what a person can do; "" where nobody knows
	kind   error  // may be nil
	err    error
}

func (e *apiError) Error() string {
	text := e.what + ": " + e.text
	if e.remedy != "" {
		text += "; " + e.remedy
	}
	return text
}

// Reason is what went wrong alone, for callers that name what was being done by themselves.
func (e *apiError) Reason() string { return e.text }

// Suggestion is what a person can do about it.
func (e *apiError) Suggestion() string { return e.remedy }

func (e *apiError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.err}
	}
	return []error{e.kind, e.err}
}

// wrap turns a client's error into one for people, and makes it an error wrapping
// one of the port's where one fits. nil stays nil.
func (c *connection) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	e := &apiError{what: what, text: plain(err), err: err}
	var known *apiError
	switch {
	case errors.As(err, &known):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, context.Canceled) // without the client's text and the URL
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", what, context.DeadlineExceeded)
	case noConnection(err):
		e.kind = container.ErrNoEngine
		e.text, e.remedy = c.end.noEngine(err)
	case cerrdefs.IsNotFound(err):
		e.kind = container.ErrNotFound
	case cerrdefs.IsConflict(err), portTaken(e.text):
		e.kind = container.ErrConflict
	case cerrdefs.IsNotImplemented(err):
		e.kind = container.ErrUnsupported
	}
	return e
}

// explain puts an engine's message about a container into a person's words.
func (c *connection) explain(what string, err error) error {
	wrapped := c.wrap(what, err)
	if e, ok := wrapped.(*apiError); ok && e.remedy == "" {
		e.text, e.remedy = personal(e.text)
	}
	return wrapped
}

// createError says which file is missing, or who holds the name, where that is the matter.
func (c *connection) createError(
	ctx context.Context, spec container.CreateSpec, what, name string, err error,
) error {
	if why, remedy, ok := absentFile(spec, plain(err)); ok {
		return &apiError{what: what, text: why, remedy: remedy, err: err}
	}
	if !strings.Contains(err.Error(), "is already in use by container") {
		return c.explain(what, err)
	}
	owner := "that no Compose project has made"
	if other, ierr := c.cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{}); ierr == nil {
		if project := other.Container.Config.Labels[labelProject]; project != "" {
			owner = "of project " + project
		}
	}
	return &apiError{
		what: what, kind: container.ErrConflict, err: err,
		text:   fmt.Sprintf("the name %s is taken by a container %s", name, owner),
		remedy: "choose another container_name: or project name (-p), or rename that container",
	}
}

// plain removes the client's prefix from an error, so that the engine's message is
// left, on one line.
func plain(err error) string {
	text := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' }), " ")
}

// noConnection distinguishes errors of the connection from answers of the engine.
func noConnection(err error) bool {
	var op *net.OpError
	return client.IsErrConnectionFailed(err) || errors.Is(err, container.ErrSilent) || errors.As(err, &op) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// noEngine says where the engine was looked for and what to do.
func (e endpoint) noEngine(err error) (why, remedy string) {
	where, text := e.host, err.Error()
	if e.context != "default" {
		where += " (docker context " + e.context + ")"
	}
	switch {
	case errors.Is(err, container.ErrSilent):
		return fmt.Sprintf("the engine at %s does not answer", where), "restart it, or set DOCKER_HOST"
	case errors.Is(err, fs.ErrPermission) || strings.Contains(text, "permission denied"):
		if e.ssh != nil {
			return fmt.Sprintf("no engine answers at %s: %s", where, plain(err)),
				"check the key and the user name with `ssh`"
		}
		return fmt.Sprintf("permission denied on %s", where),
			"add yourself to the group docker (`sudo usermod -aG docker $USER`, then log in again)"
	case e.ssh != nil:
		return fmt.Sprintf("no engine answers at %s: %s", where, plain(err)),
			"check that `ssh` gets there and docker is installed there"
	case strings.Contains(text, "HTTP response to HTTPS client"),
		strings.Contains(text, "malformed HTTP response"):
		return fmt.Sprintf("no engine answers at %s: one side uses TLS and the other does not",
			where), "check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
	case e.tls != nil && (strings.Contains(text, "certificate") || strings.Contains(text, "handshake")):
		return fmt.Sprintf("no engine answers at %s: %s", where, plain(err)),
			"check the certificates of this docker context"
	case !e.unix():
		return fmt.Sprintf("no engine answers at %s", where), "check DOCKER_HOST, or start the engine there"
	case runtime.GOOS == "darwin" || runtime.GOOS == "windows":
		return fmt.Sprintf("no engine answers at %s", where),
			"start Docker Desktop (or another engine), or set DOCKER_HOST"
	}
	return fmt.Sprintf("no engine answers at %s", where),
		"start it (`sudo systemctl start docker`), or set DOCKER_HOST"
}
