package service

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFileKeepsWhatWasUpdated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "values.json")
	for want := 1; want <= 3; want++ {
		f, err := OpenFile(path, map[string]int{})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Update(func(v *map[string]int) error { (*v)["n"]++; return nil }); err != nil {
			t.Fatal(err)
		}
		f.View(func(v map[string]int) {
			if v["n"] != want {
				t.Errorf("opened for the %d. time: %v", want, v)
			}
		})
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenFile(filepath.Join(dir, "values.json"), map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(result error) error {
		return f.Update(func(v *map[string]int) error {
			(*v)["n"], (*v)["extra"] = 99, 1
			return result
		})
	}
	check := func(what string) {
		t.Helper()
		f.View(func(v map[string]int) {
			if len(v) != 1 || v["n"] != 1 {
				t.Errorf("after %s: %v", what, v)
			}
		})
	}
	no := errors.New("no")
	if err := spoil(no); !errors.Is(err, no) {
		t.Errorf("Update returned %v", err)
	}
	check("a change that failed")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if spoil(nil) == nil {
		t.Error("saved into a folder that is gone")
	}
	check("a save that failed")
}

func TestJournalKeepsTheLastRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	j := openJournal(t, path, 3)
	for n := range 20 {
		if err := j.Append(n); err != nil {
			t.Fatal(err)
		}
	}
	want := []int{17, 18, 19}
	if got := j.Records(); !slices.Equal(got, want) {
		t.Errorf("records %v, want %v", got, want)
	}
	if data, _ := os.ReadFile(path); strings.Count(string(data), "\n") > 6 {
		t.Errorf("the file grew to %q", data)
	}
	if got := openJournal(t, path, 3).Records(); !slices.Equal(got, want) {
		t.Errorf("records after a new start %v, want %v", got, want)
	}
}

func TestJournalDropsALineThatAKilledWriterLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	if err := os.WriteFile(path, []byte("1\n2\n3"), 0o644); err != nil {
		t.Fatal(err)
	}
	j := openJournal(t, path, 5)
	if err := j.Append(4); err != nil {
		t.Fatal(err)
	}
	if got := openJournal(t, path, 5).Records(); !slices.Equal(got, []int{1, 2, 4}) {
		t.Errorf("records %v, want 1 2 4", got)
	}
	if err := os.WriteFile(path, []byte("1\nx\n3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal[int](path, 5); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a spoilt journal: %v, want an error that names line 2", err)
	}
}

func openJournal(t *testing.T, path string, keep int) *Journal[int] {
	t.Helper()
	j, err := OpenJournal[int](path, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}
