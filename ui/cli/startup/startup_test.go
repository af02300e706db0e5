package startup

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestFirstCollectionEndsTheStart(t *testing.T) {
	if Chosen() {
		t.Skip("GOGC or GOMEMLIMIT is set, so the collector is left alone")
	}
	if limit := debug.SetMemoryLimit(-1); limit != room && limit != math.MaxInt64 {
		t.Errorf("the limit is %d", limit)
	}
	for deadline := time.Now().Add(time.Minute); debug.SetMemoryLimit(-1) != math.MaxInt64; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("collections change nothing")
		}
		time.Sleep(time.Millisecond) // the finalizer runs after a collection
	}
	percent := debug.SetGCPercent(100)
	for deadline := time.Now().Add(time.Minute); percent != 100; percent = debug.SetGCPercent(100) {
		if time.Now().After(deadline) {
			t.Fatalf("the share is %d", percent)
		}
	}
}
