package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/cli/cli/command/formatter/tabwriter"
	"github.com/docker/cli/templates"
)

// formatHelp is what the --format of verbs with templates takes.
const formatHelp = "`how` to print: table, table TEMPLATE, json, or a Go TEMPLATE with the functions of the docker command"

// headers are the titles of columns, by the name of the method that fills them.
type headers map[string]string

// writeFormat prints rows as the docker command does: format is a Go template that each row is put
// into, json, or a template after the word table for columns under headers. Rows are pointers to
// structs whose methods are the fields of the template.
func writeFormat[T any](w io.Writer, format string, titles headers, rows []T) error {
	text, table := strings.CutPrefix(format, "table")
	switch format {
	case "json":
		text = "{{json .}}"
	case "raw", "":
		return usagef("--format %q: it is empty", format)
	}
	text = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(strings.Trim(text, " "))
	t, err := templates.Parse(text)
	if err != nil {
		return usagef("--format: %w", err)
	}
	var body bytes.Buffer
	for _, r := range rows {
		if err := t.Execute(&body, r); err != nil {
			return usagef("--format: %w", err)
		}
		body.WriteByte('\n')
	}
	if !table {
		_, err := w.Write(escaped(body.Bytes()))
		return err
	}
	var out bytes.Buffer
	tw := tabwriter.NewWriter(&out, 10, 1, 3, ' ', 0)
	if err := t.Funcs(templates.HeaderFunctions).Execute(tw, titles); err != nil {
		return usagef("--format: %w", err)
	}
	fmt.Fprintln(tw) // a buffer takes everything
	_, _ = body.WriteTo(tw)
	_ = tw.Flush()
	_, err = w.Write(out.Bytes())
	return err
}

// methodsJSON is a row as an object: its methods without arguments are the keys.
func methodsJSON(row any) ([]byte, error) {
	v := reflect.ValueOf(row)
	all := map[string]any{}
	for i := range v.NumMethod() {
		if m := v.Method(i); m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
			all[v.Type().Method(i).Name] = m.Call(nil)[0].Interface()
		}
	}
	return json.Marshal(all)
}

// plainJSON is a value as the docker command writes it: < and & as they are.
func plainJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}

// writeJSON writes a value as plainJSON, with what could command a terminal escaped.
func writeJSON(w io.Writer, v any, indent string) error {
	b, err := plainJSON(v, indent)
	if err == nil {
		_, err = w.Write(escaped(b))
	}
	return err
}

// sortedPairs are the entries of a map as "key=value", sorted.
func sortedPairs(m map[string]string) []string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, k+"="+m[k])
	}
	return all
}

// writeList prints a list as docker compose does where it takes no template: a table, or json. lines
// says that json is an object a line, else it is one array.
func writeList[T any](
	w io.Writer, format string, lines bool, titles []string, list []T, row func(T) []any,
) error {
	switch strings.ToLower(format) {
	case "table", "pretty", "":
		var out bytes.Buffer
		tw := tabwriter.NewWriter(&out, 20, 1, 3, ' ', 0)
		fmt.Fprintln(tw, strings.Join(titles, "\t"))
		for _, x := range list {
			cells := row(x)
			fmt.Fprintf(tw, strings.Repeat("\t%v", len(cells))[1:]+"\n", cells...)
		}
		_ = tw.Flush() // a buffer takes everything
		_, err := w.Write(out.Bytes())
		return err
	case "json":
	default:
		return usagef("--format %s: write table or json", format)
	}
	if list == nil {
		list = []T{}
	}
	if !lines {
		return writeJSON(w, list, "")
	}
	for _, x := range list {
		if err := writeJSON(w, x, ""); err != nil {
			return err
		}
	}
	return nil
}

// dockerSettings are the formats that a person has set for the docker command.
type dockerSettings struct {
	PsFormat    string `json:"psFormat"`
	StatsFormat string `json:"statsFormat"`
}

// dockerSettings reads the docker command's config file. Without one, and with one that cannot be
// read, nothing is set: whoever needs the connection in it meets that error.
func (e *environment) dockerSettings() dockerSettings {
	dir := e.get("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(e.get("HOME"), ".docker")
	}
	var s dockerSettings
	if b, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
		_ = json.Unmarshal(b, &s)
	}
	return s
}

// ellipsis cuts a text to n characters.
func ellipsis(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
