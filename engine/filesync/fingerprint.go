package filesync

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/patternmatcher/ignorefile"

	"bulkhead/engine/hostfile"
	"bulkhead/engine/project"
	"bulkhead/watch"
)

// fingerprint is one value for a whole manifest, and for what more writes.
// Folders do not count.
func (t Manifest) fingerprint(more func(hash.Hash)) string {
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(t)) {
		if n := t[p]; !n.isDir() {
			fmt.Fprintf(h, "%s %d %d %d %s\n", p, n.Size, n.Mtime, n.Mode, n.Link)
		}
	}
	if more != nil {
		more(h)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// rebuildFiles are the files that a service's rebuild rules name.
func rebuildFiles(conf *project.Service) Manifest {
	all := newTrees(conf)
	defer all.close()
	t := Manifest{}
	for i := range conf.Rules {
		if r := &conf.Rules[i]; r.Action == project.Rebuild {
			maps.Copy(t, all.scan(r.Path, func(p string) bool { return conf.Claims(r, p) }, r.Ignored).files)
		}
	}
	return t
}

// contextFingerprint is a value for a service's whole build context; "" for a
// context that is not a folder.
func contextFingerprint(conf *project.Service) string {
	dir := conf.Config.Build.Context
	tr, err := openTree(conf, dir)
	if err != nil {
		return ""
	}
	defer tr.close()
	if tr.name != "." {
		return ""
	}
	file := conf.Dockerfile()
	patterns, err := readIgnore(file + ".dockerignore")
	if err != nil || len(patterns) == 0 {
		if patterns, err = readIgnore(filepath.Join(dir, ".dockerignore")); err != nil {
			patterns = nil // the build says what is wrong with it
		}
	}
	ignore, err := watch.NewIgnore(dir, patterns)
	if err != nil {
		return "" // the build says what is wrong with the patterns
	}
	t := tr.scan(func(p string) bool { return !ignore.Match(p, false) }, ignore.Match).files
	// The Dockerfile may lie elsewhere, and be a link.
	if fi, err := os.Stat(file); err == nil {
		if n, ok := statOf(fi); ok {
			t[file] = n
		}
	}
	return t.fingerprint(nil)
}

// readIgnore reads the patterns of an ignore file; a missing one has none.
func readIgnore(file string) ([]string, error) {
	b, err := hostfile.Read(file, hostfile.MaxOther)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return ignorefile.ReadAll(bytes.NewReader(b))
}
