package ui

import (
	"testing"

	"bulkhead/engine/logs"
)

func BenchmarkCleanSnapshot(b *testing.B) {
	_, f := load(b, 30, 200, 60)
	s := f.Snapshot()
	for i := range s.Builds {
		for range 500 {
			s.Builds[i].Lines = append(s.Builds[i].Lines,
				"go: downloading golang.org/x/net v0.59.0 and some more text here")
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		logs.CleanAll(s)
	}
}

func BenchmarkNet(b *testing.B) {
	m, _ := load(b, 30, 200, 60)
	text := m.render()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		logs.TerminalText(text)
	}
}
