package ui

import "strings"

// plainTerminal says whether a terminal shows only ASCII for certain: by its locale, or because it
// is the console of Linux, whose font lacks most marks. Without any locale nothing is known, and
// nearly every terminal of today shows UTF-8.
func plainTerminal(environ []string) bool {
	if envOf(environ, "TERM") == "linux" {
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := envOf(environ, name); v != "" {
			return v == "C" || v == "POSIX"
		}
	}
	return false
}

// asciiMarks has a mark of one cell in ASCII for each of the screen's own.
var asciiMarks = strings.NewReplacer(
	"●", "*", "◐", "!", "◌", "o", "○", ".", "⟳", "~", "✗", "x", "✓", "+", "‖", "=", "▶", ">", "▼",
	"v", "⊘", "-", "×", "x",
	"│", "|", "─", "-", "├", "+", "└", "`", "╭", "+", "╮", "+", "╰", "+", "╯", "+", "┊", ":",
	"━", "=", "┄", ".", "▒", "%", "░", "_", "▓", "#", "╳", "X", "■", "#",
	"▁", "_", "▂", ".", "▃", ",", "▄", "-", "▅", "=", "▆", "+", "▇", "*", "█", "#",
	"…", "~", "↑", "^", "↓", "v", "→", ">", "←", "<", "·", "-", "“", "\"", "”", "\"",
)
