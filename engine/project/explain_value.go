package project

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/compose-spec/compose-go/v2/tree"
	"go.yaml.in/yaml/v4"
)

// schemaError is for what the Compose schema refuses; m is the file and "path message".
func (x *explainer) schemaError(m []string) *LoadError {
	kinds := []explanation{
		{regexp.MustCompile(`^(.*?) ?additional properties '(.+?)'.* not allowed$`),
			func(x *explainer, m []string) *LoadError {
				return x.unknownAttribute(m[0], m[1])
			}},
		{regexp.MustCompile(`^(.*)\.(.+?) false schema$`), func(x *explainer, m []string) *LoadError {
			return x.unknownAttribute(m[0], m[1])
		}},
		{regexp.MustCompile(`^(.*?) missing propert(?:y|ies) '(.+?)'`),
			func(x *explainer, m []string) *LoadError {
				return x.sources.errorAt(strings.Split(m[0], ".")...).with(m[0]+" has no "+m[1],
					"write "+m[1]+": below it")
			}},
		{regexp.MustCompile(`^(.*?) must be an? (.*)$`), (*explainer).wrongType},
		{regexp.MustCompile(`^(.*?):? value must be '(.*)'$`), func(x *explainer, m []string) *LoadError {
			return x.wrongChoice(m[0], m[1:])
		}},
		{regexp.MustCompile(`^(.*?) value must be one of (.*)$`), func(x *explainer, m []string) *LoadError {
			return x.wrongChoice(m[0], strings.Split(strings.Trim(m[1], "'"), "', '"))
		}},
		{regexp.MustCompile(`^(.*?) '(.*)' does not match pattern '(.*)'$`),
			func(x *explainer, m []string) *LoadError {
				// only a list of words can be compared with what was written
				if words, ok := strings.CutPrefix(m[2], "^("); ok && strings.HasSuffix(words, ")$") {
					choices := strings.Split(strings.TrimSuffix(words, ")$"), "|")
					return x.wrongChoice(m[0], slices.DeleteFunc(choices, func(c string) bool {
						return strings.ContainsAny(c, `[](){}+*\`)
					}))
				}
				return x.sources.errorAt(strings.Split(m[0],
					".")...).with(fmt.Sprintf("%s: %q is not allowed", m[0], m[1]),
					"write something like "+m[2])
			}},
	}
	for _, k := range kinds {
		if g := k.pattern.FindStringSubmatch(m[1]); g != nil {
			return k.explain(x, g[1:])
		}
	}
	path, message, _ := strings.Cut(m[1], " ")
	return x.sources.errorAt(strings.Split(path, ".")...).with(path+": "+message, "")
}

func (x *explainer) unknownAttribute(parent, key string) *LoadError {
	var path []string
	name := key
	if parent != "" {
		path, name = strings.Split(parent, "."), parent+"."+key
	}
	e := x.sources.errorAt(append(path, key)...)
	if named := []string{"services", "networks", "volumes", "secrets",
		"configs"}; slices.Contains(named, parent) {
		return e.with(fmt.Sprintf("%s: %q is not a name", parent, key), "use letters, digits, . _ and -")
	}
	known := attributes(path)
	remedy := "remove it, or call it x-" + key
	if len(known) > 0 && len(known) < 12 {
		remedy = "there are: " + strings.Join(known, ", ")
	}
	return e.with(name+": no such attribute", orNearest(key, known, remedy))
}

func (x *explainer) wrongType(m []string) *LoadError {
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
	e := x.sources.errorAt(path...)
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
		n := x.sources.node(path...)
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
				if _, err := strconv.Atoi(n.Value); err == nil && describedAs(path, "period", "time",
					"interval", "delay") {
					remedy = fmt.Sprintf("write %ss", n.Value)
				}
			case "array":
				remedy = fmt.Sprintf("write [%q]", n.Value)
			}
		}
		return e.with(m[0]+" must be "+r.name, remedy)
	}
	return e.with(m[0]+" must be one of: "+want, "write one of these")
}

// describedAs says whether the attribute's own name has one of the words in it.
func describedAs(path []string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(path[len(path)-1], w) })
}

func (x *explainer) wrongChoice(path string, choices []string) *LoadError {
	parts := strings.Split(path, ".")
	value := ""
	if n := x.sources.node(parts...); n != nil {
		value = x.sources.scalar(n)
	}
	otherwise := "write one of " + strings.Join(choices, ", ")
	if len(choices) == 1 {
		otherwise = "write " + choices[0]
	}
	return x.sources.errorAt(parts...).with(fmt.Sprintf("%s: %q is not known", path, value),
		orNearest(value, choices, otherwise))
}

func (x *explainer) unsetVariable(m []string) *LoadError {
	problem := strings.TrimSuffix(m[0], "."+tree.PathMatchList) + ": variable " + m[1] + " is not set"
	if m[2] != "" {
		problem += ": " + strings.Join(strings.Fields(m[2]), " ")
	}
	e := x.errorUsing(m[0], "${"+m[1]+":?", "${"+m[1]+"?")
	e.unset = m[1]
	return e.with(problem, "set "+m[1]+" in the environment or in .env")
}

// errorUsing is errorAt for a path in which list items have lost their number: the texts tell them apart.
func (x *explainer) errorUsing(path string, texts ...string) *LoadError {
	if strings.Contains(path, tree.PathMatchList) {
		if p := x.sources.findText(texts...); p.file != nil {
			return x.sources.errorIn(p)
		}
	}
	return x.sources.errorAt(strings.Split(path, ".")...)
}

func (x *explainer) badCast(m []string) *LoadError {
	e := x.sources.errorAt(strings.Split(m[0], ".")...)
	m[0] = strings.ReplaceAll(m[0], "."+tree.PathMatchList, "")
	value := ending(m[1])
	if parsed := regexp.MustCompile(`parsing "(.*?)"`).FindStringSubmatch(m[1]); parsed != nil {
		value = parsed[1]
	}
	if strings.Contains(m[1], "boolean") {
		return e.with(fmt.Sprintf("%s: %q is neither true nor false", m[0], value), "write true or false")
	}
	return e.with(fmt.Sprintf("%s: %q is not a number", m[0], value), "write a number")
}

func (x *explainer) badTemplate(m []string) *LoadError {
	return x.errorUsing(m[0], m[1]).with(fmt.Sprintf("%s: %q is not a variable reference", m[0], m[1]),
		"write ${NAME}, or $$ for a dollar sign")
}

// badValue is for texts that are no duration, size and the like; m is services[web].a.b and the reason.
func (x *explainer) badValue(m []string) *LoadError {
	parts := strings.FieldsFunc(m[0], func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	reason, remedy := strings.Join(strings.Fields(m[1]), " "), "write a value of the right kind"
	switch {
	case strings.Contains(reason, "duration"):
		remedy = "write a time like 1m30s"
	case strings.Contains(reason, "size"), strings.Contains(reason, "suffix"):
		remedy = "write a size like 512m"
	case strings.Contains(reason, "command line string"):
		reason, remedy = "a quotation mark is never closed", "close it, or write the command as [a, b]"
	case strings.Contains(reason, "trailing space"):
		remedy = "write NAME=value without blanks around the ="
	case strings.Contains(reason, "additional host"):
		remedy = `write "name:10.0.0.1"`
	}
	return x.sources.errorAt(parts...).with(strings.Join(parts, ".")+": "+reason, remedy)
}

// badPort is for the messages about ports, which name no service.
func (x *explainer) badPort(m []string) *LoadError {
	value := strings.Trim(m[0], ` "`)
	at, name, text := x.sources.item("ports", func(text string) bool {
		return text == "" && value == "<empty>" || strings.Contains(text, value)
	})
	if name == "" {
		return nil
	}
	if len(m) > 0 && strings.Count(text, "-") == 2 {
		return x.sources.errorIn(at).with(
			fmt.Sprintf("services.%s.ports: the two ranges of %q differ in length", name, text),
			"write as many ports on both sides")
	}
	return x.sources.errorIn(at).with(fmt.Sprintf("services.%s.ports: %q is not a port", name, text),
		`write "8080:80"`)
}

func (x *explainer) badHealthcheck([]string) *LoadError {
	for _, f := range x.sources.files {
		for _, doc := range f.docs {
			services := get(doc, "services")
			for _, name := range keys(services) {
				test := get(get(get(services, name), "healthcheck"), "test")
				if test == nil || test.Kind != yaml.SequenceNode || len(test.Content) == 0 {
					continue
				}
				word := x.sources.scalar(test.Content[0])
				if !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, word) {
					return x.sources.errorIn(place{f, test.Line}).
						with(fmt.Sprintf(
							"services.%s.healthcheck.test: %q is not CMD, CMD-SHELL or NONE", name, word),
							"write CMD before it")
				}
			}
		}
	}
	return nil
}

func (x *explainer) undefinedResource(m []string) *LoadError {
	service, kind, name := m[0], m[1], m[2]
	e := x.sources.errorAt("services", service, kind+"s", name)
	if kind == "secret" {
		if p := x.sources.find("services", service, "build", "secrets",
			name); x.sources.depth("services", service, "secrets", name) < 4 && p.file != nil {
			e = x.sources.errorIn(p)
		}
	}
	return e.with(fmt.Sprintf("services.%s: no %s %q", service, kind, name),
		orNearest(name, x.sources.keys(kind+"s"), "write "+name+": below "+kind+"s: at the top level"))
}

func (x *explainer) undefinedDependency(m []string) *LoadError {
	service, name := m[0], m[1]
	if name == "" {
		return x.emptyReference(service)
	}
	e := x.sources.errorAt("services", service)
	for _, attribute := range []string{"depends_on", "links", "network_mode", "ipc", "pid", "uts", "cgroup",
		"volumes_from"} {
		n := x.sources.node("services", service, attribute)
		if n == nil {
			continue
		}
		hit := x.sources.depth("services", service, attribute, name) == 4 ||
			n.Kind == yaml.ScalarNode && x.sources.scalar(n) == "service:"+name
		if hit {
			e = x.sources.errorAt("services", service, attribute, name)
			break
		}
	}
	if profiles := scalars(x.sources.node("services", name, "profiles")); len(profiles) > 0 {
		return e.with(fmt.Sprintf("services.%s needs %s, which its profiles disable", service, name),
			fmt.Sprintf("add --profile %s, or write required: false", x.sources.scalar(profiles[0])))
	}
	names := slices.DeleteFunc(x.sources.keys("services"), func(n string) bool { return n == service })
	return e.with(fmt.Sprintf("services.%s: no service %q", service, name),
		orNearest(name, names, "write "+name+": below services:"))
}

// emptyReference is for a list of services that has an empty entry.
func (x *explainer) emptyReference(service string) *LoadError {
	for _, attribute := range []string{"depends_on", "links", "volumes_from"} {
		for _, n := range scalars(x.sources.node("services", service, attribute)) {
			if name, _, _ := strings.Cut(x.sources.scalar(n), ":"); name == "" {
				e := x.sources.errorAt("services", service, attribute)
				e.Line = n.Line
				return e.with(fmt.Sprintf("services.%s.%s: an empty entry", service, attribute),
					"write the name of a service, or remove it")
			}
		}
	}
	return x.sources.errorAt("services", service).with("services."+service+
		" depends on a service without a name", "name it")
}

func (x *explainer) missingBase(m []string) *LoadError {
	service, base, from := m[0], m[2], m[3]
	names := slices.DeleteFunc(x.sources.keys("services"), func(n string) bool { return n == service })
	problem := fmt.Sprintf("services.%s.extends: no service %q", service, base)
	if from != "" {
		problem += " in " + from
		names = nil
		for path, f := range x.sources.extended {
			if strings.HasSuffix(path, strings.TrimLeft(from, "./")) {
				for _, doc := range f.docs {
					names = append(names, keys(get(doc, "services"))...)
				}
			}
		}
	}
	return x.sources.errorAt("services", service, "extends", "service").with(problem,
		orNearest(base, names, "name a service that is there"))
}

func (x *explainer) extendsCircle(m []string) *LoadError {
	var names []string
	for line := range strings.SplitSeq(m[0], "\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "extends "), " in ")
		names = append(names, name)
	}
	names = circle(names)
	return x.sources.errorAt("services", names[0], "extends").
		with("services extend each other in a circle: "+strings.Join(names, " -> "),
			"remove one of these extends")
}

func (x *explainer) noMapping([]string) *LoadError {
	for _, f := range x.sources.files {
		for _, doc := range f.docs {
			if doc.Kind != yaml.MappingNode {
				return x.sources.errorIn(place{f, doc.Line}).with("not a Compose file",
					"write services: and the services below it")
			}
		}
	}
	return nil
}

// attributes returns the keys that the Compose schema knows below a path, sorted.
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
			fits = fits && (parts[i] == part || parts[i] == tree.PathMatchAll ||
				parts[i] == tree.PathMatchList && err == nil)
		}
		if fits {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
