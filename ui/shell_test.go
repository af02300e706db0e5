package ui

import (
	"os"
	"testing"

	"github.com/muesli/cancelreader"
)

// A read that is still under way when a shell ends must not take what is typed next.
func TestShellsEndTakesNoLaterKey(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for range 200 {
		c, err := cancelreader.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		k := &keyboard{reader: c}
		begun, ended := make(chan struct{}), make(chan int, 1)
		go func() {
			close(begun)
			n, _ := k.Read(make([]byte, 8)) // canceled, or never begun
			ended <- n
		}()
		<-begun
		k.close()
		if n := <-ended; n != 0 {
			t.Fatalf("the ended shell read %d bytes", n)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 8)
		if n, err := r.Read(b); err != nil || string(b[:n]) != "x" {
			t.Fatalf("the next reader got %q, %v", b[:n], err)
		}
	}
}
