package filesync

import (
	"fmt"
	"hash"
	"maps"
	"slices"
	"sync"

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
	runs     int             // how many have begun
	// paths were left for End to look at since it last began to
	left bool
}

// Prepares is what is known of the prepare commands of a project's services. Its methods may be called
// from any goroutine.
type Prepares struct {
	records *records

	mu  sync.Mutex
	all map[string]*prepared // by service
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
func (y *Prepares) preparedLocked(service string) *prepared {
	p := y.all[service]
	if p == nil {
		p = &prepared{outputs: map[string]bool{}, touched: map[string]bool{}}
		known, _ := y.records.outputs.Get(service)
		for _, file := range known {
			p.outputs[file] = true
		}
		y.all[service] = p
	}
	return p
}

// Needs says whether something that a service's prepare command depends on changed since it
// last succeeded.
func (y *Prepares) Needs(conf *project.Service) bool {
	y.mu.Lock()
	outputs := maps.Clone(y.preparedLocked(conf.Name).outputs)
	y.mu.Unlock()
	return y.Ran(conf.Name) != prepareFingerprint(conf, prepareInputs(conf), outputs)
}

// Begin notes that a service's prepare command is about to run.
func (y *Prepares) Begin(conf *project.Service) {
	y.records.j.Intend(prepareOf(conf.Name), nil)
	before := prepareInputs(conf)
	y.mu.Lock()
	defer y.mu.Unlock()
	p := y.preparedLocked(conf.Name)
	p.before = before
	p.runs++
}

// maxEndLooks is how often the files that a prepare command watches are looked at
// when it ends, as long as some are saved meanwhile. After that the command runs
// once more in any case.
const maxEndLooks = 4

// End notes that the command has ended. fingerprint is what it ran with; again says that it
// has to run once more, because something that it watches changed meanwhile.
func (y *Prepares) End(conf *project.Service) (fingerprint string, again bool) {
	for n := 1; ; n++ {
		end := y.lookAtEnd(conf)
		if fingerprint, again, ok := y.endWith(conf, end, n == maxEndLooks); ok {
			return fingerprint, again
		}
	}
}

// prepareEnd is what a prepare command's files are when it has ended.
type prepareEnd struct {
	before, after Manifest
	sums          map[string]string // of the contents of what changed, "" for what is gone
}

// lookAtEnd lists and reads what a prepare command watches. It takes as long as
// the disk does, without a lock: what is saved in that time, and Asks
// leaves to End, is noted.
func (y *Prepares) lookAtEnd(conf *project.Service) prepareEnd {
	y.mu.Lock()
	p := y.preparedLocked(conf.Name)
	p.left = false
	end := prepareEnd{before: p.before, sums: map[string]string{}}
	y.mu.Unlock()
	end.after = prepareInputs(conf)
	for _, file := range changedFiles(end.before, end.after) {
		end.sums[file] = contentOf(conf, file)
	}
	return end
}

// endWith ends a run by what was found at its end. ok is false when paths were
// left for End since that look began: it may not have seen them, and unless
// it was the last, the run goes on until the next one.
func (y *Prepares) endWith(
	conf *project.Service, end prepareEnd, last bool,
) (fingerprint string, again, ok bool) {
	y.mu.Lock()
	p := y.preparedLocked(conf.Name)
	if p.left && !last {
		y.mu.Unlock()
		return "", false, false
	}
	again = p.left
	suspects, learned := map[string]string{}, len(p.outputs)
	for file, sum := range end.sums {
		p.touched[file] = true
		if had, ok := p.suspects[file]; ok && had == sum {
			p.outputs[file] = true
		}
		if !p.outputs[file] {
			suspects[file] = sum
		}
	}
	p.before, p.after, p.suspects = nil, end.after, suspects
	outputs := maps.Clone(p.outputs)
	if len(outputs) > learned {
		y.records.outputs.Set(conf.Name, slices.Sorted(maps.Keys(outputs)))
	}
	y.mu.Unlock()
	if again = again || len(suspects) > 0; again {
		return prepareFingerprint(conf, end.before, outputs), true, true
	}
	return prepareFingerprint(conf, end.after, outputs), false, true
}

// Asks says whether changed paths have a service's prepare command run: not when all that it
// watches among them is as its last run left it, and while it runs not when it may have written them
// itself, which End finds out.
func (y *Prepares) Asks(conf *project.Service, paths []string) bool {
	for {
		asks, known, runs := y.asksAtOnce(conf.Name, paths)
		if known {
			return asks
		}
		if asks, ok := y.asksSince(conf.Name, runs, prepareInputs(conf)); ok {
			return asks
		}
	}
}

// asksAtOnce is Asks as far as it needs no look at the disk: while the
// command runs, and before it first does. Otherwise known is false, and runs is how
// many runs have begun.
func (y *Prepares) asksAtOnce(service string, paths []string) (asks, known bool, runs int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	p := y.preparedLocked(service)
	if p.before == nil {
		return p.after == nil, p.after == nil, p.runs
	}
	asks = slices.ContainsFunc(paths, func(file string) bool {
		n, was := p.before[file]
		return was && !n.isDir() && !p.touched[file] && !p.outputs[file]
	})
	p.left = p.left || !asks
	return asks, true, p.runs
}

// asksSince is Asks while the command does not run, by what it watches now.
// ok is false when it has been begun since that was looked at: what it is asked of
// then is another run.
func (y *Prepares) asksSince(service string, runs int, now Manifest) (asks, ok bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	p := y.preparedLocked(service)
	if p.runs != runs {
		return false, false
	}
	for _, file := range changedFiles(p.after, now) {
		asks = true
		if p.outputs[file] { // somebody else writes it too
			delete(p.outputs, file)
			delete(p.touched, file)
		}
	}
	return asks, true
}

// Ran returns the fingerprint of what a service's prepare command last ran
// with; "" when that is not known.
func (y *Prepares) Ran(service string) string {
	if _, cut := y.records.j.Unsettled(prepareOf(service)); cut {
		return ""
	}
	fingerprint, _ := y.records.prepared.Get(service)
	return fingerprint
}

// Record records the fingerprint with which a service's prepare command
// succeeded.
func (y *Prepares) Record(service, fingerprint string) {
	if y.Ran(service) != fingerprint {
		y.records.prepared.Set(service, fingerprint)
	}
	y.records.j.Settle(prepareOf(service))
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
