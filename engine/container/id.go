package container

import "strings"

// ShortID is an id as people write it: the first twelve digits of a digest, with or
// without its algorithm in front. An id that is not one, such as a name that a
// runtime identifies by, stays whole.
func ShortID(id string) string {
	digits := id[strings.IndexByte(id, ':')+1:]
	if len(digits) < 32 || strings.Trim(digits, "0123456789abcdef") != "" {
		return id
	}
	return digits[:12]
}
