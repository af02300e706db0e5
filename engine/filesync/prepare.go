package filesync

import (
	"fmt"
	"hash"
	"maps"
	"slices"

	"bulkhead/engine/project"
)

// prepared is what is known of the files that a service's prepare command watches. What the command
// itself writes among them must not have it run again; who wrote a file is not known, though, only
// when. So what changed while the command ran has it run once more, and a file that it then writes
// again with the same content is one of its outputs from there on. Until then, and for what a person
// saved meanwhile, the second run is the right answer.
type prepared struct {
	outputs map[string]bool
	// what changed in the last run and is no known output: sums of contents, "" for what is gone
	suspects map[string]string
	touched  map[string]bool // what ever changed while the command ran
	before   Manifest        // as the run in progress found it; nil while none runs
	after    Manifest        // as the last run left it; nil before the first
}

// prepareInputs is what a prepare command watches, as it is now.
func prepareInputs(conf *project.Service) Manifest {
	all := newTrees(conf)
	defer all.close()
	t := Manifest{}
	for _, root := range conf.Extra.Prepare.Watch {
		maps.Copy(t, all.scan(root, nil, nil).files)
	}
	return t
}

// prepareFingerprint is a value for all that a prepare command depends on: the files that it watches
// and does not write, the command and its environment, whose values are hashed too and stay out of
// the state file.
func prepareFingerprint(conf *project.Service, inputs Manifest, outputs map[string]bool) string {
	p, t := conf.Extra.Prepare, maps.Clone(inputs)
	maps.DeleteFunc(t, func(file string, _ FileStat) bool { return outputs[file] })
	return t.fingerprint(func(h hash.Hash) {
		fmt.Fprintf(h, "%q\n", p.Run)
		for _, k := range slices.Sorted(maps.Keys(p.Env)) {
			fmt.Fprintf(h, "%q=%q\n", k, p.Env[k])
		}
	})
}

// preparedLocked returns what is known of a service. Callers hold mu.
func (y *Syncer) preparedLocked(service string) *prepared {
	p := y.prepared[service]
	if p == nil {
		p = &prepared{outputs: map[string]bool{}, touched: map[string]bool{}}
		known, _ := y.records.outputs.Get(service)
		for _, file := range known {
			p.outputs[file] = true
		}
		y.prepared[service] = p
	}
	return p
}

// NeedsPrepare says whether something that a service's prepare command depends on changed since it
// last succeeded.
func (y *Syncer) NeedsPrepare(conf *project.Service) bool {
	y.mu.Lock()
	outputs := maps.Clone(y.preparedLocked(conf.Name).outputs)
	y.mu.Unlock()
	return y.Prepared(conf.Name) != prepareFingerprint(conf, prepareInputs(conf), outputs)
}

// BeginPrepare notes that a service's prepare command is about to run.
func (y *Syncer) BeginPrepare(conf *project.Service) {
	y.records.j.Intend(prepareOf(conf.Name), nil)
	before := prepareInputs(conf)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.preparedLocked(conf.Name).before = before
}

// EndPrepare notes that the command has ended. fingerprint is what it ran with; again says that it
// has to run once more, because something that it watches changed meanwhile.
func (y *Syncer) EndPrepare(conf *project.Service) (fingerprint string, again bool) {
	after := prepareInputs(conf)
	y.mu.Lock()
	defer y.mu.Unlock()
	p := y.preparedLocked(conf.Name)
	before, suspects := p.before, map[string]string{}
	learned := len(p.outputs)
	for _, file := range changedFiles(before, after) {
		p.touched[file] = true
		sum := contentOf(conf, file)
		if had, ok := p.suspects[file]; ok && had == sum {
			p.outputs[file] = true
		}
		if !p.outputs[file] {
			suspects[file] = sum
		}
	}
	p.before, p.after, p.suspects = nil, after, suspects
	if len(p.outputs) > learned {
		y.records.outputs.Set(conf.Name, slices.Sorted(maps.Keys(p.outputs)))
	}
	if again = len(suspects) > 0; again {
		return prepareFingerprint(conf, before, p.outputs), true
	}
	return prepareFingerprint(conf, after, p.outputs), false
}

// PrepareAsks says whether changed paths have a service's prepare command run: not when all that it
// watches among them is as its last run left it, and while it runs not when it may have written them
// itself, which EndPrepare finds out.
func (y *Syncer) PrepareAsks(conf *project.Service, paths []string) bool {
	y.mu.Lock()
	running, ran := y.preparedLocked(conf.Name).before != nil, y.preparedLocked(conf.Name).after != nil
	y.mu.Unlock()
	if !running && !ran {
		return true
	}
	var now Manifest
	if !running {
		now = prepareInputs(conf)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	p := y.preparedLocked(conf.Name)
	if running {
		return slices.ContainsFunc(paths, func(file string) bool {
			_, was := p.before[file]
			return was && !p.before[file].isDir() && !p.touched[file] && !p.outputs[file]
		})
	}
	asks := false
	for _, file := range changedFiles(p.after, now) {
		asks = true
		if p.outputs[file] { // somebody else writes it too
			delete(p.outputs, file)
			delete(p.touched, file)
		}
	}
	return asks
}

// changedFiles lists the files that one of two manifests lacks, or has in another state.
func changedFiles(before, after Manifest) []string {
	same := func(a, b FileStat) bool {
		return a.Size == b.Size && a.Mtime == b.Mtime && a.Ino == b.Ino && a.Mode == b.Mode && a.Link == b.Link
	}
	var out []string
	for file, n := range after {
		if was, ok := before[file]; !n.isDir() && (!ok || !same(was, n)) {
			out = append(out, file)
		}
	}
	for file, n := range before {
		if _, ok := after[file]; !ok && !n.isDir() {
			out = append(out, file)
		}
	}
	slices.Sort(out)
	return out
}

// contentOf is the sum of a file's content, "" when it cannot be read.
func contentOf(conf *project.Service, file string) string {
	for _, root := range conf.Extra.Prepare.Watch {
		if !project.Within(root, file) {
			continue
		}
		if tr, err := openTree(conf, root); err == nil {
			sum, _ := tr.sumOf(file) // unreadable or gone: ""
			tr.close()
			return sum
		}
	}
	return ""
}
