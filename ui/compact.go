package ui

import (
	"bytes"
	"encoding/json"
	"strings"
)

// compact shortens a structured line for reading: the time goes, since it stands in front of every
// line anyway; level and message come first; the other fields follow as key=value, in their order.
// ok is false for a line that is neither a JSON object nor logfmt that begins with a time or a
// level: it is shown as it is. Nothing but the time is left out.
func compact(raw []byte) (text string, ok bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) < 8 {
		return "", false
	}
	var fields []field
	if raw[0] == '{' {
		fields, ok = jsonFields(raw)
	} else {
		fields, ok = pairFields(string(raw))
		ok = ok && len(fields) > 1 && (isTime(fields[0].key) || isLevel(fields[0].key))
	}
	if !ok {
		return "", false
	}
	level, message := "", ""
	var rest []string
	for _, f := range fields {
		switch {
		case isTime(f.key):
		case isLevel(f.key) && level == "":
			level = strings.ToUpper(f.value)
		case (f.key == "msg" || f.key == "message") && message == "":
			message = f.value
		default:
			rest = append(rest, f.key+"="+quoted(f))
		}
	}
	if level == "" && message == "" {
		return "", false // structured, but not a log line as they are known
	}
	if level != "" {
		message = level + spaces(max(6-len(level), 1)) + message
	}
	return strings.TrimSpace(strings.Join(append([]string{message}, rest...), " ")), true
}

type field struct {
	key, value string
	raw        bool // a JSON value that is no string
}

func isTime(key string) bool {
	switch key {
	case "time", "ts", "timestamp", "@timestamp", "t":
		return true
	}
	return false
}

func isLevel(key string) bool { return key == "level" || key == "lvl" || key == "severity" }

// quoted is a value as it is written behind its key.
func quoted(f field) string {
	if f.raw || f.value != "" && !strings.ContainsAny(f.value, " \"=\n\t") {
		return f.value
	}
	b, _ := json.Marshal(f.value) // a string always marshals
	return string(b)
}

// jsonFields reads the top level of one JSON object.
func jsonFields(raw []byte) ([]field, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var out []field
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, false
		}
		key, isKey := k.(string)
		var v json.RawMessage
		if !isKey || d.Decode(&v) != nil {
			return nil, false
		}
		f := field{key: key, value: string(v), raw: true}
		var s string
		if len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &s) == nil {
			f.value, f.raw = s, false
		}
		out = append(out, f)
	}
	if _, err := d.Token(); err != nil || int(d.InputOffset()) != len(raw) {
		return nil, false
	}
	return out, true
}

// pairFields reads logfmt: key=value and key="quoted value", nothing else.
func pairFields(s string) ([]field, bool) {
	var out []field
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		eq := strings.IndexByte(s, '=')
		if eq < 1 || strings.ContainsAny(s[:eq], " \"\x1b") {
			return nil, false
		}
		f := field{key: s[:eq]}
		s = s[eq+1:]
		if strings.HasPrefix(s, `"`) {
			end := 1
			for end < len(s) && s[end] != '"' {
				if s[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(s) || json.Unmarshal([]byte(s[:end+1]), &f.value) != nil {
				return nil, false
			}
			s = s[end+1:]
			if s != "" && s[0] != ' ' {
				return nil, false
			}
		} else {
			end := strings.IndexByte(s, ' ')
			if end < 0 {
				end = len(s)
			}
			f.value, s = s[:end], s[end:]
		}
		out = append(out, f)
	}
	return out, true
}
