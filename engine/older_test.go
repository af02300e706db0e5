package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// numbered gives the numbers of the lines "n NUMBER" of a service, in the order of the store.
func (s *stage) numbered(service string) []int {
	var out []int
	for _, l := range s.lines(service) {
		var n int
		if i := strings.Index(l, "stdout n "); i >= 0 {
			if _, err := fmt.Sscanf(l[i:], "stdout n %d", &n); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// TestOlderLinesAreLoadedOnceAndToTheFirst has a container with a long log, which goes on while pages of it are loaded.
func TestOlderLinesAreLoadedOnceAndToTheFirst(t *testing.T) {
	const lines = 6000
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %s, command: ["sh", "-c", "for i in $$(seq 0 %d); do echo n $$i; done; echo written; i=%d; while :; do echo n $$i; i=$$((i+1)); sleep 0.01; done"]}
`, baseImage, lines-1, lines)})
	s.up()
	s.line("a", "written")
	if got, err := s.LoadOlder(t.Context(), nil, time.Time{}); err != nil || got != (engine.Older{}) {
		t.Errorf("of a log that was read from its first line: %+v, %v", got, err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.run(engine.Options{LogTail: 50, NoWatch: true})
	s.until("the tail", func(*engine.Snapshot) bool { return len(s.numbered("a")) >= 50 })
	if first := s.numbered("a")[0]; first < lines-50 {
		t.Fatalf("the tail begins with line %d, want the last ones", first)
	}
	if got, err := s.LoadOlder(t.Context(), []string{"a"}, time.Now()); err != nil || got.Lines != 0 || got.More {
		t.Errorf("nothing of what is seen begins there, and yet %+v, %v", got, err)
	}
	for range 20 {
		got, err := s.LoadOlder(t.Context(), []string{"a"}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if !got.More {
			break
		}
	}
	all := s.numbered("a")
	for i, n := range all {
		if n != i {
			t.Fatalf("line %d stands at place %d of %d", n, i, len(all))
		}
	}
	if len(all) < lines {
		t.Fatalf("%d lines, want at least %d", len(all), lines)
	}
}

func TestOlderLinesTakeNoMoreThanTheRoom(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  a: {image: ` + baseImage + `, command: ["sh", "-c", "for i in $$(seq 0 4999); do echo n $$i some more text to fill the line; done; echo written; sleep 1000"]}
`})
	s.up()
	s.line("a", "written")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.run(engine.Options{LogTail: 50, NoWatch: true, Logs: logs.New(logs.Options{ServiceBytes: 64 << 10})})
	s.until("the tail", func(*engine.Snapshot) bool { return len(s.numbered("a")) == 49 })
	var got engine.Older
	for range 10 {
		var err error
		if got, err = s.LoadOlder(t.Context(), nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if !got.More {
			break
		}
	}
	all := s.numbered("a")
	if !got.Full || len(all) < 100 || len(all) > 1000 || s.logs.Dropped("a") > 0 {
		t.Errorf("%+v with %d lines held and %d dropped", got, len(all), s.logs.Dropped("a"))
	}
	for i, n := range all {
		if n != 5000-len(all)+i {
			t.Fatalf("line %d stands at place %d of %d", n, i, len(all))
		}
	}
}
