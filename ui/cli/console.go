package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/charmbracelet/x/term"

	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// console is the streams of one run: what a person types, and what is written
// to where a person or a script reads. Its methods may be called from any
// goroutine. Writes to stderr whose reader has gone are dropped.
type console struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	env    *environment

	ansi     string // --ansi: auto, never or always; "" is auto
	progress string // --progress: auto, plain, tty, quiet, none or json; "" is auto

	over atomic.Bool // the verb's last line has been written: no notice follows it
}

// newConsole puts a guard before both output streams.
func newConsole(in io.Reader, out, errs io.Writer, env *environment) *console {
	return &console{stdin: in, stdout: &guard{w: out}, stderr: &guard{w: errs}, env: env}
}

// lost is why some of what was printed on stdout is not where it was to go, nil where all is.
func (c *console) lost() error {
	if g, ok := c.stdout.(*guard); ok {
		return g.lost()
	}
	return nil
}

// printError prints one line on stderr.
func (c *console) printError(text string) {
	fmt.Fprintf(c.stderr, "bulkhead: %s\n", oneLine(text))
}

// printWarning prints one line on stderr, marked as a warning.
func (c *console) printWarning(text string) { c.printError("warning: " + text) }

// printWarnings prints what a project's files ask for in vain.
func (c *console) printWarnings(p *project.Project) {
	for _, w := range p.Warnings {
		c.printWarning(w.String())
	}
}

// notify prints one line on stderr and does not wait for its reader. A verb that is over has nothing
// more to say.
func (c *console) notify(text string) {
	background("print", func() error {
		if !c.over.Load() {
			c.printError(text)
		}
		return nil
	})
}

// notifyAfter is notify after a while, unless stop is called before.
func (c *console) notifyAfter(d time.Duration, text string) (stop func() bool) {
	return time.AfterFunc(d, func() { c.notify(text) }).Stop
}

// progressPrinter prints on stderr what a verb does, as --progress wants it.
func (c *console) progressPrinter() *printer {
	switch c.progress {
	case "quiet", "none":
		return newPrinter(io.Discard)
	}
	p := newPrinter(c.stderr)
	if isTrue(c.env.get("COMPOSE_STATUS_STDOUT")) {
		p = newPrinter(c.stdout)
	}
	p.wrap = c.progress == "json"
	return p
}

// printLines prints the last lines of a service on stderr. They are clean already.
func (c *console) printLines(lines []string) {
	for _, l := range lines {
		fmt.Fprintln(c.stderr, l)
	}
}

// printJSON prints a value on stdout, indented.
func (c *console) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write json: %w", err)
	}
	_, err = fmt.Fprintf(c.stdout, "%s\n", escaped(b))
	return err
}

// colours says whether text for people is coloured.
func (c *console) colours() bool {
	switch c.ansi {
	case "always":
		return c.env.get("NO_COLOR") == ""
	case "never":
		return false
	}
	_, ok := terminal(c.stdout)
	return ok && c.env.get("NO_COLOR") == "" && c.env.get("TERM") != "dumb"
}

// interactive says whether stdin and stdout are terminals.
func (c *console) interactive() bool {
	_, in := terminal(c.stdin)
	_, out := terminal(c.stdout)
	return in && out
}

// terminal returns the file descriptor of a stream that is a terminal.
func terminal(stream any) (fd uintptr, ok bool) {
	if g, ok := stream.(*guard); ok {
		stream = g.w
	}
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return 0, false
	}
	return f.Fd(), true
}

// oneLine makes one line of a text of several, safe for a terminal.
func oneLine(s string) string {
	return logs.CleanLine(s)
}
