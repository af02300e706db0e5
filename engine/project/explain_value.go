package project

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/compose-spec/compose-go/v2/tree"
	"go.yaml.in/yaml/v4"
)

// schemaError is for what the Compose schema refuses; m is the file and "path message".
func (l *loading) schemaError(m []string) *LoadError {
	kinds := []explanation{
		{regexp.MustCompile(`^(.*?) ?additional properties '(.+?)'.* not allowed$`), func(l *loading, m []string) *LoadError {
			return l.unknownAttribute(m[0], m[1])
		}},
		{regexp.MustCompile(`^(.*)\.(.+?) false schema$`), func(l *loading, m []string) *LoadError {
			return l.unknownAttribute(m[0], m[1])
		}},
		{regexp.MustCompile(`^(.*?) missing propert(?:y|ies) '(.+?)'`), func(l *loading, m []string) *LoadError {
			return l.errorAt(strings.Split(m[0], ".")...).say(m[0]+" has no "+m[1], "write "+m[1]+": below it")
		}},
		{regexp.MustCompile(`^(.*?) must be an? (.*)$`), (*loading).wrongType},
		{regexp.MustCompile(`^(.*?):? value must be '(.*)'$`), func(l *loading, m []string) *LoadError {
			return l.wrongChoice(m[0], m[1:])
		}},
		{regexp.MustCompile(`^(.*?) value must be one of (.*)$`), func(l *loading, m []string) *LoadError {
			return l.wrongChoice(m[0], strings.Split(strings.Trim(m[1], "'"), "', '"))
		}},
		{regexp.MustCompile(`^(.*?) '(.*)' does not match pattern '(.*)'$`), func(l *loading, m []string) *LoadError {
			// only a list of words can be compared with what was written
			if words, ok := strings.CutPrefix(m[2], "^("); ok && strings.HasSuffix(words, ")$") {
				choices := strings.Split(strings.TrimSuffix(words, ")$"), "|")
				return l.wrongChoice(m[0], slices.DeleteFunc(choices, func(c string) bool { return strings.ContainsAny(c, `[](){}+*\`) }))
			}
			return l.errorAt(strings.Split(m[0], ".")...).say(fmt.Sprintf("%s: %q is not allowed", m[0], m[1]), "write something like "+m[2])
		}},
	}
	for _, k := range kinds {
		if g := k.pattern.FindStringSubmatch(m[1]); g != nil {
			return k.explain(l, g[1:])
		}
	}
	path, message, _ := strings.Cut(m[1], " ")
	return l.errorAt(strings.Split(path, ".")...).say(path+": "+message, "")
}

func (l *loading) unknownAttribute(parent, key string) *LoadError {
	var path []string
	name := key
	if parent != "" {
		path, name = strings.Split(parent, "."), parent+"."+key
	}
	e := l.errorAt(append(path, key)...)
	if named := []string{"services", "networks", "volumes", "secrets", "configs"}; slices.Contains(named, parent) {
		return e.say(fmt.Sprintf("%s: %q is not a name", parent, key), "use letters, digits, . _ and -")
	}
	known := attributes(path)
	remedy := "remove it, or call it x-" + key
	if len(known) > 0 && len(known) < 12 {
		remedy = "there are: " + strings.Join(known, ", ")
	}
	return e.say(name+": no such attribute", orNearest(key, known, remedy))
}

func (l *loading) wrongType(m []string) *LoadError {
	path, want := strings.Split(m[0], "."), m[1]
	remedies := []struct{ word, name, remedy string }{
		{"array", "a list", "write each item on a line of its own, after a dash"},
		{"mapping", "a mapping", "write key: value lines below it"},
		{"null", "a text or a list", "write it in quotes, or as [a, b]"},
		{"boolean, null, number or string", "a single value", "write one text or number"},
		{"string", "a text", "put it in quotes"},
		{"boolean", "true or false", "write true or false"},
		{"integer", "a whole number", "write a whole number"},
		{"number", "a number", "write a number"},
	}
	e := l.errorAt(path...)
	for _, r := range remedies {
		if want != r.word {
			continue
		}
		remedy := r.remedy
		if known := attributes(path); r.word == "mapping" && len(known) > 0 && len(known) < 12 {
			remedy = "write one of these below it: " + strings.Join(known, ", ")
		} else if r.word == "mapping" && len(path) == 2 && path[0] == "services" {
			remedy = "write image: or build: below it"
		}
		n := l.sources.node(path...)
		if n != nil && n.Kind == yaml.MappingNode && r.word == "string" {
			remedy = "write one text, or, where a list is meant, a dash before it"
		}
		switch {
		case n == nil || n.Kind != yaml.ScalarNode:
		case n.Value == "" && r.word != "mapping":
			remedy = "write one, or remove it"
		default:
			switch r.word {
			case "string":
				remedy = fmt.Sprintf("write %q", n.Value)
				// a bare number where a time is meant is seconds in nobody's head but its writer's
				if _, err := strconv.Atoi(n.Value); err == nil && describedAs(path, "period", "time", "interval", "delay") {
					remedy = fmt.Sprintf("write %ss", n.Value)
				}
			case "array":
				remedy = fmt.Sprintf("write [%q]", n.Value)
			}
		}
		return e.say(m[0]+" must be "+r.name, remedy)
	}
	return e.say(m[0]+" must be one of: "+want, "write one of these")
}

// describedAs says whether the attribute's own name has one of the words in it.
func describedAs(path []string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(path[len(path)-1], w) })
}

func (l *loading) wrongChoice(path string, choices []string) *LoadError {
	parts := strings.Split(path, ".")
	said := ""
	if n := l.sources.node(parts...); n != nil {
		said = l.sources.scalar(n)
	}
	otherwise := "write one of " + strings.Join(choices, ", ")
	if len(choices) == 1 {
		otherwise = "write " + choices[0]
	}
	return l.errorAt(parts...).say(fmt.Sprintf("%s: %q is not known", path, said), orNearest(said, choices, otherwise))
}

func (l *loading) unsetVariable(m []string) *LoadError {
	problem := strings.TrimSuffix(m[0], "."+tree.PathMatchList) + ": variable " + m[1] + " is not set"
	if m[2] != "" {
		problem += ": " + strings.Join(strings.Fields(m[2]), " ")
	}
	return l.errorUsing(m[0], "${"+m[1]+":?", "${"+m[1]+"?").say(problem, "set "+m[1]+" in the environment or in .env")
}

// errorUsing is errorAt for a path in which list items have lost their number: the texts tell them apart.
func (l *loading) errorUsing(path string, texts ...string) *LoadError {
	if strings.Contains(path, tree.PathMatchList) {
		if p := l.sources.findText(texts...); p.file != nil {
			return l.errorIn(p)
		}
	}
	return l.errorAt(strings.Split(path, ".")...)
}

func (l *loading) badCast(m []string) *LoadError {
	e := l.errorAt(strings.Split(m[0], ".")...)
	m[0] = strings.ReplaceAll(m[0], "."+tree.PathMatchList, "")
	said := ending(m[1])
	if parsed := regexp.MustCompile(`parsing "(.*?)"`).FindStringSubmatch(m[1]); parsed != nil {
		said = parsed[1]
	}
	if strings.Contains(m[1], "boolean") {
		return e.say(fmt.Sprintf("%s: %q is neither true nor false", m[0], said), "write true or false")
	}
	return e.say(fmt.Sprintf("%s: %q is no number", m[0], said), "write a number")
}

func (l *loading) badTemplate(m []string) *LoadError {
	return l.errorUsing(m[0], m[1]).say(fmt.Sprintf("%s: %q does not name a variable rightly", m[0], m[1]),
		"write ${NAME}, or $$ for a dollar sign")
}

// badValue is for texts that are no duration, size and the like; m is services[web].a.b and the reason.
func (l *loading) badValue(m []string) *LoadError {
	parts := strings.FieldsFunc(m[0], func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	reason, remedy := strings.Join(strings.Fields(m[1]), " "), "write a value of the right kind"
	switch {
	case strings.Contains(reason, "duration"):
		remedy = "write a time like 1m30s"
	case strings.Contains(reason, "size"), strings.Contains(reason, "suffix"):
		remedy = "write a size like 512m"
	case strings.Contains(reason, "additional host"):
		remedy = `write "name:10.0.0.1"`
	}
	return l.errorAt(parts...).say(strings.Join(parts, ".")+": "+reason, remedy)
}

// badPort is for the messages about ports, which name no service.
func (l *loading) badPort(m []string) *LoadError {
	said := strings.Trim(m[0], ` "`)
	at, name, text := l.sources.item("ports", func(text string) bool {
		return text == "" && said == "<empty>" || strings.Contains(text, said)
	})
	if name == "" {
		return nil
	}
	return l.errorIn(at).say(fmt.Sprintf("services.%s.ports: %q is no port", name, text), `write "8080:80"`)
}

// item gives the first plain item of a list attribute of any service that fits, and whose it is; "" when none fits.
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

func (l *loading) badHealthcheck([]string) *LoadError {
	for _, f := range l.sources.files {
		for _, doc := range f.docs {
			services := get(doc, "services")
			for _, name := range keys(services) {
				test := get(get(get(services, name), "healthcheck"), "test")
				if test == nil || test.Kind != yaml.SequenceNode || len(test.Content) == 0 {
					continue
				}
				word := l.sources.scalar(test.Content[0])
				if !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, word) {
					return l.errorIn(place{f, test.Line}).
						say(fmt.Sprintf("services.%s.healthcheck.test: %q is not CMD, CMD-SHELL or NONE", name, word),
							"write CMD before it")
				}
			}
		}
	}
	return nil
}

func (l *loading) undefinedResource(m []string) *LoadError {
	service, kind, name := m[0], m[1], m[2]
	e := l.errorAt("services", service, kind+"s", name)
	if kind == "secret" {
		if p := l.sources.find("services", service, "build", "secrets", name); l.sources.depth("services", service, "secrets", name) < 4 && p.file != nil {
			e = l.errorIn(p)
		}
	}
	return e.say(fmt.Sprintf("services.%s: no %s %q", service, kind, name),
		orNearest(name, l.sources.keys(kind+"s"), "write "+name+": below "+kind+"s: at the top level"))
}

func (l *loading) undefinedDependency(m []string) *LoadError {
	service, name := m[0], m[1]
	e := l.errorAt("services", service)
	for _, attribute := range []string{"depends_on", "links", "network_mode", "ipc", "pid", "uts", "cgroup", "volumes_from"} {
		n := l.sources.node("services", service, attribute)
		if n == nil {
			continue
		}
		hit := l.sources.depth("services", service, attribute, name) == 4 ||
			n.Kind == yaml.ScalarNode && l.sources.scalar(n) == "service:"+name
		if hit {
			e = l.errorAt("services", service, attribute, name)
			break
		}
	}
	if profiles := scalars(l.sources.node("services", name, "profiles")); len(profiles) > 0 {
		return e.say(fmt.Sprintf("services.%s needs %s, which its profiles disable", service, name),
			fmt.Sprintf("add --profile %s, or write required: false", l.sources.scalar(profiles[0])))
	}
	names := slices.DeleteFunc(l.sources.keys("services"), func(n string) bool { return n == service })
	return e.say(fmt.Sprintf("services.%s: no service %q", service, name),
		orNearest(name, names, "write "+name+": below services:"))
}

func (l *loading) missingBase(m []string) *LoadError {
	service, base, from := m[0], m[2], m[3]
	names := slices.DeleteFunc(l.sources.keys("services"), func(n string) bool { return n == service })
	problem := fmt.Sprintf("services.%s.extends: no service %q", service, base)
	if from != "" {
		problem += " in " + from
		names = nil
		for path, f := range l.sources.extended {
			if strings.HasSuffix(path, strings.TrimLeft(from, "./")) {
				for _, doc := range f.docs {
					names = append(names, keys(get(doc, "services"))...)
				}
			}
		}
	}
	return l.errorAt("services", service, "extends", "service").say(problem, orNearest(base, names, "name a service that is there"))
}

func (l *loading) extendsCircle(m []string) *LoadError {
	var names []string
	for line := range strings.SplitSeq(m[0], "\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "extends "), " in ")
		names = append(names, name)
	}
	names = circle(names)
	return l.errorAt("services", names[0], "extends").
		say("services extend each other in a circle: "+strings.Join(names, " -> "), "remove one of these extends")
}

func (l *loading) noMapping([]string) *LoadError {
	for _, f := range l.sources.files {
		for _, doc := range f.docs {
			if doc.Kind != yaml.MappingNode {
				return l.errorIn(place{f, doc.Line}).say("not a Compose file", "write services: and the services below it")
			}
		}
	}
	return nil
}

// badPattern is for a rule's ignore or include.
func (l *loading) badPattern(service string, i int, key string, err error) error {
	path := []string{"services", service, "develop", "watch", strconv.Itoa(i), key}
	return l.errorAt(path...).say(strings.Join(path, ".")+": "+err.Error(), "write patterns in .dockerignore syntax")
}

// node gives the node of an attribute in the file merged last that has it, nil when none has.
func (s *sources) node(path ...string) *yaml.Node {
	for _, f := range slices.Backward(s.files) {
		for _, doc := range f.docs {
			n := doc
			for _, part := range path {
				if i, err := strconv.Atoi(part); err == nil && n != nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
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

// keys gives the keys of a top-level mapping in all files, sorted.
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

// attributes gives the keys that the Compose schema knows below a path, sorted.
func attributes(path []string) []string {
	var names []string
	for _, p := range schema.AttributePaths() {
		parts := p.Parts()
		if len(parts) != len(path)+1 {
			continue
		}
		key := parts[len(path)]
		fits := key != tree.PathMatchAll && key != tree.PathMatchList
		for i, part := range path {
			_, err := strconv.Atoi(part)
			fits = fits && (parts[i] == part || parts[i] == tree.PathMatchAll || parts[i] == tree.PathMatchList && err == nil)
		}
		if fits {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
