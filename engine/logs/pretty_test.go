package logs

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestPrettyExpandsJSONAndLogfmt(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{`{"a":1,"b":{"c":[1,2],"d":[]},"e":{ }}`,
			"{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [\n      1,\n      2\n    ],\n    \"d\": []\n  },\n  \"e\": {}\n}"},
		{`12:00 INFO saved {"id":12345678901234567890.50}`,
			"12:00 INFO saved\n{\n  \"id\": 12345678901234567890.50\n}"},
		{"{\"stack\":\"Error: x\\n\\tat a\\n\",\"k\":1}",
			"{\n  \"stack\": \"\n    Error: x\n            at a\",\n  \"k\": 1\n}"},
		{"\x1b[1m[1,true]\x1b[0m", "[\n  1,\n  true\n]"},
		{`level=info msg="two words" dur=3ms`, "level = info\nmsg   = \"two words\"\ndur   = 3ms"},
		{`INFO order saved id=7 by=x`, "INFO order saved\nid = 7\nby = x"},
		{`at=1 err="a\nb"`, "at  = 1\nerr = \"\n  a\n  b\""},
	} {
		rows, ok := Pretty([]byte(c.raw))
		if got := strings.Join(rows, "\n"); !ok || got != c.want {
			t.Errorf("Pretty(%q) = %v\n%s\nwant\n%s", c.raw, ok, got, c.want)
		}
	}
	for _, raw := range []string{"", "hello", "{", "{not json}", "took [12]", "a=1",
		"x=1 y=2 is the answer", "== ==", `a="1 b=2`, "1+1=2 2+2=4"} {
		if rows, ok := Pretty([]byte(raw)); ok {
			t.Errorf("Pretty(%q) = %q", raw, rows)
		}
	}
}

func TestPrettyOfHugeLinesIsBounded(t *testing.T) {
	for name, raw := range map[string]string{
		"deep":   strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"wide":   "[" + strings.Repeat("1,", 300_000) + "1]",
		"pairs":  strings.Repeat("a=1 ", 200_000),
		"stack":  `{"s":"` + strings.Repeat(`x\n`, 200_000) + `"}`,
		"braces": strings.Repeat("{", 1<<20) + "}",
	} {
		if rows, _ := Pretty([]byte(raw)); len(rows) > prettyRows+2 {
			t.Errorf("%s: %d rows, want %d at most", name, len(rows), prettyRows+2)
		}
	}
}

func FuzzPretty(f *testing.F) {
	for _, s := range []string{`{"a":"b\nc"}`, `x {"a":[{}]}`, `a=1 b="c d"`,
		`["\u001b[31m\n\u0007"]`, `a="\x1b]0;\n" b=1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, ok := Pretty(raw)
		if ok == (len(rows) == 0) {
			t.Fatalf("%d rows, ok %v", len(rows), ok)
		}
		for _, row := range rows {
			if formOf([]byte(row)) > valid {
				t.Fatalf("row %q is not clean", row)
			}
		}
		plain := bytes.TrimSpace(Plain(nil, raw))
		if json.Valid(plain) && len(plain) > 2 && plain[0] == '{' && len(rows) < prettyRows &&
			!bytes.Contains(plain, []byte(`\n`)) {
			var a, b any
			if json.Unmarshal(plain, &a) == nil && json.Unmarshal([]byte(strings.Join(rows, "")), &b) != nil {
				t.Fatalf("%q became %q, which is not JSON", plain, rows)
			}
		}
	})
}
