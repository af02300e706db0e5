package ui

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/logs"
)

func TestCopySaysTheWaysItTook(t *testing.T) {
	state := t.TempDir()
	file := filepath.Join(state, "copied", "shop.txt")
	for name, c := range map[string]struct {
		env, want []string
		has       map[string]string
		ran       string
	}{
		"plain": {want: []string{"copied 3 lines to the terminal (OSC 52), " + file}},
		"Wayland": {env: []string{"WAYLAND_DISPLAY=wayland-0", "DISPLAY=:0"},
			has: map[string]string{"wl-copy": ""}, ran: "ran wl-copy with ",
			want: []string{"to the terminal (OSC 52), wl-copy, " + file}},
		"X11": {env: []string{"DISPLAY=:0"},
			has: map[string]string{"xsel --clipboard --input": ""}, ran: "ran xsel",
			want: []string{"(OSC 52), xsel, "}},
		"a display without a command": {env: []string{"DISPLAY=:0"},
			want: []string{"copied 3 lines to the terminal (OSC 52), " + file}},
		"tmux that takes it": {env: []string{"TMUX=/tmp/x"},
			has:  map[string]string{"tmux show -gv set-clipboard": "on"},
			want: []string{"to tmux and the terminal (OSC 52), " + file}},
		"tmux that does not": {env: []string{"TMUX=/tmp/x"},
			has: map[string]string{"tmux show -gv set-clipboard": "external", "tmux load-buffer -w -": ""},
			ran: "ran tmux load-buffer -w - with ", want: []string{"to tmux and the terminal, " + file}},
		"old tmux": {env: []string{"TMUX=/tmp/x"},
			has: map[string]string{"tmux show -gv set-clipboard": "off", "tmux load-buffer -": ""},
			want: []string{"to tmux's buffer, " + file, "set-clipboard is off",
				"tmux set -g set-clipboard on"}},
		"screen": {env: []string{"STY=1.x"}, want: []string{"the terminal (OSC 52 through screen), " + file}},
	} {
		t.Run(name, func(t *testing.T) {
			b := shop()
			b.has = c.has
			s := openScreen(t, b, 240, 40, func(o *Options) {
				o.Environ, o.StateDir = append(o.Environ, c.env...), state
			})
			s.keys("2", "k", "v", "k", "k", "y")
			s.wait(c.want...)
			if c.ran != "" && !b.told(c.ran) {
				t.Error("the command was not run")
			}
			s.quit()
			if text, err := os.ReadFile(file); err != nil || strings.Count(string(text), "\n") != 3 {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

func TestCopyReachesTheTerminalsClipboard(t *testing.T) {
	for name, env := range map[string]string{"plain": "A=b", "screen": "STY=1.x"} {
		t.Run(name, func(t *testing.T) {
			b := shop()
			got := make(chan string, 1)
			s := openScreen(t, b, 100, 40, func(o *Options) {
				o.Environ = append(o.Environ, env)
				o.Stdout = watcher{o.Stdout, func(p string) {
					if strings.Contains(p, "]52;c;") {
						select {
						case got <- p:
						default:
						}
					}
				}}
			})
			s.keys("2", "k", "y")
			select {
			case p := <-got:
				// "LOG   checkpoint complete: wrote 41 buffers" in base64.
				if want := "]52;c;TE9HICAgY2hlY2twb2ludCBjb21wbGV0ZTogd3JvdGUgNDEgYnVmZmVycw=="; !strings.Contains(p, want) {
					t.Errorf("the terminal got %q", p)
				}
				if screened := strings.Contains(p, "\x1bP\x1b]52"); screened != (name == "screen") {
					t.Errorf("wrapped for screen: %t in %q", screened, p)
				}
			case <-time.After(patience):
				t.Fatal("the terminal was not asked")
			}
			s.quit()
		})
	}
}

// watcher hands on what is written, and shows it to somebody.
type watcher struct {
	w interface {
		Write([]byte) (int, error)
	}
	see func(string)
}

func (w watcher) Write(p []byte) (int, error) { w.see(string(p)); return w.w.Write(p) }

func TestLongCopyGoesToTheFileAlone(t *testing.T) {
	state := t.TempDir()
	b := shop()
	for i := range 2000 {
		b.store.Append("db", 1, 1, logs.Stdout, start.Add(time.Duration(i)),
			fmt.Appendf(nil, "line %d %s", i, strings.Repeat("x", 60)))
	}
	s := openScreen(t, b, 240, 40, func(o *Options) { o.StateDir = state })
	s.keys("2", "g", "v", "G")
	s.wait("following")
	s.keys("k", "v", "g", "y")
	s.wait("copied 2008 lines to "+state, "too long for the terminal's OSC 52")
	s.quit()
}

func TestSaveAsksWhatAndHow(t *testing.T) {
	dir := t.TempDir()
	s := openScreen(t, shop(), 120, 40, func(o *Options) { o.Config.SaveDir = dir })
	s.keys("2", "ctrl+s", "enter") // the usual
	s.wait("saved 9 lines to " + dir + "/shop-all-20261123-120431.log")
	s.keys("l", "l", "ctrl+s")
	s.wait("what is shown, as text", "all lines, as JSON lines", "shop-all-filtered-20261123-120431.jsonl")
	s.keys("j")
	s.wait("saved 3 lines to " + dir + "/shop-all-filtered-20261123-120431.jsonl")
	s.keys("ctrl+s", "l")
	s.wait("saved 9 lines to " + dir + "/shop-all-20261123-120431.jsonl")
	s.keys("esc", "1", "-", "ctrl+s")
	s.keys("2", "ctrl+s")
	s.wait("shop-all-but-api-20261123-120431.log")
	s.keys("esc")
	s.quit()
	text, err := os.ReadFile(dir + "/shop-all-filtered-20261123-120431.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Time, Kind, Service, Stream, Level, Line string }
	if err := json.Unmarshal([]byte(strings.SplitN(string(text), "\n", 3)[1]), &line); err != nil ||
		line.Kind != "log" || line.Service != "api" || line.Level != "warn" {
		t.Errorf("%+v, %v in %s", line, err, text)
	}
}

func TestSaveMenu(t *testing.T) {
	s := openScreen(t, shop(), 80, 24, func(o *Options) { o.Config.SaveDir = "/var/log/shop" })
	s.keys("2", "/", "GET", "enter", "x", "ctrl+s")
	s.wait("what is shown, as text", "all lines, as text")
	s.golden("save-80x24")
	s.keys("enter")
	s.wait("save the logs: open /var/log/shop")
	s.quit()
}
