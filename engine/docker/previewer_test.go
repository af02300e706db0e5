package docker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine/container"
)

// previewOf is all that a preview of recorded output emits.
func previewOf(r io.Reader) (texts []string, err error) {
	lines := map[container.Stream]*openLine{container.Stdout: newOpenLine(), container.Stderr: newOpenLine()}
	err = demux(r, func(stream container.Stream, b []byte) error {
		lines[stream].take(b, func(text []byte) { texts = append(texts, string(text)) })
		return nil
	})
	return texts, err
}

func TestPreviewIsOfTheLineWithoutAnEnd(t *testing.T) {
	for in, want := range map[string][]string{
		"whole\n":                {},
		"na|me: |":               {"na", "name: "},
		"name: |Ada\nwhole\n":    {"name: ", ""},
		"half a|\nhalf another|": {"half a", "", "half another"},
		"10%|\r20%|\r\n":         {"10%", "10%\r20%", ""},
	} {
		var stream strings.Builder
		for _, part := range strings.Split(in, "|") {
			stream.WriteString(frame(1, part))
		}
		got, err := previewOf(strings.NewReader(stream.String()))
		if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	one := newOpenLine()
	n := 0
	for range 1000 {
		one.take(bytes.Repeat([]byte("x"), 1000), func(text []byte) {
			if n++; len(text) > longestPreview {
				t.Fatalf("%d bytes are kept", len(text))
			}
		})
	}
	if n > 2*longestPreview/1000 {
		t.Errorf("a line that is too long to be seen changed %d times", n)
	}
}

// BenchmarkPreview reads what an engine sends to those who are attached: a frame for what it read at
// once of a flood, or one for each line.
func BenchmarkPreview(b *testing.B) {
	const lines, size = 10_000, 200
	text := strings.Repeat(strings.Repeat("x", size-1)+"\n", lines)
	for name, portion := range map[string]int{"32KiB": 32 << 10, "line": size} {
		var stream strings.Builder
		for rest := text; rest != ""; {
			n := min(portion, len(rest))
			stream.WriteString(frame(1, rest[:n]))
			rest = rest[n:]
		}
		b.Run(fmt.Sprintf("frame=%s/lines=%d", name, lines), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				line := newOpenLine()
				err := demux(strings.NewReader(stream.String()), func(_ container.Stream, p []byte) error {
					line.take(p, func([]byte) {})
					return nil
				})
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
		})
	}
}
