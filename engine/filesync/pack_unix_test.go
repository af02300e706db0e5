//go:build unix

package filesync

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

func TestWayThroughTheLinksOfAnImage(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"in/f", "chain/f", "up/f", "both/f", "real/f", "out/f", "climb/f",
		"loop/f", "tofile/f", "top/x", "file", "swapped/f", "plain/f", "void/f"} {
		put(t, dir, f, "x")
	}
	relink(t, "elsewhere", filepath.Join(dir, "mine"))
	one, folder := put(t, t.TempDir(), "one", "x"), put(t, t.TempDir(), "folder", "x")
	link := func(to string) string { return state(fs.ModeSymlink|0o777, to) }
	b := &box{all: map[string]string{
		"/t": state(fs.ModeDir|0o755, ""), "/t/other": state(fs.ModeDir|0o755, ""),
		"/t/regular": state(0o644, ""), "/t/real": state(fs.ModeDir|0o755, ""),
		"/t/other/deep": state(fs.ModeDir|0o755, ""), "/etc": state(fs.ModeDir|0o755, ""),
		"/t/in": link("other"), "/t/chain": link("/t/hop"), "/t/hop": link("./other/../other/deep"),
		"/t/up": link("other/../../t/other"), "/t/both": link("real"),
		"/t/out": link("/var"), "/t/climb": link("../.."), "/t/loop": link("loop"),
		"/t/tofile": link("regular"), "/t/top": link("."), "/t/file": link("other/kept"),
		"/t/swapped": link("/var"), "/t/void": link("later/on"), "/t/mine": link("other"),
		"/etc/one": link("/var/one"), "/etc/folder": link("/var"),
	}}
	conf := &project.Service{Name: "a", Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/t"}, {Action: project.Sync, Path: one,
			Target: "/etc/one"}, {Action: project.Sync, Path: folder, Target: "/etc/folder"},
	}}
	y := New(b, journal.Open(journal.Options{}), nil)
	// What was put there as a folder, or as a file, is not the image's.
	have := Manifest{"/t/swapped": {Mode: uint32(fs.ModeDir | 0o755), Seen: true},
		"/etc/folder": {Mode: 0o600, Seen: true}}
	d := diffAll(conf, have)
	u, err := y.pack(t.Context(), Target{Service: conf, ID: "id"}, d)
	if err != nil {
		t.Fatal(err)
	}
	to := map[string]string{}
	for _, en := range u.entries {
		if en.file != "" && !en.stat.isDir() {
			to[en.at] = en.dest()
		}
	}
	why := func(file string) string {
		for f, text := range u.refused {
			if strings.HasSuffix(f, "/"+file) {
				return text
			}
		}
		return ""
	}
	for _, tt := range []struct{ file, at, to, why string }{
		{"in/f", "/t/in/f", "/t/other/f", ""},
		{"chain/f", "/t/chain/f", "/t/other/deep/f", ""},
		{"up/f", "/t/up/f", "/t/other/f", ""},
		{"void/f", "/t/void/f", "/t/later/on/f", ""},
		{"file", "/t/file", "/t/other/kept", ""},
		{"plain/f", "/t/plain/f", "/t/plain/f", ""},
		{"real/f", "/t/real/f", "/t/real/f", ""},
		{"top/x", "/t/top/x", "/t/x", ""},
		{"swapped/f", "/t/swapped/f", "/t/swapped/f", ""},
		{"mine", "/t/mine", "/t/mine", ""}, // the host's own link
		{"folder", "/etc/folder", "/etc/folder", ""},
		{"both/f", "/t/both/f", "", "lies behind a link at /t/real/f in the container, where " +
			filepath.Join(dir, "real/f") + " goes"},
		{"out/f", "/t/out/f", "",
			"/t/out is a link to /var in the container, outside of the target /t; name /var as"},
		{"climb/f", "/t/climb/f", "", "/t/climb is a link to ../.. in the container, outside of the target /t"},
		{"loop/f", "/t/loop/f", "", "/t/loop is a link to loop in the container"},
		{"tofile/f", "/t/tofile/f", "", "/t/regular"},
		{"one", "/etc/one", "",
			"the target /etc/one is a link to /var/one in the container; name that as the target"},
	} {
		if to[tt.at] != tt.to || !strings.Contains(why(tt.file), tt.why) ||
			(tt.why == "") != (why(tt.file) == "") {
			t.Errorf("%s is written to %q, refused because %q; want %q, %q", tt.file, to[tt.at],
				why(tt.file), tt.to, tt.why)
		}
	}
}

// Deletions go the way that what they delete came.
func TestDeletionsBehindLinksOfAnImage(t *testing.T) {
	dirMode := uint32(fs.ModeDir | 0o755)
	b := &box{all: map[string]string{
		"/t/in": "-> other", "/t/out": "-> /var", "/t/other": state(fs.ModeDir|0o755, ""),
		"/t/swapped": "-> /var",
	}}
	have := Manifest{
		"/t/in": {Mode: dirMode}, "/t/in/a": {Mode: 0o644}, "/t/in/d": {Mode: dirMode},
		"/t/in/d/b": {Mode: 0o644}, "/t/out": {Mode: dirMode}, "/t/out/c": {Mode: 0o644},
		"/t/swapped": {Mode: dirMode, Seen: true}, "/t/plain": {Mode: 0o644, Seen: true},
	}
	y := New(b, journal.Open(journal.Options{}), nil)
	for _, tt := range []struct{ paths, want string }{
		{"/t/plain /t/in/a", "/t/other/a /t/plain"},
		{"/t/in", "/t/other/a /t/other/d/b"},
		{"/t/in/d", "/t/other/d"},
		{"/t/out /t/out/c", ""},
		{"/t/swapped", "/t/swapped"}, // the container put it into the place of our folder
	} {
		got, err := y.resolver(context.Background(), "id", have).deletions("/t", strings.Fields(tt.paths))
		slices.Sort(got)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("to delete %s: %v, %v; want %s", tt.paths, got, err, tt.want)
		}
	}
}

// A folder that is missing on the way is made as of now: one of 1970 is the oldest
// of all to what cleans up, or builds, by time.
func TestFoldersOnTheWayHaveTheTimeOfTheirMaking(t *testing.T) {
	dir, began := t.TempDir(), time.Now().Truncate(time.Second)
	f := put(t, dir, "a/b/x", "1")
	conf := &project.Service{Name: "a", Rules: []project.Rule{
		{Action: project.Sync, Path: dir, Target: "/srv/app"}}}
	y := New(&box{all: map[string]string{}}, journal.Open(journal.Options{}), nil)
	target := Target{Service: conf, ID: "c"}
	y.records.change("c", func(_, _ Manifest) {})
	u, err := y.pack(t.Context(), target, y.Compare(t.Context(), target,
		map[int]map[string]struct{}{0: {f: {}}}))
	ok(t, err)
	defer u.trees.close()
	var out bytes.Buffer
	ok(t, u.write(&out, u.entries))
	dirs := 0
	for tr := tar.NewReader(&out); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		ok(t, err)
		if h.Typeflag != tar.TypeDir {
			continue
		}
		if dirs++; h.ModTime.Before(began) {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
	}
	if dirs != 3 {
		t.Errorf("%d folders on the way to %s, want 3", dirs, f)
	}
}
