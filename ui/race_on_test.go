//go:build race

package ui

// raceEnabled leaves out tests of how fast things are: the race detector slows them down tenfold.
const raceEnabled = true
