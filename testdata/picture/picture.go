// Package picture draws screens of a terminal as SVG.
package picture

import (
	"fmt"
	"html"
	"image/color"
	"strings"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
)

// What a cell measures, in pixels.
const (
	cellW, cellH = 8.4, 17.0
	edge         = 10.0
)

// Frame is a screen of a film, and how long it is shown. Caption stands below it; it may be empty.
type Frame struct {
	Cells   uv.ScreenBuffer
	Lasts   time.Duration
	Caption string
}

// Draw draws a screen: a text for each run of cells of one style, as wide as its cells are whatever font the reader
// has. The theme is dark or light.
func Draw(cells uv.ScreenBuffer, theme string) string {
	p := newPainter(cells.Width(), cells.Height(), theme)
	for y := range cells.Height() {
		p.out.WriteString(p.row(cells, y))
	}
	return p.finish()
}

// Film draws screens of one size, which follow each other again and again. What stands in the same row of several
// is drawn once.
func Film(frames []Frame, theme string) string {
	if len(frames) == 0 {
		return ""
	}
	w, h := frames[0].Cells.Width(), frames[0].Cells.Height()
	p := newPainter(w, h+2, theme)
	var total time.Duration
	for _, f := range frames {
		total += f.Lasts
	}
	var shared, film strings.Builder
	ids := map[string]string{}
	var at time.Duration
	for i, f := range frames {
		// Discrete values: a frame is there from its first moment to its last, and nothing fades.
		from, to := at.Seconds()/total.Seconds(), (at+f.Lasts).Seconds()/total.Seconds()
		at += f.Lasts
		values, times := "hidden;visible;hidden", fmt.Sprintf("0;%.5f;%.5f", from, to)
		switch {
		case len(frames) == 1:
			values, times = "visible", "0"
		case i == 0:
			values, times = "visible;hidden", fmt.Sprintf("0;%.5f", to)
		case i == len(frames)-1:
			values, times = "hidden;visible", fmt.Sprintf("0;%.5f", from)
		}
		visibility := "hidden" // where nothing moves, the first one is seen
		if i == 0 {
			visibility = "visible"
		}
		fmt.Fprintf(&film,
			`<g visibility="%s"><animate attributeName="visibility" calcMode="discrete" values="%s" keyTimes="%s" dur="%.2fs" repeatCount="indefinite"/>`+"\n",
			visibility, values, times, total.Seconds())
		for y := range h {
			text := p.row(f.Cells, y)
			if text == "" {
				continue
			}
			id, ok := ids[text]
			if !ok {
				id = fmt.Sprintf("r%d", len(ids))
				ids[text] = id
				fmt.Fprintf(&shared, `<g id="%s">`+"\n%s</g>\n", id, text)
			}
			fmt.Fprintf(&film, `<use href="#%s"/>`+"\n", id)
		}
		if f.Caption != "" {
			fmt.Fprintf(&film, `<text x="%.1f" y="%.1f" font-weight="bold">%s</text>`+"\n", edge,
				edge+float64(h+1)*cellH+cellH*0.76, html.EscapeString(f.Caption))
		}
		film.WriteString("</g>\n")
	}
	p.out.WriteString("<defs>\n" + shared.String() + "</defs>\n" + film.String())
	return p.finish()
}

// painter draws on one picture.
type painter struct {
	out         strings.Builder
	back, front color.Color
}

// newPainter begins a picture with room for so many cells.
func newPainter(cols, rows int, theme string) *painter {
	p := &painter{back: color.RGBA{0x18, 0x18, 0x18, 0xff}, front: color.RGBA{0xd0, 0xd0, 0xd0, 0xff}}
	if theme == "light" {
		p.back, p.front = color.RGBA{0xfd, 0xfd, 0xfd, 0xff}, color.RGBA{0x22, 0x22, 0x22, 0xff}
	}
	w, h := float64(cols)*cellW+2*edge, float64(rows)*cellH+2*edge
	fmt.Fprintf(&p.out,
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14" fill="%s">`+"\n",
		w, h, w, h, hex(p.front))
	fmt.Fprintf(&p.out, `<rect width="100%%" height="100%%" rx="6" fill="%s"/>`+"\n", hex(p.back))
	return p
}

func (p *painter) finish() string { return p.out.String() + "</svg>" }

// row draws one row; "" where nothing is seen in it.
func (p *painter) row(cells uv.ScreenBuffer, y int) string {
	var b strings.Builder
	for _, r := range runsOf(cells, y) {
		fg, bg := r.style.Fg, r.style.Bg
		if r.style.Attrs&uv.AttrReverse != 0 {
			fg, bg = orColor(bg, p.back), orColor(fg, p.front)
		}
		left, top := edge+float64(r.x)*cellW, edge+float64(y)*cellH
		if bg != nil {
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n",
				left, top, float64(r.w)*cellW, cellH, hex(bg))
		}
		text := strings.TrimRight(r.text, " ")
		if text == "" {
			continue
		}
		attrs := ""
		if fg != nil {
			attrs += ` fill="` + hex(fg) + `"`
		}
		if r.style.Attrs&uv.AttrBold != 0 {
			attrs += ` font-weight="bold"`
		}
		if r.style.Attrs&uv.AttrFaint != 0 {
			attrs += ` opacity="0.6"`
		}
		wide := float64(r.w-(len(r.text)-len(text))) * cellW
		fmt.Fprintf(&b,
			`<text x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve"%s>%s</text>`+"\n",
			left, top+cellH*0.76, wide, attrs, html.EscapeString(text))
	}
	return b.String()
}

// styleRun is a piece of a row that has one style.
type styleRun struct {
	x, w  int
	text  string
	style uv.Style
}

func runsOf(cells uv.ScreenBuffer, y int) (runs []styleRun) {
	for x := 0; x < cells.Width(); {
		text, style, w := " ", uv.Style{}, 1
		if c := cells.CellAt(x, y); c != nil && c.Content != "" {
			text, style, w = c.Content, c.Style, max(c.Width, 1)
		}
		if n := len(runs); n > 0 && runs[n-1].style.Equal(&style) {
			runs[n-1].text += text
			runs[n-1].w += w
		} else {
			runs = append(runs, styleRun{x: x, w: w, text: text, style: style})
		}
		x += w
	}
	return runs
}

func orColor(c, other color.Color) color.Color {
	if c == nil {
		return other
	}
	return c
}

func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}
