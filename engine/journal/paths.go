package journal

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Paths is a list of paths as it is stored. JSON holds UTF-8 alone, and a path
// need not be that: one that is not would come back as another path.
type Paths []string

// MarshalJSON keeps paths that are not UTF-8.
func (p Paths) MarshalJSON() ([]byte, error) {
	if p == nil {
		return []byte("null"), nil
	}
	plain := make([]string, len(p))
	for i, path := range p {
		plain[i] = EscapePath(path)
	}
	return json.Marshal(plain)
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (p *Paths) UnmarshalJSON(b []byte) error {
	var plain []string
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	for i, path := range plain {
		plain[i] = UnescapePath(path)
	}
	*p = plain
	return nil
}

// escaped begins the name of a path that JSON cannot hold as it is; real ones
// begin with a slash, or a drive's letter.
const escaped = "\x00"

// EscapePath returns a path, or what a link leads to, as text that JSON keeps.
func EscapePath(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return escaped + hex.EncodeToString([]byte(s))
}

// UnescapePath is the reverse of EscapePath.
func UnescapePath(s string) string {
	if x, ok := strings.CutPrefix(s, escaped); ok {
		if b, err := hex.DecodeString(x); err == nil {
			return string(b)
		}
	}
	return s
}
