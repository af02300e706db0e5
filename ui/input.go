package ui

import (
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
)

// input is one line of text that is being typed.
type input struct{ model textinput.Model }

func newInput() input {
	t := textinput.New()
	t.Prompt = ""
	t.SetVirtualCursor(false) // the terminal's own cursor needs no blinking, so no wake-ups
	t.Focus()
	return input{model: t}
}

// key feeds a key press to the text.
func (in *input) key(k tea.KeyPressMsg) {
	in.model, _ = in.model.Update(k)
}

// insert puts text at the cursor.
func (in *input) insert(text string) {
	in.model, _ = in.model.Update(tea.PasteMsg{Content: text})
}

func (in *input) value() string { return in.model.Value() }
func (in *input) set(s string)  { in.model.SetValue(s); in.model.CursorEnd() }
func (in *input) cursorCell() int {
	return width(string([]rune(in.model.Value())[:in.model.Position()]))
}
func (in *input) text(w int) string { return cut(in.model.Value(), w) }
