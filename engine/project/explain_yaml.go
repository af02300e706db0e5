package project

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// yamlError is for a file that is no YAML. The parser speaks of tokens and simple keys; this says what to look for.
func (x *explainer) yamlError(path string, err error) *LoadError {
	e := &LoadError{File: inside(x.sources.cwd, path), Err: err}
	text := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: ")
	if m := regexp.MustCompile(`mapping key "(.+)" already defined at line (\d+)`).FindStringSubmatch(
		text); m != nil {
		e.Line = lastLine(strings.TrimSuffix(text, m[0]), 0)
		return e.with(fmt.Sprintf("%s is written twice, first in line %s", m[1], m[2]), "keep one of the two")
	}
	if m := regexp.MustCompile(`^offset (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		offset, _ := strconv.Atoi(m[1]) // digits by the pattern
		content := x.sources.content(path)
		e.Line = 1 + strings.Count(content[:min(offset, len(content))], "\n")
		return e.with("not UTF-8 text: "+m[2], "save the file as UTF-8")
	}
	start, problem := e.place(text)
	line := ""
	if lines := strings.Split(x.sources.content(path), "\n"); e.Line > 0 && e.Line <= len(lines) {
		line = lines[e.Line-1]
	}
	tab := strings.Contains(line[:len(line)-len(strings.TrimLeft(line, " \t"))], "\t")
	switch has := func(s string) bool { return strings.Contains(text, s) }; {
	case tab || has("tab character"):
		return e.with("indented with a tab", "indent with spaces")
	case has("cannot start any token"):
		return e.with("a value may not begin like this", "put it in quotes")
	case has("mapping values are not allowed"):
		return e.with("a colon where none may be", "put the value in quotes, or check how the line is indented")
	case has("did not find expected ',' or"):
		e.Line = start
		closing := text[strings.LastIndex(text, "or '")+4:]
		return e.with("a bracket is not closed", "close it with "+strings.TrimSuffix(closing, "'"))
	case has("quoted scalar") && has("end of stream"):
		e.Line = start
		return e.with("a quote is not closed", "close it")
	case has("could not find expected ':'"):
		e.Line = start
		return e.with("a key without a colon", "write key: value")
	case has("did not find expected key") || has("did not find expected '-' indicator"):
		return e.with("not indented like the lines around it", "indent it by as many spaces")
	case has("did not find expected node content"):
		return e.with("something is missing here or in the line before", "write a value, or close the bracket")
	case has("unknown anchor"):
		name := strings.Split(text+"''", "'")[1]
		return e.with("*"+name+" stands for nothing", "write &"+name+
			" before what it should stand for, further up")
	}
	return e.with(problem, "check the lines around it")
}

// place sets the line of a parser's error from its text, and returns the line where what it speaks of begins, and the
// problem without its lines.
func (e *LoadError) place(text string) (start int, problem string) {
	// go.yaml.in's parser counts lines from 0, and its scanner from 1; "did not find expected" is the parser's
	shift := 0
	if strings.Contains(text, "did not find expected") || strings.Contains(text, "<unknown position>") {
		shift = 1
	}
	context, problem, two := strings.Cut(text, ": ")
	start = lastLine(context, shift)
	if two && !strings.HasPrefix(context, "line ") {
		e.Line = lastLine(problem, shift)
		if at := strings.LastIndex(problem, ": "); at >= 0 {
			problem = problem[at+2:]
		}
	}
	if e.Line == 0 {
		e.Line = start
	}
	return start, problem
}

// lastLine returns the last "line N" of a text, 0 when there is none; shift is added to it. A parser that counts from 0
// calls its first line an unknown position.
func lastLine(text string, shift int) int {
	if shift > 0 && strings.Contains(text, "<unknown position>") {
		return 1
	}
	all := regexp.MustCompile(`line (\d+)`).FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return 0
	}
	n, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		return 0
	}
	return n + shift
}
