package ui

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// logSearch is the search of the log pane: the box in which it is typed, how many lines match, and
// the way to the next one.
type logSearch struct {
	e      *env
	store  *logs.Store
	filter *logFilter
	win    *logWindow
	format *lineFormat
	settle func() tea.Cmd // has the pane go by the search
	box    searchBox

	re      *regexp.Regexp
	query   string
	matches int64 // lines that match
	total   int64 // of so many

	counter     *logs.Counter
	counting    bool // it is being asked
	counted     bool // it had searched all there was
	countedFor  countKey
	countingFor countKey
	endCount    func() // ends the one that runs

	finding int // number of the last search for a line
	endFind func()
}

// countKey is what a count of matches was made for.
type countKey struct {
	query   string
	gen     int
	changed uint64
}

type (
	foundMsg struct {
		number  int // of the search
		line    logs.Line
		ok      bool
		wrapped bool
		what    string
	}
	countMsg struct {
		counter *logs.Counter
		key     countKey
		matches int64
		total   int64
		more    bool // there are lines that were not searched yet
		ended   bool // it was canceled
	}
)

func newLogSearch(
	e *env, filter *logFilter, win *logWindow, format *lineFormat, settle func() tea.Cmd,
) *logSearch {
	return &logSearch{e: e, store: filter.store, filter: filter, win: win, format: format,
		settle: settle, box: newSearchBox(), endCount: func() {}, endFind: func() {}}
}

// on says whether there is a search.
func (s *logSearch) on() bool { return s.re != nil }

// lookFor looks for re from now on; nil ends the search.
func (s *logSearch) lookFor(query string, re *regexp.Regexp) {
	s.query, s.re = query, re
	if re == nil {
		s.matches, s.total = 0, 0
	}
	s.countedFor, s.counted = countKey{}, false
	s.endFind()
	s.finding++
	s.filter.search(re)
	s.format.re = re
	s.format.dropCache()
}

// receive takes in what was found and what was counted.
func (s *logSearch) receive(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case foundMsg:
		s.found(msg)
		return nil, true
	case countMsg:
		s.counting = false
		if !msg.ended && msg.counter == s.counter {
			s.countedFor, s.counted = msg.key, !msg.more
			s.matches, s.total = msg.matches, msg.total
		}
		return s.recount(), true
	}
	return nil, false
}

// match is the action that goes to the next match from the cursor, all around.
func (s *logSearch) match(forward bool) func() tea.Cmd {
	return func() tea.Cmd {
		re := s.re
		if re == nil {
			return nil
		}
		return s.find("match for "+s.query, forward, func(ctx context.Context, v *logs.View,
			from int64, forward bool) (int64, bool) {
			return v.Find(ctx, re, from, forward)
		})
	}
}

// error is the action that goes to the next line of an error.
func (s *logSearch) error(forward bool) func() tea.Cmd {
	return func() tea.Cmd {
		return s.find("error", forward, func(_ context.Context, v *logs.View, from int64,
			forward bool) (int64, bool) {
			return v.NextError(from, forward)
		})
	}
}

// find searches in the background, in a fork of the view: a store may hold millions of lines. Another search ends it.
func (s *logSearch) find(
	what string, forward bool, look func(context.Context, *logs.View, int64, bool) (int64, bool),
) tea.Cmd {
	s.endFind()
	s.finding++
	number, store, filter, cur, follow := s.finding, s.store, s.filter.want, s.win.cur.line, s.win.follow
	var v *logs.View
	if !s.filter.opening {
		v = s.win.view.Fork()
	}
	ctx, cancel := context.WithCancel(s.e.jobs.ctx)
	s.endFind = cancel
	return s.e.jobs.do("search the logs", func(context.Context) tea.Msg {
		defer cancel()
		if v == nil {
			v = store.View(filter) // the one that is wanted is not there yet
		}
		first, end := v.Bounds()
		from := end - 1
		if follow {
			forward = false // what is wanted while following is the latest
		} else {
			if ord, ok := v.Locate(cur); ok {
				from = ord
			}
			if forward {
				from++
			} else {
				from--
			}
		}
		ord, ok := look(ctx, v, from, forward)
		wrapped := false
		if !ok && !follow { // while following, all of it was searched
			wrapped = true
			if forward {
				ord, ok = look(ctx, v, first, true)
			} else {
				ord, ok = look(ctx, v, end-1, false)
			}
		}
		line, there := v.Line(ord)
		return foundMsg{number: number, line: line, ok: ok && there, wrapped: wrapped, what: what}
	})
}

// found goes to what find found.
func (s *logSearch) found(msg foundMsg) {
	if msg.number != s.finding {
		return // it was for another search
	}
	if !msg.ok {
		s.e.status.set("no " + msg.what + " in these lines")
		return
	}
	if ord, ok := s.win.view.Locate(msg.line); ok {
		s.win.show(ord)
		if msg.wrapped {
			s.e.status.set("wrapped around")
		}
	}
}

// countSlice is how long a count runs before what it has is shown.
const countSlice = 60 * time.Millisecond

// recount counts the matching lines: at once for another search, then again when there are new
// ones, at most once a second. What takes long is shown as it grows.
func (s *logSearch) recount() tea.Cmd {
	key := countKey{query: s.query, gen: s.filter.gen, changed: s.store.Changed()}
	same := s.re != nil && s.countingFor.query == key.query && s.countingFor.gen == key.gen
	if !same {
		s.endCount() // a count for another search is of no use any more
		s.counter = nil
	}
	if s.re == nil || s.counting || same && s.counted && key == s.countedFor {
		return nil
	}
	pause := time.Duration(0)
	if s.counter == nil {
		filter := s.filter.want
		filter.Match, filter.Invert = nil, false
		s.counter = s.store.Counter(filter, s.re)
	} else if s.counted {
		pause = time.Second
	}
	ctx, cancel := context.WithCancel(s.e.jobs.ctx)
	s.counting, s.countingFor, s.endCount = true, key, cancel
	counter := s.counter
	return s.e.jobs.do("count matches", func(context.Context) tea.Msg {
		defer cancel()
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return countMsg{counter: counter, ended: true}
		}
		slice, done := context.WithTimeout(ctx, countSlice)
		defer done()
		n, total, err := counter.Count(slice)
		switch {
		case err == nil, errors.Is(err, context.DeadlineExceeded):
			return countMsg{counter: counter, key: key, matches: n, total: total, more: err != nil}
		case ctx.Err() != nil:
			return countMsg{counter: counter, ended: true}
		}
		return fatalMsg{err: err}
	})
}

// countText says how many lines match.
func (s *logSearch) countText() string {
	text := fmt.Sprintf("%s of %s lines", thousands(s.matches), thousands(s.total))
	if !s.counted {
		text += " so far"
	}
	return text
}

// foot is the line about the search, "" without one.
func (s *logSearch) foot(w int) string {
	if s.box.open {
		note := ""
		if s.re != nil && s.countedFor.query == s.query {
			note = s.e.st.dim.s("    " + s.countText())
		}
		return s.box.line(&s.e.st, note, w)
	}
	if s.re == nil {
		return ""
	}
	count := "counting"
	if s.countedFor.query == s.query {
		count = s.countText()
	}
	switch {
	case s.filter.invert:
		count += ", " + s.e.st.warn.s("without these")
	case s.filter.around > 0:
		count += ", " + s.e.st.warn.s(fmt.Sprintf("these with %d around", s.filter.around))
	case s.filter.only:
		count += ", " + s.e.st.warn.s("only these")
	}
	key := s.e.keyOf
	head := " " + s.e.st.key.s("/"+s.query+"/") + "  " + count
	for _, hint := range []string{"esc clear", key("next-match") + "/" + key("previous-match") + " next",
		key("only-matches") + " only matches", key("invert") + " invert", key("follow") + " follow"} {
		if width(head)+2+width(hint) > w {
			break
		}
		head += "  " + s.e.st.dim.s(hint)
	}
	return head
}

// open opens the search box.
func (s *logSearch) open() tea.Cmd {
	s.e.focusPane(paneLogs)
	s.box.start(s.query, s.re)
	return nil
}

func (s *logSearch) cancel() { s.box.open = false }

func (s *logSearch) key(k tea.KeyPressMsg) tea.Cmd {
	e := s.box.key(k)
	enter := k.String() == "enter"
	cmd := s.applyEdit(e)
	if enter {
		return tea.Batch(cmd, s.match(false)())
	}
	return cmd
}

func (s *logSearch) paste(text string) tea.Cmd {
	s.box.input.insert(oneLine(text))
	return s.applyEdit(editTyped)
}

func (s *logSearch) cursor(r rect) (x, y int, ok bool) {
	return r.x + s.box.x, r.y + r.h - 1, s.box.open && r.h > 2
}

// applyEdit takes up what became of the query in the search box.
func (s *logSearch) applyEdit(e edit) tea.Cmd {
	box := &s.box
	switch e {
	case editTyped:
		s.lookFor(box.query())
	case editUndo:
		s.lookFor(box.old, box.oldRe)
	case editClear:
		s.lookFor("", nil)
	}
	return s.settle()
}
