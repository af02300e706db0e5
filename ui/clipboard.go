package ui

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine/hostfile"
)

const (
	// copyLimit is what goes to the clipboard through the terminal at most: many drop a longer OSC 52.
	copyLimit = 74_000
	// screenChunk is how much GNU screen passes on at once.
	screenChunk = 768
	// commandTime is what a clipboard command may take; one that waits for a display that does not answer is ended.
	commandTime = 2 * time.Second
)

// copiedMsg is a copy that is all but done: what is left to be written to the terminal.
type copiedMsg struct {
	text   string   // to be sent by OSC 52; "" for none
	screen bool     // packed for GNU screen
	done   string   // what was copied: "copied 3 lines"
	ways   []string // where it went
	hints  []string // what did not work, and what helps
	err    error    // no way worked
}

// run carries out a command of another program. An input goes to its stdin; without one its output is read.
type run func(ctx context.Context, environ []string, input, name string, args ...string) (string, error)

func runCommand(ctx context.Context, environ []string, input, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.WaitDelay = environ, commandTime/4
	if input != "" {
		// No pipe for the output: xclip and wl-copy stay behind to serve the clipboard, and would hold it open.
		c.Stdin = strings.NewReader(input)
		return "", c.Run()
	}
	out, err := c.Output()
	return strings.TrimSpace(string(out)), err
}

// clipboard copies text to where the person can paste it.
type clipboard struct{ e *env }

// copy copies a text by every way there is, in the background, and says which it took; gather
// returns the text and what it is ("copied 3 lines"). The ways: OSC 52 through the terminal, which
// may be on another machine; the command of this one's desktop; and for lines a file, since neither
// of the first two says whether it worked.
func (c *clipboard) copy(gather func() (text, done string), file string) tea.Cmd {
	environ, run := c.e.opts.Environ, c.e.opts.run
	return c.e.jobs.do("copy", func(ctx context.Context) tea.Msg {
		text, done := gather()
		msg := copiedMsg{done: done}
		if text == "" {
			return msg
		}
		env := func(name string) string { return envOf(environ, name) }
		if env("TMUX") != "" {
			msg.throughTmux(ctx, environ, run, text)
		} else if len(text) <= copyLimit {
			msg.text, msg.screen = text, env("STY") != ""
			msg.ways = append(msg.ways, "the terminal (OSC 52)")
			if msg.screen {
				msg.ways[0] = "the terminal (OSC 52 through screen)"
			}
		} else {
			msg.hints = append(msg.hints, "too long for the terminal's OSC 52")
		}
		for _, cmd := range clipboardCommands(env) {
			if _, err := run(ctx, environ, text, cmd[0], cmd[1:]...); err == nil {
				msg.ways = append(msg.ways, cmd[0])
				break
			}
		}
		if file != "" {
			if err := hostfile.WritePrivate(file, []byte(text)); err == nil {
				msg.ways = append(msg.ways, file)
			} else if msg.err = err; len(msg.ways) > 0 {
				msg.hints = append(msg.hints, err.Error())
			}
		}
		if len(msg.ways) > 0 {
			msg.err = nil
		} else if msg.err == nil {
			msg.err = errors.New("no way to copy here")
		}
		return msg
	})
}

// text returns what copies a text; what names it in the line that says so.
func (c *clipboard) text(what string) func(text string) tea.Cmd {
	return func(text string) tea.Cmd {
		return c.copy(func() (string, string) { return text, "copied " + what }, "")
	}
}

// throughTmux copies inside of tmux, which takes OSC 52 from programs only when its set-clipboard says so.
func (msg *copiedMsg) throughTmux(ctx context.Context, environ []string, run run, text string) {
	setting, err := run(ctx, environ, "", "tmux", "show", "-gv", "set-clipboard")
	switch {
	case err == nil && setting == "on" && len(text) <= copyLimit:
		msg.text = text
		msg.ways = append(msg.ways, "tmux and the terminal (OSC 52)")
		return
	case err != nil:
		setting = "unknown"
	}
	// passed on to the terminal, from tmux 3.2 on
	if _, err := run(ctx, environ, text, "tmux", "load-buffer", "-w", "-"); err == nil {
		msg.ways = append(msg.ways, "tmux and the terminal")
		return
	}
	if _, err := run(ctx, environ, text, "tmux", "load-buffer", "-"); err == nil {
		msg.ways = append(msg.ways, "tmux's buffer")
	}
	msg.hints = append(msg.hints, fmt.Sprintf(
		"tmux's set-clipboard is %s; it passes copies on with: tmux set -g set-clipboard on", setting))
}

// clipboardCommands are the commands that may reach the clipboard of the desktop that this terminal
// is on, the likeliest first.
func clipboardCommands(env func(string) string) [][]string {
	var out [][]string
	if env("WAYLAND_DISPLAY") != "" {
		out = append(out, []string{"wl-copy"})
	}
	if env("DISPLAY") != "" {
		out = append(out, []string{"xclip", "-selection", "clipboard"},
			[]string{"xsel", "--clipboard", "--input"})
	}
	if env("SSH_CONNECTION") != "" {
		return out // what follows is the clipboard of the remote machine, which nobody sits at
	}
	switch {
	case runtime.GOOS == "darwin":
		out = append(out, []string{"pbcopy"})
	case runtime.GOOS == "windows" || env("WSL_DISTRO_NAME") != "":
		out = append(out, []string{"clip.exe"})
	}
	return out
}

// receive sends what goes through the terminal, and says where all went.
func (c *clipboard) receive(m tea.Msg) (tea.Cmd, bool) {
	msg, ok := m.(copiedMsg)
	switch {
	case !ok:
		return nil, false
	case msg.err != nil:
		c.e.status.fail("copy: " + msg.err.Error())
		return nil, true
	case len(msg.ways) == 0:
		c.e.status.set("nothing to copy")
		return nil, true
	}
	text := msg.done + " to " + strings.Join(msg.ways, ", ")
	c.e.status.set(strings.Join(slices.Insert(msg.hints, 0, text), "; "))
	switch {
	case msg.text == "":
		return nil, true
	case msg.screen:
		return tea.Raw(ansi.ScreenPassthrough(ansi.SetSystemClipboard(msg.text), screenChunk)), true
	}
	return tea.SetClipboard(msg.text), true
}

func envOf(environ []string, name string) string {
	for _, e := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}
