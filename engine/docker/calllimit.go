package docker

import (
	"context"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// How long an engine may take for one call, from the question to the last byte of the answer: far more
// than a busy one needs, so that only one that is stuck meets it. Streams, and what takes as long as
// somebody's network or program does, have no limit; who follows them looks after the engine. Of files
// that are copied, each part has one, see copying: a copy may take long, and has no reason to pause.
const (
	readLimit   = time.Minute     // questions
	changeLimit = 5 * time.Minute // what changes something: drivers and disks take their time
	bodyLimit   = 30 * time.Second
)

// callLimit is how long a call may take; 0: for ever. What is not listed has a limit.
func callLimit(r *http.Request) time.Duration {
	where, query := r.URL.Path, r.URL.Query()
	if rest, ok := strings.CutPrefix(where, "/v1."); ok {
		_, rest, _ = strings.Cut(rest, "/")
		where = "/" + rest
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(where, "/"), "/")
	last := path.Base(where)
	switch first {
	case "events", "build", "commit", "session", "grpc":
		return 0
	case "containers":
		switch last {
		case "archive", "export":
			if r.Method == http.MethodHead {
				break // it looks at one path
			}
			return 0
		case "logs", "attach", "ws", "wait", "prune":
			return 0
		case "stats":
			if query.Get("stream") != "0" && query.Get("stream") != "false" {
				return 0
			}
		case "stop", "restart":
			grace, err := strconv.Atoi(query.Get("t"))
			if err != nil || grace < 0 {
				return 0
			}
			return changeLimit + time.Duration(grace)*time.Second
		}
	case "exec":
		if last == "start" {
			return 0
		}
	case "images":
		switch last {
		case "create", "push", "get", "load", "prune":
			return 0
		}
	case "distribution", "auth", "system", "volumes", "networks":
		if r.Method == http.MethodGet && first != "distribution" && rest != "df" {
			break // these ask registries and count bytes, the others drivers
		}
		return changeLimit
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return readLimit
	}
	return changeLimit
}

// limitKey is the key of a call's timer.
type limitKey struct{}

// limitCall sets a call's limit. The client keeps what a hook changes of a request.
func limitCall(r *http.Request) error {
	limit := callLimit(r)
	if limit == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(limit, func() { cancel(container.ErrSilent) })
	*r = *r.WithContext(context.WithValue(ctx, limitKey{}, timer))
	return nil
}

// limitAnswer sets the limit of the body of an answer. No hook sees the body's end, so the timer goes on;
// what it cancels then has ended, or is stuck.
func limitAnswer(r *http.Response) {
	if timer, ok := r.Request.Context().Value(limitKey{}).(*time.Timer); ok {
		timer.Reset(bodyLimit)
	}
}
