package drill

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/engine/fault"
)

// Outcome is what a fault did to a bystander, in the words of the ledger.
type Outcome = fault.Outcome

const (
	Untouched = fault.Untouched
	Blind     = fault.Blind
	Errors    = fault.Errors
	Unhealthy = fault.WentUnhealthy
	Died      = fault.Died
)

// Mark is the sign of an outcome in a matrix.
func Mark(o Outcome) string {
	switch o {
	case Untouched:
		return "·"
	case Errors:
		return "~"
	case Unhealthy:
		return "!"
	case Died:
		return "X"
	}
	return "?"
}

// Verdict is what a row of a drill comes to.
type Verdict uint8

// The verdicts. Unknown is a row that is not through yet.
const (
	VerdictUnknown Verdict = iota
	Isolated               // everybody else untouched
	Expected               // only services suffered that may, and not more than they may
	Unproven               // nothing worse than expected, but somebody could not be seen
	Flaky                  // the repeats of the row differ
	Leak                   // somebody suffered who may not, or more than allowed
	Stuck                  // not everybody recovered in time
	Failed                 // not injected, aborted, or disturbed twice
)

var verdictNames = [...]string{"", "isolated", "expected", "unproven", "flaky", "leak", "stuck", "failed"}

// String returns the word that the screen and the JSON use, "" for a row that is not through.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Verdict) UnmarshalText(text []byte) error {
	i := slices.Index(verdictNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is not a verdict", text)
	}
	*v = Verdict(i)
	return nil
}

// DefaultFailOn are the verdicts that make a drill count as failed unless others are named.
func DefaultFailOn() []Verdict { return []Verdict{Leak, Stuck, Failed} }

// ParseVerdicts reads "leak,stuck,failed"; "none" is no verdict.
func ParseVerdicts(text string) ([]Verdict, error) {
	var out []Verdict
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" || word == "none" {
			continue
		}
		var v Verdict
		if err := v.UnmarshalText([]byte(word)); err != nil {
			return nil, fmt.Errorf("%w; there are %s", err, strings.Join(verdictNames[1:], ", "))
		}
		out = append(out, v)
	}
	return out, nil
}
