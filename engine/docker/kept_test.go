package docker

import (
	"bytes"
	"strings"
	"testing"
)

// What a program in a container writes without end, in the place of the image's rm for one, is kept to
// its last few KiB.
func TestOfEndlessOutputTheEndIsKept(t *testing.T) {
	var said tailBuffer
	part := bytes.Repeat([]byte("x"), 1<<10)
	for range 64 << 10 {
		if n, err := said.Write(part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := said.Write([]byte("\nno such file\n")); err != nil {
		t.Fatal(err)
	}
	if got := said.text(); len(got) > 4096 || !strings.HasSuffix(got, "x\nno such file") {
		t.Errorf("%d bytes are kept, the last are %.20q", len(got), got[max(0, len(got)-20):])
	}
	if cap(said.buf) > 64<<10 {
		t.Errorf("%d bytes are held", cap(said.buf))
	}
}
