package logs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// split feeds parts to a splitter, and gives its lines and what each lost.
func split(maxLine int, parts ...string) (lines []string, cuts []int) {
	s := Splitter{MaxLine: maxLine}
	emit := func(line []byte) {
		lines = append(lines, string(line))
		cuts = append(cuts, s.Cut())
	}
	for _, p := range parts {
		s.Write([]byte(p), emit)
	}
	s.Flush(emit)
	s.Flush(emit)
	return lines, cuts
}

func TestSplitterFindsLineEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []string
		want  []string
	}{
		{"lines", []string{"a\nb\n"}, []string{"a", "b"}},
		{"in pieces", []string{"a", "b\nc", "\n", "d"}, []string{"ab", "c", "d"}},
		{"carriage returns", []string{"a\r\nb\r", "\nc\r"}, []string{"a", "b", "c"}},
		{"empty lines", []string{"\n\r\na\n"}, []string{"", "", "a"}},
		{"progress bar", []string{"1%\r", "2%\r", "done\n"}, []string{"1%\r2%\rdone"}},
		{"nothing", []string{""}, nil},
	} {
		if got, _ := split(0, c.parts...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSplitterCutsLongLinesAndCounts(t *testing.T) {
	lines, cuts := split(10, "0123456789\n", "0123456789ab", "cd\nx\n", strings.Repeat("é", 6)+"\n")
	if want := []string{"0123456789", "0123456789", "x", "ééééé"}; !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
	if want := []int{0, 4, 0, 2}; !slices.Equal(cuts, want) {
		t.Errorf("cuts %v, want %v", cuts, want)
	}
	long := strings.Repeat("x", 90_000)
	if lines, cuts := split(0, long[:50_000], long[50_000:]+"\r\n"); len(lines) != 1 ||
		lines[0] != long || cuts[0] != 0 {
		t.Errorf("a line of 90,000 characters is not whole")
	}
	over := strings.Repeat("y", 3<<20)
	if lines, cuts := split(0, over+"\r\n"); len(lines) != 1 || len(lines[0]) != 1<<20 ||
		len(lines[0])+cuts[0] != len(over)+1 {
		t.Errorf("%d lines, the first of %d bytes, %d cut", len(lines), len(lines[0]), cuts[0])
	}
}

func TestSplitterHoldsAnEndlessProgressBarInLittleMemory(t *testing.T) {
	s := Splitter{}
	var last string
	emit := func(line []byte) { last = string(Plain(nil, line)) }
	for i := range 1_000_000 {
		s.Write(fmt.Appendf(nil, "\rpulled %d layers", i), emit)
		if s.Pending() > 2*keepRewrites {
			t.Fatalf("%d bytes are held after %d rewrites", s.Pending(), i)
		}
	}
	s.Write([]byte("\n"), emit)
	if last != "pulled 999999 layers" {
		t.Fatalf("the bar ends as %q", last)
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("a\r\nb\n\rc"), 3, 2)
	f.Add([]byte("é\xe2\x82\n\r\r\n"), 1, 1)
	f.Fuzz(func(t *testing.T, data []byte, step, maxLine int) {
		step, maxLine = max(step%64, 1), max(maxLine%256, 4)
		s := Splitter{MaxLine: maxLine}
		var lines [][]byte
		kept, cut := 0, 0
		emit := func(line []byte) {
			if len(line) > maxLine || bytes.IndexByte(line, '\n') >= 0 {
				t.Fatalf("line %q with a limit of %d", line, maxLine)
			}
			lines = append(lines, bytes.Clone(line))
			kept += len(line)
			cut += s.Cut()
		}
		for i := 0; i < len(data); i += step {
			s.Write(data[i:min(i+step, len(data))], emit)
		}
		s.Flush(emit)
		want := bytes.Split(data, []byte("\n"))
		if len(want[len(want)-1]) == 0 {
			want = want[:len(want)-1]
		}
		if len(lines) != len(want) {
			t.Fatalf("%d lines of %q, want %d", len(lines), data, len(want))
		}
		if bytes.IndexByte(data, '\r') < 0 && kept+cut+bytes.Count(data, []byte("\n")) != len(data) {
			t.Fatalf("%d bytes kept and %d cut of %d", kept, cut, len(data))
		}
		for i, line := range lines {
			if w := trimReturn(want[i]); len(w) <= min(maxLine-1, keepRewrites) &&
				bytes.IndexByte(w, '\r') < 0 && !bytes.Equal(line, w) {
				t.Fatalf("line %q, want %q", line, w)
			}
		}
	})
}
