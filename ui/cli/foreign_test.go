package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/ui/internal/hostile"
)

// neighbour is a runtime with one container of somebody else's making.
type neighbour struct {
	engine.Runtime
	in engine.Instance
}

func (n neighbour) Info(context.Context) (engine.Info, error) { return engine.Info{ID: "id"}, nil }
func (n neighbour) Close() error                              { return nil }
func (n neighbour) Instances(context.Context, string) ([]engine.Instance, error) {
	return []engine.Instance{n.in}, nil
}
func (n neighbour) Logs(_ context.Context, _ string, _ engine.LogOptions, f func(engine.Line)) error {
	f(engine.Line{Time: time.Unix(1, 0), Stream: container.Stdout, Text: []byte("said " + hostile.Text)})
	return nil
}

// summary is a listed container with hostile text in every field.
func (n neighbour) summary() container.Summary {
	var s container.Summary
	hostile.Fill(&s)
	s.Ports, s.Service, s.State = []container.SummaryPort{{Host: "h" + hostile.Text, Published: 1,
		Target: 1, Protocol: "t" + hostile.Text}}, "a", "running"
	return s
}

func (n neighbour) Summaries(context.Context, container.ListOptions) ([]container.Summary, error) {
	return []container.Summary{n.summary()}, nil
}
func (n neighbour) Inspect(context.Context, string) (engine.Instance, error) { return n.in, nil }
func (n neighbour) Top(context.Context, string) ([]string, [][]string, error) {
	return []string{"t" + hostile.Text, "CMD"}, [][]string{{"x" + hostile.Text, "y" + hostile.Text}}, nil
}
func (n neighbour) Actions(_ context.Context, _, _, _ string, emit func(container.Action)) error {
	var a container.Action
	hostile.Fill(&a)
	emit(a)
	return nil
}
func (n neighbour) Volumes(context.Context, string) ([]container.Volume, error) {
	var v container.Volume
	hostile.Fill(&v)
	return []container.Volume{v}, nil
}
func (n neighbour) Sample(context.Context, string) (container.Sample, error) {
	return container.Sample{}, nil
}

// pictures is a neighbour that has images.
type pictures struct {
	neighbour
	container.ImageStore
}

func (pictures) Image(context.Context, string, string) (engine.Image, error) {
	var i engine.Image
	hostile.Fill(&i)
	return i, nil
}

// outputs runs a verb in an empty folder and returns what it wrote.
func outputs(
	t *testing.T, rt engine.Runtime, noEngine error, args ...string,
) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	code = Main(t.Context(), append([]string{"-p", "other"}, args...), Parts{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Environ: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(), "HOME=" +
			t.TempDir()},
		Connect: func(_ context.Context, o ConnectOptions) (engine.Runtime, container.Builder, error) {
			o.Warn("careful " + hostile.Text)
			return rt, nil, noEngine
		},
	})
	return code, out.String(), errs.String()
}

func TestLabelsOfOtherContainersCommandNoTerminal(t *testing.T) {
	n := neighbour{in: engine.Instance{Replica: 1, State: engine.StateRunning}}
	hostile.Fill(&n.in)
	n.in.Ports, n.in.Started = []engine.Port{{Host: "h" + hostile.Text, Published: 1, Protocol: "t" +
		hostile.Text}}, time.Now()
	for _, args := range [][]string{{"ps"}, {"ps", "--json"}, {"ps", "-q"}, {"logs"},
		{"logs", "--json"}, {"logs", "-t"},
		{"ps", "--format", "wide"}, {"ps", "--format", "json"},
		{"ps", "--format", "{{.Labels}} {{.Names}} {{.Mounts}} {{.Networks}}"}, {"ps", "--services"},
		{"images"}, {"images", "-q"}, {"images", "--format", "json"}, {"ls"},
		{"ls", "--format", "json"}, {"port", "a"}, {"top"}, {"events"}, {"events", "--json"},
		{"volumes"}, {"volumes", "-q"}, {"volumes", "--format", "json"}, {"stats", "--no-stream"},
		{"stats", "--no-stream", "--aggregate"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			code, out, errs := outputs(t, pictures{neighbour: n}, nil, args...)
			if code != exitDone || out == "" {
				t.Errorf("code %d, %q", code, errs)
			}
			for _, text := range []string{out, errs} {
				// JSON lines keep the text, escaped.
				if bad := hostile.Check(text, args[0] != "logs" || len(args) < 2 ||
					args[1] != "--json"); bad != "" {
					t.Error(bad)
				}
			}
		})
	}
}

func TestErrorsAndWarningsCommandNoTerminal(t *testing.T) {
	for _, args := range [][]string{{"ps"}, {"logs"}, {"stop"}, {"kill", "a"}, {"exec", "a", "sh"},
		{"down"}, {"doctor"}, {"ps", "--no" + hostile.Text}, {hostile.Text}} {
		t.Run(fmt.Sprintf("%.10q", args), func(t *testing.T) {
			code, out, errs := outputs(t, nil, fmt.Errorf("%w: %s\nsecond\tline %s",
				engine.ErrNoEngine, hostile.Text, hostile.Text), args...)
			if code == exitDone || out+errs == "" {
				t.Errorf("code %d, %q %q", code, out, errs)
			}
			for _, text := range []string{out, errs} {
				if bad := hostile.Check(text, args[0] != hostile.Text); bad != "" { // a wrong verb is tailLines
					t.Error(bad)
				}
			}
		})
	}
}

// Every field of a record, as text and as JSON, which stays exact.
func TestRecordsCommandNoTerminal(t *testing.T) {
	for _, kind := range []string{"service", "build", "watch", "plan", "ledger", "fault", "notice"} {
		for _, asJSON := range []bool{false, true} {
			for _, bare := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s json=%v bare=%v", kind, asJSON, bare), func(t *testing.T) {
					r := engine.Record{Ledger: &engine.Ledger{Rows: []engine.LedgerRow{{}}},
						Likely: &engine.Likely{}, Stages: []engine.Stage{{Took: time.Second}}}
					hostile.Fill(&r)
					r.Kind, r.HasExit = kind, true
					if bare {
						r.Text, r.Ledger = "", nil
					}
					var out bytes.Buffer
					p := newPrinter(&out)
					p.json = asJSON
					p.records([]engine.Record{r}, func(engine.Record) []string {
						return []string{"step " + hostile.Text}
					})
					p.text("said " + hostile.Text)
					p.lines([]logs.Line{{Service: r.Service, Stream: logs.Stdout,
						Text: []byte(hostile.Text)}}, func(l logs.Line) string { return l.Service })
					if bad := hostile.Check(out.String(), !asJSON); bad != "" {
						t.Error(bad)
					}
					if !asJSON {
						return
					}
					first, _, _ := strings.Cut(out.String(), "\n")
					var back jsonLine
					if err := json.Unmarshal([]byte(first), &back); err != nil {
						t.Fatal(err)
					}
					if want := strings.ToValidUTF8(r.Cause, "\ufffd"); back.Cause != want &&
						!strings.HasPrefix(back.Cause, want[:40]) {
						t.Errorf("the cause is read back as %q", back.Cause)
					}
				})
			}
		}
	}
}

// What reaches the streams past every cleaner is stopped there, however it is cut into writes.
func TestGuardStopsWhatWasForgotten(t *testing.T) {
	text := "häl\x1b[1;31mlo\x1b[0m\tx\n" + hostile.Log + "日本\n"
	for size := 1; size < 9; size++ {
		var out bytes.Buffer
		g := &guard{w: &out}
		for i := 0; i < len(text); i += size {
			if n, err := g.Write([]byte(text[i:min(i+size, len(text))])); err != nil ||
				n != min(size, len(text)-i) {
				t.Fatal(n, err)
			}
		}
		if bad := hostile.Check(out.String(), false); bad != "" {
			t.Errorf("in writes of %d: %s", size, bad)
		}
		if !strings.HasPrefix(out.String(), "häl\x1b[1;31mlo\x1b[0m\tx\n") ||
			!strings.HasSuffix(out.String(), "日本\n") {
			t.Errorf("in writes of %d: %q", size, out.String())
		}
	}
	if unguarded(&guard{w: os.Stdout}) != os.Stdout {
		t.Error("the stream below is not found")
	}
}

func TestEscapedJSONIsTheSame(t *testing.T) {
	in := map[string]string{"a\u009b": "b\u202e\x7f\u0085日本\x1b", "c": "\u2028<>&"}
	doc, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := escaped(doc)
	if bad := hostile.Check(string(out), true); bad != "" {
		t.Error(bad)
	}
	var back map[string]string
	if err := json.Unmarshal(out, &back); err != nil || !reflect.DeepEqual(in, back) {
		t.Errorf("%v, %q", err, back)
	}
	if string(escaped([]byte(`{"a":"ü"}`))) != `{"a":"ü"}` {
		t.Error("what is harmless is changed")
	}
}
