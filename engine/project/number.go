package project

import (
	"fmt"
	"strings"
)

// lostNumbers warns of sizes and counts that are read as none at all, or as a negative one: as 5e8 is, or one
// that is larger than any machine. What a file limits would have no limit.
func (w *warner) lostNumbers(s *Service) []Warning {
	c := s.Config
	var all []Warning
	for _, n := range []struct {
		key   string
		value int64
	}{
		{"mem_limit", int64(c.MemLimit)}, {"mem_reservation", int64(c.MemReservation)},
		{"memswap_limit", int64(c.MemSwapLimit)}, {"shm_size", int64(c.ShmSize)}, {"pids_limit", c.PidsLimit},
	} {
		at := []string{"services", s.Name, n.key}
		text := w.sources.text(at...)
		none := strings.Trim(text, "0.bBkKmMgG ") == "" || strings.HasPrefix(text, "-")
		if n.value > 0 || none {
			continue
		}
		all = append(all, Warning{Place: w.sources.show(w.sources.find(at...)), Service: s.Name,
			Attribute: strings.Join(at, "."),
			Text:      fmt.Sprintf("%s %s is read as %d, which is no limit; write it as 512m or 2g, a count as a whole number", n.key, text, n.value)})
	}
	return all
}

// text is what stands at a path in the file that has the last word, "" where it is no scalar.
func (s *sources) text(path ...string) string {
	for i := len(s.files) - 1; i >= 0; i-- {
		for _, doc := range s.files[i].docs {
			n := doc
			for _, key := range path {
				n = get(n, key)
			}
			if text := s.scalar(n); text != "" {
				return text
			}
		}
	}
	return ""
}
