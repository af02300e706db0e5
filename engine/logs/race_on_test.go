//go:build race

package logs

// raceEnabled makes the longest test shorter, as the race detector slows it down tenfold.
const raceEnabled = true
