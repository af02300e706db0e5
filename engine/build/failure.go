package build

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/opencontainers/go-digest"

	"bulkhead/engine/container"
)

// tail is how many last lines of output an Error carries.
const tail = 20

// noise is what BuildKit and gRPC put in front of the message.
var noise = regexp.MustCompile(
	`^((failed to solve( with frontend [^:]+)?:|failed to (build|solve) LLB:|failed to create LLB definition:|failed to (compute|load) cache key:|rpc error: code = \w+ desc =|Unknown:) )+`)

// repeated is what engines say of a command that failed, with the command once more. Its second group is what is new.
var repeated = regexp.MustCompile(
	`(?s)^(executor failed running \[.*\]|process ".*" did not complete successfully): (exit code: \d+)$`)

// plain is an error whose text has been cleaned; what it wraps is still there for errors.As.
type plain struct {
	text string
	err  error
}

func (p plain) Error() string { return p.text }
func (p plain) Unwrap() error { return p.err }

func clean(err error) error {
	text := noise.ReplaceAllString(err.Error(), "")
	for strings.HasSuffix(text, "not found: not found") {
		text = strings.TrimSuffix(text, ": not found")
	}
	return plain{text: text, err: err}
}

// withoutCommand is an error of a command that failed without that command.
func withoutCommand(err error) error {
	if m := repeated.FindStringSubmatch(err.Error()); m != nil {
		return plain{text: m[2], err: err}
	}
	return err
}

// broken makes an Error of what BuildKit returned.
func broken(r container.BuildRequest, in *input, rec *recorder, err error) *container.BuildError {
	e := &container.BuildError{Service: r.Service, Err: clean(err)}
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
	if e.Step != "" {
		e.Err = withoutCommand(e.Err)
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
			e.Step, e.File, e.Line, e.Around = text, in.file, first, around(string(src.Info.Data), first, last)
			return e
		}
	}

	// BuildKit before 0.11 sends no source with its errors, so the line is found by what it says.
	first, last := locate(in.text, st.Name)
	if m := parseError.FindStringSubmatch(err.Error()); m != nil {
		first, _ = strconv.Atoi(m[1]) // digits by the pattern
		last = first
	}
	if text := cut(string(in.text), first, last); text != "" {
		e.Step, e.File, e.Line, e.Around = text, in.file, first, around(string(in.text), first, last)
	}
	return e
}

var (
	parseError = regexp.MustCompile(`dockerfile parse error (?:on )?line (\d+):`)
	variable   = regexp.MustCompile(`\\\$(\\\{[^}]*\}|\w+)`) // in quoted text
	blanks     = regexp.MustCompile(`\s+`)
)

// locate finds the first and last line of a Dockerfile's instruction by the name
// that BuildKit names its step with, in which variables are filled in. Both are 0 where
// it is not found.
func locate(dockerfile []byte, name string) (first, last int) {
	tree, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return 0, 0
	}
	image, isBase := strings.CutPrefix(name, "[internal] load metadata for ")
	if !isBase {
		image, isBase = strings.CutPrefix(name, "FROM ") // of COPY --from=image
	}
	label, text := "", ""
	if m := numbered.FindStringSubmatch(name); m != nil {
		label, text = m[1], squeeze(name[len(m[0]):])
	} else if !isBase {
		return 0, 0
	}
	stage, stageName := -1, ""
	for _, n := range tree.AST.Children {
		if strings.EqualFold(n.Value, "from") {
			stage, stageName = stage+1, ""
			if f := strings.Fields(n.Original); len(f) > 3 && strings.EqualFold(f[len(f)-2], "as") {
				stageName = strings.ToLower(f[len(f)-1])
			}
			if isBase && n.Next != nil && sameImage(n.Next.Value, image) {
				return n.StartLine, n.EndLine
			}
		}
		for _, flag := range n.Flags {
			if from, ok := strings.CutPrefix(flag, "--from="); isBase && ok && sameImage(from, image) {
				return n.StartLine, n.EndLine
			}
		}
		if isBase || !sameText(n.Original, text) {
			continue
		}
		// The same words may stand in several stages; the label says in which, if perhaps after a
		// platform: "dev", "stage-1", "linux/arm64 dev", or nothing where there is one stage.
		own := label[strings.LastIndex(label, " ")+1:]
		if own == "" || own == stageName || own == fmt.Sprintf("stage-%d", stage) {
			return n.StartLine, n.EndLine
		}
	}
	return 0, 0
}

// sameText compares an instruction as written with one whose variables are filled in.
func sameText(written, found string) bool {
	written = squeeze(written)
	if written == found {
		return true
	}
	word, rest, _ := strings.Cut(written, " ")
	pattern := variable.ReplaceAllString(regexp.QuoteMeta(rest), ".*")
	ok, err := regexp.MatchString("^(?i:"+regexp.QuoteMeta(word)+") "+pattern+"$", found)
	return err == nil && ok // an error: nothing that we could have made of a Dockerfile
}

func sameImage(written, found string) bool {
	ref, err := reference.ParseDockerRef(written)
	return err == nil && ref.String() == found
}

func squeeze(s string) string { return strings.TrimSpace(blanks.ReplaceAllString(s, " ")) }

// around returns a text's lines first to last, counted from 1, with two before and after them;
// those in question are marked as failed.
func around(text string, first, last int) []container.SourceLine {
	const more = 2
	all := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	last = max(last, first)
	var out []container.SourceLine
	for i := max(first-more, 1); i <= min(last+more, len(all)); i++ {
		out = append(out, container.SourceLine{Number: i, Text: strings.TrimRight(all[i-1], "\r"),
			Failed: i >= first && i <= last})
	}
	return out
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
