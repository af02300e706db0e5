package cli

import "strings"

// environment is the variables that a run goes by.
type environment struct {
	lines []string // as "KEY=value"
	vars  map[string]string
}

func newEnvironment(lines []string) *environment {
	e := &environment{}
	e.set(lines)
	return e
}

// set replaces all variables. It must not be called once others read them.
func (e *environment) set(lines []string) { e.lines, e.vars = lines, variables(lines) }

// get returns a variable, "" when it is not set.
func (e *environment) get(key string) string { return e.vars[key] }

// variables makes a map of "KEY=value" lines; of equal keys the last one counts.
func variables(lines []string) map[string]string {
	m := make(map[string]string, len(lines))
	for _, line := range lines {
		if k, v, ok := strings.Cut(line, "="); ok {
			m[k] = v
		}
	}
	return m
}
