package ui

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// paint is a style as its opening escape: putting it around a word costs a concatenation.
type paint string

// paintOf makes a paint of a lipgloss style.
func paintOf(s lipgloss.Style) paint {
	open, _, found := strings.Cut(s.Render("x"), "x")
	if !found {
		return ""
	}
	return paint(open)
}

// s paints text. Text that brings styles of its own ends them with a reset, after which the paint goes on.
func (p paint) s(text string) string {
	if p == "" || text == "" {
		return text
	}
	return string(p) + text + "\x1b[m"
}

// over paints a row whose parts are painted already.
func (p paint) over(row string) string {
	if p == "" {
		return row
	}
	return string(p) + strings.ReplaceAll(row, "\x1b[m", "\x1b[m"+string(p)) + "\x1b[m"
}

// bar paints a whole row as the selected one. Its colours stay, but where the bar is made of
// swapped ones: each of them would be a patch of its own.
func (st *styles) bar(row string) string {
	if st.reversed {
		return st.selected.s(ansi.Strip(row))
	}
	return st.selected.over(row)
}

// styles are all looks of the screen.
type styles struct {
	plain, dim, bold      paint
	good, busy, bad, off  paint // what states look like
	title, titleFocus     paint // of panes
	line                  paint // rules and borders
	selected, selectedDim paint // a row, in the focused pane and elsewhere
	reversed              bool  // selected swaps colours: what is painted in it would be swapped too
	key, keyHint          paint // footer
	warn, fail            paint // log text, banners
	badge                 paint
	behind                paint            // what lies behind an overlay
	names                 []paint          // log prefixes
	own                   map[string]paint // of services whose colour the config sets
	matchStyle            lipgloss.Style
}

// colours are what themes differ in. nil is the terminal's own.
type colours struct {
	dim, line, good, busy, bad, warn color.Color
	bar                              color.Color // behind the selected row; nil: reversed
	names                            []color.Color
	strong                           bool // nothing is faint, what matters is bold
}

// themeOf is the theme in effect: what the config says, where the terminal takes colours at all.
func themeOf(config string, environ []string) string {
	if envOf(environ, "NO_COLOR") != "" || envOf(environ, "TERM") == "dumb" {
		return "none"
	}
	if config == "" {
		return "auto"
	}
	return config
}

func hexes(values ...string) []color.Color {
	out := make([]color.Color, len(values))
	for i, v := range values {
		out[i] = lipgloss.Color(v)
	}
	return out
}

// setOwn sets the colours of services to those of the config file.
func (st *styles) setOwn(colours map[string]string, theme string) {
	st.own = map[string]paint{}
	for service, value := range colours {
		if theme != "none" {
			st.own[service] = paintOf(lipgloss.NewStyle().Foreground(lipgloss.Color(value)))
		}
	}
}

// coloursOf returns a theme's colours for a dark or a light background. Those of dark and light
// have a contrast of at least 4.5 to 1 on backgrounds up to #262626 and down to #f4f1e8, those of
// contrast of 7 to 1 on black and white.
func coloursOf(theme string, dark bool) colours {
	c := lipgloss.Color
	switch {
	case theme == "none":
		return colours{strong: true}
	case theme == "contrast" && dark:
		return colours{good: c("#5fff5f"), busy: c("#5fffff"), bad: c("#ff9c9c"), warn: c("#ffff5f"),
			strong: true,
			names:  hexes("#5fffff", "#5fff5f", "#ffafff", "#afd7ff", "#ffff87", "#ffd7af")}
	case theme == "contrast":
		return colours{good: c("#005500"), busy: c("#00308f"), bad: c("#8f0000"), warn: c("#5c4000"),
			strong: true,
			names:  hexes("#00505a", "#005500", "#6a006a", "#00308f", "#5c4000", "#6a2c00")}
	case theme == "ansi" && dark:
		return colours{dim: lipgloss.BrightBlack, line: lipgloss.BrightBlack,
			good: lipgloss.BrightGreen, busy: lipgloss.BrightCyan, bad: lipgloss.BrightRed,
			warn: lipgloss.BrightYellow, names: []color.Color{lipgloss.BrightCyan,
				lipgloss.BrightGreen, lipgloss.BrightMagenta, lipgloss.BrightBlue, lipgloss.Cyan,
				lipgloss.Magenta, lipgloss.Green, lipgloss.Blue}}
	case theme == "ansi":
		return colours{line: lipgloss.BrightBlack, good: lipgloss.Green, busy: lipgloss.Blue,
			bad: lipgloss.Red, warn: lipgloss.Yellow,
			names: []color.Color{lipgloss.Cyan, lipgloss.Green, lipgloss.Magenta, lipgloss.Blue}}
	case dark:
		return colours{bar: c("#3a3a4a"), dim: c("#a8a8a8"), line: c("#6c6c6c"), good: c("#87d787"),
			busy: c("#5fd7ff"), bad: c("#ff8787"), warn: c("#ffd75f"),
			names: hexes("#5fd7d7", "#afd787", "#d7afff", "#87afff", "#ffaf87", "#ff87d7", "#87d7af",
				"#d7d787")}
	}
	return colours{bar: c("#d7dff0"), dim: c("#555555"), line: c("#9e9e9e"), good: c("#006b00"),
		busy: c("#005faf"), bad: c("#af0000"), warn: c("#8a4b00"),
		names: hexes("#00616b", "#3f6212", "#7b1fa2", "#1d4ed8", "#ad1457", "#00664a", "#475569", "#5b21b6")}
}

func barStyle(c colours) lipgloss.Style {
	if c.bar == nil {
		return lipgloss.NewStyle().Reverse(true)
	}
	return lipgloss.NewStyle().Background(c.bar).Bold(true)
}

// newStyles makes the looks of a theme for a dark or a light background.
func newStyles(theme string, dark bool) styles {
	n := lipgloss.NewStyle
	c := coloursOf(theme, dark)
	fg := func(x color.Color) lipgloss.Style {
		if x == nil {
			return n()
		}
		return n().Foreground(x)
	}
	dim := fg(c.dim)
	if theme == "ansi" && !dark {
		dim = n().Faint(true) // bright black is too light for some, and black is the text's own
	}
	busy, good := fg(c.busy), fg(c.good)
	s := styles{
		dim:  paintOf(dim),
		bold: paintOf(n().Bold(true)),
		good: paintOf(good),
		busy: paintOf(busy),
		bad:  paintOf(fg(c.bad).Bold(true)),
		off:  paintOf(dim),

		title:       paintOf(dim),
		titleFocus:  paintOf(busy.Bold(true)),
		line:        paintOf(fg(c.line)),
		selected:    paintOf(barStyle(c)),
		reversed:    c.bar == nil,
		selectedDim: paintOf(n().Bold(true)),
		key:         paintOf(n().Bold(true)),
		keyHint:     paintOf(dim),
		warn:        paintOf(fg(c.warn).Bold(c.strong)),
		fail:        paintOf(fg(c.bad).Bold(c.strong)),
		behind:      paintOf(n().Faint(true)),
		badge:       paintOf(n().Reverse(true).Bold(true)),

		matchStyle: n().Reverse(true).Bold(true),
	}
	for _, x := range c.names {
		s.names = append(s.names, paintOf(fg(x).Bold(c.strong)))
	}
	if len(s.names) == 0 {
		s.names = []paint{s.plain}
	}
	return s
}
