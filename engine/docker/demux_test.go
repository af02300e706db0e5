package docker

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"

	"bulkhead/engine/container"
)

// recordedFlood is a log as an engine sends one that is flooded: a frame for each line of some 60
// bytes, with its stamp.
func recordedFlood(lines int) string {
	var b strings.Builder
	for i := range lines {
		b.WriteString(frame(byte(1+i%2),
			fmt.Sprintf("2026-11-23T21:00:00.%09dZ GET /orders/%08d 200 in 1.2ms\n", i, i)))
	}
	return b.String()
}

func TestStreamThatIsCutInsideOfAFrameIsNotAtItsEnd(t *testing.T) {
	whole := frame(1, "one\n") + frame(2, "two\n")
	for n := range len(whole) + 1 {
		var got strings.Builder
		err := demux(strings.NewReader(whole[:n]), func(_ container.Stream, p []byte) error {
			got.Write(p)
			return nil
		})
		atEnd := n == 0 || n == len(whole)/2 || n == len(whole)
		if atEnd != !errors.Is(err, io.ErrUnexpectedEOF) || atEnd && !errors.Is(err, io.EOF) {
			t.Errorf("cut after %d of %d bytes: %v", n, len(whole), err)
		}
		if want := "one\ntwo\n"[:4*(n/(len(whole)/2))]; got.String() != want {
			t.Errorf("cut after %d of %d bytes: %q, want %q", n, len(whole), got.String(), want)
		}
	}
}

// BenchmarkDemux compares our reader of frames with stdcopy.
func BenchmarkDemux(b *testing.B) {
	const lines = 10_000
	text := recordedFlood(lines)
	for name, read := range map[string]func(io.Reader) error{
		"ours": func(r io.Reader) error {
			err := demux(r, func(container.Stream, []byte) error { return nil })
			if !errors.Is(err, io.EOF) {
				return err
			}
			return nil
		},
		"stdcopy": func(r io.Reader) error {
			_, err := stdcopy.StdCopy(io.Discard, io.Discard, r)
			return err
		},
	} {
		b.Run(fmt.Sprintf("%s/lines=%d", name, lines), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(strings.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
		})
	}
}
