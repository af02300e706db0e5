package logs

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanKeepsColoursAndNothingElse(t *testing.T) {
	const bel, st = "\x07", "\x1b\\"
	for _, c := range []struct{ name, raw, clean, plain string }{
		{"plain", "hello", "hello", "hello"},
		{"colour is closed", "\x1b[31mred", "\x1b[31mred\x1b[0m", "red"},
		{"closed colour stays", "\x1b[1;38;5;208mx\x1b[0m y", "\x1b[1;38;5;208mx\x1b[0m y", "x y"},
		{"colon parameters", "\x1b[4:3;38:2::1:2:3mx\x1b[m", "\x1b[4:3;38:2::1:2:3mx\x1b[m", "x"},
		{"colour 0 of a palette is no reset", "\x1b[38;5;0mx", "\x1b[38;5;0mx\x1b[0m", "x"},
		{"cursor and screen", "a\x1b[2J\x1b[H\x1b[10;20Hb\x1b[?25l\x1b[?1049hc", "abc", "abc"},
		{"commands that end in m", "a\x1b[>4;1mb\x1b[?4mc\x1b[1!md", "abcd", "abcd"},
		{"OSC", "a\x1b]0;title" + bel + "b\x1b]52;c;ZXZpbA==" + st + "c", "abc", "abc"},
		{"hyperlink", "\x1b]8;;http://x" + st + "link\x1b]8;;" + st, "link", "link"},
		{"DCS APC PM SOS", "a\x1bPq#0" + st + "b\x1b_G" + st + "c\x1b^x" + st + "d\x1bXy" + st + "e",
			"abcde", "abcde"},
		{"string that does not end", "a\x1b]0;title", "a", "a"},
		{"string broken off by a colour", "a\x1b]0;t\x1b[1mb\x1b[0m", "a\x1b[1mb\x1b[0m", "ab"},
		{"two-byte escapes", "a\x1bcb\x1b(0c\x1b#8d\x1b7e", "abcde", "abcde"},
		{"escape at the end", "a\x1b", "a", "a"},
		{"sequence at the end", "a\x1b[31", "a", "a"},
		{"C0 and DEL", "a\x00\x01\x07\x0b\x0c\x0e\x7fb", "ab", "ab"},
		{"C1 as characters", "a\u0085\u009b31mb\u009d0;t\u009cc", "a\x1b[31mbc\x1b[0m", "abc"},
		{"C1 as bytes", "a\x9b31mb", "a\uFFFD31mb", "a\uFFFD31mb"},
		{"invalid UTF-8", "a\xff\xfe\xfdb\xe2\x82", "a\uFFFDb\uFFFD", "a\uFFFDb\uFFFD"},
		{"direction overrides", "a\u202egnp.exe\u2066b\u2028c", "agnp.exebc", "agnp.exebc"},
		{"tabs", "a\tb\tc", "a       b       c", "a       b       c"},
		{"tab behind wide characters", "山田\tx", "山田    x", "山田    x"},
		{"tab behind a colour", "\x1b[1mab\x1b[0m\tx", "\x1b[1mab\x1b[0m      x", "ab      x"},
		{"progress bar", "10%\r20%\r100% done", "100% done", "100% done"},
		{"shorter over longer", "downloading\rdone", "doneloading", "doneloading"},
		{"erase to the end", "downloading\r\x1b[Kdone", "done", "done"},
		{"spinner", "\x1b[2K\x1b[1G| one\x1b[2K\x1b[1G/ two", "/ two", "/ two"},
		{"return at the end", "done\r", "done", "done"},
		{"backspace", "passwor\b\bxx", "passwxx", "passwxx"},
		{"backspace at the start", "\b\bab", "ab", "ab"},
		{"colours under a return", "\x1b[31mred\x1b[0m\rX", "X\x1b[0;31med\x1b[0m", "Xed"},
		{"half of a wide character", "山田\ra", "a 田", "a 田"},
		{"wide over narrow", "abc\r山", "山c", "山c"},
		{"combining character", "xx\re\u0301y", "e\u0301y", "e\u0301y"},
	} {
		if got := Clean(nil, []byte(c.raw)); string(got) != c.clean {
			t.Errorf("%s: Clean(%q) = %q, want %q", c.name, c.raw, got, c.clean)
		}
		if got := Plain([]byte("> "), []byte(c.raw)); string(got) != "> "+c.plain {
			t.Errorf("%s: Plain(%q) = %q, want %q", c.name, c.raw, got, c.plain)
		}
	}
}

// onlySGR takes valid SGR sequences out; what is left of a clean line has no control characters.
func onlySGR(t *testing.T, clean []byte) []byte {
	t.Helper()
	var text []byte
	open := false
	for rest := clean; len(rest) > 0; {
		if rest[0] != 0x1b {
			text, rest = append(text, rest[0]), rest[1:]
			continue
		}
		end := bytes.IndexByte(rest, 'm')
		if end < 2 || rest[1] != '[' || len(bytes.Trim(rest[2:end], "0123456789;:")) > 0 {
			t.Fatalf("an escape that is not SGR in %q", clean)
		}
		open = !isReset(rest[2:end])
		rest = rest[end+1:]
	}
	if open {
		t.Fatalf("%q leaves a colour open", clean)
	}
	return text
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a\x1b[31mb", "\x1b]0;t\x07x", "a\tb\r\x1b[Kc\b\x1b[1mé",
		"\u009b1m\xff山\r田\x1b[5Gx", "\x1b[\x1b[1mm",
		"\x1b[1;\x1b[mx", "\r\u0301x", "e\u0301\x1b[1m\u0302\r\b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := bytes.Clone(raw)
		clean, plain := Clean(nil, raw), Plain(nil, raw)
		if !bytes.Equal(raw, kept) {
			t.Fatal("the raw line was changed")
		}
		text := onlySGR(t, clean)
		for _, b := range [][]byte{text, plain} {
			if !utf8.Valid(b) {
				t.Fatalf("%q is not UTF-8", b)
			}
			for _, r := range string(b) {
				if r < 0x20 || r == 0x7f || r >= 0x80 && unwanted(r) {
					t.Fatalf("%U is left in %q", r, b)
				}
			}
		}
		if !bytes.Equal(text, plain) {
			t.Fatalf("Clean shows %q, Plain %q", text, plain)
		}
		if again := Clean(nil, clean); !bytes.Equal(again, clean) {
			t.Fatalf("cleaned twice: %q, once: %q", again, clean)
		}
		if again := Plain(nil, plain); !bytes.Equal(again, plain) {
			t.Fatalf("plain twice: %q, once: %q", again, plain)
		}
		if f := formOf(raw); (f == ascii || f == valid) && !bytes.Equal(plain, raw) ||
			f == coloured && !bytes.Equal(strip(nil, raw), text) {
			t.Fatalf("%q is taken for form %d", raw, f)
		}
	})
}

// That the work grows with the line, and not with its square, is measured by `make bench BENCH=lines`.
func TestHugeLinesAreCleanedLikeSmallOnes(t *testing.T) {
	const small, large = 1 << 6, 1 << 16
	for name, unit := range map[string]string{"sgr": "\x1b[1m", "return": "ab\r",
		"colours": "\x1b[38;2;1;2;3mx\r", "open": "\x1b]", "bad": "\xff\x00"} {
		want, got := Plain(nil, []byte(strings.Repeat(unit, small))),
			Plain(nil, []byte(strings.Repeat(unit, large)))
		if name == "bad" { // a sign stands for each of them
			want = bytes.Repeat(want, large/small)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes (%.20q) for %d units, want %d (%.20q)", name, len(got), got, large,
				len(want), want)
		}
		onlySGR(t, Clean(nil, []byte(strings.Repeat(unit, large))))
	}
}
