package ui

import tea "charm.land/bubbletea/v2"

// pane is one part of the screen that can have the focus. The root has a slice of them and knows no
// more of any than this. What only some panes can do is in the interfaces below.
type pane interface {
	id() paneID
	// refresh takes in the snapshot that the env has now.
	refresh()
	// restyle drops what was drawn in other colours.
	restyle()
	// render draws the pane: r.h rows of r.w cells each.
	render(r rect) []string
	// title says for the rule above the pane, in at most w cells, what it shows.
	title(w int) string
	// move moves the cursor, or where there is none the window, by n lines.
	move(n int)
	// scroll moves the window and leaves the cursor.
	scroll(n int) tea.Cmd
	// click is a click on a cell of what was drawn last.
	click(x, y int)
	// back takes the last thing away that narrows, marks or moved the pane; false when there is nothing.
	back() bool
}

// A settler goes by what a key or a click may have changed elsewhere, such as the selection.
type settler interface{ settle() tea.Cmd }

// A dragger follows the pointer while its button is down.
type dragger interface {
	// drag says that the pointer is on cell x of row y of the pane; it may be outside.
	drag(x, y int) tea.Cmd
	// drop says that the button was released.
	drop()
}

// A pager is a pane whose page keys do not move its cursor.
type pager interface{ pageBy(n int) }

// A writable is a pane in which text can be typed.
type writable interface {
	// typer takes all keys while it is not nil.
	typer() typer
}

// typer takes the text that is typed in a pane.
type typer interface {
	key(k tea.KeyPressMsg) tea.Cmd
	paste(text string) tea.Cmd
	// cancel ends the typing.
	cancel()
	// cursor is where the terminal's cursor is in a pane of the size r; ok is false for none.
	cursor(r rect) (x, y int, ok bool)
}

// A sizer is a pane that says how much there is in it.
type sizer interface{ size() string }

// A keyer is a pane whose keys are its own matter.
type keyer interface{ actions() []action }

// A tabber is a pane that has another name in the rule of tabs than its id, for a screen of w cells
// in width; with "" it is not named there.
type tabber interface{ tabName(w int) string }

// overlay lies over the panes and takes the keys until it is closed.
type overlay interface {
	// key handles a key press; closed has the root take the overlay away, unless another one was opened meanwhile.
	key(k tea.KeyPressMsg) (cmd tea.Cmd, closed bool)
	// render draws it for a screen of w by h; the rows are all of one width.
	render(w, h int) []string
	// cursor is where the terminal's cursor is in what render drew last, ok false for none.
	cursor() (x, y int, ok bool)
}

// A hinter is an overlay that says in the footer what its keys are.
type hinter interface{ hints() []hint }

// hint is a key and what it does.
type hint struct{ key, label string }

// A clicker is an overlay in which something can be clicked; x and y are cells of what was drawn
// last. closed is as of key.
type clicker interface {
	click(x, y int) (cmd tea.Cmd, closed bool)
}

// A paster is an overlay that takes pasted text, line breaks included.
type paster interface{ paste(text string) }

// A scroller is an overlay that the wheel scrolls.
type scroller interface{ scroll(n int) }

// An interrupter is an overlay that ctrl+c may not just take away.
type interrupter interface{ interrupt() (closed bool) }

// noCursor is for overlays in which no text is typed.
type noCursor struct{}

func (noCursor) cursor() (int, int, bool) { return 0, 0, false }

// fill adds blank rows up to r's height.
func fill(rows []string, r rect) []string {
	for len(rows) < r.h {
		rows = append(rows, spaces(r.w))
	}
	return rows[:max(r.h, 0)]
}
