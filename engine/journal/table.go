package journal

import (
	"encoding/json"
	"fmt"
	"maps"
)

// Table is one named set of records, by key. A value that was put in is shared
// with readers and with the writer of the file: nobody writes to it again.
type Table[V any] struct {
	j   *Journal
	all map[string]V // guarded by j.mu
}

// TableOf opens a table. V is written as JSON. A table that does not fit V
// counts as a file that cannot be used.
func TableOf[V any](j *Journal, name string) *Table[V] {
	j.mu.Lock()
	if t, ok := j.tables[name].(*Table[V]); ok {
		j.mu.Unlock()
		return t
	}
	t := &Table[V]{j: j, all: map[string]V{}}
	raw := j.unread[name]
	delete(j.unread, name)
	j.tables[name] = t
	var all map[string]V
	var err error
	if raw != nil {
		err = json.Unmarshal(raw, &all)
	}
	if err == nil && all != nil {
		t.all = all
	}
	j.mu.Unlock()
	if err != nil {
		j.unusable(fmt.Errorf("its %s are damaged: %w", name, err))
	}
	return t
}

// Get returns the record of a key.
func (t *Table[V]) Get(key string) (v V, ok bool) {
	t.j.mu.Lock()
	defer t.j.mu.Unlock()
	v, ok = t.all[key]
	return v, ok
}

// Set puts a record in the place of the one before.
func (t *Table[V]) Set(key string, v V) {
	t.Update(key, func(V) V { return v })
}

// Update puts what f returns in the place of a record; f gets the zero value
// when there is none, and must not change what it gets.
func (t *Table[V]) Update(key string, f func(V) V) {
	t.j.mu.Lock()
	defer t.j.mu.Unlock()
	t.all[key] = f(t.all[key])
	t.j.changes++
}

// Delete removes a record.
func (t *Table[V]) Delete(key string) {
	t.DeleteFunc(func(k string, _ V) bool { return k == key })
}

// DeleteFunc removes the records for which f returns true.
func (t *Table[V]) DeleteFunc(f func(key string, v V) bool) {
	t.j.mu.Lock()
	defer t.j.mu.Unlock()
	before := len(t.all)
	maps.DeleteFunc(t.all, f)
	if len(t.all) != before {
		t.j.changes++
	}
}

func (t *Table[V]) snapshotLocked() any { return maps.Clone(t.all) }
