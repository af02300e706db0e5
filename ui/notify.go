package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine"
)

// alarm rings when something broke since before and nobody looks.
func (m *Model) alarm(before *engine.Snapshot) tea.Cmd {
	if m.opts.Config.Notify == "" || m.opts.Config.Notify == "none" || !m.blurred || len(before.Records) == 0 {
		return nil
	}
	last := before.Records[len(before.Records)-1].Seq
	for _, r := range m.snap.Records {
		if r.Seq <= last || r.Err == "" && r.State != engine.StateBroken {
			continue
		}
		text := oneLine(ansi.Strip(strings.TrimSpace(r.Service + " " + recordText(r))))
		if m.opts.Config.Notify == "desktop" {
			return tea.Raw("\x1b]9;bulkhead: " + text + "\x07")
		}
		return tea.Raw("\x07")
	}
	return nil
}
