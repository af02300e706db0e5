package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAppendKeepsEverythingAboutALine(t *testing.T) {
	s := New(Options{})
	text := []byte("\x1b[31mERROR\x1b[0m boom")
	s.Append("web", 2, 7, Stderr, at(5), text)
	copy(text, "overwritten by the caller")
	l, ok := s.View(Filter{}).Line(0)
	if !ok || l.Seq != 1 || !l.Time.Equal(at(5)) || l.Service != "web" || l.Replica != 2 || l.Generation != 7 ||
		l.Stream != Stderr || l.Level != Error || string(l.Text) != "\x1b[31mERROR\x1b[0m boom" || l.Cut != 0 {
		t.Fatalf("the line came back as %+v", l)
	}
}

func TestLongLinesAreKeptUpToTheLimitAndSayWhatWasCut(t *testing.T) {
	s := New(Options{MaxLine: 100 << 10})
	s.Append("a", 1, 1, Stdout, at(1), bytes.Repeat([]byte("x"), 90_000))
	s.Append("a", 1, 1, Stdout, at(2), bytes.Repeat([]byte("é"), 60_000))
	s.AppendCut("a", 1, 1, Stdout, at(3), []byte("head"), 55)
	lines := all(s.View(Filter{}))
	if len(lines[0].Text) != 90_000 || lines[0].Cut != 0 {
		t.Errorf("90,000 bytes became %d, %d cut", len(lines[0].Text), lines[0].Cut)
	}
	if len(lines[1].Text) != 100<<10 || lines[1].Cut != 120_000-100<<10 || formOf(lines[1].Text) != valid {
		t.Errorf("120,000 bytes became %d, %d cut", len(lines[1].Text), lines[1].Cut)
	}
	if lines[2].Cut != 55 {
		t.Errorf("a line that had lost 55 bytes lost %d", lines[2].Cut)
	}
}

func TestRingDropsTheOldestAndCountsThem(t *testing.T) {
	s := New(Options{ServiceBytes: 64 << 10})
	const n = 5000
	for i := range n {
		s.Append("a", 1, 1, Stdout, at(i), fmt.Appendf(nil, "line %d", i))
	}
	v := s.View(Filter{})
	lines := all(v)
	if dropped := s.Dropped("a"); dropped == 0 || dropped+int64(len(lines)) != n || v.Dropped() != dropped {
		t.Fatalf("%d lines held and %d dropped of %d", len(lines), dropped, n)
	}
	for i, l := range lines {
		if want := fmt.Sprintf("line %d", n-len(lines)+i); string(l.Text) != want {
			t.Fatalf("line %d is %q, want %q", i, l.Text, want)
		}
	}
	st := s.Stats()[0]
	if st.Bytes > 64<<10 || st.Bytes < 48<<10 {
		t.Errorf("a full ring of 64 KiB holds %d bytes", st.Bytes)
	}
}

func TestTotalBoundTakesFromWhoHoldsMost(t *testing.T) {
	s := New(Options{ServiceBytes: 1 << 20, TotalBytes: 1 << 20})
	for i := range 50 {
		s.Append("calm", 1, 1, Stdout, at(i), []byte("a line that matters"))
	}
	for i := range 20_000 {
		for _, name := range []string{"loud", "louder", "loudest"} {
			s.Append(name, 1, 1, Stdout, at(i),
				[]byte("one of very many lines of a service that does not stop"))
		}
	}
	if got := s.bytes.Load(); got > 1<<20 {
		t.Errorf("a store of 1 MiB holds %d bytes", got)
	}
	if s.Dropped("calm") != 0 {
		t.Errorf("the calm service lost %d lines", s.Dropped("calm"))
	}
	for _, st := range s.Stats()[1:] {
		if st.Lines < 2000 {
			t.Errorf("%s holds %d lines", st.Service, st.Lines)
		}
	}
	if err := checkBytes(s); err != nil {
		t.Error(err)
	}
}

func TestOlderLinesLoadedLaterDoNotPushOutNewerOnes(t *testing.T) {
	s := New(Options{ServiceBytes: 64 << 10})
	for i := range 200 {
		s.Append("a", 1, 1, Stdout, at(1_000_000+i), []byte("tail"))
	}
	if room := s.Room("a"); room < 32<<10 || room > 64<<10 {
		t.Errorf("there is room for %d bytes", room)
	}
	for i := range 20_000 {
		s.Append("a", 1, 1, Stdout, at(i), []byte("history"))
	}
	tail := 0
	lines := all(s.View(Filter{}))
	for _, l := range lines {
		if string(l.Text) == "tail" {
			tail++
		}
	}
	if tail != 200 || string(lines[len(lines)-1].Text) != "tail" || s.Dropped("a") == 0 {
		t.Fatalf("%d of 200 lines of the tail are left", tail)
	}
	if s.Room("a") != 0 {
		t.Errorf("a full ring has room for %d bytes", s.Room("a"))
	}
}

func TestCountedBytesAreWhatTheStoreTakes(t *testing.T) {
	measure := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := measure()
	s := New(Options{ServiceBytes: 2 << 20, TotalBytes: 8 << 20})
	for i := range 100_000 {
		s.Append([]string{"a", "b", "c", "d", "e"}[i%5], 1, 1, Stdout, at(i), benchLine(i))
	}
	v := s.View(Filter{})
	grown, counted := int64(measure()-before), s.bytes.Load()
	if grown > counted+1<<20 || grown < counted/2 {
		t.Errorf("the store counts %d bytes and takes %d", counted, grown)
	}
	runtime.KeepAlive(v)
}

func TestRemoveForgetsAServiceAndItMayComeBack(t *testing.T) {
	s := New(Options{})
	s.Append("a", 1, 1, Stdout, at(1), []byte("old"))
	s.Append("b", 1, 1, Stdout, at(2), []byte("other"))
	v := s.View(Filter{})
	before := s.Changed()
	s.Remove("a")
	s.Remove("nobody")
	if s.Changed() == before || !v.Refresh() || texts(all(v)) != "other" {
		t.Fatalf("after Remove the view shows %q", texts(all(v)))
	}
	s.Append("a", 1, 1, Stdout, at(3), []byte("new"))
	v.Refresh()
	if texts(all(v)) != "other new" || len(s.Stats()) != 2 {
		t.Fatalf("after it came back the view shows %q", texts(all(v)))
	}
}

func TestStatsAndRatesCountLinesAndErrors(t *testing.T) {
	s := New(Options{})
	for i := range 100 {
		text := "fine"
		if i%10 == 0 {
			text = "ERROR not"
		}
		s.Append("a", 1, 1, Stdout, day.Add(time.Duration(i)*100*time.Millisecond), []byte(text))
	}
	s.Append("a", 1, 1, Stdout, day.Add(-time.Hour), []byte("ERROR long ago"))
	st := s.Stats()[0]
	if st.Lines != 101 || st.Total != 101 || st.Errors != 11 ||
		!st.LastError.Equal(day.Add(9*time.Second)) || !st.LastLine.Equal(day.Add(9900*time.Millisecond)) {
		t.Errorf("stats are %+v", st)
	}
	lines, errs := s.Rates("a", day.Add(9*time.Second), 2*time.Second, 4)
	if !slices.Equal(lines, []int{20, 20, 20, 20}) || !slices.Equal(errs, []int{2, 2, 2, 2}) {
		t.Errorf("rates are %v and %v", lines, errs)
	}
	if lines, _ := s.Rates("nobody", day, time.Second, 3); !slices.Equal(lines, []int{0, 0, 0}) {
		t.Errorf("rates of nobody are %v", lines)
	}
}

func TestWaitReturnsWithTheNextLineAndWithItsContext(t *testing.T) {
	s := New(Options{})
	seen := s.Changed()
	done := make(chan error)
	go func() { done <- s.Wait(context.Background(), seen) }()
	s.Append("a", 1, 1, Stdout, at(1), []byte("x"))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- s.Wait(ctx, s.Changed()) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("Wait gave %v", err)
	}
}

func TestFollowerGivesEveryLineOnceOrCountsItMissed(t *testing.T) {
	s := New(Options{ServiceBytes: 256 << 10, TotalBytes: 1 << 20})
	const writers, each = 4, 15_000
	ctx, cancel := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				s.Append(fmt.Sprintf("service-%d", w/2), w, 1, Stdout, at(i), fmt.Appendf(nil, "%d", i))
			}
		})
	}
	go func() {
		writing.Wait()
		cancel()
	}()
	f := s.Follow(Filter{})
	last := map[int]int{}
	got := int64(0)
	for {
		lines, err := f.Next(ctx, nil)
		if err != nil {
			break
		}
		for _, l := range lines {
			var i int
			if _, err := fmt.Sscan(string(l.Text), &i); err != nil || i < last[l.Replica] {
				t.Fatalf("replica %d gives %q after %d", l.Replica, l.Text, last[l.Replica])
			}
			last[l.Replica] = i + 1
			got++
		}
	}
	if got+f.Missed() != writers*each {
		t.Fatalf("%d lines given and %d missed of %d", got, f.Missed(), writers*each)
	}
}

func TestFollowerStartsWithWhatIsThere(t *testing.T) {
	s := New(Options{})
	for i := range 3000 {
		s.Append("a", i%3, 1, Stdout, at(i), []byte("x"))
	}
	f := s.Follow(Filter{Replica: 2, Match: regexp.MustCompile("x")})
	n := 0
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var lines []Line
	for err := error(nil); err == nil; {
		lines, err = f.Next(ctx, lines)
		n += len(lines)
	}
	if n != 2000 || f.Missed() != 0 {
		t.Fatalf("%d lines, %d missed", n, f.Missed())
	}
}

func TestReadersSeeWholeLinesWhileWritersWrite(t *testing.T) {
	s := New(Options{ServiceBytes: 64 << 10, TotalBytes: 160 << 10})
	ctx, cancel := context.WithCancel(context.Background())
	var writing, reading sync.WaitGroup
	for w := range 3 {
		writing.Go(func() {
			name := string(rune('a' + w))
			for i := range 20_000 {
				s.Append(name, 1, 1, Stdout, at(i-w*50), bytes.Repeat([]byte{'a' + byte(i%26)}, 1+i%90))
				if i%7000 == 6999 && w == 0 {
					s.Remove(name)
				}
			}
		})
	}
	whole := func(l Line) {
		if l.Seq != 0 && len(bytes.Trim(l.Text, string(l.Text[:1]))) > 0 {
			t.Errorf("a torn line: %q", l.Text)
		}
	}
	re := regexp.MustCompile("(?i)KKKK")
	for range 2 {
		reading.Go(func() {
			v := s.View(Filter{})
			for ctx.Err() == nil {
				v.Refresh()
				first, end := v.Bounds()
				lines := v.Lines(first, 40)
				head := len(lines) // the tail that follows may begin anywhere
				lines = append(lines, v.Lines(end-40, 40)...)
				for i, l := range lines {
					whole(l)
					if i > 0 && i < head && l.Seq != 0 && l.Time.Before(lines[i-1].Time) {
						t.Errorf("line %d is before the one before it", i)
					}
				}
				if _, err := v.Count(ctx, re); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				v.Find(t.Context(), re, first, true)
				v.At(at(5000))
				s.Stats()
			}
		})
	}
	writing.Wait()
	cancel()
	reading.Wait()
	v := s.View(Filter{})
	same(t, all(v), held(s, Filter{}))
}

func TestExportWritesTextAndJSONLines(t *testing.T) {
	s := New(Options{})
	s.Append("web", 1, 3, Stderr, at(1), []byte("\x1b[31mERROR\x1b[0m <b>\tx"))
	s.Append("web", 2, 1, Stdout, at(2), []byte("fine"))
	s.Separator("web", 2, 1, at(3), "run 1 ended")
	s.AppendCut("db", 1, 1, Stdout, at(4), []byte("long"), 9)
	v := s.View(Filter{})
	var text, lines bytes.Buffer
	if err := errors.Join(v.Export(&text, FormatText), v.Export(&lines, FormatJSON)); err != nil {
		t.Fatal(err)
	}
	stamp := func(ms int) string { return at(ms).Local().Format("2006-01-02T15:04:05.000000Z07:00") }
	want := stamp(1) + " web ERROR <b>       x\n" + stamp(2) + " web-2 fine\n" + stamp(3) +
		" web-2 run 1 ended\n" + stamp(4) + " db long [9 bytes cut]\n"
	if text.String() != want {
		t.Errorf("text is\n%s\nwant\n%s", text.String(), want)
	}
	if want := `{"time":"2026-11-23T12:00:00.001000000Z","kind":"log","service":"web","replica":1,"generation":3,"stream":"stderr","level":"error","line":"ERROR <b>       x"}`; !strings.HasPrefix(lines.String(), want+"\n") {
		t.Errorf("JSON is\n%s\nwant\n%s", lines.String(), want)
	}
	for line := range strings.Lines(lines.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if err := v.Export(failing{}, FormatText); err == nil || !strings.Contains(err.Error(),
		"export logs: disk full") {
		t.Errorf("a full disk gives %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A clock that went back leaves lines whose time has not come: they are kept, and count for no rate.
func TestStampThatHasNotComeSpoilsNoFigure(t *testing.T) {
	s := New(Options{})
	now := time.Now().Truncate(time.Second)
	s.Append("a", 1, 1, Stdout, now.Add(300*time.Hour), []byte("ERROR from tomorrow"))
	for range 5 {
		s.Append("a", 1, 1, Stdout, now, []byte("now"))
	}
	if lines, _ := s.Rates("a", now, time.Second, 1); lines[0] != 5 {
		t.Errorf("rate %v, want 5", lines)
	}
	if st := s.Stats()[0]; !st.LastLine.Equal(now) || st.Lines != 6 {
		t.Errorf("%d lines, the last at %v, want 6 at %v", st.Lines, st.LastLine, now)
	}
}
