package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"bulkhead/engine/drill"
)

// drilled is one line of the answer to POST /v1/drill.
type drilled struct {
	Report *drill.Report `json:"report,omitempty"`
	Ended  bool          `json:"ended,omitempty"`
	Error  string        `json:"error,omitempty"` // why the drill could not run to its end
	Named  bool          `json:"named,omitempty"`
}

// drillMore is what may follow the drill.Options in the body of POST /v1/drill, while the drill runs.
type drillMore struct {
	Abort bool `json:"abort,omitempty"` // heal, and end: the answer goes on until that is done
}

// errAborted is why a drill ended that its caller wanted no more.
var errAborted = errors.New("the drill is aborted")

// drill runs a drill for another terminal.
func (c *control) drill(w http.ResponseWriter, r *http.Request) {
	var o drill.Options
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		reply(w, http.StatusBadRequest, drilled{Ended: true, Error: "read the drill: " + err.Error()})
		return
	}
	conn := http.NewResponseController(w)
	_ = conn.EnableFullDuplex() // HTTP/1 can; else the body ends with the options
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	_ = conn.Flush() // who has gone away ends the drill
	ctx, abort := context.WithCancelCause(r.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		var more drillMore
		// A body that breaks off is a caller who has gone away.
		if err := d.Decode(&more); err == nil && more.Abort || err != nil && !errors.Is(err, io.EOF) {
			abort(errAborted)
		}
	})
	defer func() {
		abort(nil)
		_ = conn.SetReadDeadline(time.Now()) // a connection without deadlines ends with its caller
		reading.Wait()
	}()
	write := func(line drilled) {
		w.Write(append(encode(line), '\n')) // who has gone away does not get it, and ends the drill
		_ = conn.Flush()                    // likewise
	}
	report, err := followDrill(ctx, c.e, o, func(r *drill.Report) { write(drilled{Report: r}) })
	end := drilled{Report: report, Ended: true}
	if err != nil {
		end.Error, end.Named = err.Error(), namesWhat(err)
	}
	write(end)
}

// healLimit is how long a drill that is aborted may take to heal in the running `up`, before it is left to it.
const healLimit = time.Minute

// remote has the running `up` do the drill. When ctx ends it waits until that has healed, until a further
// signal or healLimit.
func (v *drillVerb) remote(ctx context.Context, c *client, show func(*drill.Report)) (*drill.Report, error) {
	on, leave := context.WithCancel(context.WithoutCancel(ctx))
	body, more := io.Pipe()
	ended := make(chan struct{})
	var ending sync.WaitGroup
	ending.Go(func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		if silent := (*silentError)(nil); errors.As(context.Cause(ctx), &silent) {
			leave()
			return
		}
		defer v.app.interrupts.hold()()
		v.app.interrupts.acknowledge()
		v.app.console.notify("aborting the drill: the running bulkhead heals first; ctrl+c again leaves it to that")
		asked := context.AfterFunc(on, func() { more.Close() }) // nobody may read the body any more
		defer asked()
		_, _ = more.Write(encode(drillMore{Abort: true})) // who has gone away heals anyway
		select {
		case <-ended:
		case <-v.app.interrupts.again:
			leave()
		case <-time.After(healLimit):
			v.app.console.notify("the running bulkhead has not healed in " + healLimit.String() + ", and goes on with it")
			leave()
		}
	})
	defer func() {
		close(ended)
		leave()
		more.Close()
		ending.Wait()
	}()
	report, err := c.drill(on, v.o, body, show)
	if on.Err() != nil && ctx.Err() != nil {
		return report, context.Cause(ctx)
	}
	return report, err
}

// drill has the running `up` do a drill, and shows it as it goes on. more is what is told to it later.
// The report is nil where there is nothing in it of this drill.
func (c *client) drill(
	ctx context.Context, o drill.Options, more io.Reader, show func(*drill.Report),
) (*drill.Report, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://bulkhead/v1/drill",
		io.MultiReader(bytes.NewReader(encode(o)), more))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	var last *drill.Report
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			if ctx.Err() != nil {
				return broken(last), ctx.Err()
			}
			return broken(last), fmt.Errorf("the running bulkhead went away: %w", err)
		}
		var line drilled
		if err := json.Unmarshal(text, &line); err != nil {
			return broken(last), fmt.Errorf("read the answer of the running bulkhead: %w", err)
		}
		switch {
		case line.Ended && line.Error != "":
			return line.Report, &remoteError{text: line.Error, named: line.Named}
		case line.Ended && line.Report == nil:
			return nil, errors.New("the running bulkhead made no report")
		case line.Ended:
			return line.Report, nil
		}
		last = line.Report
		show(last)
	}
}

// broken is a report that nobody goes on with; nil where no row of it is through.
func broken(r *drill.Report) *drill.Report {
	if r == nil || r.Done() == 0 {
		return nil
	}
	r.Phase, r.Why = drill.PhaseAborted, "the running bulkhead went away"
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Phase != drill.PhaseDone {
			row.Phase, row.Until, row.Verdict, row.Why = drill.PhaseDone, "", drill.Failed, "not run: "+r.Why
		}
	}
	return r
}
