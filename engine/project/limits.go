package project

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/template"

	"bulkhead/engine/hostfile"
)

// The limits of what a few lines can make of themselves. No project that a machine can run comes
// near them.
const (
	maxFilledIn = 64 << 20 // bytes that variables bring into one env file, or into the Compose files
	maxEnvLines = 50_000   // of one env file; each may be a variable, and each takes microseconds
	maxPorts    = 16384    // published by all services together
	maxQuoted   = 240      // bytes of a file, or of a name in it, that an error quotes
	maxWord     = 100      // longest word that is compared with those that it may have meant
)

// budget bounds what variables are filled in with: forty lines that each name the one before twice
// would make terabytes.
type budget struct {
	left  int
	spent bool
}

func newBudget() *budget { return &budget{left: maxFilledIn} }

// of returns a lookup that answers with nothing once the budget is spent.
func (b *budget) of(lookup func(string) (string, bool)) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := lookup(name)
		if b.left -= len(value); b.left < 0 || b.spent {
			b.spent = true
			return "", true
		}
		return value, ok
	}
}

// exceeded is the error of a file whose variables grew too far; path may be "".
func (s *sources) exceeded(path string) *LoadError {
	e := &LoadError{Problem: fmt.Sprintf("variables grow beyond %d MB when they are filled in",
		maxFilledIn>>20),
		Remedy: "take out those that repeat others"}
	if path != "" {
		e.File = inside(s.cwd, path)
	}
	return e
}

// errSpent ends a load; what is reported is exceeded.
var errSpent = errors.New("the budget of variables is spent")

// limitInterpolation sets the budget of one load's Compose files, those that they include among them:
// each of them looks variables up in its own way, and all are filled in by the first one's function.
func limitInterpolation(o *interpolation.Options) *budget {
	b := newBudget()
	fill := o.Substitute
	if fill == nil {
		fill = template.Substitute
	}
	o.Substitute = func(text string, lookup template.Mapping) (string, error) {
		if b.spent {
			return "", errSpent
		}
		return fill(text, b.of(lookup))
	}
	return b
}

// tooManyLines refuses an env file with more lines than any project has variables; nil: it has not.
func (s *sources) tooManyLines(path string, b []byte) error {
	if bytes.Count(b, []byte{'\n'}) <= maxEnvLines {
		return nil
	}
	return &LoadError{File: inside(s.cwd, path), Problem: fmt.Sprintf("has more than %d lines", maxEnvLines),
		Remedy: "keep only the variables that are used"}
}

// vetEnvFile refuses an env file whose variables grow too far; whatever else is wrong with it is
// reported by who reads it. In one of the format raw there are no variables.
func (s *sources) vetEnvFile(path string, raw bool, env template.Mapping) error {
	b, err := hostfile.Read(path, hostfile.MaxOther)
	if err != nil {
		return nil
	}
	if err := s.tooManyLines(path, b); err != nil || raw || !bytes.ContainsRune(b, '$') {
		return err
	}
	limit, vars := newBudget(), map[string]string{}
	_ = dotenv.ParseWithFormat(bytes.NewReader(b), path, vars, limit.of(func(name string) (string, bool) {
		if v, ok := env(name); ok {
			return v, true
		}
		v, ok := vars[name]
		return v, ok
	}), "")
	if limit.spent {
		return s.exceeded(path)
	}
	return nil
}

// vetPorts refuses more published ports than an engine can carry: each has an entry of its own, and
// its own proxy.
func (s *sources) vetPorts() error {
	all := 0
	count := func(f *source) error {
		for _, doc := range f.docs {
			services := get(doc, "services")
			for _, name := range keys(services) {
				for _, n := range seq(get(get(services, name), "ports")) {
					if all += s.portsOf(n.Value); all > maxPorts {
						return s.errorIn(place{f,
							n.Line}).with(
							fmt.Sprintf("services.%s.ports: more than %d ports, with those of the other services", name, maxPorts),
							"publish only those that are used")
					}
				}
			}
		}
		return nil
	}
	for _, f := range s.files {
		if err := count(f); err != nil {
			return err
		}
	}
	for _, f := range s.extended {
		if err := count(f); err != nil {
			return err
		}
	}
	return nil
}

// portsOf is how many ports the short form of an entry publishes.
func (s *sources) portsOf(entry string) int {
	if entry == "" {
		return 0
	}
	entry, _, _ = strings.Cut(s.filled(entry), "/")
	from, to, ok := strings.Cut(entry[strings.LastIndexByte(entry, ':')+1:], "-")
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if !ok || err1 != nil || err2 != nil || last < first {
		return 1
	}
	return last - first + 1
}

// quoted cuts what an error quotes of a file to a line that a person can read.
func quoted(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
