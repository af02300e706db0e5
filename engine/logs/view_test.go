package logs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var day = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at is a moment some milliseconds after noon.
func at(ms int) time.Time { return day.Add(time.Duration(ms) * time.Millisecond) }

// held gives all lines of a store, in the order of a view, by the slow and simple way.
func held(s *Store, f Filter) []Line {
	var out []Line
	for _, r := range *s.rings.Load() {
		if f.Mute[r.service] || f.Services != nil && !slices.Contains(f.Services, r.service) {
			continue
		}
		for _, c := range *r.list.Load() {
			b := c.body.Load()
			for i := range int(c.n.Load()) {
				rec := &b.records[i]
				l := (&heldRing{ring: r}).line(rec, b.line(rec))
				level := l.Level
				if level == LevelUnknown {
					level = Info
				}
				switch {
				case f.Replica != 0 && l.Replica != 0 && l.Replica != f.Replica,
					f.Stream != StreamUnknown && l.Stream != f.Stream,
					f.MinLevel != LevelUnknown && l.Stream != System && level < f.MinLevel,
					!f.Since.IsZero() && l.Time.Before(f.Since),
					!f.Until.IsZero() && !l.Time.Before(f.Until),
					f.Match != nil && f.Match.Match(Plain(nil, l.Text)) == f.Invert:
					continue
				}
				out = append(out, l)
			}
		}
	}
	slices.SortFunc(out, func(a, b Line) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return int(a.Seq) - int(b.Seq)
	})
	return out
}

func all(v *View) []Line {
	first, end := v.Bounds()
	return v.Lines(first, int(end-first))
}

func texts(lines []Line) string {
	var out []string
	for _, l := range lines {
		out = append(out, string(l.Text))
	}
	return strings.Join(out, " ")
}

func same(t *testing.T, got, want []Line) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("the view has %d lines, the store %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Seq != w.Seq || string(g.Text) != string(w.Text) || !g.Time.Equal(w.Time) ||
			g.Service != w.Service ||
			g.Level != w.Level || g.Stream != w.Stream || g.Replica != w.Replica ||
			g.Generation != w.Generation {
			t.Fatalf("line %d is\n%+v, want\n%+v", i, g, w)
		}
	}
}

// randomLine is a line of any form that the search treats in its own way.
func randomLine(r *rand.Rand) []byte {
	words := []string{"error", "ERROR", "warn", "timeout", "disk", "di\u017fk", "Bestellung für",
		"\x1b[31mer\x1b[0mror", "a\tb",
		"50%\rdone", "\xff\xfe", "order 12", "level=error", "ok", "k", "\u212a", "", "WARN",
		"\x1b[2K\x1b[1Gspin"}
	var b []byte
	for range r.IntN(6) {
		b = append(append(b, words[r.IntN(len(words))]...), ' ')
	}
	return b
}

func TestViewShowsWhatTheStoreHoldsInOrderOfTime(t *testing.T) {
	seeds := uint64(8)
	if raceEnabled {
		seeds = 2
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 7))
		s := New(Options{ServiceBytes: 24 << 10, TotalBytes: 64 << 10, MaxLine: 2 << 10})
		filters := []Filter{
			{},
			{Services: []string{"a", "b", "c"}, Mute: map[string]bool{"b": true}},
			{MinLevel: Warn},
			{Stream: Stderr, Replica: 2},
			{Match: regexp.MustCompile(`(?i)disk|error`)},
			{Match: regexp.MustCompile(`error`), Invert: true, MinLevel: Info},
			{Since: at(2000), Until: at(6000)},
		}
		var views []*View
		for _, f := range filters {
			views = append(views, s.View(f))
		}
		for round := range 60 {
			for range r.IntN(120) {
				service := string(rune('a' + r.IntN(6)))
				ms := round*100 + r.IntN(100)
				switch r.IntN(20) {
				case 0:
					ms -= r.IntN(3000) // late
				case 1:
					s.Separator(service, r.IntN(3), round, at(ms), "run ended")
					continue
				}
				text := randomLine(r)
				if r.IntN(200) == 0 {
					text = []byte(strings.Repeat("x", r.IntN(4<<10)))
				}
				s.Append(service, r.IntN(3), round, Stream(1+r.IntN(2)), at(ms), text)
			}
			if r.IntN(15) == 0 {
				s.Remove(string(rune('a' + r.IntN(6))))
			}
			for i, v := range views {
				if r.IntN(3) == 0 {
					continue // this one lags behind
				}
				v.Refresh()
				got := all(v)
				same(t, got, held(s, filters[i]))
				if len(got) == 0 {
					continue
				}
				first, end := v.Bounds()
				k := r.IntN(len(got))
				if ord, ok := v.Locate(got[k]); !ok || ord != first+int64(k) {
					t.Fatalf("line %d is located at %d, %v", k, ord-first, ok)
				}
				when := at(r.IntN(round*100 + 100))
				if want := slices.IndexFunc(got, func(l Line) bool { return !l.Time.Before(when) }); want < 0 {
					if v.At(when) != end {
						t.Fatalf("At after all lines is %d of %d", v.At(when)-first, end-first)
					}
				} else if v.At(when) != first+int64(want) {
					t.Fatalf("At is %d, want %d", v.At(when)-first, want)
				}
				checkNearest(t, v, got, k)
			}
		}
		if err := checkBytes(s); err != nil {
			t.Fatal(err)
		}
	}
}

// checkNearest compares Find and NextError from a line on with a walk over all lines.
func checkNearest(t *testing.T, v *View, lines []Line, from int) {
	t.Helper()
	re := regexp.MustCompile(`(?i)timeout|disk`)
	first, _ := v.Bounds()
	isError := func(l Line) bool { return l.Level >= Error }
	matches := func(l Line) bool { return re.Match(Plain(nil, l.Text)) }
	for _, forward := range []bool{true, false} {
		for name, is := range map[string]func(Line) bool{"error": isError, "match": matches} {
			want := -1
			for i := from; i >= 0 && i < len(lines) && want < 0; {
				if is(lines[i]) {
					want = i
				}
				if forward {
					i++
				} else {
					i--
				}
			}
			var ord int64
			var ok bool
			if name == "error" {
				ord, ok = v.NextError(first+int64(from), forward)
			} else {
				ord, ok = v.Find(t.Context(), re, first+int64(from), forward)
			}
			if ok != (want >= 0) || ok && ord != first+int64(want) {
				t.Fatalf("next %s from %d (forward %v) is %d %v, want %d", name, from, forward,
					ord-first, ok, want)
			}
		}
	}
}

// checkBytes compares what a store counts with what it holds.
func checkBytes(s *Store) error {
	var sum int64
	for name, r := range *s.rings.Load() {
		var own int64
		for _, c := range *r.list.Load() {
			own += c.body.Load().cost()
		}
		if own != r.bytes.Load() {
			return fmt.Errorf("%s counts %d bytes and holds %d", name, r.bytes.Load(), own)
		}
		sum += own
	}
	if sum != s.bytes.Load() {
		return fmt.Errorf("the store counts %d bytes and holds %d", s.bytes.Load(), sum)
	}
	return nil
}

func TestOrdinalsStayWhenOldLinesDrop(t *testing.T) {
	s := New(Options{ServiceBytes: 16 << 10})
	v := s.View(Filter{})
	names := map[uint64]int64{}
	for i := range 5000 {
		s.Append([]string{"noisy", "noisy", "noisy", "calm"}[i%4], 1, 1, Stdout, at(i),
			fmt.Appendf(nil, "line %d", i))
		if i%37 != 0 {
			continue
		}
		v.Refresh()
		first, _ := v.Bounds()
		for k, l := range all(v) {
			ord := first + int64(k)
			// A line before a hole moves up into it; behind the last hole names stay.
			if was, ok := names[l.Seq]; ok && was > ord {
				t.Fatalf("line %d moved back from %d to %d", l.Seq, was, ord)
			}
			names[l.Seq] = ord
		}
		if names[uint64(i+1)] != int64(i) {
			t.Fatalf("the newest of %d lines has the ordinal %d", i+1, names[uint64(i+1)])
		}
		if last, ok := v.Line(names[uint64(i+1)]); !ok || last.Seq != uint64(i+1) {
			t.Fatalf("the newest line is not where it was: %+v", last)
		}
	}
	if v.Dropped() == 0 {
		t.Fatal("nothing dropped, so nothing was tested")
	}
}

func TestLateLineIsPutInItsPlace(t *testing.T) {
	s := New(Options{})
	s.Append("a", 1, 1, Stdout, at(10), []byte("a10"))
	s.Append("a", 1, 1, Stdout, at(30), []byte("a30"))
	v := s.View(Filter{})
	anchor, _ := v.Line(1)
	s.Append("b", 1, 1, Stdout, at(20), []byte("b20"))
	s.Append("b", 1, 1, Stdout, at(5), []byte("b5"))
	if !v.Refresh() {
		t.Fatal("Refresh saw nothing new")
	}
	if got := texts(all(v)); got != "b5 a10 b20 a30" {
		t.Fatalf("order is %q", got)
	}
	if ord, ok := v.Locate(anchor); !ok || ord != 3 {
		t.Fatalf("a30 is located at %d, %v", ord, ok)
	}
	if v.Refresh() {
		t.Fatal("Refresh saw something new where nothing came")
	}
}

func TestUnknownLevelsCountAsInfoAndSeparatorsAlwaysShow(t *testing.T) {
	s := New(Options{})
	for i, text := range []string{"DEBUG d", "plain", "WARN w", "ERROR e", "\tat Foo.bar(Foo.java:3)"} {
		s.Append("a", 1, 1, Stdout, at(i), []byte(text))
	}
	s.Separator("a", 1, 1, at(9), "gen")
	for level, want := range map[Level]string{
		LevelUnknown: "DEBUG d plain WARN w ERROR e \tat Foo.bar(Foo.java:3) gen",
		Info:         "plain WARN w ERROR e \tat Foo.bar(Foo.java:3) gen",
		Error:        "ERROR e \tat Foo.bar(Foo.java:3) gen",
	} {
		if got := texts(all(s.View(Filter{MinLevel: level}))); got != want {
			t.Errorf("from %s on: %q, want %q", level, got, want)
		}
	}
}

func TestCountAgreesWithTheExpressionLineByLine(t *testing.T) {
	patterns := []string{"error", "(?i)error", "(?i)disk", "(?i)k", "error|warn|timeout",
		"(?i:ERR)or", "er{2}or", "o.*r", "^ok", "ok $",
		`\bor`, "für", "(?i)FÜR", "[a-z]+ \\d+", "", "r e", "\x1b", "(error )+warn", "done",
		"(a|b|c|d|e|f|g|h|i|j)x", "\ufffd", "spin"}
	r := rand.New(rand.NewPCG(1, 2))
	if raceEnabled {
		patterns = patterns[:3]
	}
	s := New(Options{})
	for i := range parallelLines + 4000 {
		text := randomLine(r)
		if i%3 == 0 { // stretches of one form, as real services write
			text = []byte("plain error line of order 12 timeout")
		}
		s.Append(string(rune('a'+r.IntN(4))), r.IntN(3), 1, Stdout, at(i), text)
	}
	for _, f := range []Filter{{}, {MinLevel: Error}, {Replica: 2}} {
		v, lines := s.View(f), held(s, f)
		for _, p := range patterns {
			re := regexp.MustCompile(p)
			want := 0
			for _, l := range lines {
				if re.Match(Plain(nil, l.Text)) {
					want++
				}
			}
			if got, err := v.Count(context.Background(), re); err != nil || got != want {
				t.Errorf("Count(%q) = %d, %v, want %d", p, got, err, want)
			}
			f.Match = re
			if p != "" {
				same(t, all(s.View(f)), held(s, f))
			}
			f.Match = nil
		}
	}
}

func TestCountEndsWithItsContext(t *testing.T) {
	v := filledStore(50_000, 3, benchLine).View(Filter{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := v.Count(ctx, regexp.MustCompile("order")); err != context.Canceled {
		t.Fatalf("Count gave %v", err)
	}
}

func TestViewReadsAsGoneWhatDroppedSinceRefresh(t *testing.T) {
	s := New(Options{ServiceBytes: 16 << 10})
	s.Append("a", 1, 1, Stdout, at(0), []byte("first"))
	v := s.View(Filter{})
	kept := all(v)[0]
	for i := range 10_000 {
		s.Append("a", 1, 1, Stdout, at(i), []byte("later and longer than the first"))
	}
	if l, ok := v.Line(0); ok {
		t.Fatalf("a line that dropped reads as %q", l.Text)
	}
	if string(kept.Text) != "first" {
		t.Fatalf("a line that was handed out became %q", kept.Text)
	}
	if got := v.Lines(0, 10); len(got) != 1 || got[0].Seq != 0 {
		t.Fatalf("Lines gives %+v", got)
	}
}

func TestContextShowsTheLinesOfAServiceAroundAMatch(t *testing.T) {
	s := New(Options{})
	put := func(from, to int) {
		for i := from; i < to; i++ {
			text := fmt.Sprintf("a%d", i)
			if i == 5 || i == 7 || i == 20 {
				text += " hit"
			}
			s.Append("a", 1, 1, Stdout, at(2*i), []byte(text))
			s.Append("b", 1, 1, Stdout, at(2*i+1), []byte(fmt.Sprintf("b%d", i)))
		}
	}
	put(0, 8)
	v := s.View(Filter{Match: regexp.MustCompile("hit"), Context: 2})
	texts := func() string {
		v.Refresh()
		out := ""
		for _, l := range all(v) {
			out += " " + strings.Fields(string(l.Text))[0]
		}
		return out
	}
	if got := texts(); got != " a3 a4 a5 a6 a7" {
		t.Errorf("at first: %s", got)
	}
	put(8, 20)
	if got := texts(); got != " a3 a4 a5 a6 a7 a8 a9" {
		t.Errorf("when more came: %s", got)
	}
	put(20, 22)
	if got := texts(); got != " a3 a4 a5 a6 a7 a8 a9 a18 a19 a20 a21" {
		t.Errorf("after another match: %s", got)
	}
}

// Lines that leave the store leave a view with context too, and it never shows one twice.
func TestContextOfAStoreThatForgets(t *testing.T) {
	s := New(Options{ServiceBytes: 64 << 10})
	v := s.View(Filter{Match: regexp.MustCompile("7$"), Context: 3})
	for round := range 40 {
		for i := range 500 {
			s.Append([]string{"a", "b"}[i%2], 1, 1, Stdout, at(round*500+i),
				[]byte(fmt.Sprintf("%s line %d", strings.Repeat("x", 40), round*500+i)))
		}
		v.Refresh()
		seen := map[uint64]bool{}
		last := time.Time{}
		for _, l := range all(v) {
			if l.Seq != 0 && (seen[uint64(l.Seq)] || l.Time.Before(last)) {
				t.Fatalf("round %d: line %d twice, or out of order", round, l.Seq)
			}
			seen[uint64(l.Seq)], last = true, l.Time
		}
	}
}
