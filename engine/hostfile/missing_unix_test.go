//go:build unix

package hostfile

import (
	"errors"
	"io/fs"
	"testing"
)

// Accounts without a home have HOME=/dev/null.
func TestBelowAFileThereIsNothing(t *testing.T) {
	_, err := Read("/dev/null/.config/file", MaxOther)
	if !errors.Is(err, fs.ErrNotExist) || !Missing(err) || err.Error() != "open /dev/null/.config/file: not a directory" {
		t.Errorf("error %v", err)
	}
	if _, err := Read("/dev", MaxOther); err == nil || Missing(err) {
		t.Errorf("a folder: error %v", err)
	}
}
