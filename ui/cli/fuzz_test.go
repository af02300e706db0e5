package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/ui/internal/hostile"
)

// seeds are terminal commands of every kind, raw and in UTF-8.
func seeds(f *testing.F) {
	for _, text := range []string{
		hostile.Text, "\x1b]52;c;x\a", "\x1b]8;;http://x\x1b\\", "\x1bPq\x1b\\", "\x1b_x\x1b\\",
		"\x1b^x\x1b\\", "\x1bXx\x1b\\", "\u009d52;c;x\u009c", "\x9d52;c;x\x9c",
		"\u0090x\u009c", "\u009bm", "\x9b2J", "\u202eevil\u202c", "\u2066x\u2069", "\u200f",
		"\r\n\t\b\x7f\x00", "\x1b[31mred", "\x1b[?1049h", "日本\xff\xfe", "\x1b",
	} {
		f.Add(text)
	}
}

// commands says what in an output could command a terminal: all but text, line breaks, tabs and
// colours.
func commands(out string) string {
	if !utf8.ValidString(out) {
		return "it is not UTF-8"
	}
	for rest := out; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case r == '\n' || r == '\t':
		case r == 0x1b:
			if len(rest) < 2 || rest[1] != '[' {
				return fmt.Sprintf("%.20q", rest)
			}
			n = 2 + strings.IndexFunc(rest[2:], func(r rune) bool {
				return (r < '0' || r > '9') && r != ';' && r != ':'
			})
			if n < 2 || rest[n] != 'm' {
				return fmt.Sprintf("%.20q", rest)
			}
			n++
		case logs.Hostile(r):
			return fmt.Sprintf("%.20q", rest)
		}
		rest = rest[n:]
	}
	return ""
}

// Every field of a record, of a container and of an error, in every way that they are printed.
func FuzzForeignOutput(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		check := func(what, out string) {
			t.Helper()
			if bad := commands(out); bad != "" {
				t.Errorf("%s: %s", what, bad)
			}
		}
		for _, asJSON := range []bool{false, true} {
			r := engine.Record{Ledger: &engine.Ledger{Rows: []engine.LedgerRow{{}}},
				Likely: &engine.Likely{}, Stages: []engine.Stage{{Took: time.Second}}}
			hostile.FillWith(&r, text)
			var out bytes.Buffer
			p := newPrinter(&out)
			p.json, p.colour = asJSON, true
			for _, kind := range []string{"service", "build", "plan", "notice"} {
				r.Kind = kind
				p.records([]engine.Record{r}, func(engine.Record) []string { return []string{text} })
			}
			p.text(text)
			p.lines([]logs.Line{{Service: text, Stream: logs.Stdout, Text: []byte(text)}},
				func(l logs.Line) string { return l.Service })
			check(fmt.Sprintf("records, json %v", asJSON), out.String())
		}
		n := neighbour{in: engine.Instance{Replica: 1, State: engine.StateRunning}}
		hostile.FillWith(&n.in, text)
		for _, args := range [][]string{{"ps"}, {"ps", "--json"}, {"logs"}, {"stop", "x" + text}} {
			var out, errs bytes.Buffer
			Main(t.Context(), append([]string{"-p", "other"}, args...),
				Parts{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
					Environ: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir()},
					Connect: func(_ context.Context, o ConnectOptions) (engine.Runtime,
						container.Builder, error) {
						o.Warn(text)
						return n, nil, nil
					}})
			check(args[0]+" stdout", out.String())
			check(args[0]+" stderr", errs.String())
		}
		check("a host command", hostCommandText(engine.HostCommand{Service: text, Place: text,
			Command: text, Env: []string{text}}, false))
	})
}
