package logs

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestForeignTextIsCleaned(t *testing.T) {
	for _, c := range []struct{ in, line, lines string }{
		{"plain", "plain", "plain"},
		{"grüße 日本語 👩\u200d👧", "grüße 日本語 👩\u200d👧", "grüße 日本語 👩\u200d👧"},
		{"a\x1b[31mred\x1b[0m", "ared", "ared"},
		{"a\x1b]52;c;x\x07b\u009d52;c;x\u009cc\x1bPx\x1b\\d\x1b_x\x1b\\e", "abcde", "abcde"},
		{"one\n\ttwo\r\n\nthree", "one two three", "one\n\ttwo\n\nthree"},
		{"tab\tbed", "tab bed", "tab\tbed"},
		{"hidden\b\b\b\b\b\bshown\rover", "hiddenshown over", "hiddenshown over"},
		{"\u202egpj.exe\u2066\u2028", "gpj.exe", "gpj.exe"},
		{"\x9b31m\xff", "\ufffd31m\ufffd", "\ufffd31m\ufffd"},
		{"\x1b]0;open\nrest", "rest", "\nrest"},
	} {
		if got := CleanLine(c.in); got != c.line {
			t.Errorf("CleanLine(%q) = %q, want %q", c.in, got, c.line)
		}
		if got := CleanLines(c.in); got != c.lines {
			t.Errorf("CleanLines(%q) = %q, want %q", c.in, got, c.lines)
		}
	}
}

type leaf struct {
	One  string
	Many string   `text:"lines"`
	Log  []string `text:"log"`
	own  string
}

type tree struct {
	Leaf   leaf
	Ptr    *leaf
	List   []leaf
	Fixed  [2]string
	Names  map[string]*string
	Any    any
	Bytes  []byte
	N      int
	Next   *tree
	Nested map[string]any `text:"lines"`
}

func TestCleanAllReachesEveryField(t *testing.T) {
	const bad = "a\x1b[31mb\u009b2J\nc"
	one, many, log := "ab c", "ab\nc", "a\x1b[31mbc\x1b[0m"
	dirty := func() leaf { return leaf{One: bad, Many: bad, Log: []string{"ok", bad}, own: bad} }
	clean := leaf{One: one, Many: many, Log: []string{"ok", log}, own: bad}
	text, want := bad, one
	in := tree{Leaf: dirty(), Ptr: &leaf{One: bad}, List: []leaf{{}, dirty()},
		Fixed: [2]string{"x", bad}, Names: map[string]*string{bad: &text, "nil": nil},
		Any: []any{bad, 1}, Bytes: []byte(bad), N: 3, Next: &tree{Any: leaf{One: bad}},
		Nested: map[string]any{"k": bad}}
	out := tree{Leaf: clean, Ptr: &leaf{One: one}, List: []leaf{{}, clean},
		Fixed: [2]string{"x", one}, Names: map[string]*string{one: &want, "nil": nil},
		Any: []any{one, 1}, Bytes: []byte(bad), N: 3, Next: &tree{Any: leaf{One: one}},
		Nested: map[string]any{"k": many}}
	if got := CleanAll(in); !reflect.DeepEqual(got, out) {
		t.Errorf("got  %+v\nwant %+v", got, out)
	}
	if in.Leaf.One != bad || in.List[1].Log[1] != bad || in.Ptr.One != bad || text != bad ||
		in.Any.([]any)[0] != bad {
		t.Error("the value itself was written to")
	}
	if p := &out; CleanAll(p) != p {
		t.Error("what is clean was copied")
	}
}

func TestCleanErrorStillWraps(t *testing.T) {
	if CleanError(nil) != nil {
		t.Error("nil became an error")
	}
	err := CleanError(fmt.Errorf("read \x1b]0;x\x07: %w", io.EOF))
	if err.Error() != "read : EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("%q", err)
	}
}

func FuzzForeign(f *testing.F) {
	f.Add("a\x1b]52;c;x\x07\u009b2J\n\tb\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{CleanLine(s), CleanLines(s), TerminalText(s)} {
			if !utf8.ValidString(got) {
				t.Errorf("%q became %q", s, got)
			}
		}
		for _, r := range CleanLine(s) {
			if unicode.IsControl(r) || Hostile(r) {
				t.Errorf("%q keeps %q", s, r)
			}
		}
		if one := CleanLine(s); CleanLine(one) != one || TerminalText(one) != one {
			t.Errorf("%q is not clean at once", s)
		}
		if many := CleanLines(s); CleanLines(many) != many || TerminalText(many) != many {
			t.Errorf("%q of several lines is not clean at once", s)
		}
		if shown := TerminalText(s); TerminalText(shown) != shown {
			t.Errorf("%q: what went out is %q, of which less would go out", s, shown)
		}
	})
}
