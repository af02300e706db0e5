package machine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMachineWithoutCPULeftIsStarved(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for _, c := range []struct {
		name, pressure, loadavg string
		starved, known          bool
	}{
		{"idle", "some avg10=0.31 avg60=0.10 avg300=0.02 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", "9 9 9 1/2 3", false, true},
		{"four loops on two processors", "some avg10=98.20 avg60=60.00 avg300=9.00 total=1\n",
			"0.1 0 0 1/2 3", true, true},
		{"a kernel without pressure, idle", "", "0.20 0.1 0.1 1/200 4242\n", false, true},
		{"a kernel without pressure, busy", "", "6.20 3.1 0.1 7/200 4242\n", true, true},
		{"no Linux", "", "", false, false},
		{"not what it was", "some avg10=much\n", "much", false, false},
	} {
		if got := read(file(c.pressure), file(c.loadavg), 2); got.Starved() != c.starved ||
			got.Known != c.known {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
