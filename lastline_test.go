package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a container wrote last, without a newline, is not glued to what its next life writes first:
// in up and logs, with a terminal and without one, followed and read afterwards.
func TestLastLinesWithoutANewlineStandAlone(t *testing.T) {
	f := newFolder(t)
	compose := `
services:
  pipe: &s
    build: {context: ., dockerfile_inline: "FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT [\"/bin/busybox\"]"}
    restart: always
    command: [sh, -c, "printf 'first\nlast'; exit 3"]
  term:
    <<: *s
    tty: true
`
	if err := os.WriteFile(filepath.Join(f.dir, "compose.yaml"), []byte(compose), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{"pipe | first", "pipe | last", "term | first", "term | last"}
	separator := regexp.MustCompile(`\b(gen|run) \d+ (began|started|ended)`)
	// lives is how many lives of both services some lines are of; glued is what is none of theirs.
	lives := func(lines []string) (n int, glued []string) {
		count := map[string]int{}
		for _, l := range lines {
			name, text, _ := strings.Cut(l, "|")
			if name = strings.TrimSuffix(strings.TrimSpace(name), "-1"); name != "pipe" &&
				name != "term" || separator.MatchString(text) {
				continue
			}
			if l = name + " | " + strings.TrimSpace(text); slices.Contains(want, l) {
				count[l]++
			} else {
				glued = append(glued, l)
			}
		}
		n = count[want[0]]
		for _, l := range want {
			n = min(n, count[l])
		}
		return n, glued
	}
	follow := func(args ...string) {
		t.Helper()
		s := f.start(t, args...)
		if !eventually(patience, func() bool { n, glued := lives(s.all()); return n >= 3 || len(glued) > 0 }) {
			t.Errorf("%v: no three lives:\n%s", args, strings.Join(s.all(), "\n"))
		}
		if _, glued := lives(s.all()); len(glued) > 0 {
			t.Errorf("%v: %q", args, glued)
		}
		if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		s.end(t)
	}
	follow("up", "--plain", "--no-watch", "--leave")
	follow("logs", "-f", "--no-color")
	if n, glued := lives(strings.Split(f.bulkhead(t, "logs"), "\n")); n < 3 || len(glued) > 0 {
		t.Errorf("logs: %d lives, %q", n, glued)
	}
}
