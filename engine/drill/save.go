package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Forms are the endings of the files that Save writes.
func Forms() []string { return []string{".md", ".html", ".json", ".xml"} }

// Save writes a report to a file, in the form that the name's ending says: Markdown, HTML, JSON, or
// JUnit XML with the usual verdicts as failures. A file that is there is written over.
func (r *Report) Save(path string) error {
	var write func(io.Writer) error
	switch strings.ToLower(filepath.Ext(path)) {
	case ".md":
		write = r.WriteMarkdown
	case ".html", ".htm":
		write = r.WriteHTML
	case ".json":
		write = r.WriteJSON
	case ".xml":
		write = func(w io.Writer) error { return r.WriteJUnit(w, DefaultFailOn()) }
	default:
		return fmt.Errorf("%s: its name has to end in one of %s", path, strings.Join(Forms(), ", "))
	}
	return WriteFile(path, write)
}

// WriteJSON writes a report as docs/drill.schema.json describes it.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteFile writes a file, over one that is there.
func WriteFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close() // the other error says more
		return err
	}
	return f.Close()
}
