package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// printer writes what happens as text or as JSON lines. Its methods may be called from any
// goroutine. The first write that does not work closes broken; what comes later is dropped.
type printer struct {
	json   bool
	colour bool
	stamps bool // times before log lines
	// stampFormat is how they are written, in UTC; "" is the local time of day.
	stampFormat string
	noPrefix    bool // no names before log lines
	tabs        bool // tabs in log lines stay, as docker compose has it
	wrap        bool // a line of our own is a JSON object, as --progress=json wants it
	width       int  // of the widest name before a log line

	mu     sync.Mutex
	soon   bool // a flush is on its way
	w      *bufio.Writer
	err    error
	broken chan struct{}
	hues   map[string]int // by service, in order of appearance
	buf    []byte
}

func newPrinter(w io.Writer) *printer {
	return &printer{w: bufio.NewWriterSize(w, 64<<10), broken: make(chan struct{}), hues: map[string]int{}}
}

// failed is why nothing can be written any more; nil while all is well.
func (p *printer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// end writes what waits to be written.
func (p *printer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

// flush ends a batch. Callers hold mu.
func (p *printer) flush() {
	if err := p.w.Flush(); err != nil && p.err == nil {
		if p.err = lostError(err); stdoutClosed(err) {
			p.err = fmt.Errorf("%w: %w", errStdoutClosed, err)
		}
		close(p.broken)
	}
}

// text prints one line of our own.
func (p *printer) text(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own(oneLine(s))
	p.flush()
}

// own writes a line of our own, as --progress wants it.
func (p *printer) own(s string) {
	if p.wrap {
		s = string(encode(progressLine(s)))
	}
	p.line(s)
}

func (p *printer) line(s string) {
	p.w.WriteString(s) // a bufio.Writer keeps its error until Flush
	p.w.WriteByte('\n')
}

// records prints events. outputs returns the last lines of a build that did not succeed.
func (p *printer) records(recs []engine.Record, outputs func(engine.Record) []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range recs {
		var output []string
		if r.Kind == "build" && r.Err != "" {
			output = outputs(r)
		}
		if p.json { // exact: what could command a terminal is escaped
			p.line(string(encode(recordLine(r, output))))
			continue
		}
		for _, l := range output {
			p.prefixed(r.Service, &logs.Line{Stream: logs.System, Text: []byte(l)})
		}
		p.own(eventText(r))
	}
	p.flush()
}

// lines prints log lines.
func (p *printer) lines(lines []logs.Line, name func(logs.Line) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range lines {
		p.log(&lines[i], name(lines[i]))
	}
	p.flush()
}

// flushPause is how long a line that is followed may wait for the next ones: a write for each would
// cost as much as all else.
const flushPause = 20 * time.Millisecond

// followed prints a log line of a stream. It is seen after flushPause, together with those that came
// meanwhile, or at the end.
func (p *printer) followed(l *logs.Line, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log(l, name)
	if p.soon {
		return
	}
	p.soon = true
	time.AfterFunc(flushPause, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.soon = false
		p.flush()
	})
}

// log prints one log line. Callers hold mu.
func (p *printer) log(l *logs.Line, name string) {
	switch {
	case !p.json:
		p.prefixed(name, l)
	// what bulkhead itself puts between the lines of a service comes as records here
	case l.Stream != logs.System:
		p.line(string(encode(logLine(*l))))
	}
}

// progressLine is one line of progress as an object with the keys of docker compose: the id is what
// the line is about.
func progressLine(text string) map[string]string {
	id, what, ok := strings.Cut(text, ": ")
	if !ok {
		id, what = "", text
	}
	return map[string]string{"id": id, "status": "Working", "text": what}
}

// hues are SGR colours that can be read on light and dark grounds.
var hues = [...]string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

// prefixed prints one log line after the name of its service. Callers hold mu.
func (p *printer) prefixed(name string, l *logs.Line) {
	name = logs.CleanLine(name)
	switch {
	case p.noPrefix:
	case p.colour:
		hue, known := p.hues[name]
		if !known {
			hue = len(p.hues) % len(hues)
			p.hues[name] = hue
		}
		fmt.Fprintf(p.w, "\x1b[%sm%-*s |\x1b[0m ", hues[hue], p.width, name)
	default:
		fmt.Fprintf(p.w, "%-*s | ", p.width, name)
	}
	switch {
	case !p.stamps || l.Time.IsZero():
	case p.stampFormat != "":
		p.w.WriteString(l.Time.UTC().Format(p.stampFormat) + " ")
	default:
		p.w.WriteString(l.Time.Local().Format("15:04:05.000 "))
	}
	switch {
	case p.tabs:
		p.buf = logs.Tabbed(p.buf[:0], l.Text, p.colour)
	case p.colour:
		p.buf = logs.Clean(p.buf[:0], l.Text)
	default:
		p.buf = logs.Plain(p.buf[:0], l.Text)
	}
	if l.Stream == logs.System && p.colour {
		fmt.Fprintf(p.w, "\x1b[2m%s\x1b[0m", p.buf)
	} else {
		p.w.Write(p.buf)
	}
	if l.Cut > 0 {
		fmt.Fprintf(p.w, " ... (%d bytes more)", l.Cut)
	}
	p.w.WriteByte('\n')
}

// eventText is one event as one line.
func eventText(r engine.Record) string {
	r = logs.CleanAll(r)
	text := r.Text
	switch {
	case text == "" && r.Ledger != nil:
		text = r.Ledger.Verdict()
	case text == "" && r.Err != "":
		text = r.Service + ": " + r.Err
	case text == "":
		text = strings.TrimSpace(fmt.Sprintf("%s: %s %s", r.Service, r.Kind, r.Action))
	}
	if r.Kind == "plan" {
		text = "plan: " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
		if r.Cause != "" {
			text += " (" + r.Cause + ")"
		}
	}
	return oneLine(text)
}

// replica names one of a service.
type replica struct {
	service string
	number  int // from 1
}

// String is its name for people.
func (r replica) String() string { return replicaName(r.service, r.number) }

// replicaName names a replica as people do: the first one by its service alone.
func replicaName(service string, replica int) string {
	if replica > 1 {
		return fmt.Sprintf("%s/%d", service, replica)
	}
	return service
}

// clean makes text safe for a terminal and takes its colours away.
func clean(s string) string { return string(logs.Plain(nil, []byte(s))) }

// cleanLines is clean for a text of several lines, which stay so.
func cleanLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}
