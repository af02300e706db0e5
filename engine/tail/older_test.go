package tail

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// ranBefore opens a stage with a container that wrote lines before the program
// began; each of them times stands on several lines.
func ranBefore(t *testing.T, lines, each int, change func(*Options)) *stage {
	s := open(t, func(o *Options) {
		o.Last, o.Began = 50, time.Now().Add(24*time.Hour)
		if change != nil {
			change(o)
		}
	})
	s.rt.write("x")
	s.rt.start("x")
	for i := 0; i < lines; i += each {
		var texts []string
		for k := i; k < min(i+each, lines); k++ {
			texts = append(texts, fmt.Sprint("n ", k))
		}
		s.rt.write("x", texts...)
		time.Sleep(time.Millisecond)
	}
	time.Sleep(24 * time.Hour)
	s.see("x", 3, "", false)
	s.pass(time.Second)
	return s
}

func TestOlderLinesAreLoadedOnceAndToTheFirst(t *testing.T) {
	for _, c := range []struct{ each, fragments int }{{1, 1}, {3, 1}, {40, 1}, {6000, 1}, {1, 4}, {6000, 4}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const lines = 6000
				s := ranBefore(t, lines, c.each, nil)
				if got := s.byTime(); len(got) != 50 {
					t.Fatalf("%d lines of the tail, want 50", len(got))
				}
				s.rt.change("x", func(l *recordedLog) { l.fragments = c.fragments })
				if got, err := s.LoadOlder(t.Context(), []string{"a"}, time.Now()); err != nil ||
					got != (Older{}) {
					t.Errorf("nothing of what is seen begins there, and yet %+v, %v", got, err)
				}
				if got, err := s.LoadOlder(t.Context(), []string{"b"}, time.Time{}); err != nil ||
					got != (Older{}) {
					t.Errorf("of a service that is not there: %+v, %v", got, err)
				}
				written := lines
				for range 20 {
					got, err := s.LoadOlder(t.Context(), nil, time.Time{})
					if err != nil {
						t.Fatal(err)
					}
					s.rt.write("x", fmt.Sprint("n ", written)) // it goes on meanwhile
					written++
					s.pass(time.Millisecond)
					if !got.More {
						break
					}
				}
				seen := map[string]int{}
				for _, l := range s.byTime() {
					seen[l]++
				}
				for i := range written {
					if n := seen[fmt.Sprint("3 n ", i)]; n != 1 {
						t.Fatalf("line %d stands %d times among %d of %d", i, n, len(seen), written)
					}
				}
			})
		})
	}
}

func TestOlderLinesTakeNoMoreThanTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ranBefore(t, 5000, 2, func(o *Options) {
			o.Store = logs.New(logs.Options{ServiceBytes: 64 << 10})
		})
		var got Older
		for range 10 {
			var err error
			if got, err = s.LoadOlder(t.Context(), nil, time.Time{}); err != nil {
				t.Fatal(err)
			}
			if !got.More {
				break
			}
		}
		all := s.byTime()
		if !got.Full || len(all) < 100 || len(all) > 2000 || s.store.Dropped("a") > 0 {
			t.Errorf("%+v with %d lines held and %d dropped", got, len(all), s.store.Dropped("a"))
		}
		for i, l := range all {
			if want := fmt.Sprint("3 n ", 5000-len(all)+i); l != want {
				t.Fatalf("%q stands at place %d of %d, want %q", l, i, len(all), want)
			}
		}
	})
}

func TestLogThatWasReadFromItsFirstLineHasNothingOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		s.rt.write("x", "one", "two")
		s.pass(time.Second)
		if got, err := s.LoadOlder(t.Context(), nil, time.Time{}); err != nil || got != (Older{}) {
			t.Errorf("%+v, %v", got, err)
		}
		if len(s.rt.opened) != 1 {
			t.Errorf("the log was opened %d times, want once", len(s.rt.opened))
		}
	})
}

// broken is a runtime that reads no log to its end once it broke.
type broken struct {
	*recorded
	err error
}

func (b *broken) Logs(ctx context.Context, id string, o container.LogOptions, emit func(container.Line)) error {
	if !o.Follow && b.err != nil {
		return b.err
	}
	return b.recorded.Logs(ctx, id, o, emit)
}

type reasoned struct{ error }

func (reasoned) Reason() string { return "no space left" }

func TestErrorsOfOlderLinesNameTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broken{}
		s := ranBefore(t, 200, 1, func(o *Options) {
			b.recorded = o.Runtime.(*recorded)
			o.Runtime = b
		})
		for err, want := range map[error]string{
			errors.New("reset"):                        "read older lines of a: reset",
			reasoned{errors.New("log of x: reset")}:    "read older lines of a: no space left",
			fmt.Errorf("x: %w", container.ErrNotFound): "",
		} {
			b.err = err
			_, got := s.LoadOlder(t.Context(), nil, time.Time{})
			var older *OlderError
			if want == "" && got != nil || want != "" && (got == nil || got.Error() != want ||
				!errors.Is(got, err) || !errors.As(got, &older) || older.Service != "a") {
				t.Errorf("%v, want %q", got, want)
			}
		}
		b.err = nil
		if got, err := s.LoadOlder(t.Context(), nil, time.Time{}); err != nil || got.Lines != 150 {
			t.Errorf("once it is mended: %+v, %v", got, err)
		}
		b.err = container.ErrUnsupported
	})
}
