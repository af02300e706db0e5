package ui

import (
	"fmt"
	"html"
	"image/color"
	"path/filepath"
	"strings"
	"testing"
	"time"

	uv "github.com/charmbracelet/ultraviolet"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// TestPicturesShowTheScreen holds that the pictures in examples/screens are the screen as it is;
//
//	go test ./ui -run TestPicturesShowTheScreen -update
//
// draws them again.
func TestPicturesShowTheScreen(t *testing.T) {
	for _, theme := range []string{"dark", "light"} {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
			name := fmt.Sprintf("%dx%d-%s", size[0], size[1], theme)
			t.Run(name, func(t *testing.T) {
				s := openScreen(t, busyShop(), size[0], size[1], func(o *Options) { o.Config.Theme = theme })
				s.wait("GET /orders 200 15ms")
				s.keys("G", "K")
				s.wait("exited 137", "worker died")
				s.compare(filepath.Join("..", "examples", "screens", name+".svg"), func() string { return picture(s.cells(), theme) })
			})
		}
	}
}

// busyShop is the shop with the lines of half a minute.
func busyShop() *fake {
	b := shop()
	b.snap.Services[6].State, b.snap.Services[6].ByHand = engine.StateRunning, false
	lines := []struct{ service, text string }{
		{"api", "INFO  GET /orders 200 14ms"}, {"web", "INFO  GET / 200 6ms"}, {"api", "INFO  POST /orders 201 31ms"},
		{"db", "LOG   checkpoint starting: time"}, {"web", "INFO  rendered /cart in 21ms"}, {"api", "INFO  GET /items 200 4ms"},
	}
	for i := range 36 {
		l := lines[i%len(lines)]
		b.store.Append(l.service, 1, 3, logs.Stdout, start.Add(time.Duration(i-38)*400*time.Millisecond), []byte(l.text))
	}
	return b
}

// What a cell measures, in pixels.
const (
	cellW, cellH = 8.4, 17.0
	pictureEdge  = 10.0
)

// picture draws a screen as an SVG: a text for each run of cells of one style, as wide as its cells
// are whatever font the reader has.
func picture(cells uv.ScreenBuffer, theme string) string {
	back, front := color.Color(color.RGBA{0x18, 0x18, 0x18, 0xff}), color.Color(color.RGBA{0xd0, 0xd0, 0xd0, 0xff})
	if theme == "light" {
		back, front = color.RGBA{0xfd, 0xfd, 0xfd, 0xff}, color.RGBA{0x22, 0x22, 0x22, 0xff}
	}
	w, h := float64(cells.Width())*cellW+2*pictureEdge, float64(cells.Height())*cellH+2*pictureEdge
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14" fill="%s">`+"\n", w, h, w, h, hex(front))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="6" fill="%s"/>`+"\n", hex(back))
	for y := range cells.Height() {
		for _, r := range runsOf(cells, y) {
			fg, bg := r.style.Fg, r.style.Bg
			if r.style.Attrs&uv.AttrReverse != 0 {
				fg, bg = orColor(bg, back), orColor(fg, front)
			}
			left, top := pictureEdge+float64(r.x)*cellW, pictureEdge+float64(y)*cellH
			if bg != nil {
				fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", left, top, float64(r.w)*cellW, cellH, hex(bg))
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
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve"%s>%s</text>`+"\n",
				left, top+cellH*0.76, wide, attrs, html.EscapeString(text))
		}
	}
	return b.String() + "</svg>"
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
