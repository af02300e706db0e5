package project

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"bulkhead/engine/hostfile"
)

// source is one file of the project as it was written, kept to tell where something stands.
type source struct {
	path string       // absolute; "-" for stdin
	base string       // the folder that its paths are relative to
	docs []*yaml.Node // its documents' top nodes
	text string
}

// sources are all files that a project is made of. compose-go drops the places of what it reads, so the files are
// parsed a second time for them. What cannot be read or parsed here is left out: compose-go reports it.
type sources struct {
	files    []*source          // Compose files and what they include, in the order they are merged
	extended map[string]*source // files that services extend, by absolute path
	inputs   map[string]bool    // absolute paths that includes and extends name, existing or not
	envFiles map[string]bool    // those of them that hold variables
	unread   map[string]error   // why a file that is included or extended was not read
	cwd      string
	dir      string // project folder
	env      template.Mapping
	endless  place // an alias for something that it is part of itself; compose-go would not come back from it
}

// newSources returns sources without files for a load that runs in cwd.
func newSources(cwd string) *sources {
	return &sources{extended: map[string]*source{}, inputs: map[string]bool{},
		envFiles: map[string]bool{}, unread: map[string]error{}, cwd: cwd, dir: cwd}
}

// docs are the documents of all files.
func (s *sources) docs() []*yaml.Node {
	var all []*yaml.Node
	for _, f := range slices.Concat(s.files, slices.Collect(maps.Values(s.extended))) {
		all = append(all, f.docs...)
	}
	return all
}

// place is a line of a file; the zero place is unknown.
type place struct {
	file *source
	line int
}

// parseYAML returns the top nodes of all documents in a file.
func parseYAML(content []byte) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, err
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// add takes a file in, after the files that it includes: what it says itself wins over those. base is the folder that
// its includes are relative to.
func (s *sources) add(path, base string, content []byte) error {
	docs, err := parseYAML(content)
	f := &source{path: path, base: base, docs: docs, text: string(content)}
	s.mark(f)
	if err == nil {
		for _, doc := range docs {
			s.follow(doc, f, base)
		}
	}
	s.files = append(s.files, f)
	return err
}

// mark notes the first endless alias.
func (s *sources) mark(f *source) {
	var around []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode && s.endless.file == nil && slices.Contains(around, n.Alias) {
			s.endless = place{f, n.Line}
		}
		around = append(around, n)
		for _, c := range n.Content {
			walk(c)
		}
		around = around[:len(around)-1]
	}
	for _, doc := range f.docs {
		walk(doc)
	}
}

// follow reads what a document includes and extends.
func (s *sources) follow(doc *yaml.Node, f *source, base string) {
	for _, entry := range seq(get(doc, "include")) {
		list, dir := entry, ""
		if entry.Kind == yaml.MappingNode {
			list = get(entry, "path")
			dir = s.scalar(get(entry, "project_directory"))
			for _, n := range scalars(get(entry, "env_file")) {
				path := join(base, s.scalar(n))
				s.inputs[path], s.envFiles[path] = true, true
			}
		}
		for i, n := range scalars(list) {
			path := join(base, s.scalar(n))
			if i == 0 {
				if dir == "" {
					dir = filepath.Dir(path)
				}
				dir = join(base, dir)
				env := filepath.Join(dir, ".env")
				s.inputs[env], s.envFiles[env] = true, true
			}
			if s.inputs[path] {
				continue // seen, or a cycle, which compose-go reports
			}
			s.inputs[path] = true
			content, err := hostfile.Read(path, hostfile.MaxCompose)
			if err != nil {
				s.unread[path] = err
				continue
			}
			// a file that does not parse is compose-go's to report
			_ = s.add(path, dir, content)
		}
	}
	s.followExtends(doc, base)
}

func (s *sources) followExtends(doc *yaml.Node, base string) {
	services := get(doc, "services")
	for _, name := range keys(services) {
		file := s.scalar(get(get(get(services, name), "extends"), "file"))
		if file == "" {
			continue
		}
		path := join(base, file)
		s.inputs[path] = true
		if s.extended[path] != nil {
			continue
		}
		content, err := hostfile.Read(path, hostfile.MaxCompose)
		if err != nil {
			s.unread[path] = err
			continue
		}
		docs, _ := parseYAML(content)
		s.extended[path] = &source{path: path, base: filepath.Dir(path), docs: docs, text: string(content)}
		s.mark(s.extended[path])
		for _, d := range docs {
			s.followExtends(d, filepath.Dir(path))
		}
	}
}

// scalar returns a node's text with variables filled in; a text that cannot be filled in stays as it is.
func (s *sources) scalar(n *yaml.Node) string {
	n = deref(n)
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	if !strings.Contains(n.Value, "$") {
		return n.Value
	}
	return s.filled(n.Value)
}

// filled is a text with variables filled in; one that cannot be filled in stays as it is.
func (s *sources) filled(value string) string {
	text, err := template.SubstituteWithOptions(value, s.env, template.WithoutLogging)
	if err != nil {
		return value
	}
	return text
}

// find descends as far as the path goes and says how many of its parts it found.
func (f *source) find(path []string) (place, int) {
	best, depth := place{}, 0
	for _, doc := range f.docs {
		if line, d := descend(doc, path); d > depth {
			best, depth = place{f, line}, d
		}
	}
	return best, depth
}

// descend returns the line of the deepest node on the path, and how many parts of the path led there.
func descend(n *yaml.Node, path []string) (line, depth int) {
	n = deref(n)
	if n == nil || len(path) == 0 {
		return 0, 0
	}
	switch n.Kind {
	case yaml.MappingNode:
		// names may have dots in them, which paths do not escape
		for i := 1; i <= len(path); i++ {
			key, value := pair(n, strings.Join(path[:i], "."))
			if key == nil {
				continue
			}
			if l, d := descend(value, path[i:]); d > 0 {
				return l, i + d
			}
			return key.Line, i
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			if path[0] == strconv.Itoa(i) {
				if l, d := descend(item, path[1:]); d > 0 {
					return l, 1 + d
				}
				return item.Line, 1
			}
		}
		// the short forms: KEY=value, name, source:target
		for _, item := range n.Content {
			v, ok := strings.CutPrefix(item.Value, path[0])
			if item.Kind == yaml.ScalarNode && ok && (v == "" || v[0] == '=' || v[0] == ':') {
				return item.Line, 1
			}
		}
	}
	return 0, 0
}

// get returns the value of a key of a mapping, nil when there is none.
func get(n *yaml.Node, key string) *yaml.Node {
	_, value := pair(deref(n), key)
	return value
}

// pair returns the nodes of a key and its value, also when a merge key (<<) brings them in.
func pair(n *yaml.Node, name string) (key, value *yaml.Node) {
	for _, m := range merged(n) {
		for i := 0; i+1 < len(m.Content); i += 2 {
			if m.Content[i].Value == name && name != "<<" {
				return m.Content[i], deref(m.Content[i+1])
			}
		}
	}
	return nil, nil
}

// keys returns the keys of a mapping with those that merge keys bring in; one that is in several is
// given several times.
func keys(n *yaml.Node) []string {
	n = deref(n)
	var names []string
	for _, m := range merged(n) {
		for i := 0; i+1 < len(m.Content); i += 2 {
			if m.Content[i].Value != "<<" {
				names = append(names, m.Content[i].Value)
			}
		}
	}
	return names
}

// merged returns a mapping and those that its merge keys bring in, each once, the ones that win
// first; nothing for a node of another kind.
func merged(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	all := []*yaml.Node{n}
	for next := 0; next < len(all); next++ {
		m := all[next]
		for i := 0; i+1 < len(m.Content); i += 2 {
			if m.Content[i].Value != "<<" {
				continue
			}
			for _, from := range seq(m.Content[i+1]) {
				if from.Kind == yaml.MappingNode && !slices.Contains(all, from) {
					all = append(all, from)
				}
			}
		}
	}
	return all
}

// seq returns the items of a sequence, or the node itself when it is none.
func seq(n *yaml.Node) []*yaml.Node {
	n = deref(n)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	items := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		items[i] = deref(item)
	}
	// an alias that stands for an alias of itself has no end
	return slices.DeleteFunc(items, func(n *yaml.Node) bool { return n == nil })
}

// scalars returns the scalar items of a sequence, or the node itself when it is a scalar.
func scalars(n *yaml.Node) []*yaml.Node {
	return slices.DeleteFunc(seq(n), func(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode })
}

// deref follows an alias to what it stands for.
func deref(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < 8; i++ {
		n = n.Alias
	}
	return n
}

func join(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// inside returns path relative to dir when it lies in it, else path itself.
func inside(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsAbs(path) && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
