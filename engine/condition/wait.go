package condition

import "strings"

// Goal is what a service has to be for another one that waits for it.
type Goal uint8

const (
	GoalUnknown   Goal = iota
	GoalStarted        // its containers have been started
	GoalHealthy        // its healthcheck has passed
	GoalCompleted      // it has ended with exit code 0
	GoalRunning        // it runs again, so that what is shared with it exists
)

var goalNames = [...]string{"", "started", "healthy", "completed", "running"}

// String returns the goal in a word: "healthy"; "" where it is not known.
func (g Goal) String() string {
	if int(g) < len(goalNames) {
		return goalNames[g]
	}
	return goalNames[GoalUnknown]
}

// Wait is a service that another one waits for, and what it has to be for that.
type Wait struct {
	Service string
	Goal    Goal
}

// String returns the wait in two words: "db healthy".
func (w Wait) String() string { return w.Service + " " + w.Goal.String() }

// Waits are all that a service waits for, in the order of their names.
type Waits []Wait

// String returns them in one line: "cache started, db healthy"; "" for none.
func (w Waits) String() string {
	var out []string
	for _, one := range w {
		out = append(out, one.String())
	}
	return strings.Join(out, ", ")
}
