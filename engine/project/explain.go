package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"go.yaml.in/yaml/v4"
)

// explain makes a LoadError of what a load failed with: one line with its place and a remedy. compose-go's errors are
// texts, so they are told apart by what they say; one that is not known is shown as it is, on one line.
func (l *loading) explain(err error) error {
	var known *LoadError
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	one := first(err)
	text := strings.TrimSuffix(one.Error(), ": invalid compose project")
	for _, x := range explanations() {
		if m := x.pattern.FindStringSubmatch(text); m != nil {
			if e := x.explain(l, m[1:]); e != nil {
				e.Err = err
				return e
			}
		}
	}
	e := &LoadError{Problem: strings.Join(strings.Fields(text), " "), Err: err, Remedy: "see docs.docker.com/reference/compose-file"}
	if m := regexp.MustCompile(`\b(services|networks|volumes|secrets|configs|include)(\.[\w.-]+)+`).FindString(text); m != "" {
		at := l.errorAt(strings.Split(m, ".")...)
		e.File, e.Line = at.File, at.Line
	}
	return e
}

// first gives the first of several joined errors: the rest is for the next try.
func first(err error) error {
	for {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) == 0 {
			return err
		}
		err = joined.Unwrap()[0]
	}
}

// errorAt makes an error with the place of an attribute, or of the nearest thing around it.
func (l *loading) errorAt(path ...string) *LoadError {
	return l.errorIn(l.sources.find(path...))
}

func (l *loading) errorIn(p place) *LoadError {
	e := &LoadError{Line: p.line}
	if p.file != nil {
		e.File = inside(l.sources.cwd, p.file.path)
	}
	return e
}

// say fills an error in.
func (e *LoadError) say(problem, remedy string) *LoadError {
	e.Problem, e.Remedy = problem, remedy
	return e
}

// orNearest is the remedy for an unknown name: the one that was meant, else what to do instead.
func orNearest(name string, names []string, otherwise string) string {
	if near := nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	return otherwise
}

// explanation turns one kind of message into an error; m holds the pattern's groups. It gives nil for a message that is
// another's after all.
type explanation struct {
	pattern *regexp.Regexp
	explain func(l *loading, m []string) *LoadError
}

func explanations() []explanation {
	x := func(pattern string, f func(l *loading, m []string) *LoadError) explanation {
		return explanation{regexp.MustCompile(`(?s)` + pattern), f}
	}
	// fixed is for messages that name the path and say what is wrong with it
	fixed := func(pattern, problem, remedy string) explanation {
		return x(pattern, func(l *loading, m []string) *LoadError {
			path := m[0]
			if !strings.Contains(path, ".") {
				path = "services." + path
			}
			problem, remedy := problem, remedy
			for i, group := range m {
				problem = strings.ReplaceAll(problem, "%"+strconv.Itoa(i+1), group)
				remedy = strings.ReplaceAll(remedy, "%"+strconv.Itoa(i+1), group)
			}
			if strings.HasPrefix(problem, "has ") {
				problem = " " + problem
			} else {
				problem = ": " + problem
			}
			return l.errorAt(strings.Split(path, ".")...).say(path+problem, remedy)
		})
	}
	return []explanation{
		x(`^failed to parse (.+?): (yaml: .*)$`, func(l *loading, m []string) *LoadError {
			return l.yamlError(m[0], errors.New(m[1]))
		}),
		x(`^validating (.+?): (.*)$`, (*loading).schemaError),
		x(`^error while interpolating (\S+): required variable (\S+) is missing a value(?:: (.*))?$`, (*loading).unsetVariable),
		x(`^error while interpolating (\S+): failed to cast to expected type: (.*)$`, (*loading).badCast),
		x(`^invalid interpolation format for (\S+?)\.\n.*\n(.*)$`, (*loading).badTemplate),
		x(`^service "(.+)" refers to undefined (?:build )?(network|volume|secret|config|model) (.+)$`, (*loading).undefinedResource),
		x(`^service "(.+)" depends on undefined service "(.+)"$`, (*loading).undefinedDependency),
		x(`^dependency cycle detected: (.+)$`, func(l *loading, m []string) *LoadError {
			names := circle(strings.Split(m[0], " -> "))
			return l.errorAt("services", names[0], "depends_on", names[1]).
				say("services depend on each other in a circle: "+strings.Join(names, " -> "), "remove one of these depends_on")
		}),
		fixed(`^service "(.+)" has neither an image nor a build context`, "has neither image nor build", "write image: or build:"),
		fixed(`^service "(.+)" declares mutualy exclusive (\S+) and (\S+)$`, "has both build.%2 and build.%3", "keep one of the two"),
		fixed("^service (.+) declares mutually exclusive `(.+)` and `(.+)`$", "has both %2 and %3", "keep one of the two"),
		fixed(`^(services\..+): can't set distinct values on '(.+)' and '(.+)'$`, "%2 and %3 differ", "keep one of the two"),
		fixed(`^(services\..+\.develop\.watch): target is required`, "a sync has no target", "write target: and the path in the container"),
		fixed(`^(services\..+): must be greater than or equal to 0$`, "less than 0", "write 0 or more"),
		fixed(`^((?:secrets|configs)\..+): one of (\S+) must be set$`, "has no content", "write one of %2"),
		fixed(`^(\S+): (\S+) attributes are mutually exclusive$`, "has more than one of %2", "keep one of them"),
		fixed(`^(\S+): conflicting parameters "(\S+)" and "(\S+)" specified$`, "has both %2 and %3", "keep one of the two"),
		x(`^services\.(\S+): can't set container_name and (\S+) as container name must be unique$`, func(l *loading, m []string) *LoadError {
			// compose-go swaps the attribute and the service here
			return l.errorAt("services", m[1], "container_name").
				say("services."+m[1]+" has a container_name, so it cannot run several times", "remove container_name, or "+m[0])
		}),
		x(`^healthcheck\.test must start`, (*loading).badHealthcheck),
		x(`^env file (.+?) not found`, func(l *loading, m []string) *LoadError {
			return l.missingFile(m[0], "env_file", "make it, or write required: false beside its path:")
		}),
		x(`^label file (.+?) not found`, func(l *loading, m []string) *LoadError {
			return l.missingFile(m[0], "label_file", "make it, or correct the path")
		}),
		x(`^(?:couldn't find env file: (.+)|stat (.+\.env): no such file.*)$`, func(l *loading, m []string) *LoadError {
			path := m[0] + m[1]
			if e := l.missingFile(path, "env_file", "make it, or correct the path"); e.Line > 0 {
				return e
			}
			return (&LoadError{File: inside(l.sources.cwd, path)}).say("no such env file", "make it, or correct --env-file")
		}),
		x(`^failed to read (.+?): line (\d+): (.*)$`, func(l *loading, m []string) *LoadError {
			line, _ := strconv.Atoi(m[1]) // digits by the pattern
			return (&LoadError{File: inside(l.sources.cwd, m[0]), Line: line}).say(m[2], "write KEY=value on each line")
		}),
		x(`^failed to read (.+?): (.*)$`, func(l *loading, m []string) *LoadError {
			if strings.HasSuffix(m[1], "is a directory") {
				return l.errorIn(l.sources.names(m[0])).say(inside(l.sources.dir, m[0])+" is a folder", "name a file")
			}
			return (&LoadError{File: inside(l.sources.cwd, m[0])}).
				say(strings.Join(strings.Fields(m[1]), " "), "write KEY=value on each line")
		}),
		x(`^open (.+): .*$`, func(l *loading, m []string) *LoadError {
			return l.missingFile(m[0], "", "correct the path")
		}),
		x(`^compose file "(.+?)" set by COMPOSE_FILE environment variable is invalid: (.*)$`, func(l *loading, m []string) *LoadError {
			return (&LoadError{File: m[0]}).say(ending(m[1]), "correct COMPOSE_FILE")
		}),
		x(`^include cycle detected:\n(.*)$`, func(l *loading, m []string) *LoadError {
			files := strings.Split(m[0], "\n include ")
			for i := range files {
				files[i] = inside(l.sources.cwd, files[i])
			}
			return l.errorAt("include").say("files include each other in a circle: "+strings.Join(files, " -> "), "remove one of these include")
		}),
		x(`^Circular reference:\n  (.*)$`, (*loading).extendsCircle),
		x(`^cannot extend service "(.+?)" in (.+?): service "(.+?)" not found(?: in (.+))?$`, (*loading).missingBase),
		x(`^cannot extend service "(.+?)" in (.+?): (no services section|services must be a mapping)`, func(l *loading, m []string) *LoadError {
			return l.errorAt("services", m[0], "extends").
				say(inside(l.sources.cwd, m[1])+" has no services", "name a file with services: in it")
		}),
		x(`^extends\.(.+)\.service is required$`, func(l *loading, m []string) *LoadError {
			return l.errorAt("services", m[0], "extends").say("services."+m[0]+".extends has no service", "write service: below it")
		}),
		x(`^(\S+)\.\[(\d+)\]: unexpected type`, func(l *loading, m []string) *LoadError {
			return l.errorAt(append(strings.Split(m[0], "."), m[1])...).say(m[0]+": an item is no text", "write KEY=value after the dash")
		}),
		x(`^non-string key (?:in (\S+)|at top level): (.*)$`, func(l *loading, m []string) *LoadError {
			path := append(strings.FieldsFunc(m[0], func(r rune) bool { return r == '.' }), m[1])
			return l.errorAt(path...).say(fmt.Sprintf("the name %s is no text", m[1]), fmt.Sprintf("write %q", m[1]))
		}),
		x(`^empty compose file$`, func(l *loading, _ []string) *LoadError {
			return l.errorIn(place{file: l.sources.files[0]}).say("the file is empty", "write services: and the services below it")
		}),
		x(`^top-level object must be a mapping$`, (*loading).noMapping),
		x("^`include` must be a list", func(l *loading, _ []string) *LoadError {
			return l.errorAt("include").say("include must be a list", "write it as - path/to/compose.yaml")
		}),
		x(`^(services(?:\.(.+))?) must be a mapping$`, func(l *loading, m []string) *LoadError {
			remedy := "write the names of services below it, each with a colon"
			if m[1] != "" {
				remedy = "write image: or build: below it"
			}
			return l.errorAt(strings.Split(m[0], ".")...).say(m[0]+" must be a mapping", remedy)
		}),
		x(`^project name must not be empty$`, func(l *loading, _ []string) *LoadError {
			return (&LoadError{}).say(fmt.Sprintf("the folder's name %q gives no project name", filepath.Base(l.sources.dir)),
				"name the project with -p, or with name: in the file")
		}),
		x(`^invalid project name "(.*?)": must`, func(l *loading, m []string) *LoadError {
			remedy := "use lower-case letters, digits, - and _, and begin with a letter or digit"
			if name := loader.NormalizeProjectName(m[0]); name != "" {
				remedy = "write " + name
			}
			return (&LoadError{}).say(fmt.Sprintf("%q is no project name", m[0]), remedy)
		}),
		x(`^decoding failed due to the following error\(s\):\n\n'(\S+?)' (.*)$`, (*loading).badValue),
		x(`(?i)^(?:invalid (?:hostPort|containerPort|IP address|ip|proto|port|range|start or end)\S*|no port specified|too many colons):? ?(.*)$`,
			(*loading).badPort),
		x(`^invalid ranges specified .* and (\S+)$`, (*loading).badPort),
		x(`^invalid empty volume spec$`, func(l *loading, _ []string) *LoadError {
			at, name, _ := l.sources.item("volumes", func(text string) bool { return text == "" })
			return l.errorIn(at).say("services."+name+".volumes: an empty entry", "write source:target, or remove it")
		}),
		x(`^invalid mount config for type "bind": field Source must not be empty$`, func(l *loading, _ []string) *LoadError {
			return l.errorIn(l.sources.findText("type: bind")).say("a bind mount has no source", "write source: and a path of this machine")
		}),
	}
}

// circle gives the circle at the end of a chain whose last name came before, from its least name on: compose-go begins
// anywhere.
func circle(names []string) []string {
	last := len(names) - 1
	ring := names[max(0, slices.Index(names, names[last])):last]
	if len(ring) == 0 {
		return names
	}
	i := slices.Index(ring, slices.Min(ring))
	ring = append(slices.Clone(ring[i:]), ring[:i]...)
	return append(ring, ring[0])
}

// missingFile is for a path that some file names and that is not there; attribute is where, "" for include and extends.
func (l *loading) missingFile(path, attribute, remedy string) *LoadError {
	e := l.errorIn(l.sources.names(path))
	name := inside(l.sources.dir, path)
	if i := strings.Index(filepath.ToSlash(path), ":/"); i > 0 || strings.HasSuffix(path, ".git") {
		return e.say("files are not fetched from other machines", "check it out, and name its path")
	}
	what := name
	if attribute != "" {
		what = attribute + " " + name
	}
	if _, err := os.Stat(path); err == nil {
		return e.say(what+" cannot be read", "make it a readable file")
	}
	return e.say(what+" does not exist", remedy)
}

// names gives the first place at which a file is named by its path, relative to the project folder or to the file that
// names it.
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

// cause gives what went wrong with a file, without the operation and the path that os puts before it.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// ending gives the last part of an error's text.
func ending(text string) string { return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:]) }
