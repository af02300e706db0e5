package drill

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed report.html
var pageText string

// functions are what the page is written with.
var functions = template.FuncMap{
	"mark": func(row Row, service string) string { return row.Mark(service) },
	"class": func(row Row, service string) string {
		if c := row.Cell(service); c != nil {
			if c.Declared {
				return c.Outcome.String() + " declared"
			}
			return c.Outcome.String()
		}
		return "hit"
	},
	"title": func(row Row, service string) string {
		c := row.Cell(service)
		if c == nil {
			return service + " has the fault"
		}
		lines := []string{service + ": " + c.Outcome.String()}
		if c.Why != "" {
			lines = append(lines, c.Why)
		}
		for _, e := range c.Evidence {
			lines = append(lines, e.String())
		}
		return printable(strings.Join(lines, "\n"))
	},
	"back":     func(row Row) string { return row.Back() },
	"verdict":  func(row Row) string { return row.VerdictText() },
	"evidence": func(e Evidence) string { return printable(e.String()) },
	"clean":    printable,
	"offset":   func(ms int64) string { return fmt.Sprintf("%+.2f s", float64(ms)/1000) },
	"timeline": timelineOf,
	"graph":    graphOf,
	"seconds":  seconds,
	"stamp":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
	"legend":   Legend,
	"signof":   func(o Outcome) string { return Mark(o) },
}

// WriteHTML writes a report as one page that needs nothing from anywhere: no script, no font, no
// image.
func (r *Report) WriteHTML(w io.Writer) error {
	return template.Must(template.New("report").Funcs(functions).Parse(pageText)).Execute(w, r)
}

// lane is a service on a row's timeline, in a drawing of 1000 units from fault to end.
type lane struct {
	Service string
	Y       int
	Hit     bool
	Marks   []laneMark
}

type laneMark struct {
	X    int
	Kind string
	Text string
}

type timeline struct {
	Lanes  []lane
	Height int
	Heal   int // where the fault was taken away
	Ticks  []laneMark
}

const (
	laneHeight = 22
	laneWidth  = 1000
)

// timelineOf places the events of a row.
func timelineOf(r *Report, row Row) timeline {
	last := r.HoldMS
	for _, e := range row.Events {
		last = max(last, e.AfterMS)
	}
	last = max(last+last/20, 1)
	at := func(ms int64) int { return int(max(ms, 0) * laneWidth / last) }
	t := timeline{Heal: -1}
	for i, s := range r.Services {
		l := lane{Service: s, Y: i * laneHeight, Hit: s == row.Killed}
		for _, e := range row.Events {
			if e.Kind == "heal" {
				t.Heal = at(e.AfterMS)
			}
			if e.Service == s {
				l.Marks = append(l.Marks, laneMark{X: at(e.AfterMS), Kind: e.Kind,
					Text: printable(fmt.Sprintf("%+.2f s %s %s", float64(e.AfterMS)/1000, e.Kind, e.Text))})
			}
		}
		t.Lanes = append(t.Lanes, l)
	}
	t.Height = len(r.Services) * laneHeight
	step := int64(1000)
	for last/step > 12 {
		step *= 2
	}
	for ms := int64(0); ms <= last; ms += step {
		t.Ticks = append(t.Ticks, laneMark{X: at(ms), Text: fmt.Sprintf("%ds", ms/1000)})
	}
	return t
}

// node and arc are the graph of the declared edges: each service stands right of those that call it.
type node struct {
	Name    string
	X, Y    int
	Verdict string
}

type arc struct {
	X1, Y1, X2, Y2, MX int
	By, Text           string
}

type graph struct {
	Nodes         []node
	Arcs          []arc
	Width, Height int
}

const (
	nodeWidth, nodeHeight = 130, 30
	columnGap, rowGap     = 70, 14
)

// graphOf places the services in columns by how long the longest way of calls to them is.
func graphOf(r *Report) graph {
	depth := map[string]int{}
	for range r.Services { // as many rounds as the longest way has edges; a circle ends with them
		for _, e := range r.Edges {
			if d := depth[e.From] + 1; d > depth[e.To] && d < len(r.Services) {
				depth[e.To] = d
			}
		}
	}
	var g graph
	rows := map[int]int{}
	at := map[string]node{}
	for _, s := range r.Services {
		d := depth[s]
		n := node{Name: s, X: d * (nodeWidth + columnGap), Y: rows[d] * (nodeHeight + rowGap)}
		for i := range r.Rows {
			if r.Rows[i].Killed == s {
				n.Verdict = r.Rows[i].Verdict.String()
			}
		}
		rows[d]++
		at[s] = n
		g.Nodes = append(g.Nodes, n)
		g.Width, g.Height = max(g.Width, n.X+nodeWidth+4), max(g.Height, n.Y+nodeHeight+4)
	}
	for _, e := range r.Edges {
		from, ok1 := at[e.From]
		to, ok2 := at[e.To]
		if !ok1 || !ok2 {
			continue
		}
		a := arc{X1: from.X + nodeWidth, Y1: from.Y + nodeHeight/2, X2: to.X, Y2: to.Y + nodeHeight/2,
			By: e.By, Text: e.From + " calls " + e.To + " (" + e.By + ")"}
		a.MX = (a.X1 + a.X2) / 2
		g.Arcs = append(g.Arcs, a)
	}
	return g
}
