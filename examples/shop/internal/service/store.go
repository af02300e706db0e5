package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// File keeps one value of type T in a JSON file: whole before or whole after,
// whenever the service is killed. It does not wait for the disk (no fsync): a
// killed process loses nothing, a crashed machine may lose the last second.
// Safe for concurrent use by one process.
type File[T any] struct {
	path string

	mu    sync.RWMutex
	value T
	saved []byte // value as the file has it
}

// OpenFile reads the file at path, or starts with first when there is none.
func OpenFile[T any](path string, first T) (*File[T], error) {
	f := &File[T]{path: path, value: first}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, f.Update(func(*T) error { return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := json.Unmarshal(data, &f.value); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	f.saved = data
	return f, nil
}

// View calls look with the value. look must not change it or keep parts of it.
func (f *File[T]) View(look func(T)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	look(f.value)
}

// Update calls change with the value and saves it. When change or the saving
// fails, the value is what it was before.
func (f *File[T]) Update(change func(*T) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := change(&f.value)
	if err == nil {
		err = f.save()
	}
	if err != nil && f.saved != nil {
		var before T
		if undo := json.Unmarshal(f.saved, &before); undo != nil {
			return errors.Join(err, undo)
		}
		f.value = before
	}
	return err
}

func (f *File[T]) save() error {
	data, err := json.Marshal(f.value)
	if err != nil {
		return fmt.Errorf("save %s: %w", f.path, err)
	}
	if bytes.Equal(data, f.saved) {
		return nil
	}
	if err := replace(f.path, data); err != nil {
		return err
	}
	f.saved = data
	return nil
}

// replace puts data at path by way of a rename, so that no reader and no killed
// writer ever sees half a file.
func replace(path string, data []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, data, 0o644); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// Journal keeps the last records of type T in a file that is only ever appended
// to, one JSON object a line, and rewritten when it holds twice what is kept.
// Safe for concurrent use by one process.
type Journal[T any] struct {
	path string
	keep int

	mu      sync.Mutex
	file    *os.File
	records []T // all that the file holds, oldest first
}

// OpenJournal reads the journal at path; there need not be one. keep is how many
// records are kept at least. A last line that a killed writer left unfinished is
// dropped.
func OpenJournal[T any](path string, keep int) (*Journal[T], error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &Journal[T]{path: path, keep: keep}
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		if !whole {
			break
		}
		var record T
		if err := json.Unmarshal(line, &record); err != nil {
			return nil, fmt.Errorf("open journal %s, line %d: %w", path, n, err)
		}
		j.records = append(j.records, record)
		data = rest
	}
	return j, j.rewrite()
}

// Records returns the records that are kept, oldest first. The slice is the
// caller's.
func (j *Journal[T]) Records() []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]T(nil), j.last()...)
}

// Append adds a record, and saves it before it returns.
func (j *Journal[T]) Append(record T) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("append to %s: %w", j.path, err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		// Part of the line may be in the file: the next one must not continue it.
		return errors.Join(fmt.Errorf("append to journal: %w", err), j.rewrite())
	}
	j.records = append(j.records, record)
	if len(j.records) > 2*j.keep {
		return j.rewrite()
	}
	return nil
}

// Close closes the file; no Append may follow.
func (j *Journal[T]) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}

func (j *Journal[T]) last() []T { return j.records[max(0, len(j.records)-j.keep):] }

// rewrite makes the file hold the kept records and nothing else.
func (j *Journal[T]) rewrite() error {
	var data bytes.Buffer
	for _, record := range j.last() {
		line, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("rewrite %s: %w", j.path, err)
		}
		data.Write(append(line, '\n'))
	}
	if err := replace(j.path, data.Bytes()); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Clean(j.path), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if j.file != nil {
		j.file.Close() // it points at the file that was replaced
	}
	j.file = file
	j.records = append([]T(nil), j.last()...)
	return nil
}
