package drill

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes a report for people to read: the matrix, and below it the evidence of
// everybody who suffered.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Drill of %s: %s\n\n", markdown(r.Project), markdown(r.Fault))
	fmt.Fprintf(&b, "%s, %s. Hold %s, settle %s, each row %s.\n\n",
		r.Began.UTC().Format("2006-01-02 15:04:05 MST"), markdown(r.Summary()),
		seconds(r.HoldMS), seconds(r.SettleMS), times(r.Repeat))
	if r.Load != "" {
		fmt.Fprintf(&b, "Load: %s.\n\n", markdown(r.Load))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", markdown(n))
	}
	if text := r.BaselineText(); text != "" {
		fmt.Fprintf(&b, "- baseline: %s\n", text)
	}
	b.WriteString("\n| fault on |")
	for _, s := range r.Services {
		fmt.Fprintf(&b, " %s |", markdown(s))
	}
	b.WriteString(" back in | verdict |\n|---|" + strings.Repeat("---|", len(r.Services)+2) + "\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		fmt.Fprintf(&b, "| %s |", markdown(row.Killed))
		for _, s := range r.Services {
			fmt.Fprintf(&b, " %s |", markdown(row.Mark(s)))
		}
		fmt.Fprintf(&b, " %s | %s |\n", markdown(row.Back()), markdown(row.VerdictText()))
	}
	b.WriteString("\n")
	for _, l := range Legend() {
		b.WriteString(markdown(l) + "\n")
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		fmt.Fprintf(&b, "\n## %s: %s\n\n", markdown(row.Killed), row.Verdict)
		for _, l := range r.RowText(i)[1:] {
			indent := ""
			if l.Evidence {
				indent = "  "
			}
			fmt.Fprintf(&b, "%s- %s\n", indent, markdown(l.Text))
		}
	}
	if len(r.Edges) > 0 {
		b.WriteString("\n## Edges\n\n| from | to | declared by |\n|---|---|---|\n")
		for _, e := range r.Edges {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", markdown(e.From), markdown(e.To), e.By)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func times(n int) string {
	if n <= 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// markdown keeps text from being read as markup.
func markdown(text string) string {
	return markup.Replace(strings.ReplaceAll(printable(text), "\n", " "))
}

var markup = strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "`",
	"\\`", "[", `\[`, "]", `\]`, "#", `\#`, "~", `\~`)
