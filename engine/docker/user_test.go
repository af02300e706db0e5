package docker

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestUserIsReadAsTheEngineDoes(t *testing.T) {
	files := map[string]string{
		"/etc/passwd": "root:x:0:0::/:/bin/sh\napp:x:1001:1002::/:/bin/sh\n2002:x:1003:1004::/:/bin/sh\n",
		"/etc/group":  "staff:x:50:\nmore:x:60:app\n",
	}
	for text, c := range map[string]struct {
		want [2]int
		read string // files that were opened
		err  string
	}{
		"":          {read: "/etc/passwd"},
		"0":         {read: "/etc/passwd"},
		"0:0":       {},
		"root":      {read: "/etc/passwd"},
		"app":       {want: [2]int{1001, 1002}, read: "/etc/passwd"},
		"1001":      {want: [2]int{1001, 1002}, read: "/etc/passwd"},
		"2002":      {want: [2]int{2002, 0}, read: "/etc/passwd"}, // a number is never a name
		"1001:7":    {want: [2]int{1001, 7}},
		"app:7":     {want: [2]int{1001, 7}, read: "/etc/passwd"},
		"app:staff": {want: [2]int{1001, 50}, read: "/etc/passwd /etc/group"},
		"77":        {want: [2]int{77, 0}, read: "/etc/passwd"},
		"77:staff":  {want: [2]int{77, 50}, read: "/etc/group"},
		"nobody":    {read: "/etc/passwd", err: "it has no user nobody in /etc/passwd"},
		"app:none":  {read: "/etc/passwd /etc/group", err: "it has no group none in /etc/group"},
	} {
		var read []string
		got, err := userOf(text, func(f string) (io.Reader, error) {
			read = append(read, f)
			return strings.NewReader(files[f]), nil
		})
		if got != c.want || strings.Join(read, " ") != c.read || (err != nil) != (c.err != "") ||
			err != nil && err.Error() != c.err {
			t.Errorf("%q: %v, %v with %v; want %+v", text, got, err, read, c)
		}
	}
}

func TestUserOfAnImageWithoutFilesIsANumber(t *testing.T) {
	none := func(string) (io.Reader, error) { return nil, nil }
	for text, want := range map[string][2]int{"": {}, "5": {5, 0}, "5:6": {5, 6}} {
		if got, err := userOf(text, none); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	if got, err := userOf("app", none); err == nil || err.Error() != "it has no user app in /etc/passwd" {
		t.Errorf("a name: %v, %v", got, err)
	}
	// A file that could not be read is not a file that is missing: the numbers would be kept, and wrong.
	broken := errors.New("the engine went away")
	for _, text := range []string{"", "5", "app", "5:staff"} {
		if got, err := userOf(text, func(string) (io.Reader, error) {
			return nil, broken
		}); !errors.Is(err, broken) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
