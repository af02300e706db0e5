package hostcmd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/hostfile"
)

// Terms are what a person agrees to before a program runs on this machine.
type Terms struct {
	Service string
	Kind    string // "prepare", "provider"
	Place   string // "compose.yaml:12", where it is written
	// Command is the line for the shell, or the program with its arguments, and Env what it adds to
	// the environment of this process. What the person's own shell has set stands in them by name.
	Command string   `text:"lines"`
	Env     []string // "KEY=value", sorted
}

// ID is the same for terms that ask for the same. Where the command is written, and for which
// service, does not matter.
func (t Terms) ID() string {
	doc, err := json.Marshal([]any{t.Kind, t.Command, t.Env})
	if err != nil {
		panic(err) // texts always marshal
	}
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:16])
}

// String is one line that says what would run, and where it is written.
func (t Terms) String() string {
	first, _, more := strings.Cut(t.Command, "\n")
	if more {
		first += " …"
	}
	return fmt.Sprintf("%s (%s, %s)", first, t.Kind, t.Place)
}

// UntrustedError is a program that did not run because nobody has agreed to it.
type UntrustedError struct{ Terms Terms }

// Error names the command, its place and the remedy, in one line.
func (e *UntrustedError) Error() string { return e.Reason() + "; " + e.Suggestion() }

// Reason is the error without the remedy.
func (e *UntrustedError) Reason() string {
	return "not allowed on the host yet: " + e.Terms.String()
}

// Suggestion is how to allow it.
func (e *UntrustedError) Suggestion() string { return "`bulkhead trust` shows and allows it" }

// Explain returns both.
func (e *UntrustedError) Explain() (text, remedy string) { return e.Reason(), e.Suggestion() }

// Trust is what a person has agreed to for one project. It is kept outside of the project, and read
// again for every question, so that an answer in another terminal counts at once. A nil Trust
// allows nothing. Its methods may be called from any goroutine.
type Trust struct {
	file string // "": nothing is kept
	dir  string // of the project

	mu  sync.Mutex
	run map[string]bool // allowed for this run; by ID
	all bool
}

// OpenTrust returns the answers for the project in dir, which are kept below base; "" keeps none.
func OpenTrust(base, dir string) *Trust {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	t := &Trust{dir: dir, run: map[string]bool{}}
	if base != "" {
		sum := sha256.Sum256([]byte(dir))
		t.file = filepath.Join(base, "trust", hex.EncodeToString(sum[:16])+".json")
	}
	return t
}

// AllowAll allows everything for this run, and keeps nothing.
func (t *Trust) AllowAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = true
}

// AllowRun allows terms for this run, and keeps nothing.
func (t *Trust) AllowRun(all ...Terms) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, terms := range all {
		t.run[terms.ID()] = true
	}
}

// Allows says whether somebody has agreed to terms.
func (t *Trust) Allows(terms Terms) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	id := terms.ID()
	if t.all || t.run[id] {
		return true
	}
	// A file that cannot be read or is damaged allows nothing: the person is asked again.
	kept, err := t.readLocked()
	_, ok := kept.Allowed[id]
	return err == nil && ok
}

// Check returns an *UntrustedError when nobody has agreed to terms. Run and Provider.Do ask it
// themselves; who asks before has nothing to show of a command that will not run.
func (t *Trust) Check(terms Terms) error {
	if t.Allows(terms) {
		return nil
	}
	return &UntrustedError{Terms: terms}
}

// Allow notes that a person has agreed. It holds for this run also where it cannot be kept, which is
// the error.
func (t *Trust) Allow(all ...Terms) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, err := t.readLocked()
	if err != nil {
		kept = answers{}
	}
	if kept.Allowed == nil {
		kept.Allowed = map[string]answer{}
	}
	for _, terms := range all {
		t.run[terms.ID()] = true
		kept.Allowed[terms.ID()] = answer{
			Kind: terms.Kind, Service: terms.Service, Place: terms.Place,
			At: time.Now().UTC().Round(time.Second),
		}
	}
	if t.file == "" {
		return errors.New("keep the answer: there is no home folder; it holds for this run only")
	}
	kept.Version, kept.Folder = trustVersion, t.dir
	b, err := json.MarshalIndent(kept, "", "  ")
	if err == nil {
		err = hostfile.WritePrivate(t.file, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep the answer in %s: %w; it holds for this run only", t.file, err)
	}
	return nil
}

// Forget takes all answers for the project back.
func (t *Trust) Forget() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.run)
	t.all = false
	if t.file == "" {
		return nil
	}
	b, err := json.MarshalIndent(answers{Version: trustVersion, Folder: t.dir}, "", "  ")
	if err == nil {
		err = hostfile.WritePrivate(t.file, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("forget the answers in %s: %w", t.file, err)
	}
	return nil
}

// Missing returns the terms that nobody has agreed to, each once.
func (t *Trust) Missing(all []Terms) []Terms {
	var out []Terms
	for _, terms := range all {
		if !t.Allows(terms) && !slices.ContainsFunc(out, func(o Terms) bool {
			return o.ID() == terms.ID() && o.Service == terms.Service
		}) {
			out = append(out, terms)
		}
	}
	return out
}

const trustVersion = 1

// answers is the file. It holds no command and no value of an environment.
type answers struct {
	Version int               `json:"version"`
	Folder  string            `json:"folder"`
	Allowed map[string]answer `json:"allowed"` // by ID
}

type answer struct {
	Kind    string    `json:"kind"`
	Service string    `json:"service"`
	Place   string    `json:"place"`
	At      time.Time `json:"at"`
}

// readLocked reads the file; one that is not there holds no answers, and one of another folder or
// of a newer version is an error.
func (t *Trust) readLocked() (kept answers, err error) {
	if t.file == "" {
		return kept, nil
	}
	b, err := hostfile.Read(t.file, hostfile.MaxOther)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &kept)
	}
	if err == nil && (kept.Folder != t.dir || kept.Version != trustVersion) {
		err = fmt.Errorf("%s does not hold answers for %s", t.file, t.dir)
	}
	return kept, err
}
