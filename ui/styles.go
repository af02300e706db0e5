package ui

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
)

// paint is a style as its opening escape: putting it around a word costs a concatenation.
type paint string

// of makes a paint of a lipgloss style.
func of(s lipgloss.Style) paint {
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

// styles are all looks of the screen. Sixteen colours are enough; the terminal's own theme decides what they are.
type styles struct {
	plain, dim, bold       paint
	good, busy, bad, off   paint // what states look like
	title, titleFocus      paint // of panes
	line                   paint // rules and borders
	selected, selectedDim  paint // a row, in the focused pane and elsewhere
	key, keyHint           paint // footer
	match, matchNow        paint // search
	warn, fail             paint // log text, banners
	badge                  paint
	names                  []paint // log prefixes
	matchStyle, markedText lipgloss.Style
}

// newStyles makes the looks for a dark or a light background.
func newStyles(dark bool) styles {
	n := lipgloss.NewStyle
	c := func(bright, normal color.Color) lipgloss.Style {
		return n().Foreground(lipgloss.LightDark(dark)(normal, bright))
	}
	dim := n().Foreground(lipgloss.BrightBlack)
	line := n().Foreground(lipgloss.BrightBlack)
	if !dark {
		dim = n().Faint(true)
	}
	s := styles{
		dim:  of(dim),
		bold: of(n().Bold(true)),
		good: of(c(lipgloss.BrightGreen, lipgloss.Green)),
		busy: of(c(lipgloss.BrightCyan, lipgloss.Blue)),
		bad:  of(c(lipgloss.BrightRed, lipgloss.Red).Bold(true)),
		off:  of(dim),

		title:       of(dim),
		titleFocus:  of(c(lipgloss.BrightCyan, lipgloss.Blue).Bold(true)),
		line:        of(line),
		selected:    of(n().Reverse(true)),
		selectedDim: of(n().Bold(true)),
		key:         of(n().Bold(true)),
		keyHint:     of(dim),
		match:       of(n().Underline(true).Bold(true).Foreground(lipgloss.Yellow)),
		matchNow:    of(n().Reverse(true).Bold(true)),
		warn:        of(c(lipgloss.BrightYellow, lipgloss.Yellow)),
		fail:        of(c(lipgloss.BrightRed, lipgloss.Red)),
		badge:       of(n().Reverse(true).Bold(true)),

		matchStyle: n().Reverse(true).Bold(true),
		markedText: n().Underline(true),
	}
	for _, pair := range [][2]color.Color{
		{lipgloss.BrightCyan, lipgloss.Cyan}, {lipgloss.BrightGreen, lipgloss.Green}, {lipgloss.BrightMagenta, lipgloss.Magenta},
		{lipgloss.BrightBlue, lipgloss.Blue}, {lipgloss.Cyan, lipgloss.Cyan}, {lipgloss.Magenta, lipgloss.Magenta},
		{lipgloss.Green, lipgloss.Green}, {lipgloss.Blue, lipgloss.Blue},
	} {
		s.names = append(s.names, of(c(pair[0], pair[1])))
	}
	return s
}
