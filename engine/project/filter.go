package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"bulkhead/engine/hostfile"
)

// filter is what a rule matches by, beyond its folder.
type filter struct {
	include, ignore *patterns       // below the rule's Path
	context         *patterns       // .dockerignore of the build; nil where it does not apply
	always          map[string]bool // absolute files that .dockerignore cannot hide: Dockerfile, .dockerignore
	// absolute paths that other services' prepare writes; count only for default rules
	written []string
}

// patterns are lines of .dockerignore syntax below a folder. A nil one matches nothing.
type patterns struct {
	root string

	// Matchers compile their patterns when they first need them, and a project's rules are asked by
	// the watcher and by every lane.
	mu      sync.Mutex
	matcher *patternmatcher.PatternMatcher
	// of each pattern alone, in the same order; nil for an exception (!)
	single []*patternmatcher.PatternMatcher
}

// compile returns nil for no lines.
func compile(root string, lines []string) (*patterns, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	m, err := patternmatcher.New(lines)
	if err != nil {
		return nil, err
	}
	p := &patterns{root: root, matcher: m}
	for _, x := range m.Patterns() {
		var one *patternmatcher.PatternMatcher
		if !x.Exclusion() {
			if one, err = patternmatcher.New([]string{x.String()}); err != nil {
				return nil, err
			}
		}
		p.single = append(p.single, one)
	}
	return p, nil
}

// readIgnore reads the .dockerignore of a build: the one that is named for the Dockerfile, else the context's. It
// returns the absolute paths at which one is looked for, whether they exist or not; the last is the one that was read.
func readIgnore(context, dockerfile string) (*patterns, []string, error) {
	names := []string{filepath.Join(context, ".dockerignore")}
	if dockerfile != "" {
		names = append([]string{dockerfile + ".dockerignore"}, names...)
	}
	for i, name := range names {
		content, err := hostfile.Read(name, hostfile.MaxOther)
		// A file in the place of the context has nothing below it.
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, names[:i+1], err
		}
		lines, err := ignorefile.ReadAll(bytes.NewReader(content))
		if err != nil {
			return nil, names[:i+1], fmt.Errorf("read %s: %w", name, err)
		}
		p, err := compile(context, lines)
		return p, names[:i+1], err
	}
	return nil, names, nil
}

// match says whether a path below the root is one of the patterns', or lies below one. The root itself never is.
func (p *patterns) match(path string) bool {
	if p == nil {
		return false
	}
	rel, ok := below(p.root, path)
	if !ok || rel == "." {
		return false
	}
	// the patterns are known to compile
	p.mu.Lock()
	hit, err := p.matcher.MatchesOrParentMatches(rel)
	p.mu.Unlock()
	return err == nil && hit
}

// covers says whether all that may ever lie below a folder matches. It may say no although it does.
func (p *patterns) covers(dir string) bool {
	if !p.match(dir) {
		return false
	}
	rel, _ := below(p.root, dir)
	p.mu.Lock()
	defer p.mu.Unlock()
	// the last pattern that has a say about a path decides, so an exception counts only after what hides the folder
	for i, x := range slices.Backward(p.matcher.Patterns()) {
		if one := p.single[i]; one == nil {
			if reaches(filepath.ToSlash(x.String()), rel) {
				return false
			}
		} else if hit, err := one.MatchesOrParentMatches(rel); err == nil && hit {
			return true
		}
	}
	return false
}

// reaches says whether a pattern may match a folder, something on the way to it, or something below it.
func reaches(pattern, dir string) bool {
	want := strings.Split(dir, "/")
	for i, part := range strings.Split(pattern, "/") {
		if i >= len(want) || strings.Contains(part, "**") {
			return true
		}
		if ok, err := path.Match(part, want[i]); err != nil || !ok {
			return err != nil
		}
	}
	return true
}

// below returns path relative to dir with forward slashes, "." for dir itself; no when it does not lie in it.
func below(dir, path string) (rel string, ok bool) {
	if dir == path {
		return ".", true
	}
	prefix := strings.TrimSuffix(dir, string(filepath.Separator)) + string(filepath.Separator)
	rel, ok = strings.CutPrefix(path, prefix)
	return filepath.ToSlash(rel), ok
}

// resolve follows the symbolic links of a path, as far as it exists.
func resolve(path string) string {
	if path == "" || !filepath.IsAbs(path) {
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(resolve(dir), filepath.Base(path))
}
