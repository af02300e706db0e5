package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
)

// Ignore is a list of patterns in .dockerignore syntax, rooted at a folder:
// the last pattern that matches a path, or a folder above it, decides, and a
// pattern that begins with ! takes back what earlier ones ignored. Any
// goroutine may use it.
type Ignore struct {
	root     string
	patterns []pattern
}

// pattern is one line of the list. The matcher holds this pattern alone, so
// that each can be asked by itself.
type pattern struct {
	exception bool
	matcher   *patternmatcher.PatternMatcher
	parts     []string // the cleaned pattern between its separators
}

// NewIgnore makes an Ignore of patterns as they stand in a .dockerignore file
// or a list of a Compose file. Blank patterns are skipped; leading and
// trailing slashes say nothing. An error names the pattern that is no pattern.
func NewIgnore(root string, patterns []string) (*Ignore, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("ignore patterns of %s: %w", root, err)
	}
	ig := &Ignore{root: abs}
	for _, line := range patterns {
		text, exception := strings.CutPrefix(strings.TrimSpace(line), "!")
		text = strings.TrimSpace(text)
		if text == "" {
			if exception {
				return nil, fmt.Errorf("ignore pattern %q: nothing after the exclamation mark", line)
			}
			continue
		}
		text = strings.TrimLeft(filepath.ToSlash(filepath.Clean(text)), "/")
		if text == "" || text == "." {
			// The root itself; Docker's builder does not let it be ignored either.
			continue
		}
		if text[0] == '!' {
			// A second mark would be taken for an exception by the matcher.
			text = `\` + text
		}
		m, err := patternmatcher.New([]string{text})
		if err != nil {
			return nil, fmt.Errorf("ignore pattern %q: %w", line, err)
		}
		// The matcher compiles at first use. Used here, it is only read later,
		// so that many goroutines can share it, and a bad pattern shows now.
		if _, err := m.MatchesOrParentMatches("x"); err != nil {
			return nil, fmt.Errorf("ignore pattern %q: %w", line, err)
		}
		ig.patterns = append(ig.patterns, pattern{
			exception: exception,
			matcher:   m,
			parts:     strings.Split(text, "/"),
		})
	}
	return ig, nil
}

// Match says whether path (absolute) is ignored. With dir it is true only if
// nothing below path can be taken back by an exception either, so that the
// whole folder may be skipped. The root itself and paths outside of it are
// never ignored.
func (ig *Ignore) Match(path string, dir bool) bool {
	rel, ok := below(ig.root, filepath.Clean(path))
	if !ok || rel == "" {
		return false
	}
	// The last match decides, so the search goes backwards.
	var parts []string
	for i := len(ig.patterns) - 1; i >= 0; i-- {
		p := &ig.patterns[i]
		if match, err := p.matcher.MatchesOrParentMatches(rel); err == nil && match {
			return !p.exception
		}
		if dir && p.exception {
			// An earlier pattern may ignore path, and with it all below;
			// this exception comes after it and would win there.
			if parts == nil {
				parts = strings.Split(filepath.ToSlash(rel), "/")
			}
			if p.reachesBelow(parts) {
				return false
			}
		}
	}
	return false
}

// reachesBelow says whether p could match something below the folder with
// these path elements. In doubt it says yes.
func (p *pattern) reachesBelow(folder []string) bool {
	for i, part := range p.parts {
		if i == len(folder) {
			return true
		}
		// ** spans folders, and so may a class such as [^a].
		if strings.Contains(part, "**") || strings.ContainsAny(part, "[]") {
			return true
		}
		if ok, err := filepath.Match(part, folder[i]); err != nil {
			return true
		} else if !ok {
			return false
		}
	}
	return true
}

// below returns path relative to root, empty when it is root itself.
func below(root, path string) (rel string, ok bool) {
	if path == root {
		return "", true
	}
	rest, ok := strings.CutPrefix(path, root)
	if !ok {
		return "", false
	}
	if !os.IsPathSeparator(root[len(root)-1]) {
		if !os.IsPathSeparator(rest[0]) {
			return "", false
		}
		rest = rest[1:]
	}
	return rest, true
}
