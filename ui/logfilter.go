package ui

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// logFilter is which lines are to be seen, and the view of the store that shows them. A view for it may be on its way.
type logFilter struct {
	e     *env
	sel   *selection
	store *logs.Store
	adopt func(*logs.View) // takes a view up
	bound func() int64     // lines of the view that is shown

	have    logs.Filter // what is shown
	want    logs.Filter // what is to be shown
	gen     int         // of want
	shown   int         // gen of the view
	opening bool        // the view that is wanted is being made in the background

	solo   bool // only the selected service
	mutes  *mutes
	level  logs.Level
	stream logs.Stream    // StreamUnknown: both
	since  time.Time      // zero: from the first line on
	until  time.Time      // zero: up to the last one
	re     *regexp.Regexp // of the search
	only   bool           // only lines that match it
	around int            // with only: how many lines of the service before and after each
	invert bool           // only those that do not
}

// viewMsg is a view that was made in the background.
type viewMsg struct {
	gen  int
	view *logs.View
}

// inlineView is how many lines a store may hold for its view to be made in the event loop.
const inlineView = 20_000

// reopen makes the view that is wanted, in the background when that may take longer than a frame.
func (f *logFilter) reopen() tea.Cmd {
	if f.gen == f.shown {
		return nil
	}
	lines := f.bound()
	if h := &f.have; h.Services != nil || len(h.Mute) > 0 || narrows(h) {
		lines = inlineView + 1
		if st := f.store.Stats(); len(st) < 200 {
			lines = 0
			for _, s := range st {
				lines += s.Lines
			}
		}
	}
	gen, want, store := f.gen, f.want, f.store
	f.shown = gen
	if lines <= inlineView {
		f.show(store.View(want))
		return nil
	}
	f.opening = true
	return f.e.jobs.do("look through the logs", func(context.Context) tea.Msg {
		return viewMsg{gen: gen, view: store.View(want)}
	})
}

// show shows a view of what is wanted.
func (f *logFilter) show(v *logs.View) {
	f.have, f.opening = f.want, false
	f.adopt(v)
}

// scope says which services are to be seen, nil for all of them, and of one service which replica, 0
// for all. Services that are asked for by name are seen although they are muted.
func (f *logFilter) scope(services []string, replica int) {
	var mute map[string]bool
	if services == nil && f.mutes.any() {
		mute = f.mutes.names
	}
	w := &f.want
	if slices.Equal(w.Services, services) && (services == nil) == (w.Services == nil) &&
		w.Replica == replica && maps.Equal(w.Mute, mute) {
		return
	}
	w.Services, w.Replica, w.Mute = services, replica, maps.Clone(mute)
	f.gen++
}

// apply takes up the level, the stream, the time and the search.
func (f *logFilter) apply() {
	w := &f.want
	w.MinLevel, w.Stream, w.Since, w.Until = f.level, f.stream, f.since, f.until
	w.Match, w.Invert, w.Context = nil, false, 0
	if f.re != nil && (f.only || f.invert) {
		w.Match, w.Invert, w.Context = f.re, f.invert, f.around
	}
	f.gen++
}

// search has the filter go by another search; nil ends it.
func (f *logFilter) search(re *regexp.Regexp) {
	narrowed := f.want.Match != nil
	f.re = re
	if re == nil {
		f.only, f.invert, f.around = false, false, 0
	}
	if narrowed || f.only || f.invert {
		f.apply()
	}
}

// back takes the time, the stream or the level away; false when there is none.
func (f *logFilter) back() bool {
	switch {
	case !f.since.IsZero() || !f.until.IsZero():
		f.since, f.until = time.Time{}, time.Time{}
	case f.stream != logs.StreamUnknown:
		f.stream = logs.StreamUnknown
	case f.level != logs.LevelUnknown:
		f.level = logs.LevelUnknown
	default:
		return false
	}
	f.apply()
	return true
}

// narrows says whether a filter leaves out lines of the services that it shows.
func narrows(w *logs.Filter) bool {
	return w.MinLevel != logs.LevelUnknown || w.Stream != logs.StreamUnknown || w.Match != nil ||
		!w.Since.IsZero() || !w.Until.IsZero()
}

// shows says whether lines of a service are shown.
func (f *logFilter) shows(service string) bool {
	if f.have.Services == nil {
		return !f.have.Mute[service]
	}
	return slices.Contains(f.have.Services, service)
}

// nextLevel goes on to the next minimum level: info, warn, error, all.
func (f *logFilter) nextLevel() tea.Cmd {
	switch f.level {
	case logs.LevelUnknown:
		f.level = logs.Info
	case logs.Info:
		f.level = logs.Warn
	case logs.Warn:
		f.level = logs.Error
	default:
		f.level = logs.LevelUnknown
	}
	f.apply()
	return nil
}

// nextStream goes on to the next choice of streams: stderr, stdout, both.
func (f *logFilter) nextStream() tea.Cmd {
	switch f.stream {
	case logs.StreamUnknown:
		f.stream = logs.Stderr
	case logs.Stderr:
		f.stream = logs.Stdout
	default:
		f.stream = logs.StreamUnknown
	}
	f.apply()
	return nil
}

// timeText says which time the lines are of, "" for any.
func (f *logFilter) timeText(between string) string {
	since, until := clockText(f.since, f.e.now), clockText(f.until, f.e.now)
	switch {
	case f.since.IsZero() && f.until.IsZero():
		return ""
	case f.until.IsZero():
		return "since " + since
	case f.since.IsZero():
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

// scopeText says whose lines are shown, in one of three lengths, 0 the longest.
func (f *logFilter) scopeText(brief int) string {
	w := &f.want
	switch n := len(w.Services); {
	case w.Services != nil && n == 1 && w.Replica > 0:
		return target{service: w.Services[0], replica: w.Replica}.String()
	case w.Services != nil && n <= 3:
		return strings.Join(w.Services, ", ")
	case w.Services != nil:
		return fmt.Sprintf("%d services", n)
	case len(w.Mute) > 0 && brief < 2:
		return "all but " + strings.Join(slices.Sorted(maps.Keys(w.Mute)), ", ")
	case len(w.Mute) > 0:
		return fmt.Sprintf("%d muted", len(w.Mute))
	case narrows(w) && brief > 0:
		return ""
	case brief == 2:
		return "all"
	}
	return "all services"
}

// fileName says in a file's name whose lines it holds, and whether some were left out.
func (f *logFilter) fileName() string {
	w := &f.want
	who := "all"
	switch {
	case w.Services != nil && w.Replica > 0:
		who = fmt.Sprintf("%s-%d", strings.Join(w.Services, "+"), w.Replica)
	case w.Services != nil:
		who = strings.Join(w.Services, "+")
	case len(w.Mute) > 0:
		who = "all-but-" + strings.Join(slices.Sorted(maps.Keys(w.Mute)), "+")
	}
	who = who[:min(len(who), 60)]
	if narrows(w) {
		who += "-filtered"
	}
	return who
}

// noLinesYet is shown where nothing was written, and nothing is filtered.
const noLinesYet = "no log lines yet"

// emptyText says why no line is shown, and which key changes that.
func (f *logFilter) emptyText() string {
	switch {
	case f.want.Match != nil && !f.invert:
		return "no line matches; " + f.e.keyOf("only-matches") + " shows all again"
	case !f.since.IsZero() || !f.until.IsZero():
		return "no line " + f.timeText(" to ") + "; " + f.e.keyOf("back") + " shows all again"
	case f.stream != logs.StreamUnknown:
		return "no line on " + f.stream.String() + "; " + f.e.keyOf("stream") + " changes that"
	case f.level > logs.Info:
		return "no line of level " + f.level.String() + " or above; " + f.e.keyOf("level") + " changes that"
	case len(f.want.Mute) > 0:
		return "no line of services that are not muted; " + f.e.keyOf("unmute-all") + " unmutes all"
	}
	return noLinesYet
}

// titleParts are what the title says of the filter, in one of three lengths.
func (f *logFilter) titleParts(brief int) []string {
	var parts []string
	add := func(long, short string) {
		if brief > 0 {
			long = short
		}
		if long != "" {
			parts = append(parts, long)
		}
	}
	if f.level != logs.LevelUnknown {
		add("level >= "+f.level.String(), ">="+f.level.String())
	}
	if f.stream != logs.StreamUnknown {
		add(f.stream.String()+" only", f.stream.String())
	}
	add(f.timeText(" to "), f.timeText(".."))
	return parts
}
