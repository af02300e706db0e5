package build

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/opencontainers/go-digest"
)

// tail is how many last lines of output an Error carries.
const tail = 20

// Error is a build that ran and did not succeed.
type Error struct {
	Service string
	Step    string   // the Dockerfile line, as written; empty where the build broke before its steps
	File    string   // path of the Dockerfile; empty for an inline one and where it is not known
	Line    int      // of Step in File, from 1; 0 where it is not known
	Tail    []string // last 20 lines of the step's output, uncleaned
	Err     error    // what went wrong, without the words that every failed build has in common
}

func (e *Error) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "build %s: ", e.Service)
	if e.File != "" && e.Line > 0 {
		fmt.Fprintf(&s, "%s:%d: ", e.File, e.Line)
	}
	if first, _, more := strings.Cut(e.Step, "\n"); more {
		fmt.Fprintf(&s, "%s …: ", first)
	} else if e.Step != "" {
		fmt.Fprintf(&s, "%s: ", e.Step)
	}
	s.WriteString(e.Err.Error())
	return s.String()
}

func (e *Error) Unwrap() error { return e.Err }

// noise is what BuildKit and gRPC put in front of the words that matter.
var noise = regexp.MustCompile(`^((failed to solve( with frontend [^:]+)?:|failed to (build|solve) LLB:|rpc error: code = \w+ desc =|Unknown:) )+`)

// plain is an error whose text has been cleaned; what it wraps is still there for errors.As.
type plain struct {
	text string
	err  error
}

func (p plain) Error() string { return p.text }
func (p plain) Unwrap() error { return p.err }

func clean(err error) error {
	return plain{text: noise.ReplaceAllString(err.Error(), ""), err: err}
}

// broken makes an Error of what BuildKit returned.
func broken(r Request, in *input, rec *recorder, err error) *Error {
	e := &Error{Service: r.Service, Err: clean(err)}
	var id digest.Digest
	var ve *errdefs.VertexError
	if errors.As(err, &ve) {
		id = digest.Digest(ve.Digest)
	}
	st := rec.failed(id)
	e.Tail = st.Log[max(0, len(st.Log)-tail):]
	if m := numbered.FindString(st.Name); m != "" {
		e.Step = strings.TrimPrefix(st.Name, m)
	}
	for _, src := range errdefs.Sources(err) {
		if src.Info == nil || len(src.Ranges) == 0 {
			continue
		}
		first, last := int(src.Ranges[0].Start.Line), 0
		for _, rg := range src.Ranges {
			first = min(first, int(rg.Start.Line))
			last = max(last, int(rg.Start.Line), int(rg.End.Line))
		}
		if text := cut(string(src.Info.Data), first, last); text != "" {
			e.Step, e.Line = text, first
			e.File = in.file
			// A frontend may know of other files; ours is told apart by its name.
			if in.file != "" && src.Info.Filename != "" && filepath.Base(in.file) != filepath.Base(src.Info.Filename) {
				e.File = src.Info.Filename
			}
			break
		}
	}
	return e
}

// cut returns lines first to last of a text, counted from 1.
func cut(text string, first, last int) string {
	all := strings.Split(text, "\n")
	if first < 1 || first > len(all) {
		return ""
	}
	last = min(max(last, first), len(all))
	return strings.TrimRight(strings.Join(all[first-1:last], "\n"), "\r\n")
}
