package drill

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Difference is one thing that two drills of a project do not agree on.
type Difference struct {
	Killed  string `json:"killed"`
	Service string `json:"service,omitempty"` // "": the verdict
	Was     string `json:"was"`
	Is      string `json:"is"`
	Worse   bool   `json:"worse"`
}

// String is the difference in one line: "orders > gateway: untouched -> errors, worse".
func (d Difference) String() string {
	at, how := d.Killed, "better"
	if d.Service != "" {
		at += " > " + d.Service
	}
	if d.Worse {
		how = "worse"
	}
	return fmt.Sprintf("%s: %s -> %s, %s", at, d.Was, d.Is, how)
}

// Parse reads a report that was written as JSON.
func Parse(data []byte) (*Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("it is not the JSON of a drill: %w", err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("it is not the JSON of a drill: its schema is %q, and %q is known",
			r.Schema, Schema)
	}
	return &r, nil
}

// Compare lists what changed since an older drill, row by row; rows that only one of them has are
// left out.
func Compare(old, now *Report) []Difference {
	var out []Difference
	for i := range now.Rows {
		n := &now.Rows[i]
		k := slices.IndexFunc(old.Rows, func(r Row) bool { return r.Killed == n.Killed })
		if k < 0 {
			continue
		}
		o := &old.Rows[k]
		if o.Verdict != n.Verdict {
			out = append(out, Difference{Killed: n.Killed, Was: o.Verdict.String(),
				Is: n.Verdict.String(), Worse: n.Verdict > o.Verdict})
		}
		for _, c := range n.Cells {
			if was := o.Cell(c.Service); was != nil && was.Outcome != c.Outcome {
				out = append(out, Difference{Killed: n.Killed, Service: c.Service,
					Was: was.Outcome.String(), Is: c.Outcome.String(), Worse: c.Outcome > was.Outcome})
			}
		}
	}
	return out
}
