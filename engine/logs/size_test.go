package logs

import (
	"strings"
	"testing"
)

func TestSizeIsReadAsPeopleWriteIt(t *testing.T) {
	for text, want := range map[string]int64{"16MiB": 16 << 20, "64m": 64 << 20, " 1.5 GB": 0,
		"0.5g": 512 << 20, "65536": 64 << 10, "64KiB": 64 << 10, "1gib": 1 << 30} {
		got, err := ParseSize(text)
		if want == 0 {
			if err == nil {
				t.Errorf("%q is %d, want an error", text, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "lots", "16 apples", "1k", "2g"} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), "16MiB") {
			t.Errorf("%q is %d, %v; want an error that says what to write", text, got, err)
		}
	}
}

func TestTotalFollowsTheOneSetting(t *testing.T) {
	for service, total := range map[int64]int64{0: 256 << 20, 1 << 20: 16 << 20, 64 << 20: 1 << 30} {
		if s := New(Options{ServiceBytes: service}); s.totalBytes != total {
			t.Errorf("with %d bytes for a service the total is %d, want %d", service, s.totalBytes, total)
		}
	}
}
