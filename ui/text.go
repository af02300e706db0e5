package ui

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine/container"
)

// width is how many cells s takes. Nearly all that is shown is ASCII, colours, and signs of one
// cell each, which need no parser.
func width(s string) int {
	n := 0
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c >= 0x20 && c < 0x7f:
			n++
			i++
		case c == 0x1b:
			j := i + 1
			if j < len(s) && s[j] == '[' {
				for j++; j < len(s) && (s[j] >= '0' && s[j] <= '9' || s[j] == ';'); j++ {
				}
			}
			if j >= len(s) || s[j] != 'm' || s[j-1] == 0x1b {
				return ansi.StringWidth(s)
			}
			i = j + 1
		// rules, blocks, dots
		case c == 0xe2 && i+2 < len(s) && s[i+1] >= 0x94 && s[i+1] <= 0x97 && (s[i+1] < 0x97 || s[i+2] < 0xb0):
			n++
			i += 3
		case strings.HasPrefix(s[i:], "…"), strings.HasPrefix(s[i:], "‖"),
			strings.HasPrefix(s[i:], "⟳"), strings.HasPrefix(s[i:], "✗"), strings.HasPrefix(s[i:], "✓"):
			n++
			i += 3
		case strings.HasPrefix(s[i:], "·"):
			n++
			i += 2
		default:
			return ansi.StringWidth(s)
		}
	}
	return n
}

const blanks = "                                                                                                    "

// spaces returns n blanks.
func spaces(n int) string {
	if n <= 0 {
		return ""
	}
	if n <= len(blanks) {
		return blanks[:n]
	}
	return strings.Repeat(" ", n)
}

// cut shortens s to w cells; where something is cut off it ends in an ellipsis.
func cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if width(s) <= w {
		return s
	}
	return ansi.Truncate(s, w, "…")
}

// fit makes s exactly w cells wide.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	n := width(s)
	switch {
	case n == w:
		return s
	case n < w:
		return s + spaces(w-n)
	}
	s = ansi.Truncate(s, w, "…")
	return s + spaces(w-width(s)) // a wide character that did not fit leaves a cell
}

// wrapped breaks s between words into rows of at most w cells; there is always one row.
func wrapped(s string, w int) []string {
	rows := strings.Split(ansi.Wrap(s, max(w, 1), " "), "\n")
	for i, r := range rows {
		rows[i] = strings.TrimSpace(r)
	}
	return rows
}

// hardWrapped breaks a text into rows of at most w cells, wherever that is: nothing of it is left
// out, and blanks stay as they are.
func hardWrapped(s string, w int) []string {
	return strings.Split(ansi.Hardwrap(strings.ReplaceAll(s, "\t", "    "), max(w, 1), true), "\n")
}

// right makes s exactly w cells wide, its end at the right.
func right(s string, w int) string {
	if n := width(s); n < w {
		return spaces(w-n) + s
	}
	return fit(s, w)
}

// justify puts l at the left and r at the right of w cells; l is cut where there is no room for both.
func justify(l, r string, w int) string {
	rw := width(r)
	if rw+1 >= w {
		return fit(l, w)
	}
	if rw > 0 && width(l) > w-rw { // what is cut does not run into what follows
		return fit(l, w-rw-1) + " " + r
	}
	return fit(l, w-rw) + r
}

// bytesText says an amount of memory in at most four cells: "88M", "1.1G", "900K".
func bytesText(n int64) string {
	if n < 0 {
		return "-"
	}
	f, unit := float64(n), 0
	for f >= 1000 && unit < 4 {
		f /= 1024
		unit++
	}
	switch {
	case unit == 0:
		return fmt.Sprintf("%dB", n)
	case f < 9.95 && unit >= 3:
		return fmt.Sprintf("%.1f%c", f, "BKMGT"[unit])
	}
	return fmt.Sprintf("%.0f%c", f, "BKMGT"[unit])
}

// percent says cores as per cent of one core, in at most four cells.
func percent(cores float64) string {
	switch {
	case math.IsNaN(cores):
		return "-"
	case cores >= 9.995:
		return fmt.Sprintf("%.0fx", cores)
	}
	return fmt.Sprintf("%.0f%%", cores*100)
}

// perSecond says a rate of bytes.
func perSecond(f float64) string {
	if math.IsNaN(f) {
		return "-"
	}
	return bytesText(int64(f)) + "/s"
}

// spark draws the last w values between 0 and their greatest, or floor where that is more: what is
// next to nothing is not to look like much.
func spark(values []float64, w int, floor float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	if len(values) > w {
		values = values[len(values)-w:]
	}
	top := floor
	for _, v := range values {
		if !math.IsNaN(v) {
			top = max(top, v)
		}
	}
	var b strings.Builder
	for range w - len(values) {
		b.WriteByte(' ')
	}
	runes := []rune(bars)
	for _, v := range values {
		i := 0
		if top > 0 && !math.IsNaN(v) {
			i = min(int(v/top*float64(len(runes)-1)+0.5), len(runes)-1)
		}
		b.WriteRune(runes[i])
	}
	return b.String()
}

// plural puts the right form behind a number.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if strings.HasSuffix(one, "ss") {
		return fmt.Sprintf("%d %ses", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// thousands writes 12904 as 12,904.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// shortID is the part of a container id that people compare.
func shortID(id string) string { return container.ShortID(id) }

// hue picks one of n colours for a name, always the same.
func hue(name string, n int) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % uint32(n))
}

// layOver lays box over rows at x, y; what is behind it stays visible around it.
func layOver(rows, box []string, x, y, w int) {
	for i, b := range box {
		if y+i < 0 || y+i >= len(rows) {
			continue
		}
		row := rows[y+i]
		bw := width(b)
		rows[y+i] = fit(ansi.Cut(row, 0, x), x) + "\x1b[m" + b + "\x1b[m" + ansi.Cut(row, x+bw, w)
	}
}
