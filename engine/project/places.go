package project

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"bulkhead/engine/hostfile"
)

// find returns the place of an attribute: of the file merged last that has it, else of what the
// service extends. When no file has it, the place of the deepest part that some file has; the top
// level counts for nothing.
func (s *sources) find(path ...string) place {
	best, depth := place{}, 0
	for _, f := range slices.Backward(s.files) {
		if p, d := f.find(path); d > depth {
			best, depth = p, d
		}
	}
	if depth < len(path) && len(path) > 2 && path[0] == "services" {
		for _, f := range s.files {
			for _, doc := range f.docs {
				if p, d := s.findExtended(doc, path, filepath.Dir(f.path), 8); d > depth {
					best, depth = p, d
				}
			}
		}
	}
	return best
}

// first returns the place in the file merged first that has the attribute: where a service is defined, not where it is
// added to.
func (s *sources) first(path ...string) place {
	for _, f := range s.files {
		if p, d := f.find(path); d == len(path) {
			return p
		}
	}
	return s.find(path...)
}

// findExtended looks for an attribute in what the service extends. hops bounds a chain that goes in circles.
func (s *sources) findExtended(doc *yaml.Node, path []string, base string, hops int) (place, int) {
	extends := get(get(get(doc, "services"), path[1]), "extends")
	if extends == nil || hops == 0 {
		return place{}, 0
	}
	ref, file := s.scalar(extends), ""
	if extends.Kind == yaml.MappingNode {
		ref, file = s.scalar(get(extends, "service")), s.scalar(get(extends, "file"))
	}
	path = append([]string{"services", ref}, path[2:]...)
	if file == "" {
		best, depth := place{}, 0
		for _, f := range slices.Backward(s.files) {
			if p, d := f.find(path); d > depth {
				best, depth = p, d
			}
		}
		return best, depth
	}
	f := s.extended[join(base, file)]
	if f == nil {
		return place{}, 0
	}
	best, depth := f.find(path)
	for _, d := range f.docs {
		if p, n := s.findExtended(d, path, filepath.Dir(f.path), hops-1); n > depth {
			best, depth = p, n
		}
	}
	return best, depth
}

// findText returns the first line that holds one of the texts.
func (s *sources) findText(texts ...string) place {
	for _, f := range s.files {
		for i, line := range strings.Split(f.text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			if slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(line, t) }) {
				return place{f, i + 1}
			}
		}
	}
	return place{}
}

// plainVariable is a variable without a default of its own; $$ is a dollar sign.
var plainVariable = regexp.MustCompile(`\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)`)

// unset returns the first variable of a line that has neither a value nor a default, "" when there
// is none. file is as errors name it.
func (s *sources) unset(file string, line int) string {
	for _, f := range s.files {
		if s.errorIn(place{f, 0}).File != file {
			continue
		}
		lines := strings.Split(f.text, "\n")
		if line < 1 || line > len(lines) {
			return ""
		}
		for _, m := range plainVariable.FindAllStringSubmatch(lines[line-1], -1) {
			name := m[1] + m[2]
			if name == "" || s.env == nil {
				continue
			}
			if _, set := s.env(name); !set {
				return name
			}
		}
	}
	return ""
}

// names returns the first place at which a file is named by its path, relative to the project
// folder or to the file that names it.
func (s *sources) names(path string) place {
	var walk func(f *source, n *yaml.Node) int
	walk = func(f *source, n *yaml.Node) int {
		if n.Kind == yaml.ScalarNode && n.Value != "" && !strings.Contains(n.Value, "\n") {
			text := s.scalar(n)
			if join(s.dir, text) == path || f.path != "-" && join(filepath.Dir(f.path), text) == path {
				return n.Line
			}
		}
		for _, c := range n.Content {
			if line := walk(f, c); line > 0 {
				return line
			}
		}
		return 0
	}
	files := slices.Clone(s.files)
	for _, f := range s.extended {
		files = append(files, f)
	}
	for _, f := range files {
		for _, doc := range f.docs {
			if line := walk(f, doc); line > 0 {
				return place{f, line}
			}
		}
	}
	return place{}
}

// item returns the first plain item of a list attribute of any service that fits, and whose it is; "" when none fits.
func (s *sources) item(attribute string, fits func(text string) bool) (at place, service, text string) {
	for _, f := range s.files {
		for _, doc := range f.docs {
			services := get(doc, "services")
			for _, name := range keys(services) {
				for _, n := range scalars(get(get(services, name), attribute)) {
					if text := s.scalar(n); fits(text) {
						return place{f, n.Line}, name, text
					}
				}
			}
		}
	}
	return place{}, "", ""
}

// node returns the node of an attribute in the file merged last that has it, nil when none has.
func (s *sources) node(path ...string) *yaml.Node {
	for _, f := range slices.Backward(s.files) {
		for _, doc := range f.docs {
			n := doc
			for _, part := range path {
				if i, err := strconv.Atoi(part); err == nil && n != nil &&
					n.Kind == yaml.SequenceNode && i < len(n.Content) {
					n = deref(n.Content[i])
					continue
				}
				n = get(n, part)
			}
			if n != nil {
				return n
			}
		}
	}
	return nil
}

// depth says how many parts of the path some file has.
func (s *sources) depth(path ...string) int {
	best := 0
	for _, f := range s.files {
		_, d := f.find(path)
		best = max(best, d)
	}
	return best
}

// keys returns the keys of a top-level mapping in all files, sorted.
func (s *sources) keys(top string) []string {
	names := map[string]bool{}
	for _, f := range s.files {
		for _, doc := range f.docs {
			for _, name := range keys(get(doc, top)) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// show returns a place as "compose.yaml:12", the file relative to the project folder when it is inside.
func (s *sources) show(p place) string {
	if p.file == nil {
		return ""
	}
	return inside(s.dir, p.file.path) + ":" + strconv.Itoa(p.line)
}

// errorAt makes an error with the place of an attribute, or of the nearest thing around it.
func (s *sources) errorAt(path ...string) *LoadError {
	return s.errorIn(s.find(path...))
}

func (s *sources) errorIn(p place) *LoadError {
	e := &LoadError{Line: p.line}
	if p.file != nil {
		e.File = inside(s.cwd, p.file.path)
	}
	return e
}

// content returns a file's text as it was read, else as it is on disk; "" when there is none.
func (s *sources) content(path string) string {
	for _, f := range s.files {
		if f.path == path {
			return f.text
		}
	}
	b, _ := hostfile.Read(path, hostfile.MaxCompose) // only for a better message
	return string(b)
}
