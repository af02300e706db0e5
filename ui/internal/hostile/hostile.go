// Package hostile makes values for tests of ui and ui/cli in which every text tries to command the terminal.
package hostile

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Payload is what the strings of Text carry: where it is seen at all, a text was not cleaned as a whole.
const Payload = "PWN"

// Colour is an SGR sequence that the screen has no use for. Of what is foreign only log lines may bring it in.
const Colour = "\x1b[58;5;201m"

// Text is every kind of terminal command there is.
const Text = "\x1b]52;c;" + Payload + "1\x07" + "\x1b]0;" + Payload + "2\x1b\\" + "\x1bP" + Payload +
	"3\x1b\\" + "\x1b_" + Payload + "4\x1b\\" + "\x1b^" +
	Payload + "5\x1b\\" + "\x1bX" + Payload + "6\x1b\\" + "\u009d52;c;" + Payload + "7\u009c" +
	"\u0090" + Payload + "8\u009c" + "\u009f" + Payload +
	"9\u009c" + "\u009e" + Payload + "10\u009c" + "\u0098" + Payload + "11\u009c" +
	"\x1b]8;;file:///" + Payload + "12\x1b\\x\x1b]8;;\x1b\\" + "\u009b2J" +
	"\x1b[2J\x1b[H\x1bc\x1b[?1049l" + Colour +
	"\a\b\x00\x0e\x7f\u0085\u202e\u2066\u2028" + "\x9b31m\x9d\x90"

// Log is Text for a log line.
var Log = strings.ReplaceAll(Text, Colour, "")

// Fill puts Text behind every string in what p points to, at any depth. Empty slices and maps get
// an element and nil pointers a value, so that no field goes without.
func Fill(p any) { filler{Text, Log}.fill(reflect.ValueOf(p).Elem(), nil) }

// FillWith is Fill with another text.
func FillWith(p any, text string) { filler{text, text}.fill(reflect.ValueOf(p).Elem(), nil) }

// filler has what is put behind every string, and in the place of log lines.
type filler struct{ text, log string }

func (x filler) fill(v reflect.Value, above []reflect.Type) {
	t := v.Type()
	if t.Kind() == reflect.Struct || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		for _, a := range above {
			if a == t {
				return
			}
		}
		above = append(above[:len(above):len(above)], t)
	}
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(v.String() + "f" + x.text)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			f := v.Field(i)
			switch {
			case t.Field(i).Tag.Get("text") == "log" && f.Type() == reflect.TypeFor[[]string]():
				f.Set(reflect.ValueOf([]string{"f" + x.log}))
			case t.Field(i).Tag.Get("text") == "log":
				filler{text: x.log, log: x.log}.fill(f, above)
			case t.Field(i).IsExported():
				x.fill(f, above)
			}
		}
	case reflect.Slice:
		if v.Len() == 0 && t.Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(t, 1, 1))
		}
		for i := range v.Len() {
			x.fill(v.Index(i), above)
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		x.fill(v.Elem(), above)
	case reflect.Map:
		x.fillMap(v, above)
	case reflect.Interface:
		if t.NumMethod() == 0 {
			v.Set(reflect.ValueOf("f" + x.text))
		}
	}
}

func (x filler) fillMap(v reflect.Value, above []reflect.Type) {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		return
	}
	old := reflect.ValueOf(v.Interface())
	v.Set(reflect.MakeMap(t))
	put := func(key string, value reflect.Value) {
		n := reflect.New(t.Elem()).Elem()
		n.Set(value)
		x.fill(n, above)
		v.SetMapIndex(reflect.ValueOf(key+x.text).Convert(t.Key()), n)
	}
	for it := old.MapRange(); it.Next(); {
		put(it.Key().String(), it.Value())
	}
	if old.Len() == 0 {
		put("f", reflect.Zero(t.Elem()))
	}
}

var (
	carried = regexp.MustCompile("\x1b[\\]PX^_][^\x07\x1b]*" + Payload)
	dyed    = regexp.MustCompile("\x1b\\[[0-9;]*58;5;201")
	raised  = regexp.MustCompile("\x1b[\\]PX^_c]|\x1b\\[2J|\x1b\\[\\?1049l")
)

// link is a hyperlink as the screen makes it: it leads to a file, and ends in the row that it began in.
var link = regexp.MustCompile(
	"\x1b\\]8;;file://[A-Za-z0-9.-]*/[A-Za-z0-9_%./~$&+,:;=@-]*\x1b\\\\((?:[^\x1b\n]|\x1b\\[[0-9;:]*m)*)\x1b\\]8;;\x1b\\\\")

// WithoutLinks is a text without the links that the screen makes itself. Whatever is not whole, or
// leads elsewhere, stays.
func WithoutLinks(output string) string { return link.ReplaceAllString(output, "$1") }

// Check says what in output could command a terminal; "" for nothing. strict holds for what is all
// text and colours, and the screen's own links: there not even what the commands carried may be
// left. A terminal program's own output has commands of its own, and there only ours count.
func Check(output string, strict bool) string {
	if !utf8.ValidString(output) {
		return fmt.Sprintf("it is not UTF-8, so a C1 byte may be in it: %q",
			around(output, strings.IndexFunc(output, func(r rune) bool { return r == utf8.RuneError })))
	}
	if at := strings.IndexFunc(output, func(r rune) bool {
		return r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}); at >= 0 {
		return fmt.Sprintf("C1, DEL or bidi: %q", around(output, at))
	}
	if at := carried.FindStringIndex(output); at != nil {
		return fmt.Sprintf("a command: %q", around(output, at[0]))
	}
	if at := dyed.FindStringIndex(output); at != nil {
		return fmt.Sprintf("a foreign colour: %q", around(output, at[0]))
	}
	if !strict {
		return ""
	}
	if at := strings.Index(output, Payload); at >= 0 {
		return fmt.Sprintf("what a command carried: %q", around(output, at))
	}
	output = WithoutLinks(output)
	if at := raised.FindStringIndex(output); at != nil {
		return fmt.Sprintf("a command: %q", around(output, at[0]))
	}
	if at := strings.IndexAny(output, "\x00\a\b\x0e\r"); at >= 0 {
		return fmt.Sprintf("C0: %q", around(output, at))
	}
	return ""
}

func around(s string, at int) string { return s[max(at-60, 0):min(at+60, len(s))] }
