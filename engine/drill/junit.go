package drill

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

type junitSuite struct {
	XMLName   xml.Name    `xml:"testsuite"`
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string      `xml:"name,attr"`
	ClassName string      `xml:"classname,attr"`
	Failure   *junitFault `xml:"failure,omitempty"`
	Error     *junitFault `xml:"error,omitempty"`
	Output    string      `xml:"system-out,omitempty"`
}

type junitFault struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes a report as JUnit XML: a test case for each row. Rows that came to one of failOn
// are failures; those that failed as such are errors.
func (r *Report) WriteJUnit(w io.Writer, failOn []Verdict) error {
	s := junitSuite{Name: "drill " + r.Project + " " + r.Fault, Tests: len(r.Rows),
		Timestamp: r.Began.UTC().Format("2006-01-02T15:04:05"),
		Time:      fmt.Sprintf("%.3f", (time.Duration(r.TookMS) * time.Millisecond).Seconds())}
	for i := range r.Rows {
		row := &r.Rows[i]
		c := junitCase{Name: r.Fault + " on " + row.Killed, ClassName: "drill." + r.Project,
			Output: printable(strings.Join(texts(r.RowText(i)), "\n"))}
		fault := &junitFault{Message: printable(row.Verdict.String() + ": " + row.Why),
			Type: row.Verdict.String(), Text: c.Output}
		switch {
		case !slices.Contains(failOn, row.Verdict) &&
			!slices.ContainsFunc(row.Runs, func(n Run) bool { return slices.Contains(failOn, n.Verdict) }):
		case row.Verdict == Failed:
			c.Error = fault
			s.Errors++
		default:
			c.Failure = fault
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// printable takes out what a report's file cannot have: control characters of log lines.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= 0x20 && r != 0x7f && !(r >= 0x80 && r < 0xa0) {
			return r
		}
		return -1
	}, text)
}

// RowLine is a line about a row.
type RowLine struct {
	Text     string
	Evidence bool // it is evidence of the service in the line above, and stands further in
}

// String returns the line as plain text.
func (l RowLine) String() string {
	if l.Evidence {
		return "    " + l.Text
	}
	return l.Text
}

func texts(lines []RowLine) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.String())
	}
	return out
}

// RowText is a row with all its evidence, a line each.
func (r *Report) RowText(i int) []RowLine {
	row := &r.Rows[i]
	out := []RowLine{{Text: fmt.Sprintf("%s on %s: %s, back in %s", r.Fault, row.Killed, row.Verdict,
		row.Back())}}
	if row.Why != "" {
		out = append(out, RowLine{Text: row.Why})
	}
	for _, n := range row.Notes {
		out = append(out, RowLine{Text: n})
	}
	for _, c := range row.Cells {
		text := fmt.Sprintf("%s %s: %s", Mark(c.Outcome), c.Service, c.Outcome)
		switch {
		case c.Declared:
			text += ", as the file allows"
		case c.Why != "":
			text += ", " + c.Why
		}
		out = append(out, RowLine{Text: text})
		for _, e := range c.Evidence {
			out = append(out, RowLine{Text: e.String(), Evidence: true})
		}
	}
	return out
}

// String is one piece of evidence in a line: "+1.10 log ERROR upstream worker 502 (3 times)".
func (e Evidence) String() string {
	text := fmt.Sprintf("+%.2f %s ", float64(e.AfterMS)/1000, e.Kind)
	if e.Level != "" {
		text += strings.ToUpper(e.Level) + " "
	}
	text += e.Text
	if e.Kind == kindLog && e.Count > 1 {
		text += fmt.Sprintf(" (%d times)", e.Count)
	}
	return text
}
