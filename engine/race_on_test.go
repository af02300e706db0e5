//go:build race

package engine_test

// raceEnabled makes the longest test shorter, as the race detector slows it down tenfold.
const raceEnabled = true
