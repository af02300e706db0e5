package filesync

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"

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

// PrepareFingerprint is a value for all that a prepare command depends on: the
// files that it watches, the command and its environment, whose values are
// hashed too and stay out of the state file.
func PrepareFingerprint(p *project.Prepare) string {
	t := Manifest{}
	for _, root := range p.Watch {
		found, _ := scan(root, nil, nil)
		maps.Copy(t, found)
	}
	return t.fingerprint(func(h hash.Hash) {
		fmt.Fprintf(h, "%q\n", p.Run)
		for _, k := range slices.Sorted(maps.Keys(p.Env)) {
			fmt.Fprintf(h, "%q=%q\n", k, p.Env[k])
		}
	})
}

// rebuildFingerprint is a value for the files that a service's rebuild rules name.
func rebuildFingerprint(conf *project.Service) string {
	t := Manifest{}
	for i := range conf.Rules {
		if r := &conf.Rules[i]; r.Action == project.Rebuild {
			found, _ := scan(r.Path, func(p string) bool { return conf.Claims(r, p) }, r.Ignored)
			maps.Copy(t, found)
		}
	}
	return t.fingerprint(nil)
}

// contextFingerprint is a value for a service's whole build context; "" for a
// context that is not a folder.
func contextFingerprint(conf *project.Service) string {
	dir := conf.Config.Build.Context
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return ""
	}
	file := conf.Dockerfile()
	patterns, err := watch.ReadIgnoreFile(file + ".dockerignore")
	if err != nil || len(patterns) == 0 {
		if patterns, err = watch.ReadIgnoreFile(filepath.Join(dir, ".dockerignore")); err != nil {
			patterns = nil // the build says what is wrong with it
		}
	}
	ignore, err := watch.NewIgnore(dir, patterns)
	if err != nil {
		return "" // the build says what is wrong with the patterns
	}
	t, _ := scan(dir, func(p string) bool { return !ignore.Match(p, false) }, ignore.Match)
	if n, ok, err := lstat(file); ok && err == nil {
		t[file] = n
	}
	return t.fingerprint(nil)
}
