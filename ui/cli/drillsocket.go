package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"bulkhead/engine/drill"
)

// drilled is one line of the answer to POST /v1/drill.
type drilled struct {
	Report *drill.Report `json:"report,omitempty"`
	Ended  bool          `json:"ended,omitempty"`
	Error  string        `json:"error,omitempty"` // why the drill could not run to its end
	Named  bool          `json:"named,omitempty"`
}

// drill runs a drill for another terminal.
func (c *control) drill(w http.ResponseWriter, r *http.Request) {
	var o drill.Options
	if err := readBody(w, r, &o); err != nil {
		reply(w, http.StatusBadRequest, drilled{Ended: true, Error: "read the drill: " + err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	write := func(line drilled) {
		w.Write(append(encode(line), '\n')) // who has gone away does not get it, and ends the drill
		_ = flush.Flush()                   // likewise
	}
	report, err := followDrill(r.Context(), c.e, o, func(r *drill.Report) { write(drilled{Report: r}) })
	end := drilled{Report: report, Ended: true}
	if err != nil {
		end.Error, end.Named = err.Error(), namesWhat(err)
	}
	write(end)
}

// drill has the running `up` do a drill, and shows it as it goes on.
func (c *client) drill(ctx context.Context, o drill.Options, show func(*drill.Report)) (*drill.Report, error) {
	resp, err := c.request(ctx, "/v1/drill", o)
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
				return last, ctx.Err()
			}
			return last, fmt.Errorf("the running bulkhead went away: %w", err)
		}
		var line drilled
		if err := json.Unmarshal(text, &line); err != nil {
			return last, fmt.Errorf("read the answer of the running bulkhead: %w", err)
		}
		if line.Report != nil {
			last = line.Report
		}
		switch {
		case line.Ended && line.Error != "":
			return last, &remoteError{text: line.Error, named: line.Named}
		case line.Ended && last == nil:
			return nil, errors.New("the running bulkhead made no report")
		case line.Ended:
			return last, nil
		}
		show(last)
	}
}
