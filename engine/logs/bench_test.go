package logs

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"
)

var benchStart = time.Date(2026, 11, 23, 20, 46, 48, 0, time.UTC)

// benchLine is a log line of about 120 bytes of the kind that services write.
func benchLine(i int) []byte {
	level := "INFO"
	switch {
	case i%1000 == 7:
		level = "ERROR"
	case i%50 == 3:
		level = "WARN"
	}
	return fmt.Appendf(nil,
		"2026-11-23T20:46:48.%06dZ %-5s [worker-%d] order %d accepted for customer %d in %d ms, total %d.%02d EUR",
		i%1000000, level, i%16, i, i*7%99991, i%250, i%400, i%100)
}

func benchLines(n int) [][]byte {
	lines := make([][]byte, n)
	for i := range lines {
		lines[i] = benchLine(i)
	}
	return lines
}

// filledStore holds n lines of as many services, in the order of time.
func filledStore(n, services int, line func(i int) []byte) *Store {
	s := New(Options{ServiceBytes: 1 << 30, TotalBytes: 2 << 30})
	names := make([]string, services)
	for i := range names {
		names[i] = fmt.Sprintf("service-%02d", i)
	}
	for i := range n {
		s.Append(names[i%services], 1, 1, Stdout, benchStart.Add(time.Duration(i)*time.Millisecond), line(i))
	}
	return s
}

func BenchmarkAppend(b *testing.B) {
	kinds := map[string]func(int) []byte{
		"plain": benchLine,
		"json": func(i int) []byte {
			return fmt.Appendf(nil,
				`{"time":"2026-11-23T20:46:48.%06dZ","msg":"order %d accepted","customer":%d,"ms":%d,"level":"info"}`, i, i, i, i)
		},
		"colour": func(i int) []byte {
			return fmt.Appendf(nil, "\x1b[32mINFO\x1b[0m order \x1b[1m%d\x1b[0m accepted", i)
		},
		"none": func(i int) []byte {
			return fmt.Appendf(nil,
				"order %d accepted by customer %d who paid in cash and left with all of it under one arm", i, i)
		},
	}
	for _, kind := range []string{"plain", "json", "colour", "none"} {
		b.Run("kind="+kind, func(b *testing.B) {
			lines := make([][]byte, 1024)
			for i := range lines {
				lines[i] = kinds[kind](i)
			}
			s := New(Options{})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s.Append("orders", 1, 1, Stdout, benchStart.Add(time.Duration(i)), lines[i&1023])
				i++
			}
		})
	}
}

func BenchmarkRefresh(b *testing.B) {
	for _, late := range []bool{false, true} {
		b.Run(fmt.Sprintf("services=30/lines=1000/late=%v", late), func(b *testing.B) {
			s := New(Options{})
			lines := benchLines(1024)
			names := make([]string, 30)
			for i := range names {
				names[i] = fmt.Sprintf("service-%02d", i)
			}
			v := s.View(Filter{})
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				for range 1000 {
					at := benchStart.Add(time.Duration(n) * time.Microsecond)
					if late && n%30 < 3 { // a tenth of the sources lags by a second
						at = at.Add(-time.Second)
					}
					s.Append(names[n%30], 1, 1, Stdout, at, lines[n&1023])
					n++
				}
				b.StartTimer()
				v.Refresh()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/line")
		})
	}
}

func BenchmarkView(b *testing.B) {
	s := filledStore(1_000_000, 30, benchLine)
	for name, f := range map[string]Filter{
		"all":    {},
		"errors": {MinLevel: Error},
		"match":  {Match: regexp.MustCompile(`(?i)error.*order`)},
		"invert": {Match: regexp.MustCompile(`accepted`), Invert: true},
	} {
		b.Run("services=30/lines=1e6/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.View(f)
			}
		})
	}
}

func BenchmarkWindow(b *testing.B) {
	for _, n := range []int{100, 1_000_000} {
		b.Run(fmt.Sprintf("rows=50/lines=%d", n), func(b *testing.B) {
			v := filledStore(n, 30, benchLine).View(Filter{})
			first, end := v.Bounds()
			b.ReportAllocs()
			for b.Loop() {
				if len(v.Lines(first+(end-first)/2, 50)) != 50 {
					b.Fatal("window is not full")
				}
			}
		})
	}
}

func BenchmarkCount(b *testing.B) {
	patterns := []string{"ERROR", "(?i)error", "order 77.*ms", "WARN|ERROR|FATAL",
		`(?i)customer \d+7 in`, "nowhere", `\d{5} accepted`}
	for _, kind := range []string{"plain", "colour"} {
		line := benchLine
		if kind == "colour" {
			line = func(i int) []byte { return append([]byte("\x1b[36mapp\x1b[0m "), benchLine(i)...) }
		}
		v := filledStore(1_000_000, 30, line).View(Filter{})
		for _, p := range patterns {
			re := regexp.MustCompile(p)
			b.Run("lines=1e6/"+kind+"/"+p, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Count(context.Background(), re); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// What one search of a million lines costs: none is found, so that all are looked at, or the nearest is close by.
func BenchmarkFind(b *testing.B) {
	v := filledStore(1_000_000, 30, benchLine).View(Filter{})
	first, end := v.Bounds()
	for _, c := range []struct{ name, re string }{{"none/literal", "(?i)nowhere"},
		{"none/expression", `\d{9}`}, {"near/expression", `7 in \d+ ms`}} {
		re := regexp.MustCompile(c.re)
		b.Run("lines=1e6/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := v.Fork().Find(context.Background(), re, first+(end-first)/2,
					true); ok == (c.name[:4] == "none") {
					b.Fatal(ok)
				}
			}
		})
	}
}

// A counter that is made anew for each key, and one that goes on over a thousand new lines.
func BenchmarkCounter(b *testing.B) {
	s := filledStore(1_000_000, 30, benchLine)
	for _, p := range []string{"(?i)refused", "ERROR", `\d{5} accepted`, `[0-9]+ms$`} {
		re := regexp.MustCompile(p)
		b.Run("lines=1e6/anew/"+p, func(b *testing.B) {
			for b.Loop() {
				if _, n, err := s.Counter(Filter{}, re).Count(context.Background()); n < 1_000_000 ||
					err != nil {
					b.Fatal(n, err)
				}
			}
		})
		b.Run("lines=1e6/1000 more/"+p, func(b *testing.B) {
			c := s.Counter(Filter{}, re)
			c.Count(context.Background())
			for b.Loop() {
				b.StopTimer()
				for i := range 1000 {
					s.Append("service-03", 1, 1, Stdout, benchStart, benchLine(i))
				}
				b.StartTimer()
				c.Count(context.Background())
			}
		})
	}
}

func BenchmarkClean(b *testing.B) {
	for name, line := range map[string]string{
		"ascii":    string(benchLine(1)),
		"colour":   "\x1b[36mapp\x1b[0m \x1b[1;31mERROR\x1b[0m order \x1b[38;5;208m12\x1b[39m refused",
		"progress": "\r10% [#         ]\r20% [##        ]\r\x1b[K30% [###       ]",
		"unicode":  "Bestellung für 山田 angenommen\tsofort",
	} {
		b.Run(name, func(b *testing.B) {
			raw, dst := []byte(line), make([]byte, 0, 512)
			b.ReportAllocs()
			for b.Loop() {
				dst = Clean(dst[:0], raw)
			}
		})
	}
}
