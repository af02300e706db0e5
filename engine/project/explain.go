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
)

// explainer makes errors that a person can act on of what compose-go says.
type explainer struct {
	sources *sources
}

// explain makes a LoadError of what a load failed with: one line with its place and a remedy. compose-go's errors are
// texts, so they are recognized by what they say; one that is not known is shown as it is, on one line.
func (x *explainer) explain(err error) error {
	var known *LoadError
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	one := first(err)
	text := strings.TrimSuffix(one.Error(), ": invalid compose project")
	for _, known := range explanations() {
		if m := known.pattern.FindStringSubmatch(text); m != nil {
			if e := known.explain(x, m[1:]); e != nil {
				e.Err = err
				return x.withUnset(e)
			}
		}
	}
	e := &LoadError{Problem: strings.Join(strings.Fields(text), " "), Err: err,
		Remedy: "see docs.docker.com/reference/compose-file"}
	if m := regexp.MustCompile(
		`\b(services|networks|volumes|secrets|configs|include)(\.[\w.-]+)+`).FindString(text); m != "" {
		at := x.sources.errorAt(strings.Split(m, ".")...)
		e.File, e.Line = at.File, at.Line
	}
	return x.withUnset(e)
}

// withUnset names the variable when the line that an error is about uses one that is not set: what
// is wrong then is the variable and not what the line makes of its emptiness.
func (x *explainer) withUnset(e *LoadError) *LoadError {
	name := x.sources.unset(e.File, e.Line)
	if name == "" || e.unset == name {
		return e
	}
	return e.with(e.Problem+", because variable "+name+" is not set", "set "+name+
		" in the environment or in .env")
}

// first returns the first of several joined errors: the rest is for the next try.
func first(err error) error {
	for {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) == 0 {
			return err
		}
		err = joined.Unwrap()[0]
	}
}

// with fills an error in.
func (e *LoadError) with(problem, remedy string) *LoadError {
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

// explanation turns one kind of message into an error; m holds the pattern's groups. It returns nil
// for a message that is another's after all.
type explanation struct {
	pattern *regexp.Regexp
	explain func(x *explainer, m []string) *LoadError
}

// explanations returns the kinds of messages that are known; the first that
// matches a message explains it.
//
// long: a table
func explanations() []explanation {
	match := func(pattern string, f func(x *explainer, m []string) *LoadError) explanation {
		return explanation{regexp.MustCompile(`(?s)` + pattern), f}
	}
	// fixed is for messages that name the path and say what is wrong with it; problem goes on behind the path
	fixed := func(pattern, problem, remedy string) explanation {
		return match(pattern, func(x *explainer, m []string) *LoadError {
			path := m[0]
			if !strings.Contains(path, ".") {
				path = "services." + path
			}
			problem, remedy := problem, remedy
			for i, group := range m {
				problem = strings.ReplaceAll(problem, "%"+strconv.Itoa(i+1), group)
				remedy = strings.ReplaceAll(remedy, "%"+strconv.Itoa(i+1), group)
			}
			return x.sources.errorAt(strings.Split(path, ".")...).with(path+problem, remedy)
		})
	}
	return []explanation{
		match(`^failed to parse (.+?): (yaml: .*)$`, func(x *explainer, m []string) *LoadError {
			return x.yamlError(m[0], errors.New(m[1]))
		}),
		match(`^validating (.+?): (.*)$`, (*explainer).schemaError),
		match(`^error while interpolating (\S+): required variable (\S+) is missing a value(?:: (.*))?$`, (*explainer).unsetVariable),
		match(`^error while interpolating (\S+): failed to cast to expected type: (.*)$`, (*explainer).badCast),
		match(`^invalid interpolation format for (\S+?)\.\n.*\n(.*)$`, (*explainer).badTemplate),
		match(`^service "(.+)" refers to undefined (?:build )?(network|volume|secret|config|model) (.+)$`, (*explainer).undefinedResource),
		match(`^service "(.+)" depends on undefined service "(.*)"$`, (*explainer).undefinedDependency),
		match(`^dependency cycle detected: (.+)$`, func(x *explainer, m []string) *LoadError {
			names := circle(strings.Split(m[0], " -> "))
			return x.sources.errorAt("services", names[0], "depends_on", names[1]).
				with("services depend on each other in a circle: "+strings.Join(names, " -> "),
					"remove one of these depends_on")
		}),
		fixed(`^service "(.+)" has neither an image nor a build context`,
			" has neither image nor build", "write image: or build:"),
		fixed(`^service "(.+)" declares mutualy exclusive (\S+) and (\S+)$`,
			" has both build.%2 and build.%3", "keep one of the two"),
		fixed("^service (.+) declares mutually exclusive `(.+)` and `(.+)`$", " has both %2 and %3",
			"keep one of the two"),
		fixed(`^(services\..+): can't set distinct values on '(.+)' and '(.+)'$`, ": %2 and %3 differ",
			"keep one of the two"),
		fixed(`^(services\..+\.develop\.watch): target is required`, ": a sync has no target",
			"write target: and the path in the container"),
		fixed(`^(services\..+): must be greater than or equal to 0$`, ": less than 0", "write 0 or more"),
		fixed(`^((?:secrets|configs)\..+): one of (\S+) must be set$`, " has no content", "write one of %2"),
		fixed(`^(\S+): (\S+) attributes are mutually exclusive$`, " has more than one of %2",
			"keep one of them"),
		fixed(`^(\S+): conflicting parameters "(\S+)" and "(\S+)" specified$`, " has both %2 and %3",
			"keep one of the two"),
		match(`^services\.(\S+): can't set container_name and (\S+) as container name must be unique$`, func(x *explainer, m []string) *LoadError {
			// compose-go swaps the attribute and the service here
			return x.sources.errorAt("services", m[1], "container_name").
				with("services."+m[1]+" has a container_name, so it cannot run several times",
					"remove container_name, or "+m[0])
		}),
		match(`^healthcheck\.test must start`, (*explainer).badHealthcheck),
		match(`^env file (.+?) not found`, func(x *explainer, m []string) *LoadError {
			return x.missingFile(m[0], "env_file", "make it, or write required: false beside its path:")
		}),
		match(`^label file (.+?) not found`, func(x *explainer, m []string) *LoadError {
			return x.missingFile(m[0], "label_file", "make it, or correct the path")
		}),
		match(`^(?:couldn't find env file: (.+)|stat (.+\.env): no such file.*)$`,
			func(x *explainer, m []string) *LoadError {
				path := m[0] + m[1]
				if e := x.missingFile(path, "env_file", "make it, or correct the path"); e.Line > 0 {
					return e
				}
				return (&LoadError{File: inside(x.sources.cwd, path)}).with("no such env file",
					"make it, or correct --env-file")
			}),
		match(`^failed to read (.+?): line (\d+): (.*)$`, func(x *explainer, m []string) *LoadError {
			line, _ := strconv.Atoi(m[1]) // digits by the pattern
			return (&LoadError{File: inside(x.sources.cwd, m[0]), Line: line}).with(m[2],
				"write KEY=value on each line")
		}),
		match(`^failed to read (.+?): (.*)$`, func(x *explainer, m []string) *LoadError {
			if strings.HasSuffix(m[1], "is a directory") {
				return x.sources.errorIn(x.sources.names(m[0])).with(inside(x.sources.dir, m[0])+
					" is a folder", "name a file")
			}
			return (&LoadError{File: inside(x.sources.cwd, m[0])}).
				with(strings.Join(strings.Fields(m[1]), " "), "write KEY=value on each line")
		}),
		match(`^open (.+): .*$`, func(x *explainer, m []string) *LoadError {
			return x.missingFile(m[0], "", "correct the path")
		}),
		match(`^compose file "(.+?)" set by COMPOSE_FILE environment variable is invalid: (.*)$`,
			func(x *explainer, m []string) *LoadError {
				return (&LoadError{File: m[0]}).with(ending(m[1]), "correct COMPOSE_FILE")
			}),
		match(`^include cycle detected:\n(.*)$`, func(x *explainer, m []string) *LoadError {
			files := strings.Split(m[0], "\n include ")
			for i := range files {
				files[i] = inside(x.sources.cwd, files[i])
			}
			return x.sources.errorAt("include").with("files include each other in a circle: "+
				strings.Join(files, " -> "), "remove one of these include")
		}),
		match(`^Circular reference:\n  (.*)$`, (*explainer).extendsCircle),
		match(`^cannot extend service "(.+?)" in (.+?): service "(.+?)" not found(?: in (.+))?$`,
			(*explainer).missingBase),
		match(`^cannot extend service "(.+?)" in (.+?): (no services section|services must be a mapping)`, func(x *explainer, m []string) *LoadError {
			return x.sources.errorAt("services", m[0], "extends").
				with(inside(x.sources.cwd, m[1])+" has no services", "name a file with services: in it")
		}),
		match(`^extends\.(.+)\.service is required$`, func(x *explainer, m []string) *LoadError {
			return x.sources.errorAt("services", m[0], "extends").with("services."+m[0]+
				".extends has no service", "write service: below it")
		}),
		match(`^(\S+)\.\[(\d+)\]: unexpected type`, func(x *explainer, m []string) *LoadError {
			return x.sources.errorAt(append(strings.Split(m[0], "."), m[1])...).with(m[0]+
				": an item is not a text", "write KEY=value after the dash")
		}),
		match(`^non-string key (?:in (\S+)|at top level): (.*)$`, func(x *explainer, m []string) *LoadError {
			path := append(strings.FieldsFunc(m[0], func(r rune) bool { return r == '.' }), m[1])
			return x.sources.errorAt(path...).with(fmt.Sprintf("the name %s is not a text", m[1]),
				fmt.Sprintf("write %q", m[1]))
		}),
		match(`^empty compose file$`, func(x *explainer, _ []string) *LoadError {
			return x.sources.errorIn(place{file: x.sources.files[0]}).with("the file is empty",
				"write services: and the services below it")
		}),
		match(`^top-level object must be a mapping$`, (*explainer).noMapping),
		match("^`include` must be a list", func(x *explainer, _ []string) *LoadError {
			return x.sources.errorAt("include").with("include must be a list",
				"write it as - path/to/compose.yaml")
		}),
		match(`^(services(?:\.(.+))?) must be a mapping$`, func(x *explainer, m []string) *LoadError {
			remedy := "write the names of services below it, each with a colon"
			if m[1] != "" {
				remedy = "write image: or build: below it"
			}
			return x.sources.errorAt(strings.Split(m[0], ".")...).with(m[0]+" must be a mapping", remedy)
		}),
		match(`^project name must not be empty$`, func(x *explainer, _ []string) *LoadError {
			return (&LoadError{}).with(fmt.Sprintf("the folder's name %q cannot be a project name",
				filepath.Base(x.sources.dir)),
				"name the project with -p, or with name: in the file")
		}),
		match(`^invalid project name "(.*?)": must`, func(_ *explainer, m []string) *LoadError {
			return badName(m[0])
		}),
		match(`^decoding failed due to the following error\(s\):\n\n'(\S+?)' (.*)$`, (*explainer).badValue),
		match(`(?i)^(?:invalid (?:hostPort|containerPort|IP address|ip|proto|port|range|start or end)\S*|no port specified|too many colons):? ?(.*)$`,
			(*explainer).badPort),
		match(`^invalid ranges specified .* and (\S+)$`, (*explainer).badPort),
		match(`^invalid spec: (.*): empty section between colons$`, func(x *explainer, m []string) *LoadError {
			at, name, _ := x.sources.item("volumes", func(text string) bool { return text == m[0] })
			return x.sources.errorIn(at).with(
				fmt.Sprintf("services.%s.volumes: %q has nothing before or after a colon", name,
					m[0]), "write source:target")
		}),
		match(`^service volume services\.(.+)\.volumes\.\[(\d+)\] is missing a mount target$`,
			func(x *explainer, m []string) *LoadError {
				return x.sources.errorAt("services", m[0], "volumes", m[1]).
					with(fmt.Sprintf("services.%s.volumes.%s has no target", m[0], m[1]),
						"write target: and a path in the container")
			}),
		match(`^invalid empty volume spec$`, func(x *explainer, _ []string) *LoadError {
			at, name, _ := x.sources.item("volumes", func(text string) bool { return text == "" })
			return x.sources.errorIn(at).with("services."+name+".volumes: an empty entry",
				"write source:target, or remove it")
		}),
		match(`^invalid mount config for type "bind": field Source must not be empty$`,
			func(x *explainer, _ []string) *LoadError {
				return x.sources.errorIn(x.sources.findText("type: bind")).with(
					"a bind mount has no source", "write source: and a path of this machine")
			}),
	}
}

// circle returns the circle at the end of a chain whose last name came before, from its least name
// on: compose-go begins anywhere.
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
func (x *explainer) missingFile(path, attribute, remedy string) *LoadError {
	e := x.sources.errorIn(x.sources.names(path))
	name := inside(x.sources.dir, path)
	if i := strings.Index(filepath.ToSlash(path), ":/"); i > 0 || strings.HasSuffix(path, ".git") {
		return e.with("files are not fetched from other machines", "check it out, and name its path")
	}
	what := name
	if attribute != "" {
		what = attribute + " " + name
	}
	if _, err := os.Stat(path); err == nil {
		return e.with(what+" cannot be read", "make it a readable file")
	}
	return e.with(what+" does not exist", remedy)
}

// cause returns what went wrong with a file, without the operation and the path that os puts before it.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// ending returns the last part of an error's text.
func ending(text string) string { return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:]) }
