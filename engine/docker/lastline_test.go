package docker

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"bulkhead/engine/container"
)

// A container that is restarted has its lives in one log, and the last line of each may have no end.
func TestLastLineOfALifeIsALineOfItsOwn(t *testing.T) {
	stamp := func(n int) string { return fmt.Sprintf("2026-11-23T21:00:%02d.%09dZ ", n, n) }
	long := strings.Repeat("x", fragment)
	framed := frame(1, stamp(1)+"line one\n") + frame(1, stamp(2)+"exiting") + frame(2, stamp(2)+"errtail") +
		frame(1, stamp(3)+"line one\n") + frame(1, stamp(4)+long) + frame(1, stamp(4)+"long end") +
		frame(2, stamp(4)+"errtail") +
		frame(1, stamp(5)+"a") + frame(1, stamp(6)+"b") + frame(1, stamp(7)+"line one\n")
	raw := stamp(1) + "line one\r\n" + stamp(2) + "exiting" + stamp(3) + "line one\r\n" + stamp(4) +
		long + stamp(5) + "long end" +
		stamp(6) + "a" + stamp(7) + "b" + stamp(8) + "line one\r\n" + stamp(9) + "exiting"
	for _, c := range []struct {
		text string
		tty  bool
		want []string
	}{
		{framed, false, []string{"stdout line one", "stdout exiting", "stderr errtail",
			"stdout line one", "stdout " + long + "long end",
			"stderr errtail", "stdout a", "stdout b", "stdout line one"}},
		{raw, true, []string{"stdout line one", "stdout exiting", "stdout line one", "stdout " +
			long + "long end", "stdout a", "stdout b",
			"stdout line one", "stdout exiting"}},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(c.text),
			"bytes": iotest.OneByteReader(strings.NewReader(c.text))} {
			lines, err := readAll(t, r, c.tty)
			var got []string
			for _, l := range lines {
				got = append(got, l.stream.String()+" "+l.text)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("tty %v, %s: %v\n%.400q\nwant\n%.400q", c.tty, name, err, got, c.want)
			}
		}
	}
}

// A program's own stamps look like the engine's. They are of before the line reached the engine, or of a time to come.
func TestStampsOfTheProgramStayInItsLine(t *testing.T) {
	const at = "2026-11-23T21:00:05.000000005Z "
	for _, text := range []string{
		"written 2026-11-23T21:00:04.999999999Z by the program",
		"next run: 2999-01-01T00:00:00.000000000Z or later",
		"short 2026-11-23T21:00:06Z stamp", "no stamp 2026-13-23T21:00:06.000000000Z here", "Z Z Z ",
		"2026-11-23T21:00:05.000000005Z same",
	} {
		lines, err := readAll(t, strings.NewReader(at+text+"\r\n"), true)
		if err != nil || len(lines) != 1 || lines[0].text != text || lines[0].stream != container.Stdout {
			t.Errorf("%q became %v, %v", text, lines, err)
		}
	}
}
