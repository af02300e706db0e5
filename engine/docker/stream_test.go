package docker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"bulkhead/engine/container"
)

func frame(kind byte, text string) string {
	h := make([]byte, frameHeader)
	h[0] = kind
	binary.BigEndian.PutUint32(h[4:], uint32(len(text)))
	return string(h) + text
}

func readAll(t *testing.T, r io.Reader, tty bool) ([]line, error) {
	t.Helper()
	var all []line
	rd := newStamped(func(l container.Line) { all = append(all, line{l.Stream, l.Time, string(l.Text)}) })
	err := rd.read(r, tty)
	rd.flush()
	return all, err
}

func TestFramesBecomeLinesHoweverTheyArrive(t *testing.T) {
	const (
		one = "2026-11-23T21:00:00.000000001Z "
		two = "2026-11-23T23:00:01.5+02:00 "
	)
	huge := strings.Repeat("x", readBuffer+100)
	half := strings.Repeat("h", fragment)
	text := frame(1, one+"first\r\n") + frame(2, one+half) + frame(1, two+"between\n") +
		frame(2, two+"whole\n") +
		frame(1, one+huge+"\n") + frame(1, one+"\n") + frame(1, one+"a\nb\n") + frame(0, one+"open")
	at1, at2 := time.Unix(1795467600, 1), time.Unix(1795467601, 500_000_000)
	want := []line{
		{container.Stdout, at1, "first"}, {container.Stdout, at2, "between"},
		{container.Stderr, at1, half + "whole"}, {container.Stdout, at1, huge},
		{container.Stdout, at1, ""}, {container.Stdout, at1, "a"}, {container.Stdout, at1, "b"},
		{container.Stdout, at1, "open"},
	}
	for name, r := range map[string]io.Reader{
		"whole":   strings.NewReader(text),
		"bytes":   iotest.OneByteReader(strings.NewReader(text)),
		"halves":  iotest.HalfReader(strings.NewReader(text)),
		"dataerr": iotest.DataErrReader(strings.NewReader(text)),
	} {
		got, err := readAll(t, r, false)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d lines, %v", name, len(got), err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: line %d: %.80v, want %.80v", name, i, got[i], want[i])
			}
		}
	}
	for name, broken := range map[string]string{
		"cut in a header":  text + "\x01\x00",
		"cut in a payload": text + frame(1, one+"cut")[:20],
		"no frames":        text + "plain text of some proxy",
		"engine's error":   frame(3, "log file is gone\n"),
	} {
		if _, err := readAll(t, strings.NewReader(broken), false); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTerminalFragmentsAreJoined(t *testing.T) {
	stamp := func(n int) string { return fmt.Sprintf("2026-11-23T21:00:00.%09dZ ", n) }
	part := func(c string) string { return strings.Repeat(c, fragment) }
	text := stamp(1) + "short\r\n" + stamp(2) + part("a") + stamp(3) + part("b") + stamp(4) +
		"end\r\n" + stamp(5) + "open"
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
		got, err := readAll(t, r, true)
		if err != nil || len(got) != 3 {
			t.Fatalf("%d lines, %v", len(got), err)
		}
		if got[0].text != "short" || got[1].text != part("a")+part("b")+"end" ||
			got[1].at.Nanosecond() != 2 || got[2].text != "open" {
			t.Errorf("lines: %.60v %d %v", got[0], len(got[1].text), got[2])
		}
	}
}

func TestClockReadsWhatTimeReads(t *testing.T) {
	var c clock
	for _, text := range []string{
		"2026-11-23T21:00:00.123456789Z", "2026-11-23T21:00:00.12Z", "2026-11-23T21:00:00Z",
		"2024-02-29T23:59:59.999999999Z",
		"2026-11-23T21:00:00.5+05:30", "2026-11-23T21:00:00.5-08:00", "1969-12-31T23:59:59.1Z",
	} {
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		got, n := c.parse([]byte(text + " rest"))
		if !got.Equal(want) || n != len(text)+1 {
			t.Errorf("%s: %v, %d", text, got, n)
		}
	}
	for _, text := range []string{"", "hello", "2026-11-23 21:00:00Z x", "2026-11-23T21:00:00.1Zx",
		"2026-13-23T21:00:00.1Z x", "2026-11-23T21:00:00.1 x", "2026-11-23T21:00:0aZ xxx",
		"2026-11-23T21:00:00.1+0a:00 "} {
		if _, n := c.parse([]byte(text)); n != 0 {
			t.Errorf("%q was taken for a stamp of %d", text, n)
		}
	}
}

func FuzzLogReaderEndsWithoutPanic(f *testing.F) {
	f.Add([]byte(frame(1, "2026-11-23T21:00:00.1Z hi\n")), false)
	f.Add([]byte("2026-11-23T21:00:00.1Z hi\r\n2026-11-23T21:00:00.1+01:"), true)
	f.Fuzz(func(t *testing.T, b []byte, tty bool) {
		readAll(t, bytes.NewReader(b), tty)
	})
}

// BenchmarkLogs reads a recorded stream, as the engine sends it.
func BenchmarkLogs(b *testing.B) {
	var text strings.Builder
	const lines = 10_000
	for i := range lines {
		fmt.Fprintf(&text, "%s",
			frame(byte(1+i%2),
				fmt.Sprintf("2026-11-23T21:%02d:%02d.%09dZ level=info msg=\"request %d served\" path=/orders/%d took=12ms\n", i/600%60, i/10%60, i*1000, i, i)))
	}
	r := strings.NewReader(text.String())
	n := 0
	b.ReportAllocs()
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		r.Reset(text.String())
		rd := newStamped(func(container.Line) { n++ })
		if err := rd.read(r, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
}

func TestLongLinesAreOneLineAndCutWithACount(t *testing.T) {
	const stamp = "2026-11-23T21:00:00.000000001Z "
	fragmented := func(text, end string, tty bool) string {
		var b strings.Builder
		for len(text) > 0 {
			part := text[:min(fragment, len(text))]
			if text = text[len(part):]; text == "" {
				part += end
			}
			if tty {
				b.WriteString(stamp + part)
			} else {
				b.WriteString(frame(1, stamp+part))
			}
		}
		return b.String()
	}
	// a character lies across the border of each fragment but the first, and across the limit
	umlauts := strings.Repeat("ä", maxLine/2-1) + "x"
	for _, tty := range []bool{false, true} {
		for name, c := range map[string]struct {
			text, end string
			keep      int
		}{
			"90,000 characters":          {strings.Repeat("0123456789", 9000), "\n", 90_000},
			"ends with the container":    {strings.Repeat("0123456789", 9000), "", 90_000},
			"a return at a border":       {strings.Repeat("x", 2*fragment), "\r\n", 2 * fragment},
			"characters across borders":  {"x" + strings.Repeat("ä", 20_000), "\n", 40_001},
			"just at the limit":          {strings.Repeat("x", maxLine), "\n", maxLine},
			"over the limit":             {strings.Repeat("x", maxLine+50_000), "\n", maxLine},
			"a character over the limit": {umlauts + "ää", "\n", maxLine - 1},
		} {
			var got []container.Line
			rd := newStamped(func(l container.Line) { l.Text = bytes.Clone(l.Text); got = append(got, l) })
			err := rd.read(strings.NewReader(fragmented(c.text, c.end, tty)+fragmented("next", "\n", tty)), tty)
			rd.flush()
			if tty && c.end == "" {
				continue // a stamp that is not later than the line's cannot be told from text
			}
			if err != nil || len(got) != 2 || string(got[1].Text) != "next" ||
				string(got[0].Text) != c.text[:c.keep] {
				t.Errorf("%s, tty %v: %d lines, %v", name, tty, len(got), err)
				continue
			}
			if cut := got[0].Cut; c.keep == len(c.text) && cut != 0 || c.keep < len(c.text) &&
				(cut < len(c.text)-c.keep || !tty && cut != len(c.text)-c.keep) {
				t.Errorf("%s, tty %v: %d bytes cut, want %d", name, tty, cut, len(c.text)-c.keep)
			}
		}
	}
}
