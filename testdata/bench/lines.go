package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/logs"
)

// lines measures the cleaning of hostile log lines: of a line eight times as long, against eight of
// the short one. A ratio near 8 would be work that grows with the square.
func (b *bench) lines() error {
	units := map[string]string{"sgr": "\x1b[1m", "return": "ab\r", "colours": "\x1b[38;2;1;2;3mx\r",
		"open": "\x1b]", "bad": "\xff\x00"}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		short, long := []byte(strings.Repeat(units[name], 1<<13)), []byte(strings.Repeat(units[name], 1<<16))
		var one, eight samples
		for range b.rounds {
			began := time.Now()
			logs.Clean(nil, long)
			one.add(time.Since(began))
			began = time.Now()
			for range 8 {
				logs.Clean(nil, short)
			}
			eight.add(time.Since(began))
		}
		b.table.row(fmt.Sprintf("lines: one of 65,536 %s; eight of 8,192", name), one, eight, 4)
	}
	return nil
}
