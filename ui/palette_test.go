package ui

import (
	"testing"
)

func TestPaletteFindsByAFewLetters(t *testing.T) {
	m, err := newModel(t.Context(), Options{Backend: shop(), Now: shop().clock}, make(chan struct{}))
	if err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{"restart api": "restart api",
		"rest web": "restart web", "killdb": "kill db", "KILL G": "kill gw",
		"go to mail": "go to mail", "gomail": "go to mail",
		" rebuild w": "rebuild web", "mute all": "unmute all services", "xyzzy": ""} {
		m.log.mutes.names["db"] = true
		m.openPalette()
		p := m.e.over.(*palette)
		p.paste(typed)
		got := ""
		if len(p.shown) > 0 {
			got = p.shown[0].label
		}
		if got != want {
			t.Errorf("%q finds %q first, want %q", typed, got, want)
			for _, c := range p.shown[:min(4, len(p.shown))] {
				t.Log(c.label)
			}
		}
	}
}
