package ui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// scope says which services are to be seen, nil for all of them, and of one service which replica, 0 for all. Services that are
// asked for by name are seen although they are muted.
func (p *logPane) scope(services []string, replica int) {
	var mute map[string]bool
	if services == nil && len(p.muted) > 0 {
		mute = p.muted
	}
	w := &p.want
	if slices.Equal(w.Services, services) && (services == nil) == (w.Services == nil) && w.Replica == replica && maps.Equal(w.Mute, mute) {
		return
	}
	w.Services, w.Replica, w.Mute = services, replica, maps.Clone(mute)
	p.gen++
}

// refilter takes up the level, the stream, the time and the search.
func (p *logPane) refilter() {
	w := &p.want
	w.MinLevel, w.Stream, w.Since, w.Until = p.level, p.stream, p.since, p.until
	w.Match, w.Invert = nil, false
	if p.re != nil && (p.only || p.invert) {
		w.Match, w.Invert = p.re, p.invert
	}
	p.gen++
}

// narrowed tells whether lines of the services that the pane shows are left out.
func (p *logPane) narrowed() bool {
	w := &p.want
	return w.MinLevel != logs.LevelUnknown || w.Stream != logs.StreamUnknown || w.Match != nil || !w.Since.IsZero() || !w.Until.IsZero()
}

// muteTargets are the services that the mute key is about: that of the cursor's line, else those that verbs act on.
func (m *Model) muteTargets() []string {
	if m.focus == paneLogs && !m.log.follow && m.log.cur.line.Service != "" {
		return []string{m.log.cur.line.Service}
	}
	names, _ := m.targets()
	return names
}

func canMute(m *Model) bool { return len(m.muteTargets()) > 0 }

// allMuted tells whether the mute key would let its services be heard again.
func (m *Model) allMuted() bool {
	return !slices.ContainsFunc(m.muteTargets(), func(name string) bool { return !m.log.muted[name] })
}

func muteLabel(m *Model) string {
	if m.allMuted() {
		return "unmute"
	}
	return "mute"
}

func doMute(m *Model) tea.Cmd {
	p, names := &m.log, m.muteTargets()
	who := strings.Join(names, ", ")
	if m.allMuted() {
		for _, name := range names {
			delete(p.muted, name)
		}
		m.say(who + " unmuted")
		return nil
	}
	for _, name := range names {
		p.muted[name] = true
	}
	text := fmt.Sprintf("%s muted, %s unmutes", who, m.keyOf("unmute-all"))
	if p.want.Services != nil {
		text += "; it shows where all services do"
	}
	m.say(text)
	return nil
}

func anyMuted(m *Model) bool { return len(m.log.muted) > 0 }

func doUnmuteAll(m *Model) tea.Cmd {
	m.say(strings.Join(slices.Sorted(maps.Keys(m.log.muted)), ", ") + " unmuted")
	clear(m.log.muted)
	return nil
}

func doStream(m *Model) tea.Cmd {
	switch p := &m.log; p.stream {
	case logs.StreamUnknown:
		p.stream = logs.Stderr
	case logs.Stderr:
		p.stream = logs.Stdout
	default:
		p.stream = logs.StreamUnknown
	}
	m.log.refilter()
	return nil
}

// windowText says which time the lines are of, "" for any.
func (p *logPane) windowText(now time.Time, between string) string {
	since, until := clockText(p.since, now), clockText(p.until, now)
	switch {
	case p.since.IsZero() && p.until.IsZero():
		return ""
	case p.until.IsZero():
		return "since " + since
	case p.since.IsZero():
		return "until " + until
	}
	return since + between + until
}

// clockText is a moment as the clock shows it, with the day where it is another one than now's.
func clockText(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	switch {
	case t.IsZero():
		return ""
	case t.Format(time.DateOnly) != now.Format(time.DateOnly):
		return t.Format("Jan 2 15:04:05")
	}
	return t.Format(time.TimeOnly)
}

// title says what the pane shows, in at most w cells where words can be spared.
func (p *logPane) title(m *Model, w int) string {
	for brief := range 2 {
		if text := p.titleOf(m, brief); width(text) <= w {
			return text
		}
	}
	return p.titleOf(m, 2)
}

// titleOf is the title in one of three lengths, 0 the longest. What is narrowed stays longest: that all services are shown is told
// by no name being there.
func (p *logPane) titleOf(m *Model, brief int) string {
	var parts []string
	add := func(long, short string) {
		if brief > 0 {
			long = short
		}
		if long != "" {
			parts = append(parts, long)
		}
	}
	scope := p.scopeText(brief)
	add(scope, scope)
	older := p.olderText()
	add(older, older)
	if p.follow {
		add("following", "following")
	} else {
		_, end := p.view.Bounds()
		below := thousands(max(end-1-p.bottomOrd(), 0)) + " below"
		add(m.st.warn.s("paused, "+below), m.st.warn.s(below))
	}
	if p.level != logs.LevelUnknown {
		add("level >= "+p.level.String(), ">="+p.level.String())
	}
	if p.stream != logs.StreamUnknown {
		add(p.stream.String()+" only", p.stream.String())
	}
	add(p.windowText(m.now, " to "), p.windowText(m.now, ".."))
	return strings.Join(parts, " · ")
}

// scopeText says whose lines are shown.
func (p *logPane) scopeText(brief int) string {
	w := &p.want
	switch n := len(w.Services); {
	case w.Services != nil && n == 1 && w.Replica > 0:
		return target{w.Services[0], w.Replica}.String()
	case w.Services != nil && n <= 3:
		return strings.Join(w.Services, ", ")
	case w.Services != nil:
		return fmt.Sprintf("%d services", n)
	case len(w.Mute) > 0 && brief < 2:
		return "all but " + strings.Join(slices.Sorted(maps.Keys(w.Mute)), ", ")
	case len(w.Mute) > 0:
		return fmt.Sprintf("%d muted", len(w.Mute))
	case p.narrowed() && brief > 0:
		return ""
	case brief == 2:
		return "all"
	}
	return "all services"
}

// bottomOrd is the ordinal of the last line that is seen.
func (p *logPane) bottomOrd() int64 {
	if len(p.seen) == 0 {
		return p.lastOrd()
	}
	return p.seen[len(p.seen)-1].ord
}

func (p *logPane) emptyText(m *Model) string {
	switch {
	case p.want.Match != nil && !p.invert:
		return "no line matches; " + m.keyOf("only-matches") + " shows all again"
	case !p.since.IsZero() || !p.until.IsZero():
		return "no line " + p.windowText(m.now, " to ") + "; " + m.keyOf("back") + " shows all again"
	case p.stream != logs.StreamUnknown:
		return "no line on " + p.stream.String() + "; " + m.keyOf("stream") + " changes that"
	case p.level > logs.Info:
		return "no line of level " + p.level.String() + " or above; " + m.keyOf("level") + " changes that"
	case len(p.want.Mute) > 0:
		return "no line of services that are not muted; " + m.keyOf("unmute-all") + " unmutes all"
	}
	return "no log lines yet"
}

func streamLabel(m *Model) string {
	switch m.log.stream {
	case logs.Stderr:
		return "stdout"
	case logs.Stdout:
		return "both streams"
	}
	return "stderr"
}
