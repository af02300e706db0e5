package journal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/journal"
)

// opened is a journal, and what it said to the user.
type opened struct {
	*journal.Journal
	warned []string
}

func open(base string) *opened {
	o := &opened{}
	o.Journal = journal.Open(journal.Options{Base: base, Engine: "EN:GI/NE", Project: "shop",
		Warn: func(text string) { o.warned = append(o.warned, text) }})
	return o
}

func (o *opened) flush(t *testing.T) {
	t.Helper()
	if err := o.Flush(); err != nil {
		t.Fatal(err)
	}
}

type record struct{ Size int }

func TestStateOutlivesTheProcess(t *testing.T) {
	base := t.TempDir()
	j := open(base)
	if g := j.Generation("web", 1, "c1", time.Unix(5, 0)); g != 1 {
		t.Errorf("first life is generation %d", g)
	}
	if g := j.Generation("web", 1, "c1", time.Unix(9, 0)); g != 2 {
		t.Errorf("second life is generation %d", g)
	}
	j.Complete("c9")
	journal.TableOf[record](j.Journal, "records").Set("c1", record{3})
	j.flush(t)
	// One that opens no table of its own writes it back as it is.
	j = open(base)
	if g := j.Generation("web", 1, "c1", time.Unix(9, 0)); g != 2 {
		t.Errorf("the same life is generation %d after a restart of the program", g)
	}
	if !j.Completed()["c9"] {
		t.Errorf("completed %v", j.Completed())
	}
	j.Forget("c9")
	j.flush(t)
	j = open(base)
	if r, ok := journal.TableOf[record](j.Journal, "records").Get("c1"); !ok || r.Size != 3 ||
		j.Completed()["c9"] {
		t.Errorf("the record is %v, %v; completed %v", r, ok, j.Completed())
	}
	if got := journal.Generations(base, "EN:GI/NE", "shop")["c1"]; got != 2 {
		t.Errorf("Generations returns %d", got)
	}
	if len(j.warned) > 0 || j.Lost() {
		t.Errorf("lost: %v; said %q", j.Lost(), j.warned)
	}
}

func TestNewLifeOfACompletedContainerIsNotCompleted(t *testing.T) {
	j := open("")
	j.Generation("job", 1, "c1", time.Unix(5, 0))
	j.Complete("c1")
	if j.Generation("job", 1, "c1", time.Unix(5, 0)); !j.Completed()["c1"] {
		t.Error("the life that completed is forgotten")
	}
	if j.Generation("job", 1, "c1", time.Unix(6, 0)); j.Completed()["c1"] {
		t.Error("the next life counts as completed")
	}
	j.flush(t) // in memory only
}

func TestStateFileThatCannotBeUsed(t *testing.T) {
	const whole = `{"version":2,"generations":{"web/1":{"generation":7,"id":"c1"}},"records":{"c1":{"Size":3}}}`
	for _, tt := range []struct{ what, text, want string }{
		{"garbage", "\x00\x01garbage", "it is damaged"},
		{"truncated", whole[:len(whole)-20], "it is damaged"},
		{"empty", "", "it is damaged"},
		{"without anything", "{}", "it is damaged"},
		{"null", "null", "it is damaged"},
		{"newer", `{"version":99,"generations":{}}`, "a newer bulkhead"},
		{"a table of another kind", strings.Replace(whole, `{"Size":3}`, "3", 1), "its records are damaged"},
		{"generations of another kind", strings.Replace(whole, `{"generation":7,"id":"c1"}`, "3", 1),
			"its generations are damaged"},
	} {
		base := t.TempDir()
		file := journal.File(base, "EN:GI/NE", "shop")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(base)
		records := journal.TableOf[record](j.Journal, "records")
		if len(j.warned) != 1 || !strings.Contains(j.warned[0], tt.want) || !strings.Contains(j.warned[0],
			file) || strings.Contains(j.warned[0], "\n") {
			t.Errorf("%s: said %q, want one line with %q", tt.what, j.warned, tt.want)
		}
		if !j.Lost() {
			t.Errorf("%s: the state does not count as lost", tt.what)
		}
		records.Set("c2", record{4})
		j.flush(t)
		j = open(base)
		r, ok := journal.TableOf[record](j.Journal, "records").Get("c2")
		if len(j.warned) > 0 || j.Lost() || !ok || r.Size != 4 {
			t.Errorf("%s: after it was written again: said %q, lost: %v, record %v", tt.what, j.warned,
				j.Lost(), r)
		}
	}
}

// Files without a version held values of environments, and everybody could read
// them.
func TestOlderStateFileIsReplaced(t *testing.T) {
	base := t.TempDir()
	file := journal.File(base, "EN:GI/NE", "shop")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	old := `{"generations":{"web/1":{"generation":7,"id":"c1","started":"2026-01-02T03:04:05Z"}},"completed":{"c9":true},"holds":{},"owes":{},"images":{},"prepared":{"web":"abc make\nTOKEN=hunter2"}}`
	if err := os.WriteFile(file, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	j := open(base)
	if !j.Lost() || len(j.warned) > 0 || !j.Completed()["c9"] {
		t.Errorf("lost: %v, said %q, completed %v", j.Lost(), j.warned, j.Completed())
	}
	j.flush(t)
	b, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(b), "hunter2") {
		t.Errorf("the file holds %s, %v", b, err)
	}
	if got := journal.Generations(base, "EN:GI/NE", "shop")["c1"]; got != 7 {
		t.Errorf("the generation is %d", got)
	}
}

// A state that cannot be written is said once, not with every try, and that it
// works again is said as well.
func TestStateThatCannotBeWrittenIsSaidOnce(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	// a file in the place of the folder stops root as well
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(base)
	j.warned = nil // it cannot be read either
	for range 3 {
		j.Complete("c1")
		if err := j.Flush(); err == nil {
			t.Fatal("it was written")
		}
	}
	if len(j.warned) != 1 || !strings.Contains(j.warned[0], "cannot be written: not a directory") ||
		j.Unsaved() == "" {
		t.Errorf("said %q, unsaved %q", j.warned, j.Unsaved())
	}
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	j.flush(t)
	j.flush(t)
	if len(j.warned) != 2 || !strings.Contains(j.warned[1], "is written again") || j.Unsaved() != "" {
		t.Errorf("said %q, unsaved %q", j.warned, j.Unsaved())
	}
	if !open(base).Completed()["c1"] {
		t.Error("what could not be written at first is not in the file")
	}
}

// A change that comes while the file is written is not taken as written.
func TestChangeDuringAFlushIsWrittenByTheNext(t *testing.T) {
	base := t.TempDir()
	j := open(base)
	slow := journal.TableOf[during](j.Journal, "slow")
	slow.Set("x", during{func() { j.Complete("c1") }})
	j.flush(t)
	slow.Set("x", during{})
	slow.Delete("x")
	if open(base).Completed()["c1"] {
		t.Fatal("the change was not made during the write")
	}
	j.flush(t)
	if !open(base).Completed()["c1"] {
		t.Error("the change was not written")
	}
}

// during runs something while it is encoded.
type during struct{ do func() }

func (d during) MarshalJSON() ([]byte, error) {
	if d.do != nil {
		d.do()
	}
	return []byte("{}"), nil
}
