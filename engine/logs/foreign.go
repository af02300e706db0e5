package logs

import (
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"
)

// Whatever a container, an image, a file name, a branch or the engine's own error says is foreign:
// shown as it came it could command the terminal. CleanAll cleans every text of a value where it
// enters the screen or a printer; Terminal is the net below, at the one place where bytes leave for
// a terminal.

// CleanLine makes one line of a text without any escape sequence, control character or change of
// the direction of writing. A line break and the blanks around it become one space, a tab becomes a
// space, a run of invalid UTF-8 one U+FFFD.
func CleanLine(s string) string {
	if f := formOf([]byte(s)); f == ascii || f == valid {
		return s
	}
	if !strings.ContainsAny(s, "\r\n") {
		return string(single(nil, s))
	}
	out := []byte{}
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }) {
		part = strings.TrimSpace(string(single(nil, part)))
		if part == "" {
			continue
		}
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, part...)
	}
	return string(out)
}

// single appends a line without escapes. Unlike Plain it carries nothing out: a name that holds
// backspaces hides nothing by them.
func single(dst []byte, line string) []byte {
	raw := []byte(line)
	for i := 0; i < len(raw); {
		k, end := lex(raw, i)
		switch k {
		case tokenRun, tokenRune:
			dst = append(dst, raw[i:end]...)
		case tokenBad:
			dst = append(dst, replacement...)
		case tokenTab, tokenReturn:
			dst = append(dst, ' ')
		}
		i = end
	}
	return dst
}

// CleanLines is CleanLine for a text of several lines, which keeps its line breaks and tabs.
func CleanLines(s string) string {
	if f := formOf([]byte(s)); f == ascii || f == valid {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		cells := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
		for j, c := range cells {
			cells[j] = string(single(nil, c))
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}

// cleanLogLine is Clean for text: colours stay.
func cleanLogLine(s string) string {
	if f := formOf([]byte(s)); f == ascii || f == valid {
		return s
	}
	return string(Clean(nil, []byte(s)))
}

// CleanError is an error whose text is CleanLines of err's; it still wraps err. nil stays nil.
func CleanError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if c := CleanLines(text); c != text {
		return &cleanError{text: c, err: err}
	}
	return err
}

type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

// CleanAll returns v with every text in it clean: in the fields of structs, in slices, maps,
// pointers and interfaces. A text is made one line by CleanLine, unless the tag of a field that it
// is in says otherwise: `text:"lines"` keeps line breaks and tabs, `text:"log"` treats it as a log
// line, whose colours stay. What needs no cleaning is returned as it is, not copied; v itself is
// never written to. Fields that are not exported are left alone.
func CleanAll[T any](v T) T {
	if out, changed := cleanValue(reflect.ValueOf(&v).Elem(), CleanLine); changed {
		return out.Interface().(T)
	}
	return v
}

// textFields are the fields of a struct type that can hold text.
type textField struct {
	index int
	clean func(string) string // nil: as what is around it
}

// What types can hold text is a fact about them: these only remember it.
var (
	holders sync.Map // reflect.Type -> bool
	fields  sync.Map // reflect.Type -> []textField
)

func textFields(t reflect.Type) []textField {
	if known, ok := fields.Load(t); ok {
		return known.([]textField)
	}
	var out []textField
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() || !holdsText(f.Type) {
			continue
		}
		tf := textField{index: i}
		switch f.Tag.Get("text") {
		case "lines":
			tf.clean = CleanLines
		case "log":
			tf.clean = cleanLogLine
		}
		out = append(out, tf)
	}
	fields.Store(t, out)
	return out
}

// holdsText says whether values of a type can hold text.
func holdsText(t reflect.Type) bool {
	if known, ok := holders.Load(t); ok {
		return known.(bool)
	}
	holders.Store(t, true) // a type that holds itself is asked for again before it is known
	holds := false
	switch t.Kind() {
	case reflect.String, reflect.Interface:
		holds = true
	case reflect.Slice, reflect.Array, reflect.Pointer:
		holds = holdsText(t.Elem())
	case reflect.Map:
		holds = holdsText(t.Key()) || holdsText(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			holds = holds || t.Field(i).IsExported() && holdsText(t.Field(i).Type)
		}
	}
	holders.Store(t, holds)
	return holds
}

// cleanValue returns a clean copy of v, or false where v is clean.
func cleanValue(v reflect.Value, clean func(string) string) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		c := clean(s)
		if len(c) == len(s) && c == s {
			return v, false
		}
		return reflect.ValueOf(c).Convert(v.Type()), true
	case reflect.Struct:
		return cleanStruct(v, clean)
	case reflect.Slice, reflect.Array:
		return cleanList(v, clean)
	case reflect.Map:
		return cleanMap(v, clean)
	case reflect.Pointer:
		if v.IsNil() || !holdsText(v.Type().Elem()) {
			return v, false
		}
		c, changed := cleanValue(v.Elem(), clean)
		if !changed {
			return v, false
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(c)
		return p, true
	case reflect.Interface:
		if v.IsNil() {
			return v, false
		}
		return cleanValue(v.Elem(), clean)
	}
	return v, false
}

func cleanStruct(v reflect.Value, clean func(string) string) (out reflect.Value, changed bool) {
	out = v
	for _, f := range textFields(v.Type()) {
		how := clean
		if f.clean != nil {
			how = f.clean
		}
		c, dirty := cleanValue(v.Field(f.index), how)
		if !dirty {
			continue
		}
		if !changed {
			out, changed = reflect.New(v.Type()).Elem(), true
			out.Set(v)
		}
		out.Field(f.index).Set(c)
	}
	return out, changed
}

func cleanList(v reflect.Value, clean func(string) string) (out reflect.Value, changed bool) {
	out = v
	if !holdsText(v.Type().Elem()) {
		return out, false
	}
	for i := range v.Len() {
		c, dirty := cleanValue(v.Index(i), clean)
		if !dirty {
			continue
		}
		if !changed {
			changed = true
			if v.Kind() == reflect.Slice {
				out = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
				reflect.Copy(out, v)
			} else {
				out = reflect.New(v.Type()).Elem()
				out.Set(v)
			}
		}
		out.Index(i).Set(c)
	}
	return out, changed
}

func cleanMap(v reflect.Value, clean func(string) string) (reflect.Value, bool) {
	if !holdsText(v.Type()) {
		return v, false
	}
	dirty := false
	for it := v.MapRange(); it.Next() && !dirty; {
		_, d1 := cleanValue(it.Key(), CleanLine)
		_, d2 := cleanValue(it.Value(), clean)
		dirty = d1 || d2
	}
	if !dirty {
		return v, false
	}
	m := reflect.MakeMapWithSize(v.Type(), v.Len())
	for it := v.MapRange(); it.Next(); {
		key, _ := cleanValue(it.Key(), CleanLine)
		value, _ := cleanValue(it.Value(), clean)
		m.SetMapIndex(key, value)
	}
	return m, true
}

// Terminal appends what of text may go to a terminal: characters, line breaks, tabs and colours. It
// takes out every other escape sequence's introducer, so that the rest of it is text, and never a
// command. rest is how many bytes at the end it left out because they may be the start of a
// character or of a colour that is not whole yet; for what is the last of a text they are to be
// dropped. It is the net below CleanAll: what is ours never needs it.
func Terminal(dst, text []byte) (out []byte, rest int) {
	kept := 0 // from here on text is not appended yet
	for i := 0; i < len(text); {
		n, ok, whole := terminalToken(text[i:])
		if !whole {
			return append(dst, text[kept:i]...), len(text) - i
		}
		if !ok {
			dst = append(dst, text[kept:i]...)
			kept = i + n
		}
		i += n
	}
	return append(dst, text[kept:]...), 0
}

// Hostile says whether a character may not go to a terminal: controls, C1 and DEL among them, and
// what turns the direction of writing.
func Hostile(r rune) bool { return r < 0x20 || r >= 0x7f && unwanted(r) }

// TerminalText is Terminal for a text that is whole.
func TerminalText(s string) string {
	text := []byte(s)
	for i := 0; i < len(text); {
		n, ok, whole := terminalToken(text[i:])
		if !ok || !whole {
			out, _ := Terminal(nil, text)
			return string(out)
		}
		i += n
	}
	return s
}

// terminalToken looks at the start of text: how many bytes belong together, and whether they may go
// to a terminal. whole is false where what follows decides.
func terminalToken(text []byte) (n int, ok, whole bool) {
	switch c := text[0]; {
	case c >= 0x20 && c < 0x7f:
		for n = 1; n < len(text) && text[n] >= 0x20 && text[n] < 0x7f; n++ {
		}
		return n, true, true
	case c == '\n' || c == '\t':
		return 1, true, true
	case c == 0x1b:
		return terminalSGR(text)
	case c < utf8.RuneSelf:
		return 1, false, true
	}
	if !utf8.FullRune(text) {
		return 0, false, false
	}
	r, n := utf8.DecodeRune(text)
	return n, n > 1 && !unwanted(r), true // a byte that is not UTF-8 may be a raw C1
}

func terminalSGR(text []byte) (n int, ok, whole bool) {
	if len(text) == 1 {
		return 0, false, false
	}
	if text[1] != '[' {
		return 1, false, true
	}
	for n = 2; n < len(text) && n < maxSGR && (text[n] >= '0' && text[n] <= ';'); n++ {
	}
	switch {
	case n == len(text) && n < maxSGR:
		return 0, false, false
	case n < len(text) && text[n] == 'm':
		return n + 1, true, true
	}
	return 1, false, true
}
