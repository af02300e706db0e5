//go:build race

package ui

// raceEnabled makes the largest test smaller, as the race detector slows it down tenfold.
const raceEnabled = true
