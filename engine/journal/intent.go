package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/moby/sys/atomicwriter"

	"bulkhead/engine/hostfile"
)

// intents are what was begun and is not confirmed: written to a small file of their own before the
// act, because the state itself is written only now and then. What a sudden end leaves there is what
// nobody can know the outcome of.
type intents struct {
	file string // "" keeps them in memory only

	writing sync.Mutex // held while the file is replaced; taken before mu

	mu   sync.Mutex
	all  map[string]*intent
	left map[string]Paths // of the process before, until they are settled
}

type intent struct {
	paths   Paths  // sorted
	settled uint64 // the state that has the outcome; 0 while it is open
}

func openIntents(state string) (*intents, error) {
	n := &intents{all: map[string]*intent{}, left: map[string]Paths{}}
	if state == "" {
		return n, nil
	}
	n.file = filepath.Join(filepath.Dir(state), "pending.json")
	fi, err := os.Lstat(n.file)
	if hostfile.Missing(err) {
		return n, nil
	}
	if err == nil && !fi.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(n.file)
	}
	if err == nil {
		err = json.Unmarshal(b, &n.left)
	}
	if err != nil {
		n.left = map[string]Paths{}
		return n, fmt.Errorf("%s: %w", filepath.Base(n.file), reason(err))
	}
	if n.left == nil { // it held null
		n.left = map[string]Paths{}
	}
	return n, nil
}

// write replaces the file. That it cannot be written is the state's matter, which lies beside
// it: it is said there.
func (n *intents) write() {
	if n.file == "" {
		return
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	n.mu.Lock()
	doc := maps.Clone(n.left)
	for key, in := range n.all {
		doc[key] = slices.Clone(in.paths)
	}
	n.mu.Unlock()
	if len(doc) == 0 {
		_ = os.Remove(n.file) // what stays is looked at once more than it need be
		return
	}
	if err := makeFolders(n.file); err != nil {
		return
	}
	if b, err := json.Marshal(doc); err == nil {
		_ = atomicwriter.WriteFile(n.file, b, 0o600)
	}
}

// Intend notes that something is about to be done, for as long as it is not settled: key says what
// to, and paths, which may be nil, to which parts of it.
func (j *Journal) Intend(key string, paths []string) {
	n := j.intents
	n.add(key, paths)
	n.write()
}

func (n *intents) add(key string, paths []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	in := n.all[key]
	if in == nil {
		in = &intent{}
		n.all[key] = in
	}
	in.settled = 0
	in.paths = slices.Concat(in.paths, paths)
	slices.Sort(in.paths)
	in.paths = slices.Compact(in.paths)
}

// Settle notes that the outcome of what was intended is in the tables. It is forgotten once those
// are written.
func (j *Journal) Settle(key string) {
	j.mu.Lock()
	j.changes++
	at := j.changes
	j.mu.Unlock()
	n := j.intents
	n.mu.Lock()
	defer n.mu.Unlock()
	if left, ok := n.left[key]; ok {
		delete(n.left, key)
		if n.all[key] == nil {
			n.all[key] = &intent{paths: left}
		}
	}
	switch in := n.all[key]; {
	case in == nil:
	case n.file == "":
		delete(n.all, key)
	default:
		in.settled = at
	}
}

// open says whether something was intended that is not settled, by this process or one before.
func (n *intents) open(key string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, left := n.left[key]
	in := n.all[key]
	return left || in != nil && in.settled == 0
}

// Unsettled returns what a process that ended suddenly had begun to do to key; ok is false when
// there is no such thing.
func (j *Journal) Unsettled(key string) (paths []string, ok bool) {
	n := j.intents
	n.mu.Lock()
	defer n.mu.Unlock()
	paths, ok = n.left[key]
	return paths, ok
}

// written drops what is settled in the state that was written.
func (n *intents) written(changes uint64) {
	n.mu.Lock()
	before := len(n.all)
	maps.DeleteFunc(n.all, func(_ string, in *intent) bool { return in.settled != 0 && in.settled <= changes })
	fewer := len(n.all) != before
	n.mu.Unlock()
	if fewer {
		n.write()
	}
}
