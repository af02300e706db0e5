package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/fault"
)

// The control socket speaks HTTP and JSON:
//
//	GET  /v1/                     who this is
//	POST /v1/do                   an engine.Command; answers when it is done, with the lines it led to
//	GET  /v1/snapshot             the rows of `ps --json`
//	GET  /v1/faults               the faults in force
//	GET  /v1/edges                who calls whom, as far as it is tapped
//	GET  /v1/records?since=SEQ    the lines of `up --json` without the logs, from after SEQ ("now": the last one) on, until either side ends it
//	POST /v1/drill                a drill.Options; answers with a report a line as it goes on, the last one with "ended": true. A caller that
//	                              goes away ends the drill, which heals first
//	GET  /v1/wait?service=NAME    answers when the named services (none: all) are ready, or do not become it; &limit=60s: within this time
//	                              from the start of their containers on
//
// What does not work answers {"error": "…"}.

// hello says who answers on a control socket.
type hello struct {
	Project string `json:"project"`
	Engine  string `json:"engine"` // its id
	PID     int    `json:"pid"`
	Version string `json:"version"`
	Ending  bool   `json:"ending,omitempty"` // it stops the project, and takes no commands any more
}

// did is the answer to a command.
type did struct {
	Lines []string `json:"lines"` // events that came while it was carried out
	Error string   `json:"error,omitempty"`
	Named bool     `json:"named,omitempty"` // the error says what was being done
	Seq   uint64   `json:"seq,omitempty"`   // of the last event that came by then
}

// control serves a running engine.
type control struct {
	e     *engine.Engine
	rt    engine.Runtime
	hello hello
	ends  <-chan struct{} // closed when a signal ends this process; may be nil
	// Those whose commands are under way. It is closed when this process is to end: they may come to
	// their ends, and others are refused.
	guests gate
	downs  func() // called once `down` of the whole project has worked
}

// serve answers until ctx ends, and returns after the last request was answered.
func (c *control) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: c.handler(), BaseContext: func(net.Listener) context.Context {
		return ctx
	}, ReadHeaderTimeout: 10 * time.Second}
	var closing sync.WaitGroup
	closing.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer closing.Done()
		grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close() // requests that still wait are cut off
		}
	})
	err := srv.Serve(l)
	if stop() {
		closing.Done() // it ended by itself
	}
	closing.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the control socket: %w", err)
}

func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := c.hello
		h.Ending = c.ending()
		reply(w, http.StatusOK, h)
	})
	mux.HandleFunc("GET /v1/snapshot", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, snapshotRows(c.e.Snapshot()))
	})
	mux.HandleFunc("GET /v1/faults", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, faultRows(c.e.Snapshot().Faults))
	})
	mux.HandleFunc("GET /v1/edges", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, edgeRows(c.e.Snapshot()))
	})
	mux.HandleFunc("POST /v1/do", c.do)
	mux.HandleFunc("GET /v1/wait", c.wait)
	mux.HandleFunc("POST /v1/drill", c.drill)
	mux.HandleFunc("GET /v1/records", c.records)
	return mux
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(encode(v), '\n')) // who does not wait for the answer does not get it
}

// readBody reads the JSON of a request, of 1 MiB at most, into v. A field that v does not have is an error.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// lastSeq is the Seq of the last event; 0 before the first.
func (c *control) lastSeq() uint64 {
	if recs := c.e.Snapshot().Records; len(recs) > 0 {
		return recs[len(recs)-1].Seq
	}
	return 0
}

func (c *control) do(w http.ResponseWriter, r *http.Request) {
	var cmd engine.Command
	if err := readBody(w, r, &cmd); err != nil {
		reply(w, http.StatusBadRequest, did{Error: "read the command: " + err.Error()})
		return
	}
	if cmd.Cause == "" {
		cmd.Cause = "you asked from another terminal"
	}
	since := c.lastSeq()
	if c.ending() || !c.guests.enter() {
		reply(w, http.StatusServiceUnavailable, did{Error: errEnding.Error()})
		return
	}
	defer c.guests.leave()
	err := c.e.Do(r.Context(), cmd)
	if err != nil && c.ending() {
		reply(w, http.StatusServiceUnavailable, did{Error: errEnding.Error()})
		return
	}
	out, status := did{Lines: []string{}}, http.StatusOK
	recs, _ := c.e.Records(since)
	for _, rec := range recs {
		out.Seq = rec.Seq
		if rec.Kind != "plan" {
			out.Lines = append(out.Lines, eventText(rec))
		}
	}
	if err != nil {
		out.Error, out.Named, status = err.Error(), namesWhat(err), http.StatusUnprocessableEntity
	}
	reply(w, status, out)
	if (err == nil || engine.OnlyHooks(err)) && cmd.Verb == engine.VerbDown && len(cmd.Services) == 0 {
		c.downs()
	}
}

// ending says whether this process is about to end, because of a signal or by itself.
func (c *control) ending() bool {
	select {
	case <-c.ends:
		return true
	default:
		return c.guests.isClosed()
	}
}

func (c *control) wait(w http.ResponseWriter, r *http.Request) {
	services := r.URL.Query()["service"]
	for _, name := range services {
		if !slices.ContainsFunc(c.e.Snapshot().Services, func(s engine.Service) bool {
			return s.Name == name
		}) {
			reply(w, http.StatusUnprocessableEntity, did{Error: "wait for " + name + ": no such service"})
			return
		}
	}
	limit := time.Duration(0)
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			reply(w, http.StatusBadRequest, did{Error: fmt.Sprintf("limit=%s: it is not a duration", text)})
			return
		}
	}
	if err := c.e.WaitUp(r.Context(), engine.Wait{Services: services, Ready: true, Limit: limit}); err != nil {
		out := did{Lines: []string{}, Error: err.Error()}
		if r.Context().Err() != nil && c.ending() {
			reply(w, http.StatusServiceUnavailable, did{Error: errEnding.Error()})
			return
		}
		if up := new(engine.UpError); errors.As(err, &up) {
			for _, f := range up.Failures {
				out.Lines = append(out.Lines, failureTail(r.Context(), c.rt, c.e.Snapshot(), f)...)
			}
		}
		reply(w, http.StatusUnprocessableEntity, out)
		return
	}
	reply(w, http.StatusOK, did{Lines: []string{}})
}

func (c *control) records(w http.ResponseWriter, r *http.Request) {
	var since uint64
	switch s := r.URL.Query().Get("since"); s {
	case "":
	case "now":
		since = c.lastSeq()
	default:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			reply(w, http.StatusBadRequest,
				did{Error: fmt.Sprintf("since=%s: it is not the seq of a record", s)})
			return
		}
		since = n
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	err := eachRecord(r.Context(), c.e, since, func(recs []engine.Record) error {
		for _, rec := range recs {
			if _, err := w.Write(append(encode(recordLine(rec, nil)), '\n')); err != nil {
				return err
			}
		}
		return flush.Flush()
	})
	_ = err // the reader went away, or we do: both are how a stream ends
}

// eachRecord hands out records after since as they come, until ctx ends or f returns an error. What
// came before ctx ended is handed out.
func eachRecord(ctx context.Context, e *engine.Engine, since uint64, f func([]engine.Record) error) error {
	changed, stop := e.Subscribe()
	defer stop()
	for {
		over := ctx.Err() != nil
		recs, missed := e.Records(since)
		if len(recs) > 0 {
			since = recs[len(recs)-1].Seq
			if missed > 0 {
				recs = append([]engine.Record{{Kind: "notice", Notice: "missed", Time: recs[0].Time,
					Text: fmt.Sprintf(
						"%d events came faster than they could be written, and are left out",
						missed)}}, recs...)
			}
		}
		if err := f(recs); err != nil || over {
			return err
		}
		awaitChange(ctx, changed, 20*time.Millisecond)
	}
}

func (c *connection) hello(project string) hello {
	return hello{Project: project, Engine: c.info.ID, PID: os.Getpid(), Version: version()}
}

// faultRow is a fault in force as scripts see it.
type faultRow struct {
	ID      string `json:"id"`
	Fault   string `json:"fault"`
	Service string `json:"service"`
	Replica int    `json:"replica,omitempty"` // left out: all
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Began   string `json:"began"`
	Until   string `json:"until"`
	Kept    int    `json:"kept,omitempty"` // connections from before it, which it does not touch
	// services that have it too, because they live in the network of one of its ends
	Sharers []fault.Sharer `json:"sharers,omitempty"`
	Trouble string         `json:"trouble,omitempty"`
}

// touches says whether one of the services is at an end of it; none means all.
func (r faultRow) touches(services []string) bool {
	return len(services) == 0 || slices.ContainsFunc([]string{r.Service, r.From, r.To}, func(s string) bool {
		return s != "" && slices.Contains(services, s)
	})
}

func faultRows(all []fault.Active) []faultRow {
	rows := []faultRow{}
	for _, a := range all {
		rows = append(rows, faultRow{ID: a.Fault.ID, Fault: a.Fault.Words(), Service: a.Fault.Service,
			Replica: a.Fault.Replica, From: a.Fault.From,
			To: a.Fault.To, Began: a.Began.UTC().Format(stamp), Until: a.Until.UTC().Format(stamp),
			Kept: a.Kept, Sharers: a.Sharers, Trouble: clean(a.Trouble)})
	}
	return rows
}
